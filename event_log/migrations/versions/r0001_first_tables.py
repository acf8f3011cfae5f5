"""Log, orders, accounts, parcels and the report, as the first program made them.

Databases had no number then: `PRAGMA user_version` is 0.
"""

import sqlalchemy as sa

from event_log.migrations.tables import (
    create,
    data,
    number,
    small,
    text,
    time,
    upgrade_one,
    yes_or_no,
)

revision = "0001"
down_revision = None


def upgrade(database: str) -> None:
    """Upgrade one of the databases."""
    upgrade_one(globals(), database)


def upgrade_event_log() -> None:
    """The log, and deliveries of what it has already."""
    _cluster()
    create(
        "event_log",
        number("position", key=True),
        text("event_id"),
        text("type"),
        small("version"),
        text("source"),
        text("subject"),
        text("correlation_id"),
        text("causation_id", null=True),
        time("business_time"),
        time("published_time"),
        time("recorded_time"),
        text("topic"),
        small("partition"),
        number("offset"),
        data("body"),
        data("hash"),
        sa.UniqueConstraint("topic", "partition", "offset"),
        sa.UniqueConstraint("event_id"),
        sa.Index("ix_event_log_correlation_id", "correlation_id"),
        kept="the event log is append-only",
    )
    create(
        "repeats",
        text("topic", key=True),
        small("partition", key=True),
        number("offset", key=True),
        text("event_id"),
    )
    _outbox()
    _positions()


def upgrade_order() -> None:
    """Orders, and events that came before their turn."""
    _cluster()
    create(
        "orders",
        text("order_id", key=True),
        text("state"),
        text("reason", null=True),
        sa.Index("ix_orders_state", "state"),
    )
    create(
        "early",
        text("event_id", key=True),
        text("order_id"),
        text("topic"),
        small("partition"),
        number("offset"),
        data("key", null=True),
        data("headers"),
        data("body", null=True),
        sa.Index("ix_early_order_id", "order_id"),
    )
    _inbox()
    _outbox()
    _positions()


def upgrade_payment() -> None:
    """What the accounts decided."""
    _cluster()
    create(
        "account_events",
        number("id", key=True),
        text("customer_id"),
        text("order_id"),
        text("type"),
        data("body"),
        sa.UniqueConstraint("order_id"),
        sa.Index("ix_account_events_customer_id", "customer_id"),
    )
    _inbox()
    _outbox()
    _positions()


def upgrade_warehouse() -> None:
    """Parcels that have left."""
    _cluster()
    create("parcels", text("order_id", key=True), text("customer_id"), small("items"))
    _inbox()
    _outbox()
    _positions()


def upgrade_report() -> None:
    """Revenue by day, and how far it has read the log."""
    _cluster()
    create("projected", text("projection", key=True), number("position"))
    create(
        "revenue_by_day",
        text("day", key=True),
        text("currency", key=True),
        text("outcome", key=True),
        number("orders"),
        number("cents"),
    )


def _cluster() -> None:
    create("cluster", text("id", key=True))


def _inbox() -> None:
    create("inbox", text("event_id", key=True), text("topic"), small("partition"), number("offset"))


def _outbox() -> None:
    create(
        "outbox",
        number("id", key=True),
        text("topic"),
        data("key", null=True),
        data("headers"),
        data("body", null=True),
        yes_or_no("published"),
        sa.Index(
            "outbox_waiting",
            "id",
            sqlite_where=sa.text("published IS 0"),
            postgresql_where=sa.text("published IS FALSE"),
        ),
    )


def _positions() -> None:
    create(
        "positions", text("topic", key=True), small("partition", key=True), number("next_offset")
    )
