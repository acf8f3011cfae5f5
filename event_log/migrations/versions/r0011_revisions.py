"""Alembic keeps the revision, in the place of a number that was counted up by hand.

Programs from before refuse a database without their number: a file with another `user_version`, a
schema without the table `schema_version`.
"""

from alembic import op

from event_log.migrations.tables import is_there, on_sqlite

revision = "0011"
down_revision = "0010"


def upgrade(database: str) -> None:
    """Take the number away."""
    if on_sqlite():
        op.execute("PRAGMA user_version = 3")
    elif is_there("schema_version"):
        op.drop_table("schema_version")
