"""The Revenue page as it was: what the log had said by an earlier time."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import ShopError
from event_log.database import Database, reason
from event_log.log import last_position
from reporting.dashboard.sources import Sources
from reporting.figure import Stamp, stamp
from reporting.history import position_at, recorded_at, report_at
from reporting.read_only import ReadOnlyDatabase
from reporting.report import LateMonth, Report
from reporting.set_aside import aside_in

LOOK_AGAIN_SECONDS = 1.0

_BOUNDS = "looked back over"
_STEPS = (
    (timedelta(hours=2), timedelta(seconds=1)),
    (timedelta(days=7), timedelta(minutes=1)),
    (timedelta.max, timedelta(hours=1)),
)


class Bounds(NamedTuple):
    """From when to when one can look back (UTC, naive), and by which step."""

    first: datetime
    last: datetime
    step: timedelta


class Then(NamedTuple):
    """What the log had said by an earlier time."""

    at: datetime
    report: Report
    late: tuple[LateMonth, ...]
    stamp: Stamp


def bounds(first: datetime, last: datetime) -> Bounds:
    """Where a slider begins and ends, from just before the first record to after the last one.

    Steps are seconds for a log of two hours, minutes for one of a week, and hours beyond.
    """
    first, last = first.replace(microsecond=0, tzinfo=None), last.replace(tzinfo=None)
    step = next(step for upto, step in _STEPS if last - first <= upto)
    begin = first - step
    steps = (last - begin) // step + 1
    return Bounds(begin, begin + steps * step, step)


def forget() -> None:
    """Have the next slider end at what is the newest then."""
    st.session_state.pop(_BOUNDS, None)


def choose(sources: Sources) -> Then | None:
    """Let the reader choose a time, and say what the log had said by then.

    Returns:
        `None` where the log or the projections can't be read; the page says so, and looks again.
    """
    log, projections = ReadOnlyDatabase(sources.log), ReadOnlyDatabase(sources.projections)
    try:
        if _BOUNDS not in st.session_state:
            # They stay as they are while someone slides: the log goes on meanwhile.
            ends = (1, last_position(log))
            st.session_state[_BOUNDS] = bounds(*(recorded_at(log, end) for end in ends))
        at = _slider(st.session_state[_BOUNDS])
        position = _position(sources, log, at)
        found, late = report_at(log, projections, position, sources.currency)
        stamped = stamp(log, position, sources.currency, aside_in(projections))
        return Then(at, found, late, stamped)
    except (SQLAlchemyError, ShopError) as error:
        st.warning(f"The event log can't be read at the moment: {reason(error)}.")
        _look_again(sources)
        return None


def _position(sources: Sources, log: Database, at: datetime) -> int:
    # The slider ends at the step after the last record, which need not be over yet.
    moment = at.replace(tzinfo=UTC)
    if moment >= datetime.now(UTC):
        return last_position(log)
    return position_at(log, moment, sources.written)


def _slider(within: Bounds) -> datetime:
    chosen: datetime = st.slider(
        "As it was known at (UTC)",
        min_value=within.first,
        max_value=within.last,
        value=within.last,
        step=within.step,
        format="YYYY-MM-DD HH:mm:ss",
        key="as-of",
    )
    return chosen


@st.fragment(run_every=LOOK_AGAIN_SECONDS)
def _look_again(sources: Sources) -> None:
    try:
        last_position(ReadOnlyDatabase(sources.log))
    except SQLAlchemyError:
        return
    st.rerun()
