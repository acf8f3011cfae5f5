"""Heartbeats: which processes of a service live, in the service's own database."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine, delete, event, select
from sqlalchemy.exc import SQLAlchemyError

from domain.status import Beat, living, missing
from event_log.database import Place, table_of
from event_log.holding import process_name
from event_log.sqlite import open_file
from event_log.statements import insert_or_replace
from event_log.workers import HeartbeatRow as HeartbeatRow
from transport.throttling import throttled_until

_log = logging.getLogger(__name__)

BEAT_EVERY_SECONDS = 3.0
"""How often a process says that it lives."""

LOCKED_SECONDS = 2.0
"""How long a heartbeat waits for a locked database; then it is left out."""

STOP_WITHIN_SECONDS = 5.0
"""How long a clean stop waits for the last heartbeat to get out of the way."""

FORGOTTEN_AFTER = timedelta(days=1)
"""When a process that ended without a word is no longer missed."""

SIGNALLED = 128
"""A process that a signal ended has this and the signal's number as its exit code."""


_workers = table_of(HeartbeatRow)


def beats(connection: Connection, service: str) -> list[Beat]:
    """The processes of a service that have not stopped cleanly, oldest first."""
    rows = connection.execute(
        select(_workers).where(_workers.c.service == service).order_by(_workers.c.started_at)
    )
    return [Beat(row.process, row.started_at, row.seen_at, row.throttled_until) for row in rows]


class Heartbeat:
    """A thread that writes this process's heartbeat; it never holds up the service.

    It has a connection of its own, opened anew each time: it neither makes a database nor waits
    for a locked one as long as the service does.
    """

    def __init__(self, place: Place, service: str, every: float = BEAT_EVERY_SECONDS) -> None:
        """Prepare the heartbeat of `service`, every so many seconds, in the database at `place`."""
        self._place = place
        self._service = service
        self._every = every
        self._process = process_name()
        self._started_at = datetime.now(UTC)
        self._engine = _engine_of(place)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{service}-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin, with a heartbeat at once."""
        self._thread.start()

    def stop(self, *, clean: bool = True) -> None:
        """End; after a clean stop nobody misses this process, nor one that it had replaced."""
        self._stopped.set()
        self._thread.join(STOP_WITHIN_SECONDS)
        if clean:
            self._write(self._remove)

    def beat(self) -> bool:
        """Write one heartbeat; whether that was possible."""
        return self._write(self._beat)

    def _run(self) -> None:
        silent = False
        while not self._stopped.is_set():
            done = self.beat()
            if not done and not silent:
                _log.warning(
                    "%s: no heartbeat for now, %s can't be written", self._service, self._place
                )
            silent = not done
            self._stopped.wait(self._every)

    def _write(self, work: Callable[[Connection], None]) -> bool:
        try:
            with self._engine.begin() as connection:
                work(connection)
        except (SQLAlchemyError, sqlite3.Error):
            return False
        finally:
            self._engine.dispose()
        return True

    def _beat(self, connection: Connection) -> None:
        now = datetime.now(UTC)
        row = {
            "service": self._service,
            "process": self._process,
            "started_at": self._started_at,
            "seen_at": now,
            "throttled_until": throttled_until(now),
        }
        connection.execute(insert_or_replace(connection, _workers), row)
        connection.execute(delete(_workers).where(_workers.c.seen_at < now - FORGOTTEN_AFTER))

    def _remove(self, connection: Connection) -> None:
        # Whoever this process replaced would be missed again without it.
        known, now = beats(connection, self._service), datetime.now(UTC)
        still = {beat.process for beat in [*living(known, now), *missing(known, now)]}
        leave = still - {self._process}
        of_service = _workers.c.service == self._service
        connection.execute(delete(_workers).where(of_service & _workers.c.process.not_in(leave)))


@contextmanager
def beating(place: Place, service: str) -> Iterator[None]:
    """Inside, this process has a heartbeat.

    Leaving without error, or by a signal that asks for the end, is a clean stop.
    """
    heartbeat = Heartbeat(place, service)
    heartbeat.start()
    clean = False
    try:
        yield
        clean = True
    except (KeyboardInterrupt, SystemExit) as ended:
        clean = _was_asked_to_end(ended)
        raise
    finally:
        heartbeat.stop(clean=clean)


def _was_asked_to_end(ended: KeyboardInterrupt | SystemExit) -> bool:
    """Whether a signal is behind it, and not a failure."""
    if isinstance(ended, KeyboardInterrupt) or not ended.code:
        return True
    return isinstance(ended.code, int) and ended.code > SIGNALLED


def _engine_of(place: Place) -> Engine:
    """What writes heartbeats: it makes no database, and waits for a locked one for a moment.

    A heartbeat that a power cut takes away is not missed: no need to wait for the disk.
    """
    if not isinstance(place, Path):
        # Nobody but heartbeats writes the table: without the schema's write lock they neither wait
        # for the service's transactions nor hold them up.
        unhindered: Engine = place.connect().execution_options(reading=True)
        event.listen(unhindered, "begin", _hurry)
        return unhindered

    def connect() -> sqlite3.Connection:
        connection = open_file(place, "rw", LOCKED_SECONDS)
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", lambda opened: opened.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _hurry(connection: Connection) -> None:
    milliseconds = int(LOCKED_SECONDS * 1000)
    connection.exec_driver_sql(
        f"SELECT set_config('lock_timeout', '{milliseconds}ms', true), "
        "set_config('synchronous_commit', 'off', true)"
    )
