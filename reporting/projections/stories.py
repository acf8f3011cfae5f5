"""The orders' own stories: where each one is on its way, and when it came there."""

from typing import NamedTuple

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from domain.contracts import AuthorizationAccepted, NewOrder, OrderShipped
from domain.order import OrderState
from event_log.database import Int64
from reporting.projection import Projection, Told

# The value of an enum's member is a call in Python 3.11, and this is the hot path.
PLACED, ACCEPTED, DECLINED, SHIPPED = (
    state.value
    for state in (OrderState.PLACED, OrderState.ACCEPTED, OrderState.DECLINED, OrderState.SHIPPED)
)


class StoryRow(SQLModel, table=True):
    """What one order came to.

    Its amount is in minor units (`cents`), and is not known before the order was placed or decided.
    Each step has its position in the log, and the time at which its source said it. The log may
    have steps in another order than they were taken, or lack one for now.
    """

    __tablename__ = "order_stories"
    __table_args__ = (
        # Each gives orders by their business dates; with the amount in it, one that is asked for
        # is found by the index alone. The last one is for an amount that few orders have.
        *(
            Index(f"ix_order_stories_{name}", *columns, "order_id", "cents")
            for name, columns in (
                ("time", ("ordered_at",)),
                ("customer", ("customer_id", "ordered_at")),
                ("state", ("state", "reason", "ordered_at")),
            )
        ),
        Index("ix_order_stories_amount", "cents"),
        # No row id beside the key: that would be a second tree to write.
        {"sqlite_with_rowid": False},
    )
    order_id: str = Field(primary_key=True)
    state: str
    reason: str | None
    cents: int | None = Field(sa_type=Int64)
    currency: str | None
    customer_id: str
    ordered_at: str
    placed_position: int | None = Field(sa_type=Int64)
    placed_at: str | None
    authorized_position: int | None = Field(sa_type=Int64)
    authorized_at: str | None
    shipped_position: int | None = Field(sa_type=Int64)
    shipped_at: str | None


class Story(NamedTuple):
    """A row of the orders' stories."""

    order_id: str
    state: str
    reason: str | None
    cents: int | None
    currency: str | None
    customer_id: str
    ordered_at: str
    placed_position: int | None = None
    placed_at: str | None = None
    authorized_position: int | None = None
    authorized_at: str | None = None
    shipped_position: int | None = None
    shipped_at: str | None = None


CHECK = """
SELECT story.order_id,
    CASE WHEN authorized.type = 'shop.AuthorizationDeclined' THEN 'declined'
        WHEN shipped.position IS NOT NULL THEN 'shipped'
        WHEN authorized.position IS NOT NULL THEN 'accepted'
        ELSE 'placed' END AS state,
    CASE authorized.type WHEN 'shop.AuthorizationDeclined'
        THEN said(authorized.body) ->> 'reason' END AS reason,
    CAST(said(priced.body) -> 'amount' ->> 'cents' AS BIGINT) AS cents,
    said(priced.body) -> 'amount' ->> 'currency' AS currency,
    said(begun.body) ->> 'customer_id' AS customer_id,
    begun.business_time AS ordered_at,
    placed.position AS placed_position,
    placed.published_time AS placed_at,
    authorized.position AS authorized_position,
    authorized.published_time AS authorized_at,
    shipped.position AS shipped_position,
    shipped.published_time AS shipped_at
FROM (
    SELECT correlation_id AS order_id,
        min(position) AS begun,
        min(position) FILTER (WHERE type <> 'shop.OrderShipped') AS priced,
        min(position) FILTER (WHERE type = 'shop.NewOrder') AS placed,
        min(position) FILTER (WHERE type LIKE 'shop.Authorization%') AS authorized,
        min(position) FILTER (WHERE type = 'shop.OrderShipped') AS shipped
    FROM event_log WHERE position <= :position GROUP BY correlation_id
) AS story
LEFT JOIN event_log AS begun ON begun.position = story.begun
LEFT JOIN event_log AS priced ON priced.position = story.priced
LEFT JOIN event_log AS placed ON placed.position = story.placed
LEFT JOIN event_log AS authorized ON authorized.position = story.authorized
LEFT JOIN event_log AS shipped ON shipped.position = story.shipped
"""


def alone(told: Told) -> Story:
    """An event is one step of its order."""
    said, when, at, by = told.event, told.ordered_at, told.position, told.published_at
    if isinstance(said, OrderShipped):
        customer = said.customer_id
        known = (SHIPPED, None, None, None, customer, when, None, None, None, None, at, by)
        return Story(said.order_id, *known)
    cents, currency = said.amount.cents, said.amount.currency
    amount = (cents, currency, said.customer_id, when)
    if isinstance(said, NewOrder):
        return Story(said.order_id, PLACED, None, *amount, at, by)
    if isinstance(said, AuthorizationAccepted):
        return Story(said.order_id, ACCEPTED, None, *amount, None, None, at, by)
    return Story(said.order_id, DECLINED, said.reason.value, *amount, None, None, at, by)


def merge(before: Story, after: Story) -> Story:
    """Put steps together; of two of a kind the first one counts."""
    decided = before if before.authorized_position is not None else after
    priced = before if before.cents is not None else after
    placed = before if before.placed_position is not None else after
    shipped = before if before.shipped_position is not None else after
    return Story(
        before.order_id,
        _state(decided, shipped),
        decided.reason,
        priced.cents,
        priced.currency,
        before.customer_id,
        before.ordered_at,
        placed.placed_position,
        placed.placed_at,
        decided.authorized_position,
        decided.authorized_at,
        shipped.shipped_position,
        shipped.shipped_at,
    )


def _state(decided: Story, shipped: Story) -> str:
    # A declined order is at its end, whatever the warehouse says.
    if decided.reason is not None:
        return DECLINED
    if shipped.shipped_position is not None:
        return SHIPPED
    return PLACED if decided.authorized_position is None else ACCEPTED


PROJECTION = Projection(
    "stories", "Orders and their stories", StoryRow, Story._make, alone, merge, CHECK
)
