"""Orders are found by what Finance asks for: indexes that have all that a page of them shows."""

from alembic import op

from event_log.migrations.tables import drop_indexes, upgrade_one

revision = "0009"
down_revision = "0008"

INDEXES = {
    "ix_order_stories_time": ("ordered_at", "order_id", "cents"),
    "ix_order_stories_customer": ("customer_id", "ordered_at", "order_id", "cents"),
    "ix_order_stories_state": ("state", "reason", "ordered_at", "order_id", "cents"),
    "ix_order_stories_amount": ("cents",),
}


def upgrade(database: str) -> None:
    """Upgrade one of the databases."""
    upgrade_one(globals(), database)


def upgrade_report() -> None:
    """Other indexes in the place of those that were there."""
    drop_indexes("order_stories")
    for name, columns in INDEXES.items():
        op.create_index(name, "order_stories", list(columns))
