"""Runs the revisions that a database lacks, in a transaction of the caller's."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect

from event_log import revisions

VERSIONS = Path(__file__).parent / "versions"
"""The folder of the revisions."""


def find_revision(connection: Connection, place: object) -> str | None:
    """The revision that a database is at; `None` where it is empty.

    Args:
        connection: a connection to it.
        place: where it is, for messages.

    Raises:
        StoreError: it is none of ours, of an earlier version, or of a program after this one.
    """
    found = revisions.known(connection, place)
    if found is None and inspect(connection).get_table_names():
        raise revisions.unnumbered(place)
    return found


def upgrade(connection: Connection, database: str) -> None:
    """Upgrade a database from the revision that it is at to this program's.

    Args:
        connection: a transaction that holds the write lock; nothing is committed here.
        database: which database it is, by name.
    """
    config = Config()
    for name, folder in (
        ("script_location", Path(__file__).parent),
        ("version_locations", VERSIONS),
    ):
        config.set_main_option(name, str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes.update(connection=connection, database=database)
    command.upgrade(config, revisions.CURRENT)
