"""The requester on a real broker, in every face, with and without a store."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from cli.settings import Settings
from domain.contracts import (
    AuthorizationDeclined,
    AuthorizationFailed,
    AuthorizePayment,
    Failure,
    NewOrder,
    Reason,
)
from domain.identity import message_id_of
from domain.requests import RequestState
from event_log.database import Place
from event_log.outbox import waiting
from request_reply.correlation import ReturnAddress
from request_reply.durable import DurableRequests
from request_reply.learning import recover
from request_reply.outcomes import (
    Accepted,
    Declined,
    ErrorReply,
    NotSent,
    Outcome,
    Stopped,
    TimedOut,
    Undecodable,
)
from request_reply.requester import Requester, RequesterSettings
from services.asked import counts, standings
from services.asking import Asking
from services.order import OrderService
from tests.integration.scripted import Scripted, accepted, new_order, order_of, scripted
from tests.waiting import wait_for
from transport.clients import admin_client
from transport.codec import encode, type_name
from transport.local_broker import LocalBroker
from transport.records import Record

Ask = Callable[[Requester, NewOrder, float], Outcome]

FACES: dict[str, Ask] = {
    "blocking": lambda requester, order, timeout: requester.authorize(order, timeout),
    "future": lambda requester, order, timeout: requester.submit(order, timeout).result(60),
    "asyncio": lambda requester, order, timeout: asyncio.run(requester.ask(order, timeout)),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = LocalBroker(tmp_path_factory.mktemp("broker"), Settings().jars)
    found = broker.start().bootstrap_servers
    assert found is not None
    yield found
    broker.stop()


@pytest.fixture
def topics(servers: str) -> tuple[str, str]:
    """A request topic and a reply topic of the test's own."""
    names = (f"requests-{uuid4()}", f"replies-{uuid4()}")
    admin = admin_client(servers)
    made = admin.create_topics([NewTopic(names[0], 2), NewTopic(names[1], 3)])
    for answer in made.values():
        answer.result(30)
    return names


class Asker:
    """Makes requesters, and sees to it that none leaves anything pending."""

    def __init__(self, servers: str, topics: tuple[str, str], place: Place, durable: bool) -> None:
        self._servers, self._topics = servers, topics
        self.orders = OrderService(place)
        self.asking = Asking(self.orders)
        self.durable = durable
        self._made: list[tuple[Requester, DurableRequests | None]] = []

    def requester(self, partition: int = 0, **settings: object) -> Requester:
        store = DurableRequests(self.asking) if self.durable else None
        made = Requester(
            RequesterSettings(
                self._servers,
                partition,
                request_topic=self._topics[0],
                reply_topic=self._topics[1],
                **settings,  # type: ignore[arg-type]
            ),
            store,
        ).start()
        assert made.wait_until_ready(30)
        self._made.append((made, store))
        return made

    def states(self) -> dict[RequestState, int]:
        with self.orders.database.reading() as connection:
            return counts(connection)

    def close(self) -> None:
        for requester, store in self._made:
            requester.stop()
            assert requester.in_flight() == 0
            if store is not None:
                store.close()


@pytest.fixture(params=["in memory", "durable"])
def asker(
    request: pytest.FixtureRequest, servers: str, topics: tuple[str, str], tmp_path: Path
) -> Iterator[Asker]:
    made = Asker(servers, topics, tmp_path / "order.sqlite", request.param == "durable")
    yield made
    made.close()


@pytest.fixture
def durable(servers: str, topics: tuple[str, str], tmp_path: Path) -> Iterator[Asker]:
    made = Asker(servers, topics, tmp_path / "order.sqlite", durable=True)
    yield made
    made.close()


def by_amount(made: Scripted, record: object, address: object) -> None:
    """Answers by the amount: each kind of reply there is."""
    order = order_of(record)  # type: ignore[arg-type]
    kind = order.amount.cents
    if kind == 1:
        made.accept(record, address)  # type: ignore[arg-type]
    elif kind == 2:
        said = AuthorizationDeclined(
            *[getattr(accepted(order), name) for name in accepted(order).__struct_fields__],
            Reason.NO_FUNDS,
        )
        made.reply(address, encode(said), type_name(said))  # type: ignore[arg-type]
    elif kind == 3:
        failed = AuthorizationFailed(order.order_id, Failure.INTERNAL_ERROR, "broken", True)
        made.reply(address, encode(failed), type_name(failed))  # type: ignore[arg-type]
    elif kind == 4:
        made.reply(address, b"{", type_name(accepted(order)))  # type: ignore[arg-type]
    elif kind == 5:
        made.reply(address, encode(accepted(order)), None)  # type: ignore[arg-type]
    elif kind == 6:
        for _ in range(3):
            made.accept(record, address)  # type: ignore[arg-type]
    elif kind == 7:
        foreign = uuid4().bytes
        body = encode(accepted(order))
        made.reply(address, body, type_name(accepted(order)), foreign)  # type: ignore[arg-type]


