"""The event log: one table, append-only, chained by hashes."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Column, Connection, UniqueConstraint, select
from sqlmodel import Field, SQLModel

from domain.contracts import AuthorizationFailed, Contract, Event, RecordRevenue, payload_of
from domain.errors import ContractError, IdReused, StoreError
from domain.identity import message_id_of
from event_log.database import Database, Int64, UtcTime, table_of
from event_log.inbox import id_reused
from event_log.statements import among, append_only, end_of_batch, insert_new
from transport.codec import decode, type_name
from transport.envelope import format_time
from transport.records import Delivery

READ_BATCH = 5000
"""Rows that a reading holds in memory at a time."""

GENESIS = bytes(32)
"""The hash before the first row."""


class EventRow(SQLModel, table=True):
    """One recorded event; `position` counts from 1 without gaps."""

    __tablename__ = "event_log"
    __table_args__ = (UniqueConstraint("topic", "partition", "offset"),)
    position: int = Field(primary_key=True, sa_type=Int64)
    event_id: str = Field(unique=True)
    type: str
    version: int
    source: str
    subject: str
    correlation_id: str = Field(index=True)
    causation_id: str | None
    business_time: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    published_time: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    recorded_time: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    topic: str
    partition: int
    offset: int = Field(sa_type=Int64)
    body: bytes
    hash: bytes


class RecordedEvent(NamedTuple):
    """A row of the log as it is read: cheaper than a model, the same columns in the same order."""

    position: int
    event_id: str
    type: str
    version: int
    source: str
    subject: str
    correlation_id: str
    causation_id: str | None
    business_time: datetime
    published_time: datetime
    recorded_time: datetime
    topic: str
    partition: int
    offset: int
    body: bytes
    hash: bytes


class RepeatRow(SQLModel, table=True):
    """Another delivery of an event that the log has: so that every offset is accounted for."""

    __tablename__ = "repeats"
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    offset: int = Field(primary_key=True, sa_type=Int64)
    event_id: str


class Appended(NamedTuple):
    """What came of deliveries that are not new: repeats, and ids that stand for something else."""

    repeats: list[Delivery]
    reused: list[tuple[Delivery, IdReused]]


_events = table_of(EventRow)
_repeats = table_of(RepeatRow)

SIZED = [_events.c[name] for name in ("source", "subject", "correlation_id", "body")]
"""What may be large in a row of the log."""

append_only(_events, "the event log is append-only")

_canonical = msgspec.json.Encoder().encode


def append(connection: Connection, deliveries: Sequence[Delivery], now: datetime) -> Appended:
    """Append events that the log doesn't have, in order.

    No time of recording is before that of the last row, whatever clocks say: so what was recorded
    by a moment is the log up to one position.

    Args:
        connection: a transaction that holds the write lock, since positions follow one another.
        deliveries: events as they came; repeats by event id are noted beside the log.
        now: the time (UTC, aware), as it is in this transaction.

    Returns:
        What was not appended: repeats; and what was refused, since the log has its id with another
        body.

    Raises:
        StoreError: another event was recorded at the same topic, partition and offset.
    """
    new, repeats, reused = _split(connection, deliveries)
    _refuse_taken_offsets(connection, new)
    position, last_hash = head(connection)
    recorded = max(now, _recorded_last(connection) or now)
    rows = []
    for delivery in new:
        position += 1
        row = _row(position, delivery, recorded)
        last_hash = chain(last_hash, row)
        rows.append({**row, "hash": last_hash})
    if rows:
        connection.execute(_events.insert(), rows)
    if repeats:
        connection.execute(
            insert_new(connection, _repeats),
            [
                {
                    "topic": delivery.record.topic,
                    "partition": delivery.record.partition,
                    "offset": delivery.record.offset,
                    "event_id": event_id_of(delivery),
                }
                for delivery in repeats
            ],
        )
    return Appended(repeats, reused)


def event_id_of(delivery: Delivery) -> str:
    """The id of the event that a delivery brings, by itself or carried by a message."""
    if isinstance(delivery.payload, RecordRevenue):
        return message_id_of(delivery.payload.authorization)
    return delivery.envelope.id


def head(connection: Connection) -> tuple[int, bytes]:
    """The last position and its hash; ``(0, GENESIS)`` when the log is empty."""
    row = connection.execute(
        select(_events.c.position, _events.c.hash).order_by(_events.c.position.desc()).limit(1)
    ).first()
    return (row.position, row.hash) if row else (0, GENESIS)


def chain(before: bytes, row: dict[str, object]) -> bytes:
    """The hash of a row: SHA-256 over the hash before it and the row's columns as JSON."""
    fields = [
        format_time(value) if isinstance(value, datetime) else value
        for name, value in row.items()
        if name != "hash"
    ]
    return hashlib.sha256(before + _canonical(fields)).digest()


