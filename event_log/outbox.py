"""The outbox: what a transaction decided to publish, and the relay that publishes it."""

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from sqlalchemy import Connection, Index, func, select, update
from sqlmodel import Field, SQLModel

from event_log.database import Database, Int64, pack_headers, table_of, unpack_headers
from event_log.holding import HELD_FOR_SECONDS
from event_log.statements import among
from transport.records import Outgoing

_log = logging.getLogger(__name__)


class OutboxRow(SQLModel, table=True):
    """A record to publish; `id` is the order of commits, `published` is set by the relay."""

    __tablename__ = "outbox"
    id: int | None = Field(default=None, primary_key=True, sa_type=Int64)
    topic: str
    partition: int | None
    key: bytes | None
    headers: bytes
    body: bytes | None
    published: bool = False


_outbox = table_of(OutboxRow)
_waits = _outbox.c.published.is_(False)
Index("outbox_waiting", _outbox.c.id, sqlite_where=_waits, postgresql_where=_waits)


class Publishes(Protocol):
    """Something that publishes records in order and returns when they are safe."""

    def publish(self, records: Sequence[Outgoing]) -> None:
        """Publish all of `records`, or raise."""


def enqueue(connection: Connection, records: Iterable[Outgoing]) -> int:
    """Put records into the outbox, in the transaction that decided them; returns how many."""
    rows = [
        {
            "topic": record.topic,
            "partition": record.partition,
            "key": record.key,
            "headers": pack_headers(record.headers),
            "body": record.body,
            "published": False,
        }
        for record in records
    ]
    if rows:
        connection.execute(_outbox.insert(), rows)
    return len(rows)


def waiting(database: Database) -> int:
    """How many records wait to be published."""
    with database.reading() as connection:
        count = connection.scalar(select(func.count()).select_from(_outbox).where(_waits))
    return int(count or 0)


class Relay:
    """Publishes a database's outbox in order.

    Several processes may relay the same outbox: a lock lets one at a time
    take a batch from reading to marking, so order holds and nothing is sent twice. A crash between
    publishing and marking sends the batch again; receivers know it by its ids.
    """

    def __init__(
        self,
        database: Database,
        publisher: Publishes,
        batch: int = 5000,
        held_for: float = HELD_FOR_SECONDS,
    ) -> None:
        """Publish by `publisher`.

        Args:
            database: has the outbox.
            publisher: sends the records.
            batch: most records at a time.
            held_for: seconds that another relay is waited for.
        """
        self._database = database
        self._publisher = publisher
        self._batch = batch
        self._held_for = held_for

    def drain(self) -> int:
        """Publish what waits, batch by batch; returns how many records that were.

        Raises:
            BrokerError: the brokers didn't take a batch; it stays in the outbox.
            StoreError: another relay holds the outbox for too long, or the database can't be
                written.
        """
        total = 0
        while count := self._publish_batch():
            total += count
        return total

    def _publish_batch(self) -> int:
        with self._database.alone("relay", within=self._held_for):
            with self._database.reading() as connection:
                rows = connection.execute(
                    select(_outbox).where(_waits).order_by(_outbox.c.id).limit(self._batch)
                ).all()
            if not rows:
                return 0
            self._publisher.publish(
                [
                    Outgoing(
                        row.topic, row.key, unpack_headers(row.headers), row.body, row.partition
                    )
                    for row in rows
                ]
            )
            ids = [row.id for row in rows]
            self._database.in_transaction(
                lambda connection: connection.execute(
                    update(_outbox).where(among(_outbox.c.id, ids)).values(published=True)
                )
            )
        return len(rows)
