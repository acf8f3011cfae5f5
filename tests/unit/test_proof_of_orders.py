"""What is said of one order, judged without a database."""

from dataclasses import dataclass
from typing import Any

import pytest

from reporting.proof import Failure, FirstOf
from reporting.proof_of_orders import NOT_PLACED_YET, STILL_OPEN, Balance, side_by_side, stand
from reporting.proof_of_service import LOG_BEHIND, SERVICE_BEHIND, Booked, agree
from reporting.proof_of_shipments import NOT_AUTHORIZED_YET, UNDER_WAY, look_at
from reporting.proof_stories import ACCEPTED, DECLINED, PLACED, SHIPPED, Said
from transport.topics import AUTHORIZATIONS, ORDERS, REPORTING_REQUESTS, TopicPartition

TOPICS = {PLACED: ORDERS, SHIPPED: ORDERS, ACCEPTED: AUTHORIZATIONS, DECLINED: AUTHORIZATIONS}
DAY = "1997-01-01T00:00:00.000000Z"


def event(kind: str, position: int, **other: Any) -> Said:
    reason = "no_funds" if kind == DECLINED else None
    money = {} if kind == SHIPPED else {"cents": 1250, "currency": "USD"}
    made = {
        "customer_id": "00001",
        "business_time": DAY,
        "items": 2,
        "reason": reason,
        "cents": None,
        "currency": None,
        "topic": TOPICS[kind],
        "partition": 1,
        "offset": position,
        **money,
        **other,
    }
    return Said("a/1", position, kind, **made)


def story(*kinds: str) -> list[Said]:
    return [event(kind, position) for position, kind in enumerate(kinds, 10)]


def what(found: object) -> str:
    assert isinstance(found, Failure)
    assert found.where == "order a/1"
    return found.what


class TestBalance:
    """Placed = accepted + declined + open."""

    @pytest.mark.parametrize(
        ("kinds", "waits"),
        [
            ([PLACED], STILL_OPEN),
            ([PLACED, ACCEPTED], None),
            ([PLACED, ACCEPTED, SHIPPED], None),
            ([PLACED, DECLINED], None),
            ([DECLINED, PLACED], None),
            ([SHIPPED], None),
        ],
    )
    def test_an_order_on_its_way_is_right(self, kinds: list[str], waits: str | None) -> None:
        assert stand(story(*kinds), ()) == waits
        balance = Balance()
        balance.add(story(*kinds))
        assert balance.failure() is None

    def test_an_order_that_was_asked_for_has_no_new_order(self) -> None:
        assert stand([event(ACCEPTED, 1, topic=REPORTING_REQUESTS)], ()) is None

    def test_an_authorization_without_order_is_wrong_unless_it_may_still_be_recorded(self) -> None:
        assert "never placed" in what(stand(story(ACCEPTED), {AUTHORIZATIONS}))
        assert stand(story(ACCEPTED), {ORDERS}) == NOT_PLACED_YET

    @pytest.mark.parametrize(
        ("kinds", "words"),
        [
            ([PLACED, PLACED], "placed at position 10 and again at position 11"),
            ([PLACED, ACCEPTED, ACCEPTED], "authorized at position 11 and again at position 12"),
            ([PLACED, ACCEPTED, DECLINED], "authorized at position 11 and again at position 12"),
        ],
    )
    def test_twice_is_wrong_and_the_sums_see_it_too(self, kinds: list[str], words: str) -> None:
        found = stand(story(*kinds), ())
        assert words in what(found)
        assert isinstance(found, Failure)
        assert found.by == {"orders": 1, "cents": 1250}
        balance = Balance()
        balance.add(story(*kinds))
        wrong = balance.failure()
        assert wrong is not None
        assert abs(wrong.by["orders"]) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"cents": 1300},
            {"currency": "EUR"},
            {"customer_id": "00002"},
            {"items": 3},
            {"business_time": "1997-01-02T00:00:00.000000Z"},
        ],
    )
    def test_an_authorization_of_another_order_is_wrong(self, change: dict[str, Any]) -> None:
        found = stand([event(PLACED, 1), event(ACCEPTED, 2, **change)], ())
        assert "placed for 12.50 USD of customer 00001, 2 items" in what(found)
        assert isinstance(found, Failure)
        assert found.by["cents"] == change.get("cents", 1250) - 1250

    @pytest.mark.parametrize("change", [{"cents": None}, {"currency": None}])
    def test_an_amount_that_cannot_be_read_is_wrong(self, change: dict[str, Any]) -> None:
        assert "position 1 can't be read" in what(stand([event(PLACED, 1, **change)], ()))

    def test_sums_are_of_each_currency_and_an_amount_that_differs_breaks_them(self) -> None:
        balance = Balance()
        balance.add(story(PLACED, ACCEPTED))
        for _ in range(3):
            balance.add([event(PLACED, 1, currency="EUR", cents=2**62)])
        assert balance.failure() is None
        assert balance.in_numbers()["EUR"]["open"] == {"orders": 3, "cents": 3 * 2**62}
        assert balance.in_numbers()["USD"]["accepted"] == {"orders": 1, "cents": 1250}
        balance.add([event(PLACED, 1), event(DECLINED, 2, cents=1000)])
        wrong = balance.failure()
        assert wrong is not None
        assert wrong.by == {"cents": 250}


