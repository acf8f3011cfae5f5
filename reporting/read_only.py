"""Databases that others make and write, opened to look at."""

import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect
from sqlmodel import SQLModel

from event_log.database import Database, Place, table_of
from event_log.postgres import PostgresSchema
from event_log.sqlite import SqliteFile, look_into

Read = TypeVar("Read")

Identity = tuple[int, int]
"""What tells a database from another one at the same place."""

LOCKED_SECONDS = 1.0
"""How long a look waits for a lock: there is a next look soon."""

# A schema that was dropped and made anew is another one, and so is one that was restored.
_SCHEMA = (
    "SELECT database.oid, namespace.oid, has_schema_privilege(namespace.oid, 'USAGE') "
    "FROM pg_database AS database, pg_namespace AS namespace "
    "WHERE database.datname = current_database() AND namespace.nspname = %s"
)


class ReadOnlyDatabase(Database):
    """A database that this process neither creates nor changes.

    Nobody waits for one that is away or locked: there is a next look soon, or somebody who is told.
    Every reading of a SQLite database opens the file anew, so that one that is moved away, or
    replaced, is noticed. Looks into a Postgres schema share the connections of the process.
    """

    _within = 0.0

    def __init__(self, place: Place) -> None:
        """Look at `place`, where there need not be anything yet."""
        # The base class would make the database and its tables: all of its set-up is replaced.
        self.place = place
        self._waiting = set()
        if isinstance(place, Path):
            self.backend = SqliteFile(place)
            self.engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)
            event.listen(self.engine, "begin", _begin)
        else:
            self.backend = place
            self.engine = _engine_of(place)

    def identity(self) -> Identity | None:
        """What tells it from another one at the same place; `None` when there is none.

        Raises:
            SQLAlchemyError: the server can't be asked.
            OSError: the file can't be looked at, or the role has no right to the schema.
        """
        if isinstance(self.place, PostgresSchema):
            return self._identity_of(self.place.schema)
        try:
            status = self.place.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _identity_of(self, schema: str) -> Identity | None:
        with self.reading() as connection:
            row = connection.exec_driver_sql(_SCHEMA, (schema,)).first()
        if row is None:
            return None
        if not row[2]:
            # Its tables would look as if they were not there.
            raise PermissionError(
                f"permission denied for schema {schema}: `shop migrate` gives roles their rights"
            )
        return row[0], row[1]

    def _connect(self) -> sqlite3.Connection:
        return look_into(self.path, LOCKED_SECONDS)


def look_up(
    place: Place, read: Callable[[Connection], Read], *tables: type[SQLModel]
) -> Read | None:
    """What `read` finds in a database; `None` where that, or one of its tables, isn't there yet.

    Raises:
        SQLAlchemyError: the database can't be read.
        OSError: the file can't be looked at.
    """
    database = ReadOnlyDatabase(place)
    if database.identity() is None:
        return None
    with database.reading() as connection:
        return read(connection) if has_tables(connection, *tables) else None


def has_tables(connection: Connection, *models: type[SQLModel]) -> bool:
    """Whether the tables are there, or views of their names.

    A database exists a moment before its tables do.
    """
    looked = inspect(connection)
    return all(looked.has_table(table_of(model).name) for model in models)


@cache
def _engine_of(place: PostgresSchema) -> Engine:
    engine: Engine = place.connect(LOCKED_SECONDS).execution_options(**place.reading)
    return engine


def _begin(connection: Connection) -> Any:
    # One state of the database for all that a reading asks; the driver begins nothing by itself.
    connection.exec_driver_sql("BEGIN")
