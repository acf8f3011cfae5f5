"""Proof that each projection says what the log says, by a second, independent computation."""

from typing import Any

from sqlalchemy import select

from event_log.database import table_of
from event_log.log import EventRow
from reporting.projector import ProjectedRow
from reporting.proof import Failure, Finding, Progress
from reporting.read_only import ReadOnlyDatabase, has_tables

_projected = table_of(ProjectedRow)
_events = table_of(EventRow)


def prove_projections(
    log: ReadOnlyDatabase, projections: ReadOnlyDatabase, progress: Progress
) -> Finding:
    """Check, for each projection, where it says that it is, and its rows."""
    if projections.file() is None:
        return Finding({})
    with projections.reading() as connection:
        if not has_tables(connection, ProjectedRow):
            return Finding({})
        rows = connection.execute(select(_projected).order_by(_projected.c.projection)).all()
    checked: dict[str, Any] = {}
    for done, row in enumerate(rows, 1):
        failure = _other_log(log, row.projection, row.position, row.hash)
        if failure is not None:
            return Finding(checked, failure=failure)
        checked[row.projection] = {"position": row.position}
        progress(done, len(rows))
    return Finding(checked)


def _other_log(log: ReadOnlyDatabase, name: str, position: int, known: bytes) -> Failure | None:
    """Whether the log still has the row that a projection took in last."""
    with log.reading() as connection:
        found = connection.scalar(select(_events.c.hash).where(_events.c.position == position))
    if found == known:
        return None
    if found is None:
        what = f"the log has no such position, and the projection {name} has taken it in"
    else:
        what = f"its hash is {found.hex()}; when the projection {name} took it in: {known.hex()}"
    return Failure(f"position {position}", what)
