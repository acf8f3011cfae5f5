"""Which event stops the projections, and which were set aside so that they go on without them.

Only what can't be read can be set aside: nothing that has a meaning is ever left out. The log keeps
it, every figure says that it isn't in it, and it can be taken in again once it can be read.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, select
from sqlmodel import Field, SQLModel

from domain.errors import ShopError
from event_log.database import Database, Int64, UtcTime, table_of
from event_log.statements import insert_or_replace
from reporting.told import Unreadable, unreadable


class StoppedRow(SQLModel, table=True):
    """The event of the log that the projections stop before, and why."""

    __tablename__ = "stopped"
    position: int = Field(primary_key=True, sa_type=Int64)
    event_id: str
    order_id: str
    type: str
    reason: str
    stopped_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


class SetAsideRow(SQLModel, table=True):
    """An event of the log that the projections go on without, who said so and why.

    `hash` is its chain hash, `note` what was said by whoever set it aside.
    """

    __tablename__ = "set_aside"
    position: int = Field(primary_key=True, sa_type=Int64)
    hash: bytes
    event_id: str
    order_id: str
    type: str
    reason: str
    note: str
    set_aside_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))

    def __str__(self) -> str:
        """What people are told of it."""
        return (
            f"position {self.position:,} is set aside: event {self.event_id} of order "
            f"{self.order_id} can't be read as {self.type} ({self.note})"
        )


_stopped = table_of(StoppedRow)
_aside = table_of(SetAsideRow)


def all_aside(connection: Connection) -> list[SetAsideRow]:
    """All events that are set aside, in the order of the log."""
    rows = connection.execute(select(_aside).order_by(_aside.c.position))
    return [SetAsideRow(**row._mapping) for row in rows]


def aside(connection: Connection) -> tuple[int, ...]:
    """The positions of the events that are set aside."""
    return tuple(connection.scalars(select(_aside.c.position).order_by(_aside.c.position)))


def aside_in(projections: Database) -> tuple[int, ...]:
    """The positions of the events that projections go on without."""
    with projections.reading() as connection:
        return aside(connection)


def stopped(connection: Connection) -> str | None:
    """What stops the projections, in a sentence; `None` if nothing does."""
    row = connection.execute(select(_stopped).order_by(_stopped.c.position).limit(1)).first()
    if row is None:
        return None
    return (
        f"the report stops before position {row.position:,} of the log: event {row.event_id} of "
        f"order {row.order_id} can't be read as {row.type}: {row.reason} "
        f'(`shop replay --without {row.position} --note "…"` goes on without it)'
    )


def note_stop(stop: Unreadable, connection: Connection) -> None:
    """Keep what stops the projections, for whoever asks."""
    known = connection.scalar(
        select(_stopped.c.position).where(_stopped.c.position == stop.position)
    )
    if known is None:
        row = {
            "position": stop.position,
            "event_id": stop.event_id,
            "order_id": stop.order_id,
            "type": stop.name,
            "reason": stop.why,
            "stopped_at": datetime.now(UTC),
        }
        connection.execute(_stopped.insert(), row)


def note_progress(reached: int, connection: Connection) -> None:
    """Forget what stopped the projections, if they have come further."""
    connection.execute(_stopped.delete().where(_stopped.c.position <= reached))


def set_aside(log: Database, projections: Database, position: int, note: str) -> SetAsideRow:
    """Have the projections go on without an event that can't be read.

    Raises:
        ShopError: it can be read, so that there is no reason to; or the log has no such position.
    """
    why = unreadable(log, position)
    if why is None:
        raise ShopError(
            f"position {position} of the log can be read, and belongs in the report: only what "
            "can't be read can be set aside"
        )
    made = SetAsideRow(
        position=position,
        hash=why.hash,
        event_id=why.event_id,
        order_id=why.order_id,
        type=why.name,
        reason=why.why,
        note=note,
        set_aside_at=datetime.now(UTC),
    )

    def keep(connection: Connection) -> None:
        connection.execute(insert_or_replace(connection, _aside), made.model_dump())

    projections.in_transaction(keep)
    return made


def refuse_to_take_in(log: Database, projections: Database, again: Collection[int]) -> None:
    """Check that events which are set aside can be taken in again.

    Raises:
        ShopError: one of them isn't set aside, or still can't be read.
    """
    with projections.reading() as connection:
        known = aside(connection)
    for position in again:
        if position not in known:
            raise ShopError(f"position {position} is not set aside: {_listed(known)}")
        why = unreadable(log, position)
        if why is not None:
            raise ShopError(
                f"position {position} still can't be read as {why.name}: {why.why}. It stays aside"
            )


def forget(connection: Connection, again: Collection[int]) -> None:
    """Have the projections take in again what was set aside."""
    for position in again:
        connection.execute(_aside.delete().where(_aside.c.position == position))


def _listed(known: Sequence[int]) -> str:
    return f"those are {', '.join(map(str, known))}" if known else "nothing is"
