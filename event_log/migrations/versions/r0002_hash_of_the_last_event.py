"""Projections know which log they were made from, by the hash of the last event in them.

That hash is in the log, which is another database. Rows of which nobody knows what log they are of
are worth nothing, and the log makes them anew: the projection begins at its first event again.
"""

from alembic import op

from event_log.migrations.tables import create, data, number, text, upgrade_one

revision = "0002"
down_revision = "0001"


def upgrade(database: str) -> None:
    """Upgrade one of the databases."""
    upgrade_one(globals(), database)


def upgrade_report() -> None:
    """Begin anew, with the hash."""
    op.execute("DELETE FROM revenue_by_day")
    op.drop_table("projected")
    create("projected", text("projection", key=True), number("position"), data("hash"))
