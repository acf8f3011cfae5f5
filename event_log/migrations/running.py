"""Runs the revisions that a database lacks, in a transaction of the caller's."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from event_log import revisions

SCRIPTS = Path(__file__).parent
"""The folder of what Alembic runs, and of the revisions below it."""


def upgrade(connection: Connection, database: str) -> None:
    """Upgrade a database from the revision that it is at to this program's.

    Args:
        connection: a transaction that holds the write lock; nothing is committed here.
        database: which database it is, by name.
    """
    config = Config(attributes={"connection": connection, "database": database})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    command.upgrade(config, revisions.CURRENT)
