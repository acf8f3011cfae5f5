"""Revenue as it grew: what each part of the log added, so that looking back is quick."""

from typing import NamedTuple

from sqlmodel import Field, SQLModel

from event_log.database import Int64
from event_log.sums import Whole
from reporting.projection import Projection, Told
from reporting.projections.revenue import alone as revenue_of

POSITIONS = 1000
"""How many positions of the log one part has."""


class GrowthRow(SQLModel, table=True):
    """What one part of the log added to one day's (UTC, of `ordered_at`) one outcome.

    Part ``000000000002`` has positions 2,001 to 3,000; `recorded` is the day on which they were
    recorded, and `cents` are minor units.
    """

    __tablename__ = "revenue_growth"
    part: str = Field(primary_key=True)
    recorded: str = Field(primary_key=True)
    day: str = Field(primary_key=True)
    currency: str = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    orders: int = Field(sa_type=Int64)
    cents: int = Field(sa_type=Whole)


class Growth(NamedTuple):
    """A row of growth; a declined order's outcome is its reason."""

    part: str
    recorded: str
    day: str
    currency: str
    outcome: str
    orders: int
    cents: int


CHECK = """
SELECT substr(CAST(1000000000000 + (position - 1) / 1000 AS TEXT), 2) AS part,
    substr(recorded_time, 1, 10) AS recorded,
    substr(business_time, 1, 10) AS day,
    said -> 'amount' ->> 'currency' AS currency,
    coalesce(said ->> 'reason', 'accepted') AS outcome,
    count(*) AS orders,
    summed(CAST(said -> 'amount' ->> 'cents' AS BIGINT)) AS cents
FROM (
    SELECT position, recorded_time, business_time, said(body) AS said FROM event_log
    WHERE position <= :position
        AND type IN ('shop.AuthorizationAccepted', 'shop.AuthorizationDeclined')
) AS bodies
GROUP BY 1, 2, 3, 4, 5
"""


def part_of(position: int) -> str:
    """The part that a position of the log belongs to."""
    return f"{(position - 1) // POSITIONS:012}"


def alone(told: Told) -> Growth | None:
    """An authorization is an order of the day (UTC) on which it was placed."""
    row = revenue_of(told)
    if row is None:
        return None
    return Growth(part_of(told.position), told.recorded_at[:10], *row)


def merge(before: Growth, after: Growth) -> Growth:
    """Add up."""
    return before._replace(orders=before.orders + after.orders, cents=before.cents + after.cents)


PROJECTION = Projection(
    "growth", "Revenue as it grew", GrowthRow, Growth._make, alone, merge, CHECK
)
