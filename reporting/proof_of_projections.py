"""Proof that each projection says what the log says, by a second, independent computation."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select

from event_log.database import Database, table_of
from event_log.log import EventRow
from reporting.agreement import disagreements
from reporting.projection import Projection
from reporting.projections import all_projections
from reporting.projector import ProjectedRow, Reached, live
from reporting.proof import Failure, Finding, Progress
from reporting.read_only import ReadOnlyDatabase, has_tables, look_up
from reporting.set_aside import SetAsideRow, all_aside
from reporting.told import unreadable

_events = table_of(EventRow)


def prove_projections(log: Database, projections: ReadOnlyDatabase, progress: Progress) -> Finding:
    """Check where each projection says that it is, and its rows against SQL over the bodies.

    Args:
        log: the event log.
        projections: the database of the projections, which need not be there.
        progress: is told the projections that are checked.
    """
    everything = all_projections()
    checked: dict[str, Any] = {}
    left_out = _set_aside(projections)
    notes = [str(each) for each in left_out]
    if failure := _wrongly_aside(log, left_out):
        return Finding(checked, notes, failure)
    for done, projection in enumerate(everything.values(), 1):
        found = _rows_and_place(projections, projection)
        if found is None:
            notes.append(f"the projection {projection.name} was not made yet")
            continue
        rows, reached = found
        failure = _other_log(log, projection, reached) or _other_rows(log, projections, projection)
        if failure is not None:
            return Finding(checked, notes, failure)
        checked[projection.name] = {"position": reached.position, "rows": rows}
        progress(done, len(everything))
    return Finding(checked, notes)


def _set_aside(projections: ReadOnlyDatabase) -> list[SetAsideRow]:
    return look_up(projections.place, all_aside, SetAsideRow) or []


def _wrongly_aside(log: Database, left_out: Iterable[SetAsideRow]) -> Failure | None:
    """Whether an event is set aside that belongs in the projections."""
    for each in left_out:
        where = f"position {each.position}"
        why = unreadable(log, each.position)
        if why is None:
            return Failure(where, "it is set aside, though it can be read")
        if why.hash != each.hash:
            return Failure(where, "another event was set aside than the log has there")
    return None


def _rows_and_place(
    projections: ReadOnlyDatabase, projection: Projection
) -> tuple[int, Reached] | None:
    """How many rows a projection has and how far it has come; `None` if it never began."""
    if projections.identity() is None:
        return None
    view = live(projection)
    with projections.reading() as connection:
        if not has_tables(connection, ProjectedRow, projection.table):
            return None
        rows = int(connection.scalar(select(func.count()).select_from(view.table)) or 0)
        reached = view.reached(connection)
    return (rows, reached) if rows or reached.position else None


def _other_log(log: Database, projection: Projection, reached: Reached) -> Failure | None:
    """Whether the log has no more what a projection took in last."""
    if not reached.position:
        return None
    with log.reading() as connection:
        found = connection.scalar(
            select(_events.c.hash).where(_events.c.position == reached.position)
        )
    if found == reached.hash:
        return None
    where, taken_in = f"position {reached.position}", f"the projection {projection.name} took it in"
    if found is None:
        return Failure(where, f"the log has no such position, and {taken_in}")
    what = f"its hash is {found.hex()}, and was {reached.hash.hex()} when {taken_in}"
    return Failure(where, what)


def _other_rows(log: Database, projections: Database, projection: Projection) -> Failure | None:
    # Without a position: it may have moved on, and is compared where it is now.
    for found in disagreements(log, projections, projection, most=1):
        key = " ".join(str(value) for value in found.key)
        return Failure(f"{projection.name} {key}", str(found), found.by)
    return None