class TestShipments:
    """Accepted is shipped once, and nothing else is."""

    @pytest.mark.parametrize(
        ("kinds", "waits"),
        [
            ([PLACED], None),
            ([PLACED, DECLINED], None),
            ([PLACED, ACCEPTED], UNDER_WAY),
            ([PLACED, ACCEPTED, SHIPPED], None),
            ([SHIPPED, ACCEPTED], None),
        ],
    )
    def test_an_order_on_its_way_is_right(self, kinds: list[str], waits: str | None) -> None:
        assert look_at(story(*kinds), ()) == waits

    @pytest.mark.parametrize(
        ("kinds", "words"),
        [
            ([DECLINED, SHIPPED], "declined at position 10 and shipped at position 11"),
            ([ACCEPTED, SHIPPED, SHIPPED], "shipped at position 11 and again shipped at"),
            ([ACCEPTED, ACCEPTED], "accepted at position 10 and accepted at position 11"),
            ([ACCEPTED, DECLINED], "accepted at position 10 and declined at position 11"),
            ([PLACED, SHIPPED], "shipped at position 11, and was never authorized"),
        ],
    )
    def test_anything_else_is_wrong(self, kinds: list[str], words: str) -> None:
        assert words in what(look_at(story(*kinds), {ORDERS}))

    @pytest.mark.parametrize("topic", [AUTHORIZATIONS, REPORTING_REQUESTS])
    def test_an_authorization_may_still_be_recorded(self, topic: str) -> None:
        assert look_at(story(PLACED, SHIPPED), {topic}) == NOT_AUTHORIZED_YET

    def test_a_shipment_of_other_items_is_wrong(self) -> None:
        assert "another order" in what(
            look_at([event(ACCEPTED, 1), event(SHIPPED, 2, items=9)], ())
        )


@dataclass
class Case:
    """What the log has, what the order service has and has come to, and what is found."""

    said: list[Said]
    state: str | None
    reason: str | None
    handled: int
    found: str | None


PASSED = 1000
CASES = {
    "open on both sides": Case(story(PLACED), "placed", None, PASSED, None),
    "at its end": Case(story(PLACED, ACCEPTED, SHIPPED), "shipped", None, PASSED, None),
    "declined": Case(story(PLACED, DECLINED), "declined", "no_funds", PASSED, None),
    "declined for another reason": Case(
        story(PLACED, DECLINED), "declined", "account_closed", PASSED, "log says declined, no_funds"
    ),
    "only in the service": Case([], "placed", None, 0, LOG_BEHIND),
    "further in the service": Case(story(PLACED), "accepted", None, 0, LOG_BEHIND),
    "shipped in the service": Case(story(PLACED, ACCEPTED), "shipped", None, 0, LOG_BEHIND),
    "further in the log": Case(story(PLACED, ACCEPTED), "placed", None, 0, SERVICE_BEHIND),
    "passed and not taken": Case(
        story(PLACED, ACCEPTED), "placed", None, PASSED, "passed it and says placed"
    ),
    "shipped in the log": Case(
        story(PLACED, ACCEPTED, SHIPPED), "accepted", None, 0, SERVICE_BEHIND
    ),
    "shipment passed and not taken": Case(
        story(PLACED, ACCEPTED, SHIPPED), "accepted", None, PASSED, "passed it and says accepted"
    ),
    "accepted and declined": Case(
        story(PLACED, ACCEPTED), "declined", "no_funds", 0, "log says accepted, the order service"
    ),
    "declined and shipped": Case(
        story(PLACED, DECLINED), "shipped", None, 0, "log says declined, no_funds, the order"
    ),
    "only in the log": Case(story(PLACED), None, None, 0, SERVICE_BEHIND),
    "passed and not known": Case(story(PLACED), None, None, PASSED, "the order service doesn't"),
    "its answer waits for it": Case(story(ACCEPTED), None, None, PASSED, None),
    "told and not known": Case(
        [event(ACCEPTED, 1, topic=REPORTING_REQUESTS)], None, None, 0, "the order service doesn't"
    ),
    "told and not taken": Case(
        [event(ACCEPTED, 1, topic=REPORTING_REQUESTS)], "placed", None, 0, "says placed"
    ),
    "a state of nobody": Case(story(PLACED, ACCEPTED), "lost", None, 0, "order service lost"),
}


@pytest.mark.parametrize("name", CASES)
def test_log_and_order_service(name: str) -> None:
    case = CASES[name]
    booked = None if case.state is None else Booked("a/1", case.state, case.reason)
    positions = {
        TopicPartition(topic, 1): case.handled
        for topic in (ORDERS, AUTHORIZATIONS, REPORTING_REQUESTS)
    }
    found = agree(case.said, booked, positions)
    if case.found in (None, LOG_BEHIND, SERVICE_BEHIND):
        assert found == case.found
    else:
        assert case.found is not None
        assert case.found in what(found)


def test_both_sides_are_walked_in_step() -> None:
    left = [(order, story(PLACED)) for order in ("a", "c", "d")]
    right = [Booked(order, "placed", None) for order in ("b", "c", "e", "é")]
    found = [
        (order, bool(said), booked is not None) for order, said, booked in side_by_side(left, right)
    ]
    assert found == [
        ("a", True, False),
        ("b", False, True),
        ("c", True, True),
        ("d", True, False),
        ("e", False, True),
        ("é", False, True),
    ]


def test_the_first_failure_is_the_one_of_the_lowest_rank() -> None:
    first = FirstOf()
    for rank in (float("inf"), 7, 3, 5):
        first.add(rank, Failure(f"position {rank}", ""))
    assert first.count == 4
    assert first.failure == Failure("position 3", "")
