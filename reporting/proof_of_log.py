"""Proof that the log is whole: no position is missing, and each hash holds its row and all before.

A row's hash needs the hash before it, which the row before has: so slices of a SQLite file are
checked at once, by as many processes as there are processors, and are whole where each is and they
join. A log in Postgres is checked row by row.
"""

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import StoreError
from event_log.database import Database, Place, reason, table_of
from event_log.inbox import PositionRow, next_offsets
from event_log.log import GENESIS, READ_BATCH, SIZED, EventRow
from event_log.revisions import is_current
from event_log.sqlite import BUSY_TIMEOUT_SECONDS, look_into
from event_log.statements import end_of_batch
from reporting.proof import Failure, Finding, Head, Progress
from reporting.proof_rows import Checked, as_chained, check_rows, gap
from reporting.read_only import ReadOnlyDatabase, has_tables

SLICE = 50_000
"""Rows that a process checks at a time; a log of fewer is checked without others."""

_COLUMNS = ", ".join(f'"{column.name}"' for column in table_of(EventRow).columns)
_ROWS = (
    f"SELECT {_COLUMNS} FROM event_log "  # noqa: S608 the table's own columns
    "WHERE position > ? AND position <= ? ORDER BY position"
)
_FIRST = "SELECT min(position) FROM event_log"
_NEXT = text(
    f"SELECT {_COLUMNS} FROM event_log "  # noqa: S608 the table's own columns
    "WHERE position > :after AND position <= :until ORDER BY position"
)
_position = table_of(EventRow).c.position


def open_log_to_prove(place: Place) -> ReadOnlyDatabase:
    """Open a log that is there, only to read it.

    Raises:
        StoreError: it is not there, can't be read, or was made by another version of the project.
    """
    log = ReadOnlyDatabase(place)
    missing = StoreError(
        f"there is no event log at {place}: set SHOP_HOME, or SHOP_DATABASE_URL, to where it is, "
        "or begin one with `shop run recorder`"
    )
    try:
        if log.identity() is None:
            raise missing
        with log.reading() as connection:
            if not is_current(connection, place):
                # A database exists a moment before its tables do.
                raise missing
            tables = has_tables(connection, EventRow, PositionRow)
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"database {place} can't be read: {reason(error)}") from error
    if not tables:
        raise StoreError(f"database {place} is no event log")
    return log


def look(log: ReadOnlyDatabase) -> Head:
    """How far the log goes now, and the offsets that the recorder has come to."""
    with log.reading() as connection:
        last = connection.exec_driver_sql(
            "SELECT position, hash, recorded_time FROM event_log ORDER BY position DESC LIMIT 1"
        ).first()
        handled = next_offsets(connection)
    if last is None:
        return Head(0, GENESIS, None, handled)
    return Head(last.position, last.hash, as_chained(last.recorded_time), handled)


def prove_chain(
    log: Database,
    head: Head,
    progress: Progress,
    processes: int | None = None,
    aside: Collection[int] = (),
) -> Finding:
    """Check every row up to `head`, of a log in any database.

    Args:
        log: the log.
        head: how far.
        progress: is told the rows that are checked.
        processes: how many work at once on a file, at most; `None` for one a processor.
        aside: positions whose body need not be readable.

    Raises:
        StoreError: one of them was killed.
    """
    if not isinstance(log.place, Path):
        return prove_rows(log, head, progress, aside)
    checked = Checked(0, GENESIS)
    for checked in _in_slices(log.place, head.position, processes or os.cpu_count() or 1, aside):
        progress(checked.position, head.position)
        if checked.failure is not None:
            break
    return Finding({"positions": checked.position}, failure=checked.failure)


def prove_rows(
    log: Database, head: Head, progress: Progress, aside: Collection[int] = ()
) -> Finding:
    """Check every row up to `head` in this process, of a log in any database."""
    with log.reading() as connection:
        first = connection.exec_driver_sql(_FIRST).scalar()
    checked = Checked(0, GENESIS, _before_the_first(first))
    while checked.failure is None and checked.position < head.position:
        with log.reading() as connection:
            ahead = (_position > checked.position) & (_position <= head.position)
            last = end_of_batch(connection, _position, SIZED, ahead, READ_BATCH)
            rows = connection.execute(_NEXT, {"after": checked.position, "until": last or 0})
            found = check_rows(checked, map(tuple, rows), aside)
        # A log without the row is shorter than it was: `head` was read from it.
        gone = found.failure is None and last is None
        checked = found._replace(failure=gap(found.position, None)) if gone else found
        progress(checked.position, head.position)
    return Finding({"positions": checked.position}, failure=checked.failure)


def check_slice(log: Path, after: int, until: int, aside: Collection[int] = ()) -> Checked:
    """Check the rows after position `after` up to `until`, by the hash that row `after` has."""
    with closing(look_into(log, BUSY_TIMEOUT_SECONDS)) as connection:
        (first,) = connection.execute(_FIRST).fetchone()
        found = Checked(after, _hash_at(connection, after), _before_the_first(first))
        if found.failure is not None:
            return found
        try:
            found = check_rows(found, connection.execute(_ROWS, (after, until)), aside)
        except sqlite3.DatabaseError:
            return _first_unreadable(connection, found, until, aside)
        if found.failure is None and found.position < until:
            return found._replace(failure=gap(found.position, _next(connection, found.position)))
    return found


def _in_slices(log: Path, until: int, processes: int, aside: Collection[int]) -> Iterator[Checked]:
    bounds = [(after, min(after + SLICE, until)) for after in range(0, until, SLICE)]
    if processes == 1 or len(bounds) < 2:
        for bound in bounds:
            yield check_slice(log, *bound, aside)
        return
    # A forked process has all modules already, and opens the database for itself.
    pool = ProcessPoolExecutor(
        min(processes, len(bounds)), multiprocessing.get_context("fork"), _leave_ctrl_c
    )
    try:
        yield from pool.map(partial(_check_bounds, log, aside), bounds)
    except BrokenProcessPool as error:
        raise StoreError(
            "a process that checked the log was killed: is there enough memory?"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _check_bounds(log: Path, aside: Collection[int], bounds: tuple[int, int]) -> Checked:
    return check_slice(log, *bounds, aside)


def _leave_ctrl_c() -> None:
    # It reaches the whole terminal; the first process ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _before_the_first(first: int | None) -> Failure | None:
    if first is None or first > 0:
        return None
    return Failure(f"position {first}", "positions count from 1, and readers see none before it")


def _next(connection: sqlite3.Connection, position: int) -> int | None:
    query = "SELECT min(position) FROM event_log WHERE position > ?"
    following: int | None = connection.execute(query, (position,)).fetchone()[0]
    return following


def _hash_at(connection: sqlite3.Connection, position: int) -> bytes:
    query = "SELECT hash FROM event_log WHERE position = ?"
    found = connection.execute(query, (position,)).fetchone()
    return found[0] if found else GENESIS


def _first_unreadable(
    connection: sqlite3.Connection, found: Checked, until: int, aside: Collection[int]
) -> Checked:
    """Read row by row, so that the one that can't be read is named."""
    while found.failure is None and found.position < until:
        after = found.position
        try:
            rows = connection.execute(_ROWS, (after, after + 1)).fetchall()
        except sqlite3.DatabaseError as error:
            return found._replace(
                failure=Failure(f"position {after + 1}", f"it can't be read: {error}")
            )
        if not rows:
            return found._replace(failure=gap(after, _next(connection, after)))
        found = check_rows(found, rows, aside)
    return found
