"""Databases: opened safely, written in one transaction at a time, retried while locked."""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from sqlalchemy import BigInteger, Connection, Dialect, Engine, String, Table, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from domain.errors import ForeignCluster, StoreError
from event_log import revisions
from event_log.holding import still_held
from event_log.postgres import PostgresSchema
from event_log.sqlite import SqliteFile

_log = logging.getLogger(__name__)

RETRY_FOR_SECONDS = 60

on_retry: list[Callable[[], None]] = []
"""Called each time that a transaction is tried again, for whoever counts."""

Result = TypeVar("Result")


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time as RFC 3339 text, which sorts as the times do."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Write with six decimals, so that text order is time order."""
        return None if value is None else time_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Read as an aware UTC time."""
        return None if value is None else datetime.fromisoformat(value)


class Int64(BigInteger):
    """An integer of 64 bits, as each is in SQLite."""


@compiles(Int64, "sqlite")
def _int64_in_sqlite(*_: Any, **__: Any) -> str:
    # By no other name is a key the number of its row.
    return "INTEGER"


class ClusterRow(SQLModel, table=True):
    """The Kafka cluster that a database was fed by."""

    __tablename__ = "cluster"
    id: str = Field(primary_key=True)


Place = Path | PostgresSchema
"""Where a database is: a SQLite file, or a schema of a Postgres database."""


class Backend(Protocol):
    """What SQLite and Postgres do each in its own way."""

    @property
    def reading(self) -> Mapping[str, Any]:
        """The execution options of a connection that only reads."""

    def connect(self) -> Engine:
        """An engine whose transactions hold the write lock, unless they are for reading."""

    def claim(self, connection: Connection) -> None:
        """Make an empty place ready for tables, or refuse one that isn't empty."""

    def is_passing(self, error: BaseException) -> bool:
        """Whether the same may work in a moment."""

    def blocker(self, engine: Engine, error: BaseException) -> str | None:
        """Who holds the lock that was waited for; `None` where it was none, or nobody knows."""

    def alone(self, engine: Engine, purpose: str, *, within: float) -> AbstractContextManager[bool]:
        """Hold a lock for a purpose, taken within so many seconds; gives whether it is held."""

    def holder(self, engine: Engine, purpose: str) -> str | None:
        """Who holds the lock for a purpose; `None` if nobody knows."""

    def is_copy(self, connection: Connection) -> bool:
        """Whether it is a copy, to which what is written elsewhere comes later."""

    def now(self, connection: Connection) -> datetime:
        """The time (UTC, aware) by the clock that all have in common who write there."""


