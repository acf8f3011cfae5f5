from datetime import UTC, datetime
from itertools import permutations

import pytest

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    NewOrder,
    OrderShipped,
    Reason,
    ShipOrder,
)
from domain.money import Money
from domain.order import Order, OrderEvent, OrderState, follow

AT = datetime(1997, 1, 1, tzinfo=UTC)
PAID = Money(100, "USD")
NEW = NewOrder("test/1", "00001", AT, PAID, 1, "1 Order Street")
ACCEPTED = AuthorizationAccepted("test/1", "00001", AT, PAID, 1)
DECLINED = AuthorizationDeclined("test/1", "00001", AT, PAID, 1, Reason.NO_FUNDS)
SHIPPED = OrderShipped("test/1", "00001", AT, 1)


def follow_all(events: list[OrderEvent]) -> tuple[Order | None, list[ShipOrder]]:
    """Follow events as the service does: what has no turn yet is tried again after each change."""
    order: Order | None = None
    sent = []
    waiting = list(events)
    early: list[OrderEvent] = []
    while waiting:
        event = waiting.pop(0)
        after, message = follow(order, event)
        if after is None:
            early.append(event)
            continue
        if message is not None:
            sent.append(message)
        if after is not order:
            order, waiting, early = after, waiting + early, []
    return order, sent


def test_an_accepted_order_is_sent_to_the_warehouse_and_a_declined_one_is_not() -> None:
    assert follow_all([NEW, ACCEPTED]) == (
        Order("test/1", OrderState.ACCEPTED),
        [ShipOrder(ACCEPTED)],
    )
    assert follow_all([NEW, DECLINED]) == (
        Order("test/1", OrderState.DECLINED, Reason.NO_FUNDS),
        [],
    )


@pytest.mark.parametrize("events", list(permutations([NEW, ACCEPTED, SHIPPED, NEW, ACCEPTED])))
def test_order_and_repetition_of_events_change_neither_the_end_nor_what_is_sent(
    events: tuple[OrderEvent, ...],
) -> None:
    assert follow_all(list(events)) == (
        Order("test/1", OrderState.SHIPPED),
        [ShipOrder(ACCEPTED)],
    )


@pytest.mark.parametrize("events", list(permutations([NEW, DECLINED, NEW, DECLINED])))
def test_a_declined_order_stays_declined(events: tuple[OrderEvent, ...]) -> None:
    assert follow_all(list(events)) == (
        Order("test/1", OrderState.DECLINED, Reason.NO_FUNDS),
        [],
    )


def test_an_event_of_an_order_that_nobody_placed_waits() -> None:
    assert follow(None, ACCEPTED) == (None, None)
    assert follow(None, SHIPPED) == (None, None)


def test_a_shipment_before_its_authorization_waits() -> None:
    placed, _ = follow(None, NEW)
    assert follow(placed, SHIPPED) == (None, None)