@pytest.mark.parametrize("face", FACES)
def test_every_outcome_has_its_name(asker: Asker, topics: tuple[str, str], face: str) -> None:
    ask = FACES[face]
    with scripted(asker._servers, topics[0], by_amount):
        requester = asker.requester()
        orders = {cents: new_order(cents=cents) for cents in range(1, 8)}
        found = {
            cents: ask(requester, order, 1.0 if cents == 7 else 20.0)
            for cents, order in orders.items()
        }
        assert found[1] == Accepted(accepted(orders[1]))
        assert isinstance(found[2], Declined)
        assert found[2].reason is Reason.NO_FUNDS
        assert found[3] == ErrorReply(Failure.INTERNAL_ERROR, "broken", True)
        assert isinstance(found[4], Undecodable)
        assert "shop.AuthorizationAccepted.v1" in found[4].why
        assert found[5] == Accepted(accepted(orders[5]))
        assert found[6] == Accepted(accepted(orders[6]))
        assert isinstance(found[7], TimedOut)
        assert requester.in_flight() == 0


def test_replies_in_another_order_reach_whom_they_are_for(
    asker: Asker, topics: tuple[str, str]
) -> None:
    held: list[tuple[object, object]] = []

    def reversed_by_ten(made: Scripted, record: object, address: object) -> None:
        held.append((record, address))
        if len(held) == 10:
            for each in reversed(held):
                made.accept(*each)  # type: ignore[arg-type]

    with scripted(asker._servers, topics[0], reversed_by_ten):
        requester = asker.requester()
        orders = [new_order(customer) for customer in range(10)]
        futures = [requester.submit(order, 30) for order in orders]
        assert [future.result(60) for future in futures] == [
            Accepted(accepted(order)) for order in orders
        ]


def test_from_many_threads(asker: Asker, topics: tuple[str, str]) -> None:
    with scripted(asker._servers, topics[0], Scripted.accept):
        requester = asker.requester()
        with ThreadPoolExecutor(16) as threads:
            orders = [new_order(customer) for customer in range(200)]
            found = list(threads.map(lambda order: requester.authorize(order, 30), orders))
    assert found == [Accepted(accepted(order)) for order in orders]


def test_one_more_than_may_be_in_flight_waits_for_room_within_its_timeout(
    asker: Asker, topics: tuple[str, str]
) -> None:
    release = threading.Event()

    def when_released(made: Scripted, record: object, address: object) -> None:
        assert release.wait(30)
        made.accept(record, address)  # type: ignore[arg-type]

    with scripted(asker._servers, topics[0], when_released):
        requester = asker.requester(in_flight=2)
        first = [requester.submit(new_order(n), 60) for n in range(2)]
        assert not any(future.done() for future in first)
        gone = requester.authorize(new_order(), 0.2)
        assert isinstance(gone, NotSent)
        assert "2 requests are in flight" in gone.why
        with ThreadPoolExecutor(1) as thread:
            late = thread.submit(requester.authorize, new_order(), 60)
            release.set()
            assert isinstance(late.result(60), Accepted)
        wait_for(lambda: requester.in_flight() == 0, "all are settled")


def test_the_same_order_asked_twice_at_once_is_sent_once(
    asker: Asker, topics: tuple[str, str]
) -> None:
    release = threading.Event()

    def when_released(made: Scripted, record: object, address: object) -> None:
        assert release.wait(30)
        made.accept(record, address)  # type: ignore[arg-type]

    with scripted(asker._servers, topics[0], when_released) as made:
        requester = asker.requester(in_flight=2)
        order = new_order()
        futures = [requester.submit(order, 60) for _ in range(5)]
        release.set()
        assert {future.result(60) for future in futures} == {Accepted(accepted(order))}
        assert requester.authorize(new_order(), 30)
        assert len(made.asked) == 2


def test_stopping_settles_all_that_waits_and_all_that_comes(
    asker: Asker, topics: tuple[str, str]
) -> None:
    with scripted(asker._servers, topics[0], lambda *_: None):
        requester = asker.requester()
        futures = [requester.submit(new_order(n), 600) for n in range(50)]
        requester.stop()
        assert [future.result(10) for future in futures] == [Stopped(perhaps_asked=True)] * 50
        assert requester.authorize(new_order(), 600) == Stopped(perhaps_asked=False)
        assert requester.in_flight() == 0


def test_who_goes_away_disturbs_nobody(asker: Asker, topics: tuple[str, str]) -> None:
    async def give_up(requester: Requester) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(requester.ask(new_order(), 30), 0.3)

    held: list[tuple[object, object]] = []
    with scripted(asker._servers, topics[0], lambda m, r, a: held.append((r, a))) as made:
        requester = asker.requester()
        asyncio.run(give_up(requester))
        wait_for(lambda: held, "the request")
        made.accept(*held[0])  # type: ignore[arg-type]
        wait_for(lambda: requester.in_flight() == 0, "the reply is taken")
        made.answer = Scripted.accept
        assert isinstance(requester.authorize(new_order(), 30), Accepted)


