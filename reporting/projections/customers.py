"""Customers: when they first bought, how often again, and what they brought so far."""

from typing import NamedTuple

from sqlmodel import Field, SQLModel

from domain.contracts import AuthorizationAccepted, AuthorizationDeclined
from event_log.database import Int64
from event_log.sums import Whole
from reporting.projection import Projection, Told


class CustomerRow(SQLModel, table=True):
    """What one customer ordered and bought; a purchase is an order that was accepted.

    `orders` are those that were decided, so that all customers' add up to the report's. Times are
    business time; `repeat_purchases` are all but the first; `accepted_cents` are minor units.
    """

    __tablename__ = "customers"
    customer_id: str = Field(primary_key=True)
    currency: str = Field(primary_key=True)
    first_purchase: str | None
    orders: int = Field(sa_type=Int64)
    repeat_purchases: int = Field(sa_type=Int64)
    accepted_cents: int = Field(sa_type=Whole)
    last_purchase: str | None


class Customer(NamedTuple):
    """A row of customers."""

    customer_id: str
    currency: str
    first_purchase: str | None
    orders: int
    repeat_purchases: int
    accepted_cents: int
    last_purchase: str | None


CHECK = """
SELECT customer_id, currency,
    min(business_time) FILTER (WHERE accepted) AS first_purchase,
    count(*) AS orders,
    CASE WHEN count(*) FILTER (WHERE accepted) = 0 THEN 0
        ELSE count(*) FILTER (WHERE accepted) - 1 END AS repeat_purchases,
    summed(CASE WHEN accepted THEN cents END) AS accepted_cents,
    max(business_time) FILTER (WHERE accepted) AS last_purchase
FROM (
    SELECT said ->> 'customer_id' AS customer_id,
        said -> 'amount' ->> 'currency' AS currency,
        CAST(said -> 'amount' ->> 'cents' AS BIGINT) AS cents,
        type = 'shop.AuthorizationAccepted' AS accepted,
        business_time
    FROM (
        SELECT type, business_time, said(body) AS said FROM event_log
        WHERE position <= :position
            AND type IN ('shop.AuthorizationAccepted', 'shop.AuthorizationDeclined')
    ) AS bodies
) AS authorizations
GROUP BY customer_id, currency
"""


def alone(told: Told) -> Customer | None:
    """An authorization is an order; an accepted one is a purchase."""
    said = told.event
    if isinstance(said, AuthorizationAccepted):
        when, cents = told.ordered_at, said.amount.cents
        return Customer(said.customer_id, said.amount.currency, when, 1, 0, cents, when)
    if isinstance(said, AuthorizationDeclined):
        return Customer(said.customer_id, said.amount.currency, None, 1, 0, 0, None)
    return None


def merge(before: Customer, after: Customer) -> Customer:
    """Add up; orders may be decided in another order than they were placed."""
    one, other = (before, after) if before.first_purchase is not None else (after, before)
    first, last, repeats = one.first_purchase, one.last_purchase, one.repeat_purchases
    if first is not None and last is not None and other.first_purchase is not None:
        first = min(first, other.first_purchase)
        last = max(last, other.last_purchase or last)
        repeats += other.repeat_purchases + 1
    return Customer(
        before.customer_id,
        before.currency,
        first,
        before.orders + after.orders,
        repeats,
        before.accepted_cents + after.accepted_cents,
        last,
    )


PROJECTION = Projection("customers", "Customers", CustomerRow, Customer._make, alone, merge, CHECK)
