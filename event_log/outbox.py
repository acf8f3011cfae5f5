"""The outbox: what a transaction decided to publish, and the relay that publishes it."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Index, Row, func, select, update
from sqlmodel import Field, SQLModel

from domain.errors import BrokerError, RecordsRefused
from event_log.database import Database, Int64, pack_headers, table_of, unpack_headers
from event_log.holding import HELD_FOR_SECONDS
from event_log.statements import among, end_of_batch
from transport.records import Outgoing

_log = logging.getLogger(__name__)


class OutboxRow(SQLModel, table=True):
    """A record to publish; `id` is the order of commits, `published` is set by the relay.

    `refused` is why the broker will not take it as it is: it is set aside, and waits no more.
    """

    __tablename__ = "outbox"
    id: int | None = Field(default=None, primary_key=True, sa_type=Int64)
    topic: str
    partition: int | None
    key: bytes | None
    headers: bytes
    body: bytes | None
    published: bool = False
    refused: str | None = None


_outbox = table_of(OutboxRow)
waits: ColumnElement[bool] = _outbox.c.published.is_(False) & _outbox.c.refused.is_(None)
"""Which rows are to be published."""
Index("outbox_waiting", _outbox.c.id, sqlite_where=waits, postgresql_where=waits)
_is_refused = _outbox.c.refused.is_not(None)
Index("outbox_refused", _outbox.c.id, sqlite_where=_is_refused, postgresql_where=_is_refused)


class Publishes(Protocol):
    """Something that publishes records in order and returns when they are safe."""

    def publish(self, records: Sequence[Outgoing]) -> None:
        """Publish all of `records`, or raise.

        Raises:
            RecordsRefused: the broker will never take some of them; the others are published.
            BrokerError: some are not there; its `arrived` says which are.
        """


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


def depth(connection: Connection) -> int:
    """How many records wait to be published."""
    return int(connection.scalar(select(func.count()).select_from(_outbox).where(waits)) or 0)


def waiting(database: Database) -> int:
    """How many records wait to be published; nobody waits for the database."""
    with database.reading() as connection:
        return depth(connection)


def set_aside(connection: Connection) -> Sequence[str]:
    """Why records were set aside that the broker will not take, a line for each, oldest first."""
    found = select(_outbox.c.refused).where(_is_refused).order_by(_outbox.c.id)
    return connection.execute(found).scalars().all()


class Relay:
    """Publishes a database's outbox in order.

    Several processes may relay the same outbox: a lock lets one at a time
    take a batch from reading to marking, so order holds and nothing is sent twice. A crash between
    publishing and marking sends the batch again; receivers know it by its ids. So does the end of
    a connection to Postgres meanwhile, and of the lock with it: another relay takes the same batch,
    and what comes after it only when that is out.

    What the broker will not take is set aside, and holds up nothing; the next relay, such as that
    of the service's next start, tries it again once.
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
        self._tried_again = False

    def drain(self) -> int:
        """Publish what waits, batch by batch; returns how many records that were.

        Raises:
            BrokerError: the brokers didn't take a batch; what did not arrive stays in the outbox.
            StoreError: another relay holds the outbox for too long, or the database can't be
                written.
        """
        if not self._tried_again:
            self._try_again()
            self._tried_again = True
        total = 0
        while (count := self._publish_batch()) is not None:
            total += count
        return total

    def _try_again(self) -> None:
        """Let what was set aside wait again: its topic may take more by now."""
        if not self._database.read(set_aside):
            return
        self._database.in_transaction(
            lambda connection: connection.execute(
                update(_outbox).where(_is_refused).values(refused=None)
            )
        )

    def _publish_batch(self) -> int | None:
        """Publish a batch and say how many records of it are out; `None` where none waits."""
        with self._database.alone("relay", within=self._held_for):
            rows = self._database.read(self._next)
            if not rows:
                return None
            refused: Mapping[int, str] = {}
            try:
                self._publisher.publish(
                    [
                        Outgoing(
                            row.topic, row.key, unpack_headers(row.headers), row.body, row.partition
                        )
                        for row in rows
                    ]
                )
            except RecordsRefused as error:
                refused = {rows[index].id: why for index, why in error.reasons.items()}
            except BrokerError as error:
                # A broker that takes few bytes a second would never come to the end of a batch
                # that begins anew each time.
                arrived = [rows[index].id for index in sorted(error.arrived)]
                if arrived:
                    self._database.in_transaction(partial(_mark, arrived, {}))
                raise
            published = [row.id for row in rows if row.id not in refused]
            refused = self._database.in_transaction(partial(_mark, published, refused))
        for row_id, why in refused.items():
            _log.error(
                "%s: record %d of the outbox is set aside, for it can't be published as it is: %s. "
                "Mend the topic, and start its service again: that tries it once more",
                *(self._database, row_id, why),
            )
        return len(published)

    def _next(self, connection: Connection) -> Sequence[Row[Any]]:
        sized = [_outbox.c.key, _outbox.c.headers, _outbox.c.body]
        last = end_of_batch(connection, _outbox.c.id, sized, waits, self._batch)
        if last is None:
            return []
        return connection.execute(
            select(_outbox).where(waits, _outbox.c.id <= last).order_by(_outbox.c.id)
        ).all()


def _mark(
    published: Sequence[int], refused: Mapping[int, str], connection: Connection
) -> Mapping[int, str]:
    """Mark what is out, and what was refused; returns which of that is not out all the same."""
    # A relay whose lock was lost meanwhile may come after another one: what is out is out.
    if published:
        ids = among(_outbox.c.id, published)
        connection.execute(update(_outbox).where(ids).values(published=True, refused=None))
    return {
        row_id: why
        for row_id, why in refused.items()
        if connection.execute(
            update(_outbox)
            .where((_outbox.c.id == row_id) & _outbox.c.published.is_(False))
            .values(refused=why)
        ).rowcount
    }
