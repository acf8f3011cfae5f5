"""Declines by reason and month: how many orders, and what they would have brought."""

from typing import NamedTuple

from sqlmodel import Field, SQLModel

from domain.contracts import AuthorizationDeclined
from event_log.database import Int64
from event_log.sums import Whole
from reporting.projection import Projection, Told


class DeclinesRow(SQLModel, table=True):
    """What one month (UTC, of `ordered_at`) lost for one reason; `cents` are minor units."""

    __tablename__ = "declines_by_month"
    month: str = Field(primary_key=True)
    currency: str = Field(primary_key=True)
    reason: str = Field(primary_key=True)
    orders: int = Field(sa_type=Int64)
    cents: int = Field(sa_type=Whole)


class Declines(NamedTuple):
    """A row of declines."""

    month: str
    currency: str
    reason: str
    orders: int
    cents: int


CHECK = """
SELECT substr(business_time, 1, 7) AS month,
    said -> 'amount' ->> 'currency' AS currency,
    said ->> 'reason' AS reason,
    count(*) AS orders,
    summed(CAST(said -> 'amount' ->> 'cents' AS BIGINT)) AS cents
FROM (
    SELECT business_time, said(body) AS said FROM event_log
    WHERE position <= :position AND type = 'shop.AuthorizationDeclined'
) AS bodies
GROUP BY 1, 2, 3
"""


def alone(told: Told) -> Declines | None:
    """A declined authorization is one order that brought nothing."""
    said = told.event
    if not isinstance(said, AuthorizationDeclined):
        return None
    month, reason = told.ordered_at[:7], said.reason.value
    return Declines(month, said.amount.currency, reason, 1, said.amount.cents)


def merge(before: Declines, after: Declines) -> Declines:
    """Add up."""
    return before._replace(orders=before.orders + after.orders, cents=before.cents + after.cents)


PROJECTION = Projection(
    "declines", "Declines by reason and month", DeclinesRow, Declines._make, alone, merge, CHECK
)
