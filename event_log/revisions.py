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

CURRENT = "0012"
"""The revision of this program's tables: the newest in `event_log/migrations/versions`."""

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


def is_current(connection: Connection, database: object) -> bool:
    """Whether a database has this program's tables; not, where nothing says which it has.

    Raises:
        StoreError: it has those of another revision; the message says what to do.
    """
    found = revision(connection)
    if found is None:
        return False
    if found < CURRENT:
        raise StoreError(
            f"database {database} is at revision {found}, and this program needs {CURRENT}: stop "
            "its services, and run `shop migrate`"
        )
    if found > CURRENT:
        raise newer(database, found)
    return True


def newer(database: object, found: str) -> StoreError:
    """Why a database of a revision after this program's can't be used."""
    return StoreError(
        f"database {database} is at revision {found}, and this program knows none after {CURRENT}: "
        "use the program that made it"
    )


def unnumbered(database: object) -> StoreError:
    """Why a database can't be used that is there, and says no revision."""
    return StoreError(
        f"database {database} has no note of its tables' revision, as earlier versions made none: "
        "stop its services, and run `shop migrate`"
    )


def stamp(connection: Connection) -> None:
    """Note that an empty database was given this program's tables."""
    VERSION.create(connection, checkfirst=False)
    connection.execute(VERSION.insert(), {"version_num": CURRENT})
