"""Customers, declines and the orders' stories beside the revenue."""

import sqlalchemy as sa

from event_log.migrations.tables import create, number, text, upgrade_one

revision = "0006"
down_revision = "0005"


def upgrade(database: str) -> None:
    """Upgrade one of the databases."""
    upgrade_one(globals(), database)


def upgrade_report() -> None:
    """Three projections; each begins at the log's first event."""
    create(
        "customers",
        text("customer_id", key=True),
        text("currency", key=True),
        text("first_purchase", null=True),
        number("orders"),
        number("repeat_purchases"),
        number("accepted_cents"),
        text("last_purchase", null=True),
    )
    create(
        "declines_by_month",
        text("month", key=True),
        text("currency", key=True),
        text("reason", key=True),
        number("orders"),
        number("cents"),
    )
    create(
        "order_stories",
        text("order_id", key=True),
        text("state"),
        text("reason", null=True),
        number("cents", null=True),
        text("currency", null=True),
        text("customer_id"),
        text("ordered_at"),
        number("placed_position", null=True),
        text("placed_at", null=True),
        number("authorized_position", null=True),
        text("authorized_at", null=True),
        number("shipped_position", null=True),
        text("shipped_at", null=True),
        sa.Index("ix_order_stories_customer_id", "customer_id"),
        sa.Index("ix_order_stories_ordered_at", "ordered_at"),
        with_rowid=False,
    )
