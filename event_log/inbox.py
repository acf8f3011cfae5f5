"""The inbox: what a service has handled, so that handling it again changes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Column, Connection, select
from sqlmodel import Field, SQLModel

from domain.errors import IdReused, StoreBehind
from event_log.database import Database, Int64, UtcTime, table_of
from event_log.statements import among, insert_into, insert_or_replace
from transport.codec import digest
from transport.records import Delivery
from transport.topics import TopicPartition


class InboxRow(SQLModel, table=True):
    """An event or message that was handled, where it was first read, and what it said."""

    __tablename__ = "inbox"
    event_id: str = Field(primary_key=True)
    topic: str
    partition: int
    offset: int = Field(sa_type=Int64)
    digest: bytes


class PositionRow(SQLModel, table=True):
    """The next offset that a service expects of a partition; all before it is handled.

    `moved_at` is when it last moved on.
    """

    __tablename__ = "positions"
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    next_offset: int = Field(sa_type=Int64)
    moved_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


_inbox = table_of(InboxRow)
_positions = table_of(PositionRow)


def not_yet_handled(
    connection: Connection, deliveries: Sequence[Delivery]
) -> tuple[list[Delivery], list[tuple[Delivery, IdReused]]]:
    """The deliveries whose event was never handled, each event once, in order.

    Returns:
        Those; and the ones whose id was used before to say something else.
    """
    ids = [delivery.envelope.id for delivery in deliveries]
    rows = connection.execute(
        select(_inbox.c.event_id, _inbox.c.digest).where(among(_inbox.c.event_id, ids))
    )
    before: dict[str, bytes] = {row.event_id: row.digest for row in rows}
    firsts: dict[str, Delivery] = {}
    reused = []
    for delivery in deliveries:
        event_id = delivery.envelope.id
        # Only what comes again is compared: `mark_handled` takes the digest of what is new.
        if event_id in before:
            said = before[event_id]
        elif event_id in firsts:
            said = digest(firsts[event_id].payload)
        else:
            firsts[event_id] = delivery
            continue
        if said != digest(delivery.payload):
            reused.append((delivery, id_reused(event_id)))
    return list(firsts.values()), reused


def id_reused(event_id: str) -> IdReused:
    """Why a delivery is refused whose id stands for something else already."""
    return IdReused(
        f"id {event_id} was used before, with another body: who published it must give what is "
        "new an id of its own"
    )


def mark_handled(connection: Connection, deliveries: Iterable[Delivery]) -> None:
    """Note that these events are handled, in the transaction that handled them."""
    rows = [
        {
            "event_id": delivery.envelope.id,
            "topic": delivery.record.topic,
            "partition": delivery.record.partition,
            "offset": delivery.record.offset,
            "digest": digest(delivery.payload),
        }
        for delivery in deliveries
    ]
    if rows:
        connection.execute(_inbox.insert(), rows)


def next_offsets(connection: Connection) -> dict[TopicPartition, int]:
    """The next offset of each partition that the service has read from."""
    rows = connection.execute(select(_positions))
    return {TopicPartition(row.topic, row.partition): row.next_offset for row in rows}


def refuse_behind(
    database: object,
    found: Mapping[TopicPartition, int],
    reached: Mapping[TopicPartition, int],
) -> None:
    """Check that a database still has what a running process has committed to it.

    Args:
        database: what it is called.
        found: its positions now.
        reached: those that the process knows of.

    Raises:
        StoreBehind: it has less. What the process did since isn't known there, and is only learned
            again at a start.
    """
    for place, offset in sorted(reached.items()):
        if found.get(place, 0) < offset:
            raise StoreBehind(
                f"database {database} stands at offset {found.get(place, 0)} of {place.topic}"
                f"[{place.partition}], and this process had committed {offset}: it was put back, "
                "or a standby took over that had not got the rest. Started again, a service goes "
                "on from there, and learns from the topics what it had said"
            )


def advance(connection: Connection, offsets: Mapping[TopicPartition, int], now: datetime) -> None:
    """Move positions forward, never back: a late batch of a former owner changes nothing."""
    if not offsets:
        return
    statement = insert_into(connection, _positions)
    statement = statement.on_conflict_do_update(
        index_elements=[_positions.c.topic, _positions.c.partition],
        set_={
            "next_offset": statement.excluded.next_offset,
            "moved_at": statement.excluded.moved_at,
        },
        where=_positions.c.next_offset < statement.excluded.next_offset,
    )
    connection.execute(
        statement,
        [
            {
                "topic": place.topic,
                "partition": place.partition,
                "next_offset": offset,
                "moved_at": now,
            }
            for place, offset in offsets.items()
        ],
    )


def pass_over(
    database: Database,
    ends: Mapping[TopicPartition, int],
    reached: Mapping[TopicPartition, int],
) -> None:
    """Move positions on over offsets without records, in a transaction of its own.

    Args:
        database: whose positions they are.
        ends: where they move to.
        reached: those that the process knows of.

    Raises:
        StoreBehind: the database has less than `reached`; nothing has changed.
        StoreError: the database can't be written.
    """

    def move(connection: Connection) -> None:
        refuse_behind(database, next_offsets(connection), reached)
        advance(connection, ends, database.now(connection))

    database.in_transaction(move)


def put(connection: Connection, offsets: Mapping[TopicPartition, int], now: datetime) -> None:
    """Put positions where they are told to be, forward or back: somebody decided so."""
    if rows := [
        {**place._asdict(), "next_offset": offset, "moved_at": now}
        for place, offset in offsets.items()
    ]:
        connection.execute(insert_or_replace(connection, _positions), rows)


def last_moves(connection: Connection) -> dict[TopicPartition, datetime]:
    """When each partition's position last moved on."""
    rows = connection.execute(select(_positions))
    return {TopicPartition(row.topic, row.partition): row.moved_at for row in rows}
