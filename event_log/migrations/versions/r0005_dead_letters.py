"""Dead letters that are kept and sent again to their partition; services say that they live.

What waits in an outbox without a partition goes where its key says, as before.
"""

import sqlalchemy as sa

from event_log.migrations.tables import (
    add_column,
    create,
    data,
    number,
    small,
    text,
    time,
    upgrade_one,
    yes_or_no,
)

revision = "0005"
down_revision = "0004"

KEPT = "dead letters are kept for good"


def upgrade(database: str) -> None:
    """Upgrade one of the databases."""
    upgrade_one(globals(), database)


def upgrade_dead_letters() -> None:
    """Letters as they came, and what was done with them."""
    create("cluster", text("id", key=True))
    create(
        "letters",
        number("id", key=True),
        text("topic"),
        small("partition"),
        number("offset"),
        text("service"),
        text("reason"),
        time("time"),
        small("tries"),
        data("history"),
        data("key", null=True),
        data("headers"),
        data("body", null=True),
        sa.UniqueConstraint("topic", "partition", "offset", "service"),
        sa.Index("ix_letters_topic", "topic"),
        kept=KEPT,
    )
    create(
        "letter_actions",
        number("id", key=True),
        text("topic"),
        small("partition"),
        number("offset"),
        text("action"),
        time("at"),
        text("note"),
        data("key", null=True),
        data("headers", null=True),
        data("body", null=True),
        sa.Index("ix_letter_actions_topic", "topic"),
        kept=KEPT,
    )
    _outbox()
    create(
        "positions",
        text("topic", key=True),
        small("partition", key=True),
        number("next_offset"),
        time("moved_at"),
    )


def upgrade_event_log() -> None:
    """Partitions in the outbox, and heartbeats."""
    _partitions_and_workers()


def upgrade_order() -> None:
    """Partitions in the outbox, and heartbeats."""
    _partitions_and_workers()


def upgrade_payment() -> None:
    """Partitions in the outbox, and heartbeats."""
    _partitions_and_workers()


def upgrade_warehouse() -> None:
    """Partitions in the outbox, and heartbeats."""
    _partitions_and_workers()


def _partitions_and_workers() -> None:
    add_column("outbox", small("partition", null=True), "NULL", _outbox)
    create(
        "workers",
        text("service", key=True),
        text("process", key=True),
        time("started_at"),
        time("seen_at"),
    )


def _outbox() -> None:
    create(
        "outbox",
        number("id", key=True),
        text("topic"),
        small("partition", null=True),
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
