"""Finds orders in their stories: as fast among millions as among hundreds.

Every query walks an index in the order in which orders are shown, and ends with the page: it never
counts or sorts more than `FEW` rows. An amount that few orders have is looked up by the amounts.
Which rows are shown is found by an index alone, and only those rows are read whole.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from event_log.database import table_of
from reporting.dashboard.orders_asked import PAGE_SIZE, Asked, Kind, bounds
from reporting.projections.stories import Story, StoryRow

FEW = 2000
"""So many orders are sorted by their dates where an amount was looked up."""

_NEWEST_FIRST = "ORDER BY ordered_at DESC, order_id DESC"
_COLUMNS = ", ".join(f"story.{column.name}" for column in table_of(StoryRow).columns)
# SQLite reads both sides of a CROSS JOIN in the order in which they are written.
_JOINED = {"sqlite": "CROSS JOIN", "postgresql": "JOIN"}
_ONE = text(f"SELECT {_COLUMNS} FROM order_stories AS story WHERE order_id = :id")  # noqa: S608
_COUNT = text(
    "SELECT count(*) FROM (SELECT 1 FROM order_stories "
    "WHERE cents >= :least AND cents <= :most LIMIT :some) AS few"
)

Values = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """A page of orders, newest business date first, and whether there are more after it."""

    stories: tuple[Story, ...]
    more: bool


def find(connection: Connection, asked: Asked) -> Found:
    """The orders that are asked for."""
    if "\0" in (asked.customer or ""):
        # No text in Postgres has one.
        return Found((), more=False)
    few = _are_few(connection, asked)
    statement, values = query(asked, few=few, dialect=connection.dialect.name)
    rows = connection.execute(text(statement), values).all()
    stories = tuple(Story._make(row) for row in rows[:PAGE_SIZE])
    if asked.has_amount:
        # The indexes have no currency; an amount in another one is another amount.
        stories = tuple(each for each in stories if each.currency == asked.currency)
    return Found(stories, len(rows) > PAGE_SIZE)


def story_of(connection: Connection, order_id: str) -> Story | None:
    """One order's story, if there is any."""
    if "\0" in order_id:
        return None
    row = connection.execute(_ONE, {"id": order_id}).first()
    return None if row is None else Story._make(row)


def query(asked: Asked, *, few: bool, dialect: str = "sqlite") -> tuple[str, Values]:
    """The SELECT of a page and one row more, and its values by name.

    Args:
        asked: what is asked for.
        few: whether few orders have an amount in its bounds.
        dialect: ``sqlite`` or ``postgresql``.
    """
    values: Values = {}
    before = (asked.page - 1) * PAGE_SIZE
    some = PAGE_SIZE + 1
    if asked.customer is not None:
        branches = [_branch(asked, "customer_id", values)]
    elif few:
        branches = [_branch(asked, "cents", values)]
    elif asked.kinds is None:
        branches = [_branch(asked, "", values)]
    else:
        # Each state is in order by itself; so few rows of each are merged.
        branches = [_branch(asked, "state", values, kind) for kind in asked.kinds]
    found = " UNION ALL ".join(
        f"SELECT * FROM ({branch}) AS branch_{number}"  # noqa: S608
        for number, branch in enumerate(branches)
    )
    return (
        f"SELECT {_COLUMNS} FROM "  # noqa: S608
        f"({found} {_NEWEST_FIRST} LIMIT :some OFFSET :before) AS found "
        f"{_JOINED[dialect]} order_stories AS story ON story.order_id = found.order_id "
        "ORDER BY found.ordered_at DESC, found.order_id DESC",
        {**values, "some": some, "before": before, "both": before + some},
    )


def _are_few(connection: Connection, asked: Asked) -> bool:
    if not asked.has_amount or asked.customer is not None:
        return False
    least, most = (value for column, _, value in bounds(asked) if column == "cents")
    asked_of = {"least": least, "most": most, "some": FEW + 1}
    counted = connection.execute(_COUNT, asked_of).scalar_one()
    return bool(counted <= FEW)


def _branch(asked: Asked, by: str, values: Values, kind: Kind | None = None) -> str:
    """The first rows that one index gives; `by` is its first column, or empty for that of days.

    What is done to a column without changing it keeps the planner from another index, which would
    find more to sort. The values of conditions are added to `values`, each under a name of its own.
    """

    def given(value: object) -> str:
        name = f"value_{len(values)}"
        values[name] = value
        return f":{name}"

    def of_kind(kind: Kind, state: str, reason: str) -> str:
        is_reason = "IS NULL" if kind[1] is None else f"= {given(kind[1])}"
        return f"{state} = {given(kind[0])} AND {reason} {is_reason}"

    conditions: list[str] = []
    if asked.customer is not None:
        conditions.append(f"customer_id = {given(asked.customer)}")
    if kind is not None:
        conditions.append(of_kind(kind, "state", "reason"))
    elif asked.kinds is not None:
        kinds = (of_kind(each, "state || ''", "reason || ''") for each in asked.kinds)
        conditions.append(f"({' OR '.join(kinds)})")
    for column, comparison, value in bounds(asked):
        walked = column == ("cents" if by == "cents" else "ordered_at")
        same = f"{column} + 0" if column == "cents" else f"{column} || ''"
        conditions.append(f"{column if walked else same} {comparison} {given(value)}")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT order_id, ordered_at FROM order_stories{where} "  # noqa: S608 its own names
        f"{_NEWEST_FIRST} LIMIT :both"
    )
