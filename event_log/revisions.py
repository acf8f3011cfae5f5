"""Which revision of the tables a database has: what Alembic keeps there, read without Alembic.

Every command opens databases, and Alembic takes longer to import than that takes.
"""

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    inspect,
    select,
)

from domain.errors import StoreError

FIRST = "1001"
"""The revision that databases can be upgraded from; numbers before it are earlier versions'."""

CURRENT = "1001"
"""The revision of this program's tables: the newest in `event_log/migrations/versions`."""

_FRESH = "put it away, and begin with a fresh SHOP_HOME, or a fresh Postgres database and topics"

VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table, as Alembic makes it; its one row says the revision."""

_version = VERSION.c.version_num


def revision(connection: Connection) -> str | None:
    """The revision of the tables in a database; `None` where nothing says it."""
    if not inspect(connection).has_table(VERSION.name):
        return None
    found: str | None = connection.scalar(select(_version))
    return found


def known(connection: Connection, database: object) -> str | None:
    """The revision of a database that this program, or an upgrade to it, can go on from.

    Returns:
        Its revision; `None` where nothing says it.

    Raises:
        StoreError: it was made by an earlier version, or by a program after this one.
    """
    found = revision(connection)
    if found is None:
        return None
    if found < FIRST:
        raise StoreError(
            f"database {database} is at revision {found}, of an earlier version: its ids of orders "
            f"are others than this version's, and it can't be brought up to it: {_FRESH}"
        )
    if found > CURRENT:
        raise StoreError(
            f"database {database} is at revision {found}, and this program knows none after "
            f"{CURRENT}: use the program that made it"
        )
    return found


def is_current(connection: Connection, database: object) -> bool:
    """Whether a database has this program's tables; not, where nothing says which it has.

    Raises:
        StoreError: it has those of another revision; the message says what to do.
    """
    found = known(connection, database)
    if found is not None and found < CURRENT:
        raise StoreError(
            f"database {database} is at revision {found}, and this program needs {CURRENT}: stop "
            "its services, and run `shop migrate`"
        )
    return found is not None


def unnumbered(database: object) -> StoreError:
    """Why a database can't be used that is there, and says no revision."""
    return StoreError(
        f"database {database} has tables, and no note of their revision: an earlier version made "
        f"them, whose ids of orders are others, or something else. Nothing is changed: {_FRESH}"
    )


def stamp(connection: Connection) -> None:
    """Note that an empty database was given this program's tables."""
    VERSION.create(connection, checkfirst=False)
    connection.execute(VERSION.insert(), {"version_num": CURRENT})
