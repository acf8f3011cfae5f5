"""What a service's database says of how the service does, read at one moment."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, inspect, select

from domain.status import Beat
from event_log.database import table_of, unpack_headers
from event_log.inbox import PositionRow, last_moves, next_offsets
from event_log.outbox import OutboxRow, set_aside, waits
from event_log.topic_ids import TopicRow, topic_ids
from services.early import KEPT_BY, EarlyRow
from services.heartbeat import HeartbeatRow, beats
from transport.topics import TopicPartition

_outbox = table_of(OutboxRow)


@dataclass(frozen=True)
class Stored:
    """What was read; a service that was never started has nothing of it.

    `outbox_since` is when the oldest waiting record was put there; `early` is `None` for a
    service that keeps no events until their turn. `refused` says why records were set aside that
    the broker will not take; `topics` has the ids of all that fed the database.
    """

    beats: Sequence[Beat] = ()
    next: Mapping[TopicPartition, int] = field(default_factory=dict)
    moved_at: Mapping[TopicPartition, datetime] = field(default_factory=dict)
    outbox: int = 0
    outbox_since: datetime | None = None
    early: int | None = None
    refused: Sequence[str] = ()
    topics: Mapping[str, str] = field(default_factory=dict)


def stored(connection: Connection, service: str, topics: Collection[str]) -> Stored:
    """Read what a service keeps.

    Args:
        connection: sees one state of its database.
        service: its name; services that share a database have processes of their own.
        topics: what it reads; positions of others are another service's.
    """
    tables = set(inspect(connection).get_table_names())

    def there(model: Any) -> bool:
        return table_of(model).name in tables

    positions, moves = ({}, {}) if not there(PositionRow) else _positions(connection, topics)
    count, since = (0, None) if not there(OutboxRow) else _waiting(connection)
    refused = set_aside(connection) if there(OutboxRow) else ()
    early = None
    if service == KEPT_BY and there(EarlyRow):
        early = connection.scalar(select(func.count()).select_from(table_of(EarlyRow)))
    found = beats(connection, service) if there(HeartbeatRow) else []
    lives = topic_ids(connection) if there(TopicRow) else {}
    return Stored(found, positions, moves, count, since, early, refused, lives)


def _positions(
    connection: Connection, topics: Collection[str]
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, datetime]]:
    positions, moves = next_offsets(connection), last_moves(connection)
    return (
        {place: offset for place, offset in positions.items() if place.topic in topics},
        {place: at for place, at in moves.items() if place.topic in topics},
    )


def _waiting(connection: Connection) -> tuple[int, datetime | None]:
    count = connection.scalar(select(func.count()).select_from(_outbox).where(waits)) or 0
    oldest = connection.scalar(
        select(_outbox.c.headers).where(waits).order_by(_outbox.c.id).limit(1)
    )
    return count, None if oldest is None else _written_at(dict(unpack_headers(oldest)))


def _written_at(headers: Mapping[str, bytes | None]) -> datetime | None:
    # A dead letter has the headers of its record too, which may be old.
    text = headers.get("dead_letter_time") or headers.get("ce_time")
    try:
        written = datetime.fromisoformat((text or b"").decode())
    except ValueError:
        return None
    return written if written.tzinfo else None