def test_several_requesters_share_a_reply_topic_and_none_sees_anothers(
    asker: Asker, topics: tuple[str, str]
) -> None:
    with scripted(asker._servers, topics[0], Scripted.accept):
        seen: list[list[str]] = [[], [], []]
        requesters = [asker.requester(number) for number in range(3)]
        for number, requester in enumerate(requesters):
            requester._watched.trace = lambda direction, *rest, n=number: (  # type: ignore[misc]
                seen[n].append(direction) if direction == "answered" else None
            )
        futures: list[Future[Outcome]] = [
            requester.submit(new_order(n), 30) for n in range(20) for requester in requesters
        ]
        assert all(isinstance(future.result(60), Accepted) for future in futures)
        assert [len(each) for each in seen] == [20, 20, 20]
        requesters[1].stop()
        assert isinstance(requesters[0].authorize(new_order(), 30), Accepted)
        again = asker.requester(1)
        assert isinstance(again.authorize(new_order(), 30), Accepted)


def test_before_it_is_ready_a_request_fails_by_name(topics: tuple[str, str]) -> None:
    requester = Requester(RequesterSettings("127.0.0.1:9", 0))
    outcome = requester.authorize(new_order(), 0.2)
    assert isinstance(outcome, NotSent)
    assert "not ready" in outcome.why
    requester.stop()


def test_an_answered_request_settles_its_order_and_tells_who_must_know(
    durable: Asker, topics: tuple[str, str]
) -> None:
    with scripted(durable._servers, topics[0], by_amount):
        requester = durable.requester()
        requester.authorize(new_order(cents=1), 30)
        assert waiting(durable.orders.database) == 2
        requester.authorize(new_order(cents=2), 30)
        assert waiting(durable.orders.database) == 3
    assert durable.states() == {RequestState.ANSWERED: 2}


def test_a_late_reply_still_settles_its_record_and_its_order(
    durable: Asker, topics: tuple[str, str]
) -> None:
    held: list[tuple[object, object]] = []
    with scripted(durable._servers, topics[0], lambda m, r, a: held.append((r, a))) as made:
        requester = durable.requester()
        assert isinstance(requester.authorize(new_order(), 0.3), TimedOut)
        wait_for(lambda: durable.states() == {RequestState.EXPIRED: 1}, "it is given up")
        wait_for(lambda: held, "the request")
        made.accept(*held[0])  # type: ignore[arg-type]
        wait_for(lambda: durable.states() == {RequestState.LATE: 1}, "the record says late")
        assert waiting(durable.orders.database) == 2
        with durable.orders.database.reading() as connection:
            (row,) = standings(connection, RequestState.LATE)
        assert row.outcome == "accepted"


def test_a_crash_forgets_nothing_and_recovery_asks_again_with_the_same_correlation_id(
    durable: Asker, topics: tuple[str, str]
) -> None:
    """The crash is a requester that is never stopped in an orderly way."""
    lost = new_order()
    with scripted(durable._servers, topics[0], lambda *_: None) as made:
        crashed = durable.requester()
        crashed.submit(lost, 600)
        wait_for(lambda: len(made.asked) == 1, "the request")
        made.answer = Scripted.accept
        again = durable.requester(1)
        assert recover(again, durable.asking, [1]) == {}, "another's are left to it"
        assert recover(again, durable.asking, [0]) == {"accepted": 1}
        ids = {dict(record.headers)["kafka_correlationId"] for record in made.asked}
        assert ids == {UUID(message_id_of(AuthorizePayment(lost))).bytes}
        assert durable.states() == {RequestState.ANSWERED: 1}
        assert waiting(durable.orders.database) == 2


def test_a_reply_that_came_while_nobody_listened_is_taken(
    durable: Asker, topics: tuple[str, str]
) -> None:
    held: list[tuple[object, object]] = []
    with scripted(durable._servers, topics[0], Scripted.accept) as made:
        first = durable.requester()
        assert isinstance(first.authorize(new_order(), 30), Accepted)
        made.answer = lambda m, r, a: held.append((r, a))
        future = first.submit(new_order(), 600)
        wait_for(lambda: held, "the request")
        first.stop()
        assert future.result(10) == Stopped(perhaps_asked=True)
        assert durable.states() == {RequestState.ANSWERED: 1, RequestState.PENDING: 1}
        made.accept(*held[0])  # type: ignore[arg-type]
        durable.requester()
        wait_for(lambda: durable.states() == {RequestState.ANSWERED: 2}, "the reply is taken")
        assert len(made.asked) == 2


def test_ten_thousand_in_flight_at_once(asker: Asker, topics: tuple[str, str]) -> None:
    many = 10_000
    held: list[tuple[Record, ReturnAddress]] = []

    def when_all_have_asked(made: Scripted, record: Record, address: ReturnAddress) -> None:
        held.append((record, address))
        if len(held) == many:
            for each in held:
                made.accept(*each, flush=False)
            made.producer.flush(60)

    with scripted(asker._servers, topics[0], when_all_have_asked):
        requester = asker.requester(in_flight=many)
        orders = [new_order(number % 500) for number in range(many)]
        futures = [requester.submit(order, 120) for order in orders]
        assert [future.result(150) for future in futures] == [
            Accepted(accepted(order)) for order in orders
        ]
        assert requester.in_flight() == 0
