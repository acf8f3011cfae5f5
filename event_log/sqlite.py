"""A SQLite file as a database: WAL, synchronous FULL, one writer at a time."""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

from domain.errors import StoreError
from event_log.conditions import passes_in_sqlite, sqlite_code
from event_log.holding import holder_of_byte, process_name
from transport.private_files import FILE, keep_others_out, make_file, make_folder

BUSY_TIMEOUT_SECONDS = 10

_WRITE_LOCK_BYTE = 120
"""Of the file ``-shm``: who writes holds it (SQLite's WAL-index format, `WAL_WRITE_LOCK`)."""


@dataclass(frozen=True)
class SqliteFile:
    """A file with one service's tables; its folder is made when it is connected to.

    File and folder are their owner's alone; SQLite gives the files beside it the file's own mode.
    """

    path: Path

    reading: ClassVar[Mapping[str, Any]] = {"reading": True}

    def __str__(self) -> str:
        """The path."""
        return str(self.path)

    def connect(self) -> Engine:
        """An engine whose transactions hold the write lock, unless they are for reading.

        Raises:
            StoreError: there is no folder for it, or it is one that can only be read.
        """
        try:
            make_folder(self.path.parent)
        except OSError as error:
            raise StoreError(
                f"the folder {self.path.parent} can't be made: {error.strerror}"
            ) from error
        if not can_be_written(self.path):
            raise StoreError(
                f"database {self.path} can't be written here, only read, as `shop report`, `shop "
                "export` and `shop prove` do: allow writing it and its folder, or copy the home "
                "to where it can be written, and set SHOP_HOME to that copy"
            )
        make_file(self.path)
        for beside in ("-wal", "-shm"):
            keep_others_out(self.path.with_name(self.path.name + beside))
        creator = partial(open_file, self.path, "rwc", BUSY_TIMEOUT_SECONDS)
        engine = create_engine("sqlite://", creator=creator, poolclass=QueuePool)
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine

    def claim(self, connection: Connection) -> None:
        """Do nothing: an empty file is ready for tables."""

    def is_passing(self, error: BaseException) -> bool:
        """Whether the same may work in a moment."""
        return passes_in_sqlite(error)

    def blocker(self, engine: Engine, error: BaseException) -> str | None:
        """Who holds the lock that was waited for; `None` where it was none, or nobody knows."""
        if sqlite_code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return None
        pid = holder_of_byte(self.path.with_name(f"{self.path.name}-shm"), _WRITE_LOCK_BYTE)
        return None if pid is None else f"process {pid} of this machine"

    @contextmanager
    def alone(self, engine: Engine | None, purpose: str, *, within: float) -> Iterator[bool]:
        """Hold a lock file beside the database; gives whether it is held."""
        # The lock ends with its process, however that ends.
        file = self._lock_file(purpose)
        lock = FileLock(file, mode=FILE)
        try:
            lock.acquire(timeout=within)
        except Timeout:
            yield False
            return
        try:
            # For who waits: the lock is the file's, whatever is in it, and on a full disk nothing.
            with suppress(OSError):
                file.write_text(process_name())
            yield True
        finally:
            lock.release()

    def is_copy(self, _connection: Connection) -> bool:
        """Never: a file is read where it is written."""
        return False

    def now(self, _connection: Connection) -> datetime:
        """The host's clock: a file is written by one host."""
        return datetime.now(UTC)

    def holder(self, engine: Engine | None, purpose: str) -> str | None:
        """Who holds the lock for a purpose, or held it last; `None` if nobody knows."""
        try:
            name = self._lock_file(purpose).read_text()
        except (OSError, UnicodeDecodeError):
            return None
        return f"process {name}" if name else None

    def _lock_file(self, purpose: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{purpose}")


def can_be_written(path: Path) -> bool:
    """Whether a database that is there can be changed, or one that isn't can be made.

    Its folder must be there. SQLite needs to write that, too: other files are beside a database.
    """
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def open_file(path: Path, mode: Literal["rw", "rwc"], timeout: float) -> sqlite3.Connection:
    """Open a file, whatever characters its path has.

    Args:
        path: the file.
        mode: ``rw`` for one that must be there, ``rwc`` for one that is made if it isn't.
        timeout: seconds that a lock is waited for.

    Raises:
        sqlite3.Error: it can't be opened.
    """
    return _open(path, f"mode={mode}", timeout)


def look_into(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a file that is there, only to read it; also where its folder can't be written.

    Args:
        path: the file.
        timeout: seconds that a lock is waited for.

    Raises:
        sqlite3.Error: it can't be read.
    """
    connection = _open(path, "mode=ro", timeout)
    try:
        # Only this opens it: in WAL mode the two files beside it too, which are made if need be.
        connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or not path.exists():
            raise
        if can_be_written(path):
            raise
        wal = path.with_name(f"{path.name}-wal")
        if wal.exists() and wal.stat().st_size:
            raise sqlite3.OperationalError(
                f"{wal} has changes that can be read only with {path.name}-shm, and that can't be "
                f"made in this folder: copy {path.parent} to where it can be written, and set "
                "SHOP_HOME to that copy"
            ) from error
        # Whoever has the file open has both beside it: nobody has.
        return _open(path, "mode=ro&immutable=1", timeout)
    return connection


def _open(path: Path, how: str, timeout: float) -> sqlite3.Connection:
    # An address made by the path's own escaping: in text, SQLite would take its %, ? and # for
    # parts of the address. SQLAlchemy begins transactions; the driver must not do it first. Pools
    # hand connections from thread to thread.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
    )


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-32000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
