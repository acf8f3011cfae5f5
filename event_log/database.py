"""Databases: opened safely, written in one transaction at a time, retried while locked."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import BigInteger, Connection, Dialect, String, Table, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from domain.errors import ForeignCluster, StoreAway, StoreError
from event_log import revisions
from event_log.backend import Backend
from event_log.conditions import is_refusal
from event_log.holding import still_held
from event_log.postgres import PostgresSchema
from event_log.sqlite import SqliteFile
from transport.retrying import until_it_works

RETRY_FOR_SECONDS = 60
"""How long what may pass is waited for, by whoever isn't told to be patient."""

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


class Database:
    """One service's own database: durable at its commit, one writer at a time.

    Opening makes the file or the schema, with the given tables, where there is nothing yet.
    """

    _within: float | None = None
    _stopping: threading.Event | None = None

    def __init__(self, place: Place, tables: Sequence[type[SQLModel] | Table]) -> None:
        """Open the database at `place`.

        Raises:
            StoreAway: it can't be reached or written at the moment.
            StoreError: it is no database, lets this process not in, or has tables of another
                revision than this program's.
        """
        self.place = place
        self._waiting: set[int] = set()
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
            kind = StoreAway if self.backend.is_passing(error) else StoreError
            raise kind(f"database {self} can't be opened: {reason(error)}") from error

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
            StoreHeld: another one does it still; says which process that is.
            StoreError: the database can't be asked.
        """
        with ExitStack() as stack:

            def take() -> bool:
                lock = self.backend.alone(self.engine, purpose, within=within)
                return stack.enter_context(lock)

            if not self._patiently(take, "locked"):
                holder = self.backend.holder(self.engine, purpose)
                raise still_held(purpose, self, within, holder)
            yield

    def be_patient(self, stopping: threading.Event | None = None) -> None:
        """From now on wait for what may pass as long as it takes: until `stopping` is set."""
        self._within, self._stopping = float("inf"), stopping

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody waits at this moment for what may pass."""
        return bool(self._waiting)

    def in_transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction; while the database is locked, full or away, try again.

        Raises:
            StoreAway: still impossible after a minute, or when the waiting was to end.
            StoreError: impossible for good.
        """
        return self._carry_out(work, self.transaction, "written")

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work`, which only reads one state of the database; while that is away, try again.

        Raises:
            StoreAway: still impossible after a minute, or when the waiting was to end.
            StoreError: impossible for good.
        """
        return self._carry_out(work, self.reading, "read")

    def _carry_out(
        self,
        work: Callable[[Connection], Result],
        begin: Callable[[], AbstractContextManager[Connection]],
        verb: str,
    ) -> Result:
        def attempt() -> Result:
            with begin() as connection:
                return work(connection)

        return self._patiently(attempt, verb)

    def _patiently(self, attempt: Callable[[], Result], verb: str) -> Result:
        me = threading.get_ident()
        within = RETRY_FOR_SECONDS if self._within is None else self._within

        def told() -> Result:
            try:
                return attempt()
            except DBAPIError as error:
                if self.backend.is_passing(error):
                    raise StoreAway(self._why(error)) from error
                if not is_refusal(error):
                    raise
                why = f"database {self} could not be {verb}: {self._why(error)}"
                raise StoreError(why) from error

        try:
            return until_it_works(
                told,
                f"database {self} can't be used",
                lambda error: isinstance(error, StoreAway),
                within=within,
                stopping=self._stopping,
                met=lambda: self._waiting.add(me),
            )
        except StoreAway as error:
            lasting = f" for {within:g} s" if 0 < within < float("inf") else ""
            why = f"database {self} could not be {verb}{lasting}: {error}"
            raise StoreAway(why) from error.__cause__
        finally:
            self._waiting.discard(me)

    def _why(self, error: BaseException) -> str:
        who = self.backend.blocker(self.engine, error)
        return f"{reason(error)}; its write lock is held by {who}" if who else reason(error)

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
