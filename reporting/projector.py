"""The projector: takes the log into the projections, each from its own position on."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from time import time
from typing import NamedTuple

from sqlalchemy import Connection, Table, TextClause, select, text
from sqlmodel import Field, SQLModel

from domain.errors import StoreError
from event_log.database import Database, Int64, Place, table_of
from event_log.inbox import PositionRow
from event_log.log import GENESIS, EventRow
from event_log.statements import insert_or_replace
from event_log.workers import HeartbeatRow
from reporting.projection import LEFT_OUT, Key, Projection, Row, Told, shadow_table
from reporting.projections import all_projections
from reporting.set_aside import SetAsideRow, StoppedRow, aside, note_progress, note_stop
from reporting.telling import Telling, watch
from reporting.told import Unreadable, read_told
from services.telemetry import telemetry
from transport.topics import TopicPartition

BATCH = 5000
"""Most events in one transaction of the projections."""

LOG = TopicPartition("event_log", 0)
"""The log, as one who reads topics would see it: its offsets are how many events come before."""

_REVENUE = "revenue"


class ProjectedRow(SQLModel, table=True):
    """How far a projection has read the log, and the hash of the last event it took in."""

    __tablename__ = "projected"
    projection: str = Field(primary_key=True)
    position: int = Field(sa_type=Int64)
    hash: bytes


class ReplayedRow(SQLModel, table=True):
    """How far a projection's shadow has read the log; `refused` when its rows were found wrong."""

    __tablename__ = "replayed"
    projection: str = Field(primary_key=True)
    position: int = Field(sa_type=Int64)
    hash: bytes
    refused: bool = False


_projected = table_of(ProjectedRow)
_positions = table_of(PositionRow)
_events = table_of(EventRow)


class Reached(NamedTuple):
    """The last event that was taken in, and its hash."""

    position: int = 0
    hash: bytes = GENESIS


@dataclass(frozen=True)
class View:
    """The rows of a projection, and where its position is kept: the live ones, or others."""

    projection: Projection
    table: Table
    positions: Table

    def reached(self, connection: Connection) -> Reached:
        """How far it has read the log."""
        row = connection.execute(
            select(self.positions.c.position, self.positions.c.hash).where(
                self.positions.c.projection == self.projection.name
            )
        ).first()
        return Reached() if row is None else Reached(row.position, row.hash)

    def move(self, connection: Connection, to: Reached) -> None:
        """Set how far it has read the log."""
        connection.execute(
            insert_or_replace(connection, self.positions),
            {"projection": self.projection.name, **to._asdict()},
        )


def live(projection: Projection) -> View:
    """The rows of a projection that everybody sees."""
    return View(projection, table_of(projection.table), _projected)


def open_projections(place: Place) -> Database:
    """Open the database of the projections, and of their replays."""
    projections = all_projections().values()
    tables: list[type[SQLModel]] = [
        *(ProjectedRow, ReplayedRow, StoppedRow, SetAsideRow, PositionRow, HeartbeatRow)
    ]
    live_tables = [each.table for each in projections]
    # In a file, a replay's table takes the place of the live one, and is made each time.
    shadows = [] if isinstance(place, Path) else map(shadow_table, projections)
    return Database(place, [*tables, *live_tables, *shadows])


def position(connection: Connection) -> int:
    """The last position of the log that the projection of revenue has taken in."""
    found = connection.scalar(
        select(_projected.c.position).where(_projected.c.projection == _REVENUE)
    )
    return int(found or 0)


def catch_up(log: Database, projections: Database) -> int:
    """Take in what the log has and the projections don't; returns the position all have reached.

    Rows and position move in one transaction, so it may be stopped anywhere, and several processes
    may do it at once. A projection that is behind is brought up while the others go on.

    Raises:
        Unreadable: an event can't be read; all before it is taken in. It is kept which one, for
            whoever asks how the report does.
        StoreError: a database can't be used, or the projections were made from another log.
    """
    views = [live(projection) for projection in all_projections().values()]
    refuse_another_log(log, projections, views)
    telling = _telling(log, projections)
    try:
        while take_in(log, projections, views, _note_progress, telling):
            pass
    except Unreadable as stop:
        projections.in_transaction(partial(note_stop, stop))
        raise
    return min(place.position for place in places(projections, views))


def _telling(log: Database, projections: Database) -> Telling | None:
    if not telemetry().on:
        return None
    watch(log, projections, position)
    return Telling(projections, projections.read(position))


def places(projections: Database, views: Iterable[View]) -> set[Reached]:
    """Where the views are, all seen at one moment."""
    return projections.read(lambda connection: {view.reached(connection) for view in views})


def refuse_another_log(log: Database, projections: Database, views: Iterable[View]) -> None:
    """Check that the log has the last event of each view.

    Raises:
        StoreError: it has not.
    """
    for known in places(projections, views):
        if not follows(log, known):
            raise StoreError(
                f"the projections in {projections} were made from another log than "
                f"{log}, up to its position {known.position}: delete the projections, and "
                "they are made anew"
            )


