"""What the Revenue page looks at: the projections, or why they can't be read."""

from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from reporting.projector import ProjectedRow, position
from reporting.read_only import ReadOnlyDatabase, has_tables
from reporting.report import Report, report
from reporting.revenue import RevenueRow


@dataclass(frozen=True)
class Seen:
    """The last report that could be read, and what is in the way of a newer one."""

    report: Report | None = None
    trouble: str | None = None
    file: tuple[int, int] | None = None


def look(projections: Path, currency: str, before: Seen) -> Seen:
    """Look at the projections again.

    Returns:
        `before` itself where nothing has changed; the last report stays while the projections
        can't be read.
    """
    database = ReadOnlyDatabase(projections)
    try:
        seen = _read(database, currency, before)
    except (SQLAlchemyError, OSError) as error:
        seen = replace(before, trouble=str(getattr(error, "orig", None) or error))
    return before if seen == before else seen


def _read(database: ReadOnlyDatabase, currency: str, before: Seen) -> Seen:
    file = database.file()
    if file is None:
        return _nothing_there(database, before)
    with database.reading() as connection:
        if not has_tables(connection, ProjectedRow, RevenueRow):
            return _nothing_there(database, before)
        reached = position(connection)
    known = before.report
    if known is not None and (file, reached) == (before.file, known.position):
        return replace(before, trouble=None)
    return Seen(report(database, currency), None, file)


def _nothing_there(database: ReadOnlyDatabase, before: Seen) -> Seen:
    # Before the first order there is no file, and that is no trouble.
    if before.report is None:
        return Seen()
    return replace(before, trouble=f"{database.path} is not there any more")