class Database:
    """One service's own database: durable at its commit, one writer at a time.

    Opening makes the file or the schema, with the given tables, where there is nothing yet.
    """

    def __init__(self, place: Place, tables: Sequence[type[SQLModel] | Table]) -> None:
        """Open the database at `place`.

        Raises:
            StoreError: it can't be reached or written, is no database, or has tables of another
                revision than this program's.
        """
        self.place = place
        self.backend: Backend = SqliteFile(place) if isinstance(place, Path) else place
        self.engine = self.backend.connect()
        self.tables = [
            each if isinstance(each, Table) else table_of(each) for each in (ClusterRow, *tables)
        ]
        try:
            with self.reading() as connection:
                made = revisions.is_current(connection, self)
            if not made:
                self._make()
        except StoreError:
            # Whoever is refused has nothing open by which `shop migrate` would be refused, too.
            self.close()
            raise
        except (DBAPIError, sqlite3.DatabaseError) as error:
            raise StoreError(f"database {self} can't be opened: {reason(error)}") from error

    def _make(self) -> None:
        with self.engine.begin() as connection:
            # Another process may have made it since.
            if revisions.is_current(connection, self):
                return
            self.backend.claim(connection)
            SQLModel.metadata.create_all(connection, self.tables, checkfirst=False)
            revisions.stamp(connection)

    def __str__(self) -> str:
        """Which database it is, for messages."""
        return str(self.place)

    @property
    def path(self) -> Path:
        """The file of a SQLite database.

        Raises:
            StoreError: it is none.
        """
        if isinstance(self.place, Path):
            return self.place
        raise StoreError(f"database {self} is no file: this works with SQLite only")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its first moment."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database and writes nothing."""
        with self.engine.connect().execution_options(**self.backend.reading) as connection:
            yield connection

    def now(self, connection: Connection) -> datetime:
        """The time (UTC, aware) by the clock that all have in common who write this database."""
        return self.backend.now(connection)

    def after_the_writer(self) -> datetime:
        """Wait until the transaction that holds the write lock has ended, and give the time then.

        Every later transaction has its time from then on.

        Raises:
            StoreError: it doesn't end soon, or the database can't be reached.
        """
        # An engine of its own: one that only looks takes no lock.
        engine = self.backend.connect()
        try:
            with engine.begin() as connection:
                return self.now(connection)
        except DBAPIError as error:
            raise StoreError(
                f"database {self} is being written, and it can't be waited for: {reason(error)}"
            ) from error
        finally:
            engine.dispose()

    @contextmanager
    def alone(self, purpose: str, *, within: float = 0) -> Iterator[None]:
        """Do what no other process, and no other thread, does to this database at the same time.

        Args:
            purpose: what it is.
            within: seconds that another one is waited for.

        Raises:
            StoreError: another one does it still; says which process that is.
        """
        with self.backend.alone(self.engine, purpose, within=within) as held:
            if not held:
                holder = self.backend.holder(self.engine, purpose)
                raise still_held(purpose, self, within, holder)
            yield

    def in_transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction; while the database is locked, full or away, try again.

        Raises:
            StoreError: still impossible after a minute, or impossible for good.
        """
        is_passing = self.backend.is_passing
        attempts = Retrying(
            retry=retry_if_exception(is_passing),
            stop=stop_after_delay(RETRY_FOR_SECONDS),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            before_sleep=self._say_why,
            reraise=True,
        )

        def attempt() -> Result:
            with self.transaction() as connection:
                return work(connection)

        try:
            return attempts(attempt)
        except DBAPIError as error:
            passing = is_passing(error)
            if not passing and not isinstance(error, OperationalError):
                raise
            lasting = f" for {RETRY_FOR_SECONDS} s" if passing else ""
            raise StoreError(
                f"database {self} could not be written{lasting}: {self._why(error)}"
            ) from error

    def _why(self, error: BaseException) -> str:
        who = self.backend.blocker(self.engine, error)
        return f"{reason(error)}; its write lock is held by {who}" if who else reason(error)

    def _say_why(self, state: RetryCallState) -> None:
        for tell in on_retry:
            tell()
        why = state.outcome.exception() if state.outcome else None
        _log.warning(
            "database %s can't be written, attempt %d, trying again: %s",
            *(self, state.attempt_number, self._why(why) if why else ""),
        )

    def bind_to_cluster(self, cluster_id: str) -> None:
        """Remember which Kafka cluster feeds this database.

        Raises:
            ForeignCluster: it was another one before; offsets of the two don't compare.
        """

        def bind(connection: Connection) -> None:
            table = table_of(ClusterRow)
            known = connection.scalar(select(table.c.id))
            if known is None:
                connection.execute(table.insert(), {"id": cluster_id})
            elif known != cluster_id:
                raise ForeignCluster(
                    f"database {self} was fed by Kafka cluster {known}, and this is "
                    f"{cluster_id}: use that broker again, or a database in which nothing is "
                    "yet, by another SHOP_HOME or, with Postgres, SHOP_DATABASE_URL"
                )

        self.in_transaction(bind)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


pack_headers = msgspec.msgpack.Encoder().encode
"""A record's headers as a column of bytes; those without a value stay so."""

unpack_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]]).decode
"""The headers in a column that `pack_headers` wrote."""


def table_of(model: type[SQLModel]) -> Table:
    """The SQLAlchemy Core table of a SQLModel class, for the hot path."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


@lru_cache(maxsize=4096)
def time_text(instant: datetime) -> str:
    """An aware time as a column has it: RFC 3339 in UTC with six decimals."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def reason(error: BaseException) -> str:
    """Why a database can't be used, as it says itself."""
    return str(getattr(error, "orig", None) or error)
