"""Migrates SQLite files: each alone, with nobody else in it, and a copy of it beside it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, NullPool, StaticPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from domain.errors import StoreError
from event_log.database import Database, reason
from event_log.holding import HELD_FOR_SECONDS, still_held
from event_log.migrations.migrated import Migrated
from event_log.migrations.running import upgrade
from event_log.revisions import find_revision
from event_log.sqlite import SqliteFile, look_into, open_file
from transport.private_files import make_file

ALONE_WITHIN_SECONDS = 5.0
"""How long others may still have a file open: who only looks is soon done, a service is not."""

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def look_at_file(file: Path, database: str) -> Migrated:
    """What migrating a file would do; nothing is changed.

    Raises:
        StoreError: it is none of ours, of another version's, or can't be read.
    """
    creator = partial(look_into, file, ALONE_WITHIN_SECONDS)
    engine = create_engine("sqlite://", creator=creator, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            found = find_revision(connection, file)
    except (DBAPIError, sqlite3.Error) as error:
        raise StoreError(f"database {file} can't be read: {reason(error)}") from error
    return Migrated(database, str(file), found)


def migrate_file(file: Path, database: str, make: Callable[[Path], Database]) -> Migrated:
    """Bring a file to this program's revision; an empty one is given its tables.

    It is copied first, and either changed as a whole or not at all. Nobody has it open meanwhile:
    whoever tries then waits, as for any lock. Two that migrate it wait for one another.

    Args:
        file: the file, which is there.
        database: which database it is.
        make: opens such a database, and makes its tables.

    Raises:
        StoreError: a process has it open, it is none of ours, of another version's, or can't be
            copied or changed; it is as it was.
    """
    backend = SqliteFile(file)
    with backend.alone(None, "migrate", within=HELD_FOR_SECONDS) as held:
        if not held:
            holder = backend.holder(None, "migrate")
            raise still_held("migrate", file, HELD_FOR_SECONDS, holder)
        looked = look_at_file(file, database)
        if looked.is_current:
            return looked
        if looked.found is None:
            make(file).close()
            return Migrated(database, str(file), None, done=True)
        with _alone_with(file) as connection:
            # The copy comes after the lock: what was committed before is in it.
            copy = _copy(connection, file, looked.found)
            engine = _engine_of(connection)
            try:
                with engine.begin() as transaction:
                    upgrade(transaction, database)
            except (DBAPIError, sqlite3.Error) as error:
                raise StoreError(
                    f"database {file} can't be migrated: {reason(error)}; it is as it was, and "
                    f"{copy} is a copy"
                ) from error
        return Migrated(database, str(file), looked.found, done=True, copy=copy)


@contextmanager
def _alone_with(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a file that no other process has open, nor can open until it is closed."""
    try:
        connection = open_file(file, "rw", ALONE_WITHIN_SECONDS)
    except sqlite3.Error as error:
        raise StoreError(f"database {file} can't be opened: {reason(error)}") from error
    with closing(connection):
        try:
            # Whoever has a file open in WAL mode, even at rest, holds a lock on it until he closes
            # it: only one who is alone with it gets the lock that this mode takes.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if not _is_busy(error):
                raise StoreError(f"database {file} can't be opened: {reason(error)}") from error
            raise StoreError(
                f"database {file} is open in another process: stop the services, and run "
                "`shop migrate` again"
            ) from error
        yield connection


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in _BUSY


def _copy(connection: sqlite3.Connection, file: Path, found: str) -> Path:
    copy = _name_of_copy(file, found)
    make_file(copy)
    try:
        with closing(open_file(copy, "rw", ALONE_WITHIN_SECONDS)) as target:
            connection.backup(target)
            (said,) = target.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        copy.unlink(missing_ok=True)
        raise StoreError(
            f"database {file} can't be copied to {copy}, and is not migrated: {reason(error)}"
        ) from error
    if said != "ok":
        copy.unlink()
        raise StoreError(f"database {file} is damaged, and is not migrated: {said}")
    return copy


def _name_of_copy(file: Path, found: str) -> Path:
    return file.with_name(f"{file.name}.{found}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")


def _engine_of(connection: sqlite3.Connection) -> Engine:
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine
