"""A replay's tables are there beforehand, and a projector is a service that says that it lives.

In Postgres the projector's role makes no tables: a replay empties its own, and fills them. One that
was stopped begins anew there. In SQLite a replay's tables still take the place of the live ones,
and are made each time; there, one that was stopped goes on.

A proof's position and number have 64 bits, as the log's positions have.
"""

import sqlalchemy as sa
from alembic import op

from event_log.migrations.tables import (
    BIG,
    create,
    data,
    number,
    on_sqlite,
    small,
    text,
    time,
    upgrade_one,
    yes_or_no,
)

revision = "0012"
down_revision = "0011"


def upgrade(database: str) -> None:
    """Upgrade one of the databases."""
    upgrade_one(globals(), database)


def upgrade_report() -> None:
    """How far replays and the projector are, heartbeats, and in Postgres the replays' tables."""
    create(
        "replayed",
        text("projection", key=True),
        number("position"),
        data("hash"),
        yes_or_no("refused"),
    )
    create(
        "positions",
        text("topic", key=True),
        small("partition", key=True),
        number("next_offset"),
        time("moved_at"),
    )
    create(
        "workers",
        text("service", key=True),
        text("process", key=True),
        time("started_at"),
        time("seen_at"),
    )
    if on_sqlite():
        return
    op.execute("DELETE FROM replayed")
    for table, parts in _replays().items():
        op.drop_table(table, if_exists=True)
        create(table, *parts)


def upgrade_proofs() -> None:
    """Wider integers."""
    if not on_sqlite():
        op.alter_column("proofs", "position", type_=BIG)
        op.alter_column("proofs", "id", type_=BIG)
        op.execute("ALTER SEQUENCE proofs_id_seq AS bigint")


def _replays() -> dict[str, list[sa.schema.SchemaItem]]:
    return {
        "revenue_by_day_replay": [
            text("day", key=True),
            text("currency", key=True),
            text("outcome", key=True),
            number("orders"),
            number("cents"),
        ],
        "customers_replay": [
            text("customer_id", key=True),
            text("currency", key=True),
            text("first_purchase", null=True),
            number("orders"),
            number("repeat_purchases"),
            number("accepted_cents"),
            text("last_purchase", null=True),
        ],
        "declines_by_month_replay": [
            text("month", key=True),
            text("currency", key=True),
            text("reason", key=True),
            number("orders"),
            number("cents"),
        ],
        "order_stories_replay": [
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
            *(
                sa.Index(f"ix_order_stories_replay_{name}", *columns)
                for name, columns in (
                    ("time", ("ordered_at", "order_id", "cents")),
                    ("customer", ("customer_id", "ordered_at", "order_id", "cents")),
                    ("state", ("state", "reason", "ordered_at", "order_id", "cents")),
                    ("amount", ("cents",)),
                )
            ),
        ],
        "late_by_month_replay": [
            text("month", key=True),
            text("currency", key=True),
            text("recorded", key=True),
            text("outcome", key=True),
            number("orders"),
            number("cents"),
        ],
        "revenue_growth_replay": [
            text("part", key=True),
            text("recorded", key=True),
            text("day", key=True),
            text("currency", key=True),
            text("outcome", key=True),
            number("orders"),
            number("cents"),
        ],
    }
