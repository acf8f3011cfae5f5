"""What a database's refusal means: what may pass is told from what stays, in one table for each."""

import sqlite3
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError

_POSTGRES_PASSING = {
    "08": "the connection failed or was lost",
    "0A000": "a standby has no transaction that writes; or a plan is of before a migration",
    "25006": "it is read-only: a standby that is to take over",
    "25P03": "idle_in_transaction_session_timeout",
    "25P04": "transaction_timeout",
    "40001": "a serialization failure, or a conflict with a standby's recovery",
    "40003": "not known whether it was carried out",
    "40P01": "a deadlock",
    "53": "no room: disk, memory, connections, a configured limit",
    "55006": "the object is in use",
    "55P03": "lock_timeout",
    "57014": "statement_timeout, or somebody cancelled it",
    "57P01": "an administrator ended the connection, or the server",
    "57P02": "the server crashed",
    "57P03": "the server starts, ends or recovers",
    "57P05": "idle_session_timeout",
    "58000": "the server's system failed",
    "58030": "the server's disk failed",
    "72000": "the snapshot is too old",
}
"""By the beginning of its SQLSTATE (PostgreSQL's appendix A): what may be over in a moment."""

_POSTGRES_FINAL = {
    "28": "not let in",
    "3D000": "no such database",
    "3F000": "no such schema",
    "42501": "a right is missing",
    "42P01": "no such table",
    "57P04": "the database was dropped",
    "XX001": "data are damaged",
    "XX002": "an index is damaged",
}
"""What waiting doesn't mend and no program either: somebody must. The rest is the program's own."""

_NOT_LET_IN = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "does not exist",
    "permission denied",
    "certificate verify failed",
    "but SSL was required",
)
"""Which refusals of a new connection stay. They come without their SQLSTATE (psycopg issue 1188),
so they are told by the server's words where it speaks English, else waited for and said."""

LOCK_NOT_AVAILABLE = "55P03"
QUERY_CANCELED = "57014"
OF_A_STANDBY = ("25006", "0A000")

_SQLITE_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    }
)
"""What may be over in a moment: another writer, a full disk."""

_SQLITE_FINAL = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def sqlstate(error: Any) -> str | None:
    """What Postgres calls an error, whether SQLAlchemy or the driver raised it; `None` if it can't.

    It is `None` where there was no answer.
    """
    found: str | None = getattr(getattr(error, "orig", error), "sqlstate", None)
    return found


def sqlite_code(error: Any) -> int | None:
    """The kind of an error of SQLite: the low byte of its code, whatever more that says."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def passes_in_postgres(error: BaseException) -> bool:
    """Whether the same may work in a moment."""
    if not isinstance(error, DBAPIError):
        return False
    state = sqlstate(error)
    if state is not None:
        return state.startswith(tuple(_POSTGRES_PASSING))
    # No answer, or that of a server which lets nobody in; of several servers one may yet.
    _, _, several = str(error.orig).partition("All failures were:")
    tried = several.split("\n- ")[1:] or [str(error.orig)]
    refused = all(any(words in each for words in _NOT_LET_IN) for each in tried)
    return isinstance(error, OperationalError) and not refused


def passes_in_sqlite(error: BaseException) -> bool:
    """Whether the same may work in a moment."""
    return isinstance(error, OperationalError) and sqlite_code(error) in _SQLITE_PASSING


def is_refusal(error: DBAPIError) -> bool:
    """Whether a database refuses, for a reason that isn't in what the program asked it to do."""
    state = sqlstate(error)
    if state is not None and state.startswith((*_POSTGRES_PASSING, *_POSTGRES_FINAL)):
        return True
    return isinstance(error, OperationalError) or sqlite_code(error) in _SQLITE_FINAL
