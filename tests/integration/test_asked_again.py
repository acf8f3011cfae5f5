"""Orders that are asked for more than once: by who waits, and by who comes after a crash."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.asking import _alone, desk
from cli.settings import Settings
from domain.contracts import AuthorizationFailed, AuthorizePayment, Failure, NewOrder
from domain.house_accounts import HouseAccounts, house_address
from domain.identity import message_id_of
from domain.money import Money
from domain.requests import RequestState
from request_reply import learning
from request_reply.correlation import ReturnAddress, expiry_of
from request_reply.learning import recover
from request_reply.outcomes import Accepted, ErrorReply, TimedOut
from request_reply.responder import Responder
from services.asked import Asked, counts
from services.asking import Asking
from services.order import OrderService
from services.payment import PaymentService
from tests.integration.scripted import Scripted, accepted, new_order, scripted
from tests.integration.test_requester import Asker, asker, servers, topics
from tests.integration.test_requester import durable as durable
from tests.waiting import wait_for
from transport.clients import Publisher
from transport.codec import encode, type_name
from transport.records import Record
from transport.topics import PAYMENT_REPLIES, PAYMENT_REQUESTS, create_topics

__all__ = ["asker", "durable", "servers", "topics"]


@contextmanager
def responding(servers: str, service: PaymentService) -> Iterator[None]:
    stop = threading.Event()
    responder = Responder(service, servers, Publisher(servers))
    thread = threading.Thread(target=responder.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


def an_order(customer: int, cents: int = 1000) -> NewOrder:
    made = new_order(customer, cents)
    return NewOrder(
        *[getattr(made, name) for name in made.__struct_fields__[:-1]],
        house_address(made.customer_id),
    )


def payment(folder: Path) -> PaymentService:
    return PaymentService(folder / "payment.sqlite", HouseAccounts(Money(30_000, "USD")))


def charged(service: PaymentService) -> list[str]:
    """The orders that were decided: also those of other tests, whose requests are still there."""
    with service.database.reading() as connection:
        return list(connection.exec_driver_sql("SELECT order_id FROM account_events").scalars())


def left_behind(asking: Asking, partition: int, many: int) -> set[str]:
    """Requests whose time was over an hour ago, and nobody has answered."""
    now = datetime.now(UTC)
    over = now - timedelta(hours=1)
    orders = [an_order(number % 50) for number in range(many)]
    asked = [
        Asked(message_id_of(AuthorizePayment(order)), order, over, partition) for order in orders
    ]
    asking.database.in_transaction(lambda connection: asking.ask(connection, asked, now))
    tries = [(each.correlation_id, each.expires_at) for each in asked]
    asking.database.in_transaction(lambda connection: asking.give_up(connection, tries, now))
    return {order.order_id for order in orders}


def test_what_was_never_decided_is_asked_once_more_by_one_desk_and_then_by_none(
    servers: str, tmp_path: Path
) -> None:
    """First of its module: what is on the topics and not in its database would be learned again."""
    create_topics(servers, 3, 1, Settings().retention_days)
    settings = Settings(home=tmp_path, bootstrap_servers=servers, partitions=3)
    service = payment(tmp_path)
    orders = OrderService(tmp_path / "databases" / "order.sqlite")
    asking = Asking(orders)
    left = left_behind(asking, 0, 700) | left_behind(asking, 1, 20) | left_behind(asking, 2, 3)
    asked: list[str] = []

    def one_order() -> int:
        """How many requests go out while a desk asks for one order."""
        asked.clear()
        with desk(settings, lambda direction, *_: asked.append(direction)) as made:
            assert isinstance(made.requester.authorize(an_order(1), 60), Accepted)
        return asked.count("asked")

    with responding(servers, service):
        with _alone(settings, 0) as held:
            assert held, "another desk is at work"
            assert one_order() == 20 + 3 + 1, "its own, and what nobody has"
        assert one_order() == 700 + 1
        assert one_order() == 1
    with orders.database.reading() as connection:
        assert counts(connection) == {RequestState.NEVER_DECIDED: 723, RequestState.ANSWERED: 3}
    assert left.isdisjoint(charged(service))


@pytest.mark.parametrize("is_durable", [False, True])
def test_an_order_that_is_charged_at_its_second_try_is_accepted_and_not_expired(
    servers: str, tmp_path: Path, is_durable: bool
) -> None:
    """The responder comes late, and finds the try that is over before the one that isn't."""
    create_topics(servers, 3, 1, Settings().retention_days)
    service = payment(tmp_path)
    asker = Asker(
        servers, (PAYMENT_REQUESTS, PAYMENT_REPLIES), tmp_path / "order.sqlite", is_durable
    )
    requester = asker.requester(1)
    asked: list[str] = []
    order = an_order(1)

    def trace(direction: str, _where: str, _headers: object, body: bytes | None) -> None:
        if order.order_id.encode() in (body or b""):
            asked.append(direction)

    requester._watched.trace = trace
    try:
        first = requester.submit(order, 2)
        wait_for(lambda: asked == ["asked"], "the first try")
        assert isinstance(first.result(30), TimedOut)
        second = requester.submit(order, 120)
        wait_for(lambda: asked == ["asked", "asked"], "the second try")
        with responding(servers, service):
            assert second.result(60) == Accepted(accepted(order))
            wait_for(lambda: asked.count("answered") == 2, "both replies")
        assert charged(service).count(order.order_id) == 1
        if is_durable:
            assert asker.states() == {RequestState.ANSWERED: 1}
    finally:
        asker.close()


