"""The projector: takes the log into the projections, from their own position on."""

from functools import partial
from pathlib import Path

from sqlalchemy import Connection, select
from sqlmodel import Field, SQLModel

from domain.errors import StoreError
from event_log.database import Database, table_of
from event_log.log import RecordedEvent, read
from reporting.revenue import RevenueRow, add, fold

BATCH = 5000
"""Most events in one transaction of the projections."""


class ProjectedRow(SQLModel, table=True):
    """How far a projection has read the log, and the hash of the last event it took in."""

    __tablename__ = "projected"
    projection: str = Field(primary_key=True)
    position: int
    hash: bytes


_projected = table_of(ProjectedRow)
_REVENUE = "revenue"


def open_projections(path: Path) -> Database:
    """Open the database of the projections."""
    return Database(path, [ProjectedRow, RevenueRow])


def position(connection: Connection) -> int:
    """The last position of the log that the projections have taken in."""
    found = connection.scalar(
        select(_projected.c.position).where(_projected.c.projection == _REVENUE)
    )
    return int(found or 0)


def catch_up(log: Database, projections: Database) -> int:
    """Take in what the log has and the projections don't; returns the position reached.

    Rows and position move in one transaction, so it may be stopped anywhere, and several processes
    may do it at once.

    Raises:
        StoreError: a database can't be used, or the projections were made from another log.
    """
    _refuse_another_log(log, projections)
    while True:
        with projections.reading() as connection:
            reached = position(connection)
        events = list(read(log, after=reached, limit=BATCH))
        if not events:
            return reached
        projections.in_transaction(partial(_take, events))


def _refuse_another_log(log: Database, projections: Database) -> None:
    with projections.reading() as connection:
        known = connection.execute(
            select(_projected).where(_projected.c.projection == _REVENUE)
        ).first()
    if known is None:
        return
    last = next(read(log, after=known.position - 1, limit=1), None)
    if last is None or last.hash != known.hash:
        raise StoreError(
            f"the projections in {projections.path} were made from another log than {log.path}, "
            f"up to its position {known.position}: delete the projections, and they are made anew"
        )


def _take(events: list[RecordedEvent], connection: Connection) -> None:
    reached = position(connection)
    ahead = [event for event in events if event.position > reached]
    if not ahead or ahead[0].position != reached + 1:
        return
    add(connection, fold(ahead))
    connection.execute(
        _projected.insert().prefix_with("OR REPLACE"),
        {"projection": _REVENUE, "position": ahead[-1].position, "hash": ahead[-1].hash},
    )
