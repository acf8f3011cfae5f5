"""Finds orders in their stories: as fast among millions as among hundreds.

Every query walks an index in the order in which orders are shown, and ends with the page: it never
counts or sorts more than `FEW` rows. An amount that few orders have is looked up by the amounts.
Which rows are shown is found by an index alone, and only those rows are read whole.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from event_log.database import table_of
from reporting.dashboard.orders_asked import PAGE_SIZE, Asked, Kind, bounds
from reporting.projections.stories import Story, StoryRow

FEW = 2000
"""So many orders are sorted by their dates where an amount was looked up."""

_NEWEST_FIRST = "ORDER BY ordered_at DESC, order_id DESC"
_COLUMNS = ", ".join(f"story.{column.name}" for column in table_of(StoryRow).columns)


@dataclass(frozen=True)
class Found:
    """A page of orders, newest business date first, and whether there are more after it."""

    stories: tuple[Story, ...]
    more: bool


def find(connection: Connection, asked: Asked) -> Found:
    """The orders that are asked for."""
    statement, values = query(asked, few=_are_few(connection, asked))
    rows = connection.exec_driver_sql(statement, values).all()
    stories = tuple(Story._make(row) for row in rows[:PAGE_SIZE])
    if asked.has_amount:
        # The indexes have no currency; an amount in another one is another amount.
        stories = tuple(each for each in stories if each.currency == asked.currency)
    return Found(stories, len(rows) > PAGE_SIZE)


def story_of(connection: Connection, order_id: str) -> Story | None:
    """One order's story, if there is any."""
    row = connection.exec_driver_sql(
        f"SELECT {_COLUMNS} FROM order_stories AS story WHERE order_id = ?",  # noqa: S608 its names
        (order_id,),
    ).first()
    return None if row is None else Story._make(row)


def query(asked: Asked, *, few: bool) -> tuple[str, tuple[Any, ...]]:
    """The SELECT of a page and one row more, and its values.

    Args:
        asked: what is asked for.
        few: whether few orders have an amount in its bounds.
    """
    before = (asked.page - 1) * PAGE_SIZE
    some = PAGE_SIZE + 1
    if asked.customer is not None:
        branches = [_branch(asked, "customer_id", before + some)]
    elif few:
        branches = [_branch(asked, "cents", before + some)]
    elif asked.kinds is None:
        branches = [_branch(asked, "", before + some)]
    else:
        # Each state is in order by itself; so few rows of each are merged.
        branches = [_branch(asked, "state", before + some, kind) for kind in asked.kinds]
    found = " UNION ALL ".join(f"SELECT * FROM ({text})" for text, _ in branches)  # noqa: S608
    values = [value for _, those in branches for value in those]
    return (
        f"SELECT {_COLUMNS} FROM ({found} {_NEWEST_FIRST} LIMIT ? OFFSET ?) AS found "  # noqa: S608
        "CROSS JOIN order_stories AS story ON story.order_id = found.order_id "
        "ORDER BY found.ordered_at DESC, found.order_id DESC",
        (*values, some, before),
    )


def _are_few(connection: Connection, asked: Asked) -> bool:
    if not asked.has_amount or asked.customer is not None:
        return False
    amounts = [value for column, _, value in bounds(asked) if column == "cents"]
    counted = connection.exec_driver_sql(
        "SELECT count(*) FROM "
        "(SELECT 1 FROM order_stories WHERE cents >= ? AND cents <= ? LIMIT ?)",
        (*amounts, FEW + 1),
    ).scalar_one()
    return bool(counted <= FEW)


def _branch(asked: Asked, by: str, some: int, kind: Kind | None = None) -> tuple[str, list[object]]:
    """The first rows that one index gives; `by` is its first column, or empty for that of days.

    A plus before a column keeps the planner from another index, which would find more to sort.
    """
    conditions: list[str] = []
    values: list[object] = []
    if asked.customer is not None:
        conditions.append("customer_id = ?")
        values.append(asked.customer)
    if kind is not None:
        conditions.append("state = ? AND reason IS ?")
        values += kind
    elif asked.kinds is not None:
        conditions.append(f"({' OR '.join(['+state = ? AND +reason IS ?'] * len(asked.kinds))})")
        values += (value for each in asked.kinds for value in each)
    for column, comparison, value in bounds(asked):
        walked = column == ("cents" if by == "cents" else "ordered_at")
        conditions.append(f"{'' if walked else '+'}{column} {comparison} ?")
        values.append(value)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT order_id, ordered_at FROM order_stories{where} {_NEWEST_FIRST} LIMIT ?",  # noqa: S608
        [*values, some],
    )
