"""A schema of a Postgres database as a database of its own: one writer at a time, as SQLite has."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from domain.errors import StoreError
from event_log.addresses import parts_of, shown
from event_log.conditions import (
    LOCK_NOT_AVAILABLE,
    OF_A_STANDBY,
    QUERY_CANCELED,
    passes_in_postgres,
    sqlstate,
)
from event_log.holding import process_name

if TYPE_CHECKING:
    import psycopg

LOCK_TIMEOUT_SECONDS = 10

IDLE_IN_TRANSACTION_SECONDS = 60
"""How long a transaction that holds the write lock may stand still: then the server ends it.

A process that was stopped in its midst finds the connection gone, and does its work again.
"""

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_OF_ITS_OWN = {"reading": True, "isolation_level": "AUTOCOMMIT"}
_WRITING = "write"
_OPEN = "open"
_STANDBY = (
    "its server is a standby, which can only be read: who writes needs the address of the primary"
)
_RIGHTS = """
SELECT oid IS NOT NULL,
    CASE WHEN oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
        ELSE has_schema_privilege(oid, 'CREATE') END,
    oid IS NULL OR has_schema_privilege(oid, 'USAGE')
FROM (VALUES (1)) AS one LEFT JOIN pg_namespace ON nspname = %(schema)s
"""

_HOLDER = """
SELECT application_name, pid, client_addr, state, extract(epoch FROM now() - state_change)
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid = CAST(%(high)s AS oid) AND objid = CAST(%(low)s AS oid)
LIMIT 1
"""


@dataclass(frozen=True)
class PostgresSchema:
    """A schema that one service's tables are in; it is made where it is missing.

    Attributes:
        url: where the database is, as libpq reads it: ``postgresql://role@host/database``.
        schema: lower-case letters, digits and underscores.
        password: the role's, if that isn't in the address.

    Raises:
        StoreError: the address can't be read, or the schema's name is another one.
    """

    url: str = field(repr=False)
    schema: str
    password: str | None = field(default=None, repr=False)

    reading: ClassVar[Mapping[str, Any]] = {
        "reading": True,
        "isolation_level": "REPEATABLE READ",
        "postgresql_readonly": True,
    }

    def __post_init__(self) -> None:
        parts_of(self.url)
        if not _NAME.fullmatch(self.schema):
            raise StoreError(
                f"{self.schema!r} is no name for a schema here: lower-case letters, digits and "
                "underscores, 63 at most"
            )

    def __str__(self) -> str:
        """The address without its password, and the schema."""
        return f"{shown(parts_of(self.url))} (schema {self.schema})"

    def connect(self, looking: float | None = None) -> Engine:
        """An engine whose transactions hold the schema's write lock, unless they are for reading.

        A connection that the server has ended since it was last used is replaced unnoticed.

        Args:
            looking: for one who only looks: seconds that a lock is waited for.
        """
        # Whoever works with files doesn't wait for the driver.
        from event_log.sessions import parameters_of, set_up

        said = parts_of(self.url)
        if self.password is not None:
            said["password"] = self.password
        name = f"{self.schema}@{process_name()[-40:]}"
        parameters = parameters_of(said, name)
        seconds = LOCK_TIMEOUT_SECONDS if looking is None else looking
        own = {"search_path": self.schema, "lock_timeout": f"{max(1, int(seconds * 1000))}ms"}
        engine = create_engine(
            "postgresql+psycopg://",
            # Each statement must see what the lock was waited for.
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            connect_args=parameters,
        )

        def open_session(connection: "psycopg.Connection[Any]", _record: Any) -> None:
            try:
                set_up(connection, parameters, own)
                self._say_open(connection)
            except BaseException:
                connection.close()
                raise

        # Before SQLAlchemy asks the server how it does things.
        event.listen(engine, "connect", open_session, insert=True)
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "handle_error", _leave_a_standby)
        return engine

    def is_open_elsewhere(self, connection: Connection) -> bool:
        """Whether another process has the schema open; if not, none can until the transaction ends.

        Args:
            connection: a transaction of an engine that `connect` made.
        """
        take = f"SELECT pg_try_advisory_xact_lock({self._key(_OPEN)})"
        return not connection.exec_driver_sql(take).scalar()

    def claim(self, connection: Connection) -> None:
        """Make the schema, or refuse what can't be used as one."""
        run = connection.exec_driver_sql
        encoding = run("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            raise StoreError(f"database {self} is encoded in {encoding}: it must be in UTF8")
        made, ours, usable = run(_RIGHTS, {"schema": self.schema}).one()
        if made and not usable:
            raise StoreError(
                f"database {self} can't be opened: its role has no right on this schema, which is "
                "another service's"
            )
        if not ours:
            raise StoreError(
                f"database {self} is not there yet, and its role may not make it: run "
                "`shop migrate` as the owner of the Postgres database"
            )
        if not made:
            run(f'CREATE SCHEMA "{self.schema}"')

    def is_passing(self, error: BaseException) -> bool:
        """Whether the same may work in a moment."""
        return passes_in_postgres(error)

    def blocker(self, engine: Engine, error: BaseException) -> str | None:
        """Who holds the lock that was waited for; `None` where it was none, or nobody knows."""
        waited = sqlstate(error) in (LOCK_NOT_AVAILABLE, QUERY_CANCELED)
        return self.holder(engine, _WRITING) if waited else None

    @contextmanager
    def alone(self, engine: Engine, purpose: str, *, within: float) -> Iterator[bool]:
        """Hold an advisory lock on a connection of its own; gives whether it is held."""
        key = self._key(purpose)
        with engine.connect().execution_options(**_OF_ITS_OWN) as connection:
            if self.is_copy(connection):
                _refuse_standby(connection)
            # The lock ends with the connection, however that ends.
            if not _take(connection, key, within):
                yield False
                return
            try:
                yield True
            finally:
                try:
                    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({key})")
                except DBAPIError:
                    connection.invalidate()

    def is_copy(self, connection: Connection) -> bool:
        """Whether the server is a standby."""
        return bool(connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar())

    def now(self, connection: Connection) -> datetime:
        """The server's clock, so that writers on several hosts have one."""
        now: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return now.astimezone(UTC)

    def holder(self, engine: Engine, purpose: str) -> str | None:
        """Who holds the lock for a purpose; `None` if nobody knows."""
        high, low = divmod(self._key(purpose) % 2**64, 2**32)
        try:
            with engine.connect().execution_options(**_OF_ITS_OWN) as connection:
                row = connection.exec_driver_sql(_HOLDER, {"high": high, "low": low}).first()
        except DBAPIError:
            return None
        if row is None:
            return None
        name, pid, address, state, seconds = row
        where = f" at {address}" if address else ""
        since = f", {state} for {seconds:.0f} s" if state else ""
        return f"{name}{where} (server process {pid}{since})"

    def _say_open(self, connection: "psycopg.Connection[Any]") -> None:
        # Held as long as the connection; who changes tables waits for nobody's, or is told.
        connection.execute(f"SELECT pg_advisory_lock_shared({self._key(_OPEN)})")
        connection.commit()

    def _begin(self, connection: Connection) -> None:
        if connection.get_execution_options().get("reading"):
            return
        driver = connection.connection.driver_connection
        if driver is not None:
            # After a reading SQLAlchemy has it say READ WRITE, which no standby begins.
            driver.read_only = None
        *_, is_standby = connection.exec_driver_sql(
            f"SELECT pg_advisory_xact_lock({self._key(_WRITING)}), "
            "set_config('idle_in_transaction_session_timeout', "
            f"'{IDLE_IN_TRANSACTION_SECONDS}s', true), pg_is_in_recovery()"
        ).one()
        if is_standby:
            _refuse_standby(connection)

    def _key(self, purpose: str) -> int:
        # Advisory locks are one database's, and have numbers instead of names.
        digest = sha256(f"{self.schema} {purpose}".encode()).digest()
        return int.from_bytes(digest[:8], signed=True)


def _leave_a_standby(met: ExceptionContext) -> None:
    # Else the pool would give the same connection again, long after another server has taken over.
    if sqlstate(met.original_exception) in OF_A_STANDBY:
        met.is_disconnect = True


def _refuse_standby(connection: Connection) -> NoReturn:
    """Refuse what a standby can't do: write, or hold a lock that holds up anybody elsewhere."""
    from psycopg.errors import ReadOnlySqlTransaction

    # By the next connection the address may lead to a primary.
    connection.invalidate()
    raise InternalError(None, None, ReadOnlySqlTransaction(_STANDBY))


def _take(connection: Connection, key: int, within: float) -> bool:
    if within <= 0:
        return bool(connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({key})").scalar())
    # For this statement alone, which is a transaction of its own; the lock outlives it.
    milliseconds = max(1, int(within * 1000))
    try:
        connection.exec_driver_sql(
            f"SELECT set_config('lock_timeout', '{milliseconds}ms', true), pg_advisory_lock({key})"
        )
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return False
    return True
