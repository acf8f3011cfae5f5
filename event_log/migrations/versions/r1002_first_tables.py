"""The baseline: what opening an empty place makes of the models. Nothing runs this."""

revision = "1002"
down_revision = None


def upgrade(database: str) -> None:
    """Change nothing: a database that has this revision was made with it."""
