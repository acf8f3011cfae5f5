"""Inboxes know what each id said, so that it can't say something else later; positions, their time.

Files have `PRAGMA user_version` 2 from here on.

What an event said that was handled before is not known any more: its digest is empty, and a
delivery that comes again is taken for the same, as it was until now. When a position last moved is
known of the recorder alone, by what it recorded last; others have the beginning of 1970 until they
move on, so that nobody takes the hour of an upgrade for progress.
"""

from alembic import op

from event_log.migrations.tables import (
    add_column,
    create,
    data,
    number,
    on_sqlite,
    small,
    text,
    time,
    upgrade_one,
)

revision = "0004"
down_revision = "0003"

NOT_KNOWN = "'1970-01-01T00:00:00.000000Z'"
LAST_RECORDED = (
    "coalesce((SELECT max(recorded_time) FROM event_log "  # noqa: S608 a constant
    "WHERE event_log.topic = old.topic "
    f"AND event_log.partition = old.partition), {NOT_KNOWN})"
)


def upgrade(database: str) -> None:
    """Upgrade one of the databases."""
    upgrade_one(globals(), database)
    if on_sqlite():
        op.execute("PRAGMA user_version = 2")


def upgrade_event_log() -> None:
    """The log has every body: it needs no digest."""
    add_column("positions", time("moved_at"), LAST_RECORDED, _positions)


def upgrade_order() -> None:
    """Digests, and times of positions."""
    _digests_and_times()


def upgrade_payment() -> None:
    """Digests, and times of positions."""
    _digests_and_times()


def upgrade_warehouse() -> None:
    """Digests, and times of positions."""
    _digests_and_times()


def _digests_and_times() -> None:
    add_column("positions", time("moved_at"), NOT_KNOWN, _positions)
    add_column("inbox", data("digest"), "x''" if on_sqlite() else "''::bytea", _inbox)


def _positions() -> None:
    create(
        "positions",
        text("topic", key=True),
        small("partition", key=True),
        number("next_offset"),
        time("moved_at"),
    )


def _inbox() -> None:
    create(
        "inbox",
        text("event_id", key=True),
        text("topic"),
        small("partition"),
        number("offset"),
        data("digest"),
    )
