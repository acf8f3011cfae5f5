"""What the Revenue page looks at: the projections, or why they can't be read."""

from dataclasses import dataclass, replace

from sqlalchemy.exc import SQLAlchemyError

from domain.errors import StoreError
from event_log.database import reason
from reporting.dashboard.sources import Sources
from reporting.figure import Stamp, stamp, without_in_words
from reporting.projections.late import LateRow
from reporting.projector import ProjectedRow, position
from reporting.read_only import Identity, ReadOnlyDatabase, has_tables
from reporting.report import LateMonth, Report, others_in_words, report_and_late
from reporting.revenue import RevenueRow
from reporting.set_aside import SetAsideRow, StoppedRow, aside, stopped


@dataclass(frozen=True)
class Seen:
    """The last report that could be read, and what is in the way of a newer one.

    `stamp` says which state of the log it is of; `None` while the log can't be read. `stopped` says
    which event the report can't go beyond.
    """

    report: Report | None = None
    late: tuple[LateMonth, ...] = ()
    stamp: Stamp | None = None
    trouble: str | None = None
    stopped: str | None = None
    identity: Identity | None = None


def look(sources: Sources, before: Seen) -> Seen:
    """Look at the projections again.

    Returns:
        `before` itself where nothing has changed; the last report stays while the projections
        can't be read.
    """
    database = ReadOnlyDatabase(sources.projections)
    try:
        seen = _read(database, sources, before)
    except (SQLAlchemyError, OSError) as error:
        seen = replace(before, trouble=reason(error))
    return before if seen == before else seen


def stamp_in_words(of: Stamp) -> str:
    """Which state of the log figures are of, as the pages say it."""
    recorded = f", recorded {of.recorded_time}" if of.recorded_time else ""
    without = without_in_words(of)
    return f"up to position {of.position:,} of the event log{recorded}{without} · hash {of.hash}"


def others_in_sentences(found: Report) -> list[str]:
    """What the log has in other currencies than a report's, which is in none of its figures.

    The last sentence says what to do where there is nothing else.
    """
    said = [f"Not in these figures: {each}." for each in others_in_words(found)]
    if said and not found.days:
        said.append(
            f"None of it is in {found.currency}, which SHOP_CURRENCY says for this dashboard."
        )
    return said


def _read(database: ReadOnlyDatabase, sources: Sources, before: Seen) -> Seen:
    identity = database.identity()
    if identity is None:
        return _nothing_there(database, before)
    with database.reading() as connection:
        if not has_tables(connection, ProjectedRow, RevenueRow, LateRow, StoppedRow, SetAsideRow):
            return _nothing_there(database, before)
        reached, stop, left_out = position(connection), stopped(connection), aside(connection)
    known = before.report
    if known is not None and (identity, reached) == (before.identity, known.position):
        stamped = before.stamp or _stamp(sources, known, left_out)
        return replace(before, trouble=None, stamp=stamped, stopped=stop)
    found, late = report_and_late(database, sources.currency)
    return Seen(found, late, _stamp(sources, found, left_out), None, stop, identity)


def _stamp(sources: Sources, found: Report, left_out: tuple[int, ...]) -> Stamp | None:
    # The page goes on without the log: what it shows comes from the projections.
    try:
        return stamp(ReadOnlyDatabase(sources.log), found.position, found.currency, left_out)
    except (SQLAlchemyError, StoreError):
        return None


def _nothing_there(database: ReadOnlyDatabase, before: Seen) -> Seen:
    # Before the first order there is no database, and that is no trouble.
    if before.report is None:
        return Seen()
    return replace(before, trouble=f"{database} is not there any more")
