"""One contract, whichever way the order service talks: blocking, by future, awaited, by events."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count

import msgspec
import pytest

from cli.asking import Desk, desk
from cli.composition import payment_service, publisher
from domain.contracts import NewOrder
from domain.house_accounts import house_address
from domain.money import Money
from event_log.database import Database
from event_log.inbox import next_offsets
from event_log.outbox import Relay, waiting
from request_reply.outcomes import Accepted, Declined, ErrorReply, Outcome
from tests.conftest import Home
from tests.integration.test_pipeline import header, records
from tests.integration.test_styles import running, servers_of, settings_of
from tests.waiting import wait_for
from transport.cluster import ClusterView
from transport.topics import AUTHORIZATIONS, ORDERS

SECONDS = 60.0
REFUSED = "refused"
# Neither closed nor moved, whichever number is added to it below.
_customers = count(1_000_000_000)


@pytest.fixture(scope="module")
def shop(module_home: Home) -> Iterator[Desk]:
    """Payment service and responder at once, over the same accounts."""
    with ExitStack() as stack:
        stack.enter_context(running(module_home, "order", "payment", "responder"))
        yield stack.enter_context(desk(settings_of(module_home)))


Way = Callable[[Desk, Home, Sequence[NewOrder]], list[str]]


def blocking(shop: Desk, _home: Home, orders: Sequence[NewOrder]) -> list[str]:
    return [in_a_word(shop.requester.authorize(order, SECONDS)) for order in orders]


def by_future(shop: Desk, _home: Home, orders: Sequence[NewOrder]) -> list[str]:
    futures = [shop.requester.submit(order, SECONDS) for order in orders]
    return [in_a_word(future.result()) for future in futures]


def awaited(shop: Desk, _home: Home, orders: Sequence[NewOrder]) -> list[str]:
    async def ask() -> list[str]:
        return [in_a_word(await shop.requester.ask(order, SECONDS)) for order in orders]

    return asyncio.run(ask())


def by_events(shop: Desk, home: Home, orders: Sequence[NewOrder]) -> list[str]:
    service, servers = shop.asking.orders, servers_of(home)
    before = len(records(servers, "orders.dead-letter"))
    service.place(orders, datetime.now(UTC))
    Relay(service.database, publisher(servers)).drain()
    payment = payment_service(settings_of(home)).database
    wait_for(lambda: taken_in(payment, servers, ORDERS), "every order decided")
    wait_for(lambda: taken_in(service.database, servers, AUTHORIZATIONS), "every decision taken in")
    states = dict(home.rows("order", "SELECT order_id, coalesce(reason, state) FROM orders"))
    refused = {
        header(letter, "ce_correlationid")
        for letter in records(servers, "orders.dead-letter")[before:]
        if header(letter, "dead_letter_service") == "payment"
    }
    return [REFUSED if o.order_id in refused else states[o.order_id] for o in orders]


WAYS: dict[str, Way] = {
    "blocking": blocking,
    "future": by_future,
    "asyncio": awaited,
    "events": by_events,
}


def taken_in(database: Database, servers: str, topic: str) -> bool:
    """Whether a service has handled all of a topic, and published what follows."""
    with database.reading() as connection:
        positions = next_offsets(connection)
    ends = ClusterView(servers).ends([topic])
    behind = sum(end - positions.get(place, 0) for place, end in ends.items())
    return behind == 0 and waiting(database) == 0


def in_a_word(outcome: Outcome) -> str:
    if isinstance(outcome, Accepted):
        return "accepted"
    if isinstance(outcome, Declined):
        return outcome.reason.value
    assert isinstance(outcome, ErrorReply), outcome
    return outcome.code.value


def customer(divisor: int | None = None) -> int:
    """A customer that no other test has, divisible by `divisor`, or by neither 97 nor 89."""
    if divisor:
        return next(each for each in _customers if each % divisor == 0 and each % (97 * 89))
    return next(each for each in _customers if each % 97 and each % 89)


def order_of(number: int, cents: int, name: str = "", currency: str = "USD") -> NewOrder:
    return NewOrder(
        order_id=f"contract/{number}/{name or cents}",
        customer_id=str(number),
        ordered_at=datetime(2026, 3, 1, tzinfo=UTC),
        amount=Money(cents, currency),
        items=1,
        billing_address=house_address(str(number)),
    )


@pytest.mark.parametrize("way", WAYS)
class TestEveryWay:
    """The same questions, the same answers."""

    def test_each_answer_has_its_reason(self, shop: Desk, module_home: Home, way: str) -> None:
        within = customer()
        orders = [
            order_of(customer(97), 1000),
            order_of(customer(89), 1000),
            order_of(customer(), 30_001),
            order_of(within, 30_000),
            order_of(within, 1),
            order_of(customer(), 0),
        ]
        assert WAYS[way](shop, module_home, orders) == [
            "account_closed",
            "billing_address_incorrect",
            "no_funds",
            "accepted",
            "no_funds",
            "accepted",
        ]

    def test_an_account_decides_in_the_order_in_which_it_is_asked(
        self, shop: Desk, module_home: Home, way: str
    ) -> None:
        number = customer()
        orders = [order_of(number, 1000, f"{at}") for at in range(40)]
        wanted = ["accepted"] * 30 + ["no_funds"] * 10
        assert WAYS[way](shop, module_home, orders) == wanted

    def test_asked_again_in_any_way_it_is_the_same_answer_and_charged_once(
        self, shop: Desk, module_home: Home, way: str
    ) -> None:
        number = customer()
        orders = [order_of(number, 20_000, "first"), order_of(number, 20_000, "second")]
        wanted = ["accepted", "no_funds"]
        for other in (way, *WAYS):
            assert WAYS[other](shop, module_home, orders) == wanted
        query = f"SELECT count(*) FROM account_events WHERE customer_id = '{number}'"  # noqa: S608
        assert module_home.rows("payment", query) == [(2,)]

    @pytest.mark.parametrize("change", ["customer_id", "amount", "items"])
    def test_another_order_by_a_known_id_is_refused_and_kept_and_the_first_one_stands(
        self, shop: Desk, module_home: Home, way: str, change: str
    ) -> None:
        first = order_of(customer(), 1000, f"{way}-{change}")
        ask = WAYS[way]
        assert ask(shop, module_home, [first]) == ["accepted"]
        number = customer()
        changes = {
            "customer_id": {"customer_id": str(number), "billing_address": f"{number} Order St"},
            "amount": {"amount": Money(999, "USD")},
            "items": {"items": 2},
        }
        other = msgspec.structs.replace(first, **changes[change])
        neighbour = order_of(customer(), 1000)
        assert ask(shop, module_home, [other, neighbour]) == [REFUSED, "accepted"]
        assert module_home.decisions()[first.order_id] == "accepted"

    def test_a_currency_that_the_account_does_not_hold_is_refused_and_kept(
        self, shop: Desk, module_home: Home, way: str
    ) -> None:
        order = order_of(customer(), 1000, currency="EUR")
        neighbour = order_of(customer(), 1000)
        ask = WAYS[way]
        assert ask(shop, module_home, [order, neighbour]) == [REFUSED, "accepted"]
        assert order.order_id not in module_home.decisions()
