"""The inbox: what a service has handled, so that handling it again changes nothing."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Field, SQLModel

from event_log.database import among, table_of
from transport.records import Delivery
from transport.topics import TopicPartition


class InboxRow(SQLModel, table=True):
    """An event or message that was handled, and where it was first read."""

    __tablename__ = "inbox"
    event_id: str = Field(primary_key=True)
    topic: str
    partition: int
    offset: int


class PositionRow(SQLModel, table=True):
    """The next offset that a service expects of a partition; all before it is handled."""

    __tablename__ = "positions"
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    next_offset: int


_inbox = table_of(InboxRow)
_positions = table_of(PositionRow)


def not_yet_handled(connection: Connection, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The deliveries whose event was never handled, each event once, in order."""
    ids = [delivery.envelope.id for delivery in deliveries]
    seen = set(connection.scalars(select(_inbox.c.event_id).where(among(_inbox.c.event_id, ids))))
    fresh = []
    for delivery in deliveries:
        if delivery.envelope.id not in seen:
            seen.add(delivery.envelope.id)
            fresh.append(delivery)
    return fresh


def mark_handled(connection: Connection, deliveries: Iterable[Delivery]) -> None:
    """Note that these events are handled, in the transaction that handled them."""
    rows = [
        {
            "event_id": delivery.envelope.id,
            "topic": delivery.record.topic,
            "partition": delivery.record.partition,
            "offset": delivery.record.offset,
        }
        for delivery in deliveries
    ]
    if rows:
        connection.execute(_inbox.insert(), rows)


def next_offsets(connection: Connection) -> dict[TopicPartition, int]:
    """The next offset of each partition that the service has read from."""
    rows = connection.execute(select(_positions))
    return {TopicPartition(row.topic, row.partition): row.next_offset for row in rows}


def advance(connection: Connection, offsets: Mapping[TopicPartition, int]) -> None:
    """Move positions forward, never back: a late batch of a former owner changes nothing."""
    if not offsets:
        return
    statement = insert(_positions)
    statement = statement.on_conflict_do_update(
        index_elements=[_positions.c.topic, _positions.c.partition],
        set_={
            "next_offset": func.max(_positions.c.next_offset, statement.excluded.next_offset),
        },
    )
    connection.execute(
        statement,
        [
            {"topic": place.topic, "partition": place.partition, "next_offset": offset}
            for place, offset in offsets.items()
        ],
    )
