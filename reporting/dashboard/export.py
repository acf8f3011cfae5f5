"""The page "Export": the report as a file for Finance, with what it takes to check it again."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from domain.errors import ShopError
from reporting.dashboard.days import choose_days
from reporting.dashboard.looking import Seen, look, others_in_sentences, stamp_in_words
from reporting.dashboard.revenue_rows import headline
from reporting.dashboard.sources import Sources
from reporting.export import By, cut, cut_off, file_name, periods
from reporting.exports import FORMS, form_named
from reporting.figure import Stamp
from reporting.report import Report

LOOK_EVERY_SECONDS = 1.0

_HELD = "export held"
_MADE = "export made"


class Held(NamedTuple):
    """The figures that are offered: of one position, until the reader asks for newer ones."""

    seen: Seen
    report: Report
    stamp: Stamp


def show(sources: Sources) -> None:
    """Draw the page; what is offered is of one position, until the reader asks for a newer one."""
    st.title("Export", anchor=False)
    held: Held | None = st.session_state.get(_HELD)
    if held is None:
        held = _held(look(sources, Seen()))
        st.session_state[_HELD] = held
    if held is None:
        _wait(sources)
        return
    # A slot of its own: a message that comes or goes must not move what is below to new elements.
    with st.container():
        _say_newer(sources, held)
    _offer(held)


def _held(seen: Seen) -> Held | None:
    if seen.report is None or not seen.report.days or seen.stamp is None:
        return None
    return Held(seen, seen.report, seen.stamp)


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def _wait(sources: Sources) -> None:
    """Say why there is nothing to export yet, and go on by itself once there is."""
    seen = look(sources, Seen())
    if _held(seen) is not None:
        st.rerun()
    if seen.trouble is not None:
        st.warning(f"The projections can't be read at the moment: {seen.trouble}.")
    elif seen.report is not None and seen.report.days:
        st.warning("The event log can't be read at the moment, which every export names.")
    elif seen.report is not None and seen.report.others:
        st.warning(" ".join(others_in_sentences(seen.report)))
    else:
        st.info("**No order has been decided yet.** There is nothing to export.")


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def _say_newer(sources: Sources, held: Held) -> None:
    """Files must not change under the reader's hand: newer figures come when they are asked for."""
    newest = look(sources, held.seen)
    st.caption(f"Figures {stamp_in_words(held.stamp)}")
    if newest.trouble is not None:
        st.warning(
            f"The projections can't be read at the moment: {newest.trouble}. What was read before "
            "can still be downloaded; the page tries again every second."
        )
        return
    newer = _held(newest)
    if newer is not None and newer.stamp != held.stamp:
        name = f"Take the newest figures, up to position {newer.stamp.position:,}"
        if st.button(name, key="newest"):
            st.session_state[_HELD] = newer
            st.rerun(scope="app")


def _offer(held: Held) -> None:
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        suffix = st.segmented_control(
            "Format",
            list(FORMS),
            default=next(iter(FORMS)),
            required=True,
            format_func=lambda each: FORMS[each].title,
            key="export-format",
            bind="query-params",
        )
        by = st.segmented_control(
            "A line is of a",
            list(By),
            default=By.MONTH,
            required=True,
            format_func=str.capitalize,
            key="export-by",
            bind="query-params",
        )
        days = held.report.days
        ends = (date.fromisoformat(days[at].name) for at in (0, -1))
        first, last = choose_days("export-", *ends)
    try:
        found, stamp = cut(held.report, held.stamp, first, last)
    except ShopError as error:
        said = str(error)
        st.info(f"{said[0].upper()}{said[1:]}.")
        return
    _preview(found, stamp, by)
    form, name = FORMS[suffix], file_name(found, stamp, by, suffix)
    st.download_button(
        f"Download {name}",
        _content(found, stamp, by, name),
        name,
        form.media_type,
        key="download",
        on_click="ignore",
        type="primary",
    )
    st.caption(
        f"{form.title}: {form.use}. The file says which state of the event log it is of. Whether "
        f"it still is what the log says: `shop prove --figure {name}`"
    )


def _content(found: Report, stamp: Stamp, by: By, name: str) -> bytes:
    """The file's bytes; they are kept until others are wanted, for a page takes a second."""
    # Not made at the click: Streamlit forgets such a file when anyone's page is drawn twice, which
    # live pages are every second, and a slow download would find nothing.
    wanted = (stamp, name)
    if st.session_state.get(_MADE, (None, b""))[0] != wanted:
        form = form_named(Path(name))
        st.session_state[_MADE] = wanted, form.make(found, stamp, by, name, datetime.now(UTC))
    content: bytes = st.session_state[_MADE][1]
    return content


def _preview(found: Report, stamp: Stamp, by: By) -> None:
    made, lines = headline(found), len(periods(found, by))
    with st.container(horizontal=True, gap="medium"):
        for name, value, beside in (
            (f"Accepted revenue, {found.currency}", made.accepted_amount, made.of_amount),
            ("Accepted orders", made.accepted_orders, made.of_orders),
            (f"Declined, {found.currency}", made.declined_amount, made.declined_orders),
            (
                "Lines",
                f"{lines:,} {by.value if lines == 1 else f'{by.value}s'}",
                f"{found.days[0].name} to {found.days[-1].name}",
            ),
        ):
            st.metric(name, value, beside, delta_color="off", delta_arrow="off")
    if others := others_in_sentences(found):
        st.caption(" ".join(others))
    if parts := cut_off(found, stamp):
        st.caption(f"Not whole months: {', '.join(parts)}.")
