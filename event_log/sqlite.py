"""A SQLite file as a database: WAL, synchronous FULL, one writer at a time."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, event

from domain.errors import StoreError
from event_log.conditions import passes_in_sqlite, sqlite_code
from event_log.holding import holder_of_byte, process_name
from event_log.revisions import unnumbered
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
        """An engine whose transactions hold the write lock, unless they are for reading."""
        try:
            make_folder(self.path.parent)
        except OSError as error:
            raise StoreError(
                f"the folder {self.path.parent} can't be made: {error.strerror}"
            ) from error
        make_file(self.path)
        for beside in ("-wal", "-shm"):
            keep_others_out(self.path.with_name(self.path.name + beside))
        engine = create_engine(
            f"sqlite:///{self.path}", connect_args={"timeout": BUSY_TIMEOUT_SECONDS}
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine

    def claim(self, connection: Connection) -> None:
        """Refuse a file that isn't empty; an empty one is ready for tables."""
        empty = connection.exec_driver_sql("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)")
        if not empty.scalar():
            raise unnumbered(self)

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


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    # SQLAlchemy begins transactions below; the driver must not do it first.
    connection.isolation_level = None
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