def test_an_error_settles_only_the_try_that_it_is_about(
    asker: Asker, topics: tuple[str, str]
) -> None:
    held: list[tuple[Record, ReturnAddress]] = []

    def fail(made: Scripted, number: int, code: Failure, *, named: bool = True) -> None:
        record, address = held[number]
        deadline = expiry_of(record.headers) if named else None
        said = AuthorizationFailed("test/x", code, "why", True, deadline)
        made.reply(address, encode(said), type_name(said))

    with scripted(asker._servers, topics[0], lambda m, r, a: held.append((r, a))) as made:
        requester = asker.requester()
        order, other = new_order(), new_order(2)
        assert isinstance(requester.authorize(order, 1), TimedOut)
        second = requester.submit(order, 600)
        wait_for(lambda: len(held) == 2, "both tries")
        for code in (Failure.EXPIRED, Failure.INTERNAL_ERROR, Failure.REFUSED):
            fail(made, 0, code)
        fail(made, 1, Failure.EXPIRED, named=False)
        another = requester.submit(other, 600)
        wait_for(lambda: len(held) == 3, "another request")
        made.accept(*held[2])
        assert isinstance(another.result(30), Accepted), "what came before is taken"
        assert not second.done()
        fail(made, 1, Failure.EXPIRED)
        assert second.result(30) == ErrorReply(Failure.EXPIRED, "why", True)
        if asker.durable:
            states = {RequestState.NEVER_DECIDED: 1, RequestState.ANSWERED: 1}
            wait_for(lambda: asker.states() == states, "it is at its end")


def test_where_nobody_answers_a_few_are_asked_again_and_the_rest_the_next_time(
    durable: Asker, topics: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "RECOVER_SECONDS", 0.3)
    monkeypatch.setattr(learning, "MOST_RECOVERED_AT_ONCE", 5)
    left_behind(durable.asking, 0, 12)
    with scripted(durable._servers, topics[0], lambda *_: None) as made:
        requester = durable.requester()
        assert recover(requester, durable.asking, [0]) == {"timed_out": 5}
        assert requester.in_flight() == 0
        made.answer = Scripted.accept
        monkeypatch.setattr(learning, "RECOVER_SECONDS", 60)
        assert recover(requester, durable.asking, [0]) == {"accepted": 12}
        assert recover(requester, durable.asking, [0]) == {}
    assert durable.states() == {RequestState.LATE: 12}
