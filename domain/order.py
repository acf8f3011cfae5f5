"""An order's way: placed, then declined, or accepted and shipped."""

from dataclasses import dataclass, replace
from enum import StrEnum

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    NewOrder,
    OrderShipped,
    Reason,
    ShipOrder,
)


class OrderState(StrEnum):
    """Where an order is on its way; declined and shipped are the ends."""

    PLACED = "placed"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    SHIPPED = "shipped"


END_STATES = frozenset({OrderState.DECLINED, OrderState.SHIPPED})


@dataclass(frozen=True)
class Order:
    """The order service's view of one order."""

    order_id: str
    state: OrderState
    reason: Reason | None = None


OrderEvent = NewOrder | AuthorizationAccepted | AuthorizationDeclined | OrderShipped


def follow(order: Order | None, event: OrderEvent) -> tuple[Order | None, ShipOrder | None]:
    """Take an event of an order into its state, and say what to send.

    Only the step from placed to accepted sends ShipOrder, so a repeat sends nothing. Events that
    arrive late, twice or out of turn never take an order back. An event that concerns an order
    that was not placed yet gives ``(None, None)``: the caller keeps it until NewOrder is known.
    """
    if isinstance(event, NewOrder):
        return order or Order(event.order_id, OrderState.PLACED), None
    if order is None or order.state in END_STATES:
        return order, None
    if isinstance(event, OrderShipped):
        if order.state is not OrderState.ACCEPTED:
            return None, None
        return replace(order, state=OrderState.SHIPPED), None
    if order.state is not OrderState.PLACED:
        return order, None
    if isinstance(event, AuthorizationDeclined):
        return replace(order, state=OrderState.DECLINED, reason=event.reason), None
    return replace(order, state=OrderState.ACCEPTED), ShipOrder(event)