def read(database: Database, after: int = 0, limit: int | None = None) -> Iterator[RecordedEvent]:
    """Events in order, from the position after `after`, in bounded memory.

    Each batch is read by its own query, so that a long reading holds no old state of the database.
    """
    while limit is None or limit > 0:
        size = READ_BATCH if limit is None else min(READ_BATCH, limit)
        with database.reading() as connection:
            ahead = _events.c.position > after
            last = end_of_batch(connection, _events.c.position, SIZED, ahead, size)
            if last is None:
                return
            rows = connection.execute(
                select(_events)
                .where(ahead, _events.c.position <= last)
                .order_by(_events.c.position)
            ).all()
        yield from map(RecordedEvent._make, rows)
        after = rows[-1].position
        limit = None if limit is None else limit - len(rows)


def last_position(database: Database) -> int:
    """The position of the newest event; 0 when the log is empty."""
    with database.reading() as connection:
        return head(connection)[0]


def _recorded_last(connection: Connection) -> datetime | None:
    last: datetime | None = connection.scalar(
        select(_events.c.recorded_time).order_by(_events.c.position.desc()).limit(1)
    )
    return last


def _split(
    connection: Connection, deliveries: Sequence[Delivery]
) -> tuple[list[Delivery], list[Delivery], list[tuple[Delivery, IdReused]]]:
    ids = [event_id_of(delivery) for delivery in deliveries]
    known: dict[str, tuple[tuple[str, int, int], Contract | None]] = {}
    names = ("event_id", "topic", "partition", "offset", "type", "version", "body")
    columns = [_events.c[name] for name in names]
    for row in connection.execute(select(*columns).where(among(_events.c.event_id, ids))):
        known[row.event_id] = (row.topic, row.partition, row.offset), _said(row)
    new, repeats, reused = [], [], []
    for delivery in deliveries:
        record = delivery.record
        place = (record.topic, record.partition, record.offset)
        event_id = event_id_of(delivery)
        event = _event_of(delivery)
        if event_id not in known:
            known[event_id] = place, event
            new.append(delivery)
            continue
        recorded, said = known[event_id]
        if said != event:
            reused.append((delivery, id_reused(event_id)))
        elif recorded != place:
            repeats.append(delivery)
    return new, repeats, reused


def _said(row: Any) -> Contract | None:
    try:
        return decode(f"{row.type}.v{row.version}", row.body)
    except ContractError:
        # Whatever it says, it isn't what a delivery says that was understood.
        return None


def _refuse_taken_offsets(connection: Connection, new: Sequence[Delivery]) -> None:
    lows: dict[tuple[str, int], list[Delivery]] = {}
    for delivery in new:
        lows.setdefault((delivery.record.topic, delivery.record.partition), []).append(delivery)
    for (topic, partition), found in lows.items():
        offsets = [delivery.record.offset for delivery in found]
        row = connection.execute(
            select(_events.c.position, _events.c.offset, _events.c.event_id)
            .where(_events.c.topic == topic, _events.c.partition == partition)
            .where(among(_events.c.offset, offsets))
            .limit(1)
        ).first()
        if row is not None:
            raise StoreError(
                f"{topic}[{partition}]@{row.offset} holds another event than the log recorded "
                f"there (position {row.position}, event {row.event_id}): the topic was made anew. "
                "Use the broker that fed this log, or a fresh SHOP_HOME"
            )


def _row(position: int, delivery: Delivery, recorded: datetime) -> dict[str, object]:
    envelope, record = delivery.envelope, delivery.record
    event = _event_of(delivery)
    name, _, version = type_name(event).rpartition(".v")
    return {
        "position": position,
        "event_id": event_id_of(delivery),
        "type": name,
        "version": int(version),
        "source": envelope.source,
        "subject": envelope.subject,
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
        "business_time": event.ordered_at,
        "published_time": envelope.time,
        "recorded_time": recorded,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "body": record.value,
    }


def _event_of(delivery: Delivery) -> Event:
    if isinstance(delivery.payload, AuthorizationFailed):
        raise StoreError(f"{delivery.record.place} is a reply, and no event to record")
    return payload_of(delivery.payload)
