"""Databases that others make and write, opened to look at."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, NullPool, create_engine, event, inspect
from sqlmodel import SQLModel

from event_log.database import Database, table_of
from event_log.sqlite import SqliteFile

Read = TypeVar("Read")

LOCKED_SECONDS = 1.0
"""How long a look waits for a lock: there is a next look soon."""


class ReadOnlyDatabase(Database):
    """A database that this process neither creates nor changes.

    Every reading opens the file anew, so that a file that is moved away, or replaced, is noticed.
    """

    def __init__(self, path: Path) -> None:
        """Look at `path`, which need not be there yet."""
        # The base class would make the file and its tables: all of its set-up is replaced.
        self.place = path
        self.backend = SqliteFile(path)
        self.engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)
        event.listen(self.engine, "begin", _begin)

    def file(self) -> tuple[int, int] | None:
        """What tells this file from another one at the same path; `None` when there is none."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=LOCKED_SECONDS,
            isolation_level=None,
        )


def look_up(path: Path, read: Callable[[Connection], Read], *tables: type[SQLModel]) -> Read | None:
    """What `read` finds in a database; `None` where that, or one of its tables, isn't there yet.

    Raises:
        SQLAlchemyError: the database can't be read.
        OSError: the file can't be looked at.
    """
    database = ReadOnlyDatabase(path)
    if database.file() is None:
        return None
    with database.reading() as connection:
        return read(connection) if has_tables(connection, *tables) else None


def has_tables(connection: Connection, *models: type[SQLModel]) -> bool:
    """Whether the tables are there: a file exists a moment before its tables do."""
    found = set(inspect(connection).get_table_names())
    return found.issuperset(table_of(model).name for model in models)


def _begin(connection: Connection) -> Any:
    # One state of the database for all that a reading asks; the driver begins nothing by itself.
    connection.exec_driver_sql("BEGIN")
