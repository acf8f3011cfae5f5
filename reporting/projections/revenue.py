"""Revenue by day: orders and cents, accepted or declined and why."""

from domain.contracts import AuthorizationAccepted, AuthorizationDeclined
from reporting.projection import Projection, Told
from reporting.revenue import ACCEPTED, Revenue, RevenueRow

CHECK = """
SELECT substr(business_time, 1, 10) AS day,
    said -> 'amount' ->> 'currency' AS currency,
    CASE type WHEN 'shop.AuthorizationAccepted' THEN 'accepted'
        ELSE said ->> 'reason' END AS outcome,
    count(*) AS orders,
    summed(CAST(said -> 'amount' ->> 'cents' AS BIGINT)) AS cents
FROM (
    SELECT type, business_time, said(body) AS said FROM event_log
    WHERE position <= :position
        AND type IN ('shop.AuthorizationAccepted', 'shop.AuthorizationDeclined')
) AS bodies
GROUP BY 1, 2, 3
"""


def alone(told: Told) -> Revenue | None:
    """An authorization is an order of the day (UTC) on which it was placed."""
    said = told.event
    if isinstance(said, AuthorizationAccepted):
        outcome = ACCEPTED
    elif isinstance(said, AuthorizationDeclined):
        outcome = said.reason.value
    else:
        return None
    return Revenue(told.ordered_at[:10], said.amount.currency, outcome, 1, said.amount.cents)


def merge(before: Revenue, after: Revenue) -> Revenue:
    """Add up."""
    day, currency, outcome, orders, cents = before
    return Revenue(day, currency, outcome, orders + after.orders, cents + after.cents)


PROJECTION = Projection("revenue", "Revenue by day", RevenueRow, Revenue._make, alone, merge, CHECK)
