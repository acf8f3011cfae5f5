"""Results of proofs are kept."""

from event_log.migrations.tables import create, data, small, text, time, upgrade_one, yes_or_no

revision = "0010"
down_revision = "0009"


def upgrade(database: str) -> None:
    """Upgrade one of the databases."""
    upgrade_one(globals(), database)


def upgrade_proofs() -> None:
    """One row a proof."""
    create("cluster", text("id", key=True))
    create(
        "proofs",
        small("id", key=True),
        time("ended_at"),
        small("position"),
        data("hash"),
        yes_or_no("holds"),
        data("parts"),
        kept="results of proofs are kept for good",
    )
