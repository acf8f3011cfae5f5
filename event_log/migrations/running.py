"""Runs the revisions that a database lacks, in a transaction of the caller's."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from event_log.migrations.recognition import find_revision
from event_log.revisions import CURRENT, revision


def upgrade_found(connection: Connection, place: object, database: str) -> None:
    """Upgrade a database from wherever it is to this program's revision.

    Args:
        connection: a transaction that holds the write lock; nothing is committed here.
        place: where it is, for messages.
        database: which database it is.

    Raises:
        StoreError: it is none of ours, or of a program after this one.
    """
    found = find_revision(connection, place, database)
    upgrade(connection, database, at=None if revision(connection) else found)


def upgrade(
    connection: Connection, database: str, *, at: str | None = None, to: str = CURRENT
) -> None:
    """Upgrade a database's tables.

    Args:
        connection: a transaction that holds the write lock; nothing is committed here.
        database: which database it is, by name.
        at: the revision that it is at, where it has no note of it; `None` where it has, or is
            empty.
        to: the revision that it is to be at.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, database=database)
    if at is not None:
        command.stamp(config, at)
    command.upgrade(config, to)
