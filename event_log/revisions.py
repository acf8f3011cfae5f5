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

FIRST = "1002"
"""The baseline: databases of a number before it are refused."""

CURRENT = "1002"
"""The revision of this program's tables: the newest in `event_log/migrations/versions`."""

VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table, as Alembic makes it; its one row says the revision."""


def find_revision(connection: Connection, database: object) -> str | None:
    """Return the revision of a database that this program, or an upgrade to it, can go on from.

    Args:
        connection: a transaction in which the database has one state.
        database: what it is called.

    Returns:
        Its revision; `None` where there are no tables yet.

    Raises:
        StoreError: its tables were made by an earlier version, by a program after this one, or by
            something else; the message says what to do.
    """
    tables = inspect(connection)
    found: str | None = None
    if tables.has_table(VERSION.name):
        found = connection.scalar(select(VERSION.c.version_num))
    elif not tables.get_table_names():
        return None
    if found is None or found < FIRST:
        has = "tables without a revision" if found is None else f"tables of revision {found}"
        raise StoreError(
            f"database {database} has {has}, and this program upgrades from {FIRST} on: an earlier "
            "version made them, or something else. Nothing is changed: put it away, and begin with "
            "a fresh SHOP_HOME, or a fresh Postgres database and topics"
        )
    if found > CURRENT:
        raise StoreError(
            f"database {database} is at revision {found}, and this program knows none after "
            f"{CURRENT}: use the program that made it"
        )
    return found


def is_current(connection: Connection, database: object) -> bool:
    """Return whether a database has this program's tables; not, where it has none yet.

    Raises:
        StoreError: it has others; the message says what to do.
    """
    found = find_revision(connection, database)
    if found is not None and found < CURRENT:
        raise StoreError(
            f"database {database} is at revision {found}, and this program needs {CURRENT}: stop "
            "its services, and run `shop migrate`"
        )
    return found is not None


def stamp(connection: Connection) -> None:
    """Note that an empty database was given this program's tables."""
    VERSION.create(connection, checkfirst=False)
    connection.execute(VERSION.insert(), {"version_num": CURRENT})
