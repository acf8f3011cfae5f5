"""Which revision a database is at: what Alembic noted, or else what its tables look like."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from domain.errors import StoreError
from event_log.revisions import CURRENT, newer, revision

DATABASES = ("event_log", "order", "payment", "warehouse", "report", "dead_letters", "proofs")
"""The databases by name; a revision has a function for each that it changes."""

LAST_WITHOUT = "0010"
"""The last revision that databases were at before Alembic noted it."""

_OWN = {
    "event_log": "event_log",
    "order": "orders",
    "payment": "account_events",
    "warehouse": "parcels",
    "report": "projected",
    "dead_letters": "letters",
    "proofs": "proofs",
}
_STORIES = {
    ("ordered_at", "order_id", "cents"),
    ("customer_id", "ordered_at", "order_id", "cents"),
    ("state", "reason", "ordered_at", "order_id", "cents"),
    ("cents",),
}


@dataclass(frozen=True)
class _Looks:
    """A database's tables, as they are."""

    looked: sa.Inspector
    tables: Collection[str]

    def has(self, *tables: str) -> bool:
        return set(tables) <= set(self.tables)

    def has_column(self, table: str, column: str) -> bool:
        return any(each["name"] == column for each in self.looked.get_columns(table))

    def indexes(self, table: str) -> set[tuple[str | None, ...]]:
        return {tuple(each["column_names"]) for each in self.looked.get_indexes(table)}


_Change = tuple[str, Callable[[_Looks], bool]]

_SERVICES: tuple[_Change, ...] = (
    ("0004", lambda looks: looks.has_column("positions", "moved_at")),
    ("0005", lambda looks: looks.has("workers") and looks.has_column("outbox", "partition")),
)
_CHANGES: dict[str, tuple[_Change, ...]] = {
    "event_log": _SERVICES,
    "order": (("0003", lambda looks: looks.has("requests")), *_SERVICES),
    "payment": _SERVICES,
    "warehouse": _SERVICES,
    "report": (
        ("0002", lambda looks: looks.has_column("projected", "hash")),
        ("0006", lambda looks: looks.has("customers", "declines_by_month", "order_stories")),
        ("0007", lambda looks: looks.has("late_by_month")),
        ("0008", lambda looks: looks.has("revenue_growth")),
        ("0009", lambda looks: looks.indexes("order_stories") == _STORIES),
    ),
    "dead_letters": (),
    "proofs": (),
}
"""What revisions changed before Alembic noted them, and how that is seen."""


def find_revision(connection: Connection, place: object, database: str) -> str | None:
    """The revision that a database is at; `None` where it is empty.

    Without a note it is the last one before the first whose change is missing. A table of a later
    one may be there nevertheless: programs made what was missing when they opened a database.

    Args:
        connection: a connection to it.
        place: where it is, for messages.
        database: which one it should be.

    Raises:
        StoreError: it is none of ours, or of a program after this one.
    """
    found = revision(connection)
    if found is not None:
        if found > CURRENT:
            raise newer(place, found)
        return found
    looked = sa.inspect(connection)
    looks = _Looks(looked, looked.get_table_names())
    if not looks.tables:
        return None
    if not looks.has("cluster", _OWN[database]):
        raise StoreError(
            f"database {place} has tables, but not those of {database}: {', '.join(looks.tables)}. "
            "Something else made it, and nothing is changed"
        )
    for changed_by, is_changed in _CHANGES[database]:
        if not is_changed(looks):
            return f"{int(changed_by) - 1:04}"
    return LAST_WITHOUT
