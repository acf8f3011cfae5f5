"""Databases: opened safely, written in one transaction at a time, retried while locked."""

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    DDL,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    String,
    Table,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.exc import OperationalError
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

_log = logging.getLogger(__name__)

BUSY_TIMEOUT_SECONDS = 10
RETRY_FOR_SECONDS = 60

SCHEMA_VERSION = 2
"""What this version's tables look like; counted up with every change of a column."""

_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    }
)
"""What may be over in a moment: another writer, a full disk. Anything else stays as it is."""

Result = TypeVar("Result")


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time as RFC 3339 text, which sorts as the times do."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Write with six decimals, so that text order is time order."""
        return None if value is None else _time_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Read as an aware UTC time."""
        return None if value is None else datetime.fromisoformat(value)


class ClusterRow(SQLModel, table=True):
    """The Kafka cluster that a database was fed by."""

    __tablename__ = "cluster"
    id: str = Field(primary_key=True)


class Database:
    """One service's own SQLite file: WAL, synchronous FULL, one writer at a time.

    Opening creates the file and the given tables where they are not there yet.
    """

    def __init__(self, path: Path, tables: Sequence[type[SQLModel]]) -> None:
        """Open `path`.

        Raises:
            StoreError: the file or its folder can't be written, is no database, or was made by
                another version of the project.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the folder {path.parent} can't be made: {error.strerror}") from error
        self.engine = _engine(f"sqlite:///{path}")
        models: list[type[SQLModel]] = [ClusterRow, *tables]
        create = [table_of(model) for model in models]
        try:
            with self.engine.begin() as connection:
                self._claim_schema(connection)
                SQLModel.metadata.create_all(connection, tables=create)
        except StoreError:
            raise
        except (OperationalError, sqlite3.DatabaseError) as error:
            raise StoreError(f"database {path} can't be opened: {_reason(error)}") from error
        except Exception as error:
            if isinstance(getattr(error, "orig", None), sqlite3.DatabaseError):
                raise StoreError(f"database {path} can't be used: {_reason(error)}") from error
            raise

    def _claim_schema(self, connection: Connection) -> None:
        found = connection.exec_driver_sql("PRAGMA user_version").scalar()
        if found == SCHEMA_VERSION:
            return
        empty = connection.exec_driver_sql("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)")
        if not empty.scalar():
            raise StoreError(
                f"database {self.path} has tables of version {found}, and this program's are "
                f"version {SCHEMA_VERSION}: use the program that made it, or a fresh SHOP_HOME"
            )
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its first moment."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database and writes nothing."""
        with self.engine.connect().execution_options(reading=True) as connection:
            yield connection

    def in_transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction; while the database is locked or full, try again.

        Raises:
            StoreError: still impossible after a minute, or impossible for good.
        """
        attempts = Retrying(
            retry=retry_if_exception(_is_passing),
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
        except OperationalError as error:
            lasting = f" for {RETRY_FOR_SECONDS} s" if _is_passing(error) else ""
            raise StoreError(
                f"database {self.path} could not be written{lasting}: {_reason(error)}"
            ) from error

    def _say_why(self, state: RetryCallState) -> None:
        why = state.outcome.exception() if state.outcome else None
        _log.warning(
            "database %s can't be written, attempt %d, trying again: %s",
            *(self.path, state.attempt_number, _reason(why) if why else ""),
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
                    f"database {self.path} was fed by Kafka cluster {known}, and this is "
                    f"{cluster_id}: use that broker again, or a fresh SHOP_HOME"
                )

        self.in_transaction(bind)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


pack_headers = msgspec.msgpack.Encoder().encode
"""A record's headers as a column of bytes; those without a value stay so."""

unpack_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]]).decode
"""The headers in a column that `pack_headers` wrote."""


def among(column: ColumnElement[Any], values: Iterable[str | int]) -> ColumnElement[bool]:
    """Whether `column` is one of `values`, passed as one parameter however many they are."""
    listed = func.json_each(json.dumps(list(values))).table_valued("value")
    return column.in_(select(listed.c.value))


def table_of(model: type[SQLModel]) -> Table:
    """The SQLAlchemy Core table of a SQLModel class, for the hot path."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


def append_only(table: Table, why: str) -> None:
    """Let a table refuse update and delete from its creation on, saying `why`."""
    for verb in ("UPDATE", "DELETE"):
        event.listen(
            table,
            "after_create",
            DDL(  # type: ignore[no-untyped-call]
                f"CREATE TRIGGER {table.name}_no_{verb.lower()} BEFORE {verb} ON {table.name} "
                f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
            ),
        )


def _engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        # SQLAlchemy begins transactions below; the driver must not do it first.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-32000",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


@lru_cache(maxsize=4096)
def _time_text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _is_passing(error: BaseException) -> bool:
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    # The low byte is the kind, the rest says which of that kind.
    return isinstance(error, OperationalError) and code is not None and code & 0xFF in _PASSING


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error)
