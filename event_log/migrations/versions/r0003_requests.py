"""The order service asks the payment service, and keeps what it asked until it is answered."""

import sqlalchemy as sa

from event_log.migrations.tables import create, data, text, time, upgrade_one

revision = "0003"
down_revision = "0002"


def upgrade(database: str) -> None:
    """Upgrade one of the databases."""
    upgrade_one(globals(), database)


def upgrade_order() -> None:
    """Requests, and how they stand."""
    create(
        "requests",
        text("correlation_id", key=True),
        text("order_id"),
        text("state"),
        text("outcome", null=True),
        data("order"),
        time("asked_at"),
        time("expires_at"),
        time("settled_at", null=True),
        sa.Index("ix_requests_order_id", "order_id"),
        sa.Index("ix_requests_state", "state"),
    )
