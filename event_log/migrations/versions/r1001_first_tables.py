"""The first tables of all databases: what opening an empty place makes of the models.

Nothing runs this: there is nothing to upgrade them from, and a new database is made by whoever
opens it. What earlier versions left is refused, for their ids of orders are others.
"""

revision = "1001"
down_revision = None


def upgrade(database: str) -> None:
    """Nothing: a database that has this revision was made with it."""
