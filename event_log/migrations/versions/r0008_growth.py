"""What each part of the log added to the revenue."""

from event_log.migrations.tables import create, number, text, upgrade_one

revision = "0008"
down_revision = "0007"


def upgrade(database: str) -> None:
    """Upgrade one of the databases."""
    upgrade_one(globals(), database)


def upgrade_report() -> None:
    """One more projection."""
    create(
        "revenue_growth",
        text("part", key=True),
        text("recorded", key=True),
        text("day", key=True),
        text("currency", key=True),
        text("outcome", key=True),
        number("orders"),
        number("cents"),
    )
