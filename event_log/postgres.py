"""A schema of a Postgres database as a database of its own: one writer at a time, as SQLite has."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, ClassVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from domain.errors import StoreError

LOCK_TIMEOUT_SECONDS = 10
CONNECT_TIMEOUT_SECONDS = 10

VERSION_TABLE = "schema_version"
"""Says in one row which version's tables a schema has."""

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_WRITING = "write"

_PASSING = ("08", "40001", "40P01", "53", "55P03", "57P01", "57P02", "57P03", "58030", "25006")
"""What may be over in a moment, by the beginning of its SQLSTATE.

A lost connection, a serialization failure, a deadlock, no room (disk, memory, connections), a lock
that was waited for, a server that ends or starts, a failing disk, a standby that is to take over.
"""


@dataclass(frozen=True)
class PostgresSchema:
    """A schema that one service's tables are in; it is made where it is missing.

    Attributes:
        url: where the database is, as libpq reads it: ``postgresql://user:password@host/database``.
        schema: lower-case letters, digits and underscores.

    Raises:
        StoreError: the address can't be read, or the schema's name is another one.
    """

    url: str = field(repr=False)
    schema: str

    reading: ClassVar[Mapping[str, Any]] = {
        "reading": True,
        "isolation_level": "REPEATABLE READ",
        "postgresql_readonly": True,
    }

    def __post_init__(self) -> None:
        _parsed(self.url)
        if not _NAME.fullmatch(self.schema):
            raise StoreError(
                f"{self.schema!r} is no name for a schema here: lower-case letters, digits and "
                "underscores, 63 at most"
            )

    def __str__(self) -> str:
        """The address without its password, and the schema."""
        url = _parsed(self.url)
        # Whatever else is asked for, such as a key's file, is nobody's business.
        kept = {name: url.query[name] for name in ("host", "port") if name in url.query}
        shown = URL.create("postgresql", url.username, None, url.host, url.port, url.database, kept)
        return f"{shown.render_as_string()} (schema {self.schema})"

    def connect(self) -> Engine:
        """An engine whose transactions hold the schema's write lock, unless they are for reading.

        A connection that the server has ended since it was last used is replaced unnoticed.
        """
        url = _parsed(self.url)
        options = (
            f"{url.query.get('options', '')} -c search_path={self.schema} -c synchronous_commit=on"
        )
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            # Each statement must see what the lock was waited for.
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            connect_args={
                "options": options.strip(),
                "client_encoding": "utf8",
                "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            },
        )
        event.listen(engine, "begin", self._begin)
        return engine

    def claim(self, connection: Connection, version: int) -> None:
        """Make the schema where it is missing, and note the version of its tables or refuse it."""
        run = connection.exec_driver_sql
        encoding = run("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            raise StoreError(f"database {self} is encoded in {encoding}: it must be in UTF8")
        there = run("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", (self.schema,))
        if not there.scalar():
            run(f'CREATE SCHEMA "{self.schema}"')
        tables = inspect(connection).get_table_names(self.schema)
        if not tables:
            run(f"CREATE TABLE {VERSION_TABLE} (version INTEGER NOT NULL)")
            run(f"INSERT INTO {VERSION_TABLE} VALUES (%s)", (version,))  # noqa: S608 a constant
            return
        found = None
        if VERSION_TABLE in tables:
            found = run(f"SELECT version FROM {VERSION_TABLE}").scalar()  # noqa: S608 a constant
        if found != version:
            raise StoreError(
                f"database {self} has tables of version {found or 'unknown'}, and this program's "
                f"are version {version}: use the program that made it, or a fresh schema"
            )

    def is_passing(self, error: BaseException) -> bool:
        """Whether the same may work in a moment."""
        if not isinstance(error, DBAPIError):
            return False
        state = getattr(error.orig, "sqlstate", None)
        if state is None:
            # No answer from the server: it is away, or takes no more connections.
            return isinstance(error, OperationalError)
        return bool(state.startswith(_PASSING))

    @contextmanager
    def alone(self, engine: Engine, purpose: str, *, wait: bool) -> Iterator[bool]:
        """Hold an advisory lock on a connection of its own; gives whether it is held."""
        key = self._key(purpose)
        options = {"reading": True, "isolation_level": "AUTOCOMMIT"}
        with engine.connect().execution_options(**options) as connection:
            take = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
            # The lock ends with the connection, however that ends; waiting for it gives nothing.
            if connection.exec_driver_sql(f"SELECT {take}({key})").scalar() is False:
                yield False
                return
            try:
                yield True
            finally:
                try:
                    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({key})")
                except DBAPIError:
                    connection.invalidate()

    def _begin(self, connection: Connection) -> None:
        if connection.get_execution_options().get("reading"):
            return
        connection.exec_driver_sql(
            f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT_SECONDS}s', true), "
            f"pg_advisory_xact_lock({self._key(_WRITING)})"
        )

    def _key(self, purpose: str) -> int:
        # Advisory locks are one database's, and have numbers instead of names.
        digest = sha256(f"{self.schema} {purpose}".encode()).digest()
        return int.from_bytes(digest[:8], signed=True)


def _parsed(url: str) -> URL:
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):
        # The address may have a password in it, and is not repeated.
        raise StoreError("the address of a Postgres database can't be read") from None
    if found.get_backend_name() not in ("postgresql", "postgres"):
        raise StoreError(
            f"{found.get_backend_name()} is no Postgres: its address begins with postgresql://"
        )
    return found
