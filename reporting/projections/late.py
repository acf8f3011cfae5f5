"""Late orders: recorded when the month that they belong to was over."""

from typing import NamedTuple

from sqlmodel import Field, SQLModel

from event_log.database import Int64
from event_log.sums import Whole
from reporting.projection import Projection, Told
from reporting.projections.revenue import alone as revenue_of


class LateRow(SQLModel, table=True):
    """What came too late for one month (UTC, of `ordered_at`), by the day on which it was recorded.

    It is a part of the revenue: the same orders and `cents`, which are minor units.
    """

    __tablename__ = "late_by_month"
    month: str = Field(primary_key=True)
    currency: str = Field(primary_key=True)
    recorded: str = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    orders: int = Field(sa_type=Int64)
    cents: int = Field(sa_type=Whole)


class Late(NamedTuple):
    """A row of late orders; a declined order's outcome is its reason."""

    month: str
    currency: str
    recorded: str
    outcome: str
    orders: int
    cents: int


CHECK = """
SELECT month, currency, recorded, outcome, count(*) AS orders, summed(cents) AS cents
FROM (
    SELECT substr(business_time, 1, 7) AS month,
        said -> 'amount' ->> 'currency' AS currency,
        substr(recorded_time, 1, 10) AS recorded,
        coalesce(said ->> 'reason', 'accepted') AS outcome,
        CAST(said -> 'amount' ->> 'cents' AS BIGINT) AS cents
    FROM (
        SELECT business_time, recorded_time, said(body) AS said FROM event_log
        WHERE position <= :position
            AND type IN ('shop.AuthorizationAccepted', 'shop.AuthorizationDeclined')
            AND substr(business_time, 1, 7) < substr(recorded_time, 1, 7)
    ) AS bodies
) AS authorizations
GROUP BY 1, 2, 3, 4
"""


def is_late(ordered_at: str, recorded_at: str) -> bool:
    """Whether the month (UTC) of an order was over when it was recorded; times as the log's."""
    return ordered_at[:7] < recorded_at[:7]


def alone(told: Told) -> Late | None:
    """An authorization is an order; it is one here if its month was reported already."""
    row = revenue_of(told) if is_late(told.ordered_at, told.recorded_at) else None
    if row is None:
        return None
    return Late(row.day[:7], row.currency, told.recorded_at[:10], row.outcome, 1, row.cents)


def merge(before: Late, after: Late) -> Late:
    """Add up."""
    month, currency, recorded, outcome, orders, cents = before
    return Late(month, currency, recorded, outcome, orders + after.orders, cents + after.cents)


PROJECTION = Projection("late", "Late orders by month", LateRow, Late._make, alone, merge, CHECK)
