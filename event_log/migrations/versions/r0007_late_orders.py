"""Orders that were recorded when their month was over."""

from event_log.migrations.tables import create, number, text, upgrade_one

revision = "0007"
down_revision = "0006"


def upgrade(database: str) -> None:
    """Upgrade one of the databases."""
    upgrade_one(globals(), database)


def upgrade_report() -> None:
    """One more projection."""
    create(
        "late_by_month",
        text("month", key=True),
        text("currency", key=True),
        text("recorded", key=True),
        text("outcome", key=True),
        number("orders"),
        number("cents"),
    )
