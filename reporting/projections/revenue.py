"""Revenue by day: orders and cents, accepted or declined and why."""

from domain.contracts import AuthorizationAccepted, AuthorizationDeclined
from reporting.projection import Key, Projection, Told
from reporting.revenue import ACCEPTED, Revenue, RevenueRow

CHECK = """
SELECT substr(business_time, 1, 10) AS day,
    json_extract(said, '$.amount.currency') AS currency,
    CASE type WHEN 'shop.AuthorizationAccepted' THEN 'accepted'
        ELSE json_extract(said, '$.reason') END AS outcome,
    count(*) AS orders,
    sum(json_extract(said, '$.amount.cents')) AS cents
FROM (
    SELECT type, business_time, CAST(body AS TEXT) AS said FROM event_log
    WHERE position <= :position
        AND type IN ('shop.AuthorizationAccepted', 'shop.AuthorizationDeclined')
)
GROUP BY 1, 2, 3
"""


def key(told: Told) -> Key | None:
    """The day (UTC, of `ordered_at`), the currency and the outcome of an authorization."""
    said = told.event
    if isinstance(said, AuthorizationAccepted):
        return told.ordered_at[:10], said.amount.currency, ACCEPTED
    if isinstance(said, AuthorizationDeclined):
        return told.ordered_at[:10], said.amount.currency, said.reason.value
    return None


def step(before: Revenue | None, told: Told) -> Revenue:
    """Add an authorization."""
    said = told.event
    assert isinstance(said, AuthorizationAccepted | AuthorizationDeclined)
    if before is None:
        day, currency, outcome = key(told) or ("", "", "")
        return Revenue(day, currency, outcome, 1, said.amount.cents)
    day, currency, outcome, orders, cents = before
    return Revenue(day, currency, outcome, orders + 1, cents + said.amount.cents)


PROJECTION = Projection(
    "revenue", "Revenue by day", RevenueRow, key, step, Revenue._make, CHECK
)
