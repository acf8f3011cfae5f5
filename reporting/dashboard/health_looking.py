"""What the page "Log and health" looks at by itself: log, projections, and the last proof."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import StoreError
from event_log.database import Place, reason, table_of
from event_log.log import EventRow, head
from reporting.dashboard.sources import Sources
from reporting.figure import Stamp, stamp
from reporting.projection import Projection
from reporting.projections import all_projections
from reporting.projector import ProjectedRow, live
from reporting.proofs import Proved, newest
from reporting.read_only import ReadOnlyDatabase, look_up
from reporting.set_aside import SetAsideRow, StoppedRow, all_aside, stopped

ROWS_SHOWN = 100

_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Reached:
    """How far log and projections are; positions by the projections' titles.

    `log` is `None` before the first event and while the log can't be read.
    """

    log: Stamp | None = None
    projections: tuple[tuple[str, int], ...] = ()
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True)
class LastProof:
    """The proof that was kept last; `same` says whether the log still has what it looked at."""

    proved: Proved | None = None
    log_position: int = 0
    same: bool = True
    trouble: str | None = None


@dataclass(frozen=True)
class Rows:
    """Rows of a projection by their key, and whether there are more."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...] = ()
    more: bool = False
    trouble: str | None = None


def look_how_far(sources: Sources) -> Reached:
    """How far log and projections are."""
    log, troubles = None, []
    try:
        log = _end_of_log(sources)
    except (SQLAlchemyError, OSError, StoreError) as error:
        troubles.append(f"The event log can't be read at the moment: {reason(error)}.")
    projections: tuple[tuple[str, int], ...] = ()
    try:
        projections = _positions(sources.projections)
        if stop := look_up(sources.projections, stopped, StoppedRow):
            troubles.append(f"{stop[0].upper()}{stop[1:]}.")
        left_out = look_up(sources.projections, all_aside, SetAsideRow) or ()
        troubles += [f"Of the event log, {each}." for each in left_out]
    except (SQLAlchemyError, OSError) as error:
        troubles.append(f"The projections can't be read at the moment: {reason(error)}.")
    return Reached(log, projections, tuple(troubles))


def after(before: Reached, now: Reached) -> Reached:
    """What to show: where log and projections were `before`, while that can't be seen now."""
    if now.log is not None or before.log is None:
        return now if now.projections else replace(now, projections=before.projections)
    gone = "The event log is not there any more; what is shown was seen before."
    return replace(before, troubles=now.troubles or (gone,))


def _end_of_log(sources: Sources) -> Stamp | None:
    position = look_up(sources.log, lambda connection: head(connection)[0], EventRow)
    if not position:
        return None
    return stamp(ReadOnlyDatabase(sources.log), position, sources.currency)


def _positions(place: Place) -> tuple[tuple[str, int], ...]:
    known = all_projections().values()

    def read(connection: Connection) -> tuple[tuple[str, int], ...]:
        return tuple((each.title, live(each).reached(connection).position) for each in known)

    return look_up(place, read, ProjectedRow) or tuple((each.title, 0) for each in known)


def look_at_proof(sources: Sources) -> LastProof:
    """The proof that was kept last, and where the log is by now."""
    try:
        proved = newest(sources.proofs)
    except (SQLAlchemyError, OSError) as error:
        return LastProof(trouble=reason(error))
    if proved is None:
        return LastProof()
    try:
        with ReadOnlyDatabase(sources.log).reading() as connection:
            return LastProof(proved, head(connection)[0], _still_has(connection, proved))
    except (SQLAlchemyError, OSError):
        # The page says elsewhere that the log can't be read.
        return LastProof(proved, proved.position)


def _still_has(connection: Connection, proved: Proved) -> bool:
    events = table_of(EventRow)
    if not proved.position:
        return True
    found = connection.scalar(select(events.c.hash).where(events.c.position == proved.position))
    return found is not None and bytes(found).hex() == proved.hash


def look_into(sources: Sources, projection: Projection, beginning: str) -> Rows:
    """The first rows of a projection whose key begins so."""
    table = table_of(projection.table)
    columns = tuple(str(column.name) for column in table.columns)
    first, *_ = keys = [table.c[name] for name in projection.key_columns]
    query = select(table).order_by(*keys).limit(ROWS_SHOWN + 1)
    if "\0" in beginning:
        # No text in Postgres has one.
        return Rows(columns)
    if beginning:
        query = query.where(first >= beginning, first < beginning + _LAST_CHARACTER)
        # In a language's order there are others in between, such as capitals.
        query = query.where(func.substr(first, 1, len(beginning)) == beginning)

    def read(connection: Connection) -> tuple[tuple[Any, ...], ...]:
        return tuple(tuple(row) for row in connection.execute(query))

    try:
        rows = look_up(sources.projections, read, projection.table) or ()
    except (SQLAlchemyError, OSError) as error:
        return Rows(columns, trouble=reason(error))
    return Rows(columns, rows[:ROWS_SHOWN], len(rows) > ROWS_SHOWN)