def follows(log: Database, known: Reached) -> bool:
    """Whether the log has what was taken in last."""
    if not known.position:
        return True
    query = select(_events.c.hash).where(_events.c.position == known.position)
    return bool(log.read(lambda connection: connection.scalar(query)) == known.hash)


def projected(connection: Connection) -> dict[TopicPartition, int]:
    """How many events all projections have taken in."""
    views = map(live, all_projections().values())
    return {LOG: min(view.reached(connection).position for view in views)}


def _note_progress(connection: Connection) -> None:
    (reached,) = projected(connection).values()
    row = {**LOG._asdict(), "next_offset": reached, "moved_at": datetime.now(UTC)}
    # Also back: a projection that was added begins at the first event.
    connection.execute(insert_or_replace(connection, _positions), row)
    note_progress(reached, connection)


def take_in(
    log: Database,
    projections: Database,
    views: Sequence[View],
    note: Callable[[Connection], None] = lambda connection: None,
    telling: Telling | None = None,
    again: Collection[int] = frozenset(),
) -> bool:
    """Take one batch into the views, or one for each place where views are.

    Args:
        log: the event log.
        projections: the database of the views.
        views: the views.
        note: called in each transaction that moved them.
        telling: is told what the view of revenue has taken in.
        again: positions that are taken in though they are set aside.

    Returns:
        Whether there was anything.

    Raises:
        Unreadable: an event can't be read, and nothing else is left to take in.
    """
    moved, stop = False, None
    left_out = _left_out(projections, again)
    # The foremost first: what is behind must not hold them up.
    for place in sorted(places(projections, views), reverse=True):
        try:
            events = read_told(log, place.position, BATCH, left_out)
        except Unreadable as error:
            stop = error
            continue
        if events:
            # Not before they were read: an event that comes meanwhile begins before its telling.
            began = time()
            taken = projections.in_transaction(partial(_take_and_note, views, events, note))
            moved = True
            if telling is not None:
                telling.tell(taken, began)
    if stop is not None and not moved:
        raise stop
    return moved


def _left_out(projections: Database, again: Collection[int]) -> frozenset[int]:
    return frozenset(projections.read(aside)) - frozenset(again)


def _take_and_note(
    views: Sequence[View],
    events: Sequence[Told],
    note: Callable[[Connection], None],
    connection: Connection,
) -> Sequence[Told]:
    taken = take(views, events, connection)
    note(connection)
    return taken


def take(views: Iterable[View], events: Sequence[Told], connection: Connection) -> Sequence[Told]:
    """Take events that follow one another into the views, so far as they are next there.

    Returns:
        Those that the view of revenue has taken in.
    """
    taken: Sequence[Told] = ()
    for view in views:
        reached = view.reached(connection).position
        ahead = [event for event in events if event.position > reached]
        if not ahead or ahead[0].position != reached + 1:
            continue
        made = view.projection.fold(ahead)
        if made:
            rows = view.projection.take(_load(connection, view, made), made)
            _store(connection, view, rows.values())
        view.move(connection, Reached(ahead[-1].position, ahead[-1].hash))
        if view.projection.name == _REVENUE:
            taken = [event for event in ahead if event.event is not LEFT_OUT]
    return taken


def _load(connection: Connection, view: View, keys: Collection[Key]) -> dict[Key, Row]:
    length, read = len(view.projection.key_columns), view.projection.read
    query = _selecting(connection.dialect.name, view.table)
    found = connection.execute(query, {"keys": json.dumps(list(keys))})
    return {each[:length]: each for each in map(read, found)}


def _store(connection: Connection, view: View, rows: Iterable[Row]) -> None:
    dialect, written = connection.dialect.name, view.projection.written
    statement = _storing(dialect, view.table)
    connection.exec_driver_sql(statement, [written(row, dialect) for row in rows])


@lru_cache
def _selecting(dialect: str, table: Table) -> TextClause:
    columns = ", ".join(f'rows."{column.name}"' for column in table.columns)
    wanted = " AND ".join(
        f'rows."{column.name}" = wanted.value ->> {number}'
        for number, column in enumerate(table.primary_key)
    )
    # A CROSS JOIN, so that SQLite looks up each key and doesn't read the table.
    listed = {
        "sqlite": "json_each(:keys) AS wanted CROSS JOIN",
        "postgresql": "json_array_elements(CAST(:keys AS JSON)) AS wanted (value) JOIN",
    }[dialect]
    return text(
        f'SELECT {columns} FROM {listed} "{table.name}" AS rows ON {wanted}'  # noqa: S608 our own
    )


@lru_cache
def _storing(dialect: str, table: Table) -> str:
    mark = "?" if dialect == "sqlite" else "%s"
    marks = ", ".join([mark] * len(table.columns))
    keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
    values = ", ".join(
        f'"{column.name}" = excluded."{column.name}"'
        for column in table.columns
        if not column.primary_key
    )
    return (
        f'INSERT INTO "{table.name}" VALUES ({marks}) '  # noqa: S608 the table's own names
        f"ON CONFLICT ({keys}) DO UPDATE SET {values}"
    )
