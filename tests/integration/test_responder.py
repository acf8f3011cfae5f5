"""What the responder answers: to whom, once, late, twice, broken; and on a real broker."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from sqlalchemy import select

import domain.authorization
from cli.settings import Settings
from domain.authorization import Account
from domain.contracts import (
    Authorization,
    AuthorizationAccepted,
    AuthorizationDeclined,
    AuthorizationFailed,
    AuthorizePayment,
    Contract,
    Failure,
    NewOrder,
    Reason,
    RecordRevenue,
    ShipOrder,
)
from domain.errors import BrokerError
from domain.house_accounts import HouseAccounts, house_address
from domain.money import Money
from event_log.database import Database, table_of
from event_log.inbox import advance, next_offsets
from event_log.outbox import waiting
from request_reply.correlation import ReturnAddress, request_headers
from request_reply.responder import Responder
from services.batch import handle_batch
from services.payment import AccountEventRow, PaymentService
from tests.integration.pipes import NOW
from tests.integration.test_left_records import delete_before
from tests.integration.transacting import Foreign
from tests.waiting import wait_for
from transport import topics
from transport.clients import Publisher, consumer_client, producer_client
from transport.cluster import ClusterView
from transport.codec import decode, encode
from transport.envelope import from_headers
from transport.local_broker import LocalBroker
from transport.records import Outgoing, Record, outgoing, record_of

REQUESTS = "payment.requests"
REPLIES = "payment.replies"
LETTERS = "payment.requests.dead-letter"
PARTITIONS = 4


def order_of(number: int, customer: int = 42, cents: int = 1000, currency: str = "USD") -> NewOrder:
    return NewOrder(
        f"test/{number}",
        f"{customer:05}",
        datetime(1997, 1, 1, tzinfo=UTC),
        Money(cents, currency),
        1,
        house_address(str(customer)),
    )


def address_of(
    partition: int | None = 2, topic: str = REPLIES, correlation_id: bytes = b""
) -> ReturnAddress:
    return ReturnAddress(topic, partition, correlation_id or uuid4().bytes)


def request(
    order: NewOrder,
    address: ReturnAddress | None = None,
    expires_at: datetime | None = None,
    offset: int | None = None,
) -> Record:
    """A request as our own requester sends it."""
    sent = outgoing(AuthorizePayment(order), "/shop/order", NOW)
    headers = (*sent.headers, *request_headers(address or address_of(), expires_at))
    number = int(order.order_id.rpartition("/")[2]) if offset is None else offset
    return Record(REQUESTS, 0, number, sent.key, sent.body, headers)


def plain(
    order: NewOrder, address: ReturnAddress, offset: int = 0, key: bytes | None = None
) -> Record:
    """A request as a Java client sends it that knows nothing of CloudEvents."""
    headers = tuple(request_headers(address, None))
    return Record(REQUESTS, 0, offset, key, encode(order), headers)


def changed(record: Record, name: str, value: bytes) -> Record:
    headers = tuple((n, value if n == name else v) for n, v in record.headers)
    return replace(record, headers=headers)


def without(record: Record, name: str) -> Record:
    return replace(record, headers=tuple(pair for pair in record.headers if pair[0] != name))


@dataclass(frozen=True)
class Known:
    """Partitions of topics, without a broker."""

    counts: dict[str, int]

    def has(self, topic: str, partition: int | None) -> bool:
        return (partition or 0) < self.counts.get(topic, 0)


@dataclass
class Bench:
    """A responder over a real database, without a broker."""

    service: PaymentService
    published: list[Outgoing] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    failures: int = 0
    refused_topics: set[str] = field(default_factory=set)
    now: datetime = NOW
    before_publishing: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.responder = Responder(
            self.service,
            "nowhere:1",
            self,
            clock=lambda: self.now,
            partitions=Known({REPLIES: PARTITIONS, "evil.topic": PARTITIONS}),
        )

    def publish(self, records: Sequence[Outgoing]) -> None:
        self.before_publishing()
        self.calls.append(len(records))
        if self.failures:
            self.failures -= 1
            raise BrokerError("gone")
        if self.refused_topics.intersection(record.topic for record in records):
            raise BrokerError("refused")
        self.published.extend(records)

    def ask(self, *records: Record) -> list[Outgoing]:
        """Answer a batch; what was replied to it."""
        before = len(self.replies)
        self.responder.answer(records)
        return self.replies[before:]

    def only(self, record: Record) -> Contract:
        (reply,) = self.ask(record)
        return said(reply)

    @property
    def replies(self) -> list[Outgoing]:
        """What was replied: no dead letters, and no events of the payment service's own."""
        return [r for r in self.published if r.topic not in (LETTERS, topics.AUTHORIZATIONS)]

    @property
    def letters(self) -> list[dict[str, bytes]]:
        return [dict(record.headers) for record in self.published if record.topic == LETTERS]

    @property
    def reasons(self) -> list[str]:
        return [letter["dead_letter_reason"].decode() for letter in self.letters]

    def kept(self) -> list[tuple[str, str]]:
        """Customer and order of all account events, in their order."""
        return kept(self.service)


def kept(service: PaymentService) -> list[tuple[str, str]]:
    table = table_of(AccountEventRow)
    with service.database.reading() as connection:
        rows = connection.execute(select(table).order_by(table.c.id))
        return [(row.customer_id, row.order_id) for row in rows]


def said(reply: Outgoing | Record) -> Contract:
    body = reply.body if isinstance(reply, Outgoing) else reply.value
    return decode(from_headers(reply.headers).type, body)


def accepted(order: NewOrder) -> AuthorizationAccepted:
    return AuthorizationAccepted(
        order.order_id, order.customer_id, order.ordered_at, order.amount, order.items
    )


def no_funds(order: NewOrder) -> AuthorizationDeclined:
    return AuthorizationDeclined(
        order.order_id,
        order.customer_id,
        order.ordered_at,
        order.amount,
        order.items,
        Reason.NO_FUNDS,
    )


def failure(reply: Contract) -> tuple[Failure, bool, str]:
    assert isinstance(reply, AuthorizationFailed), reply
    assert reply.message
    return reply.code, reply.retryable, reply.order_id


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PaymentService]:
    made = PaymentService(tmp_path / "payment.sqlite", HouseAccounts(Money(30_000, "USD")))
    yield made
    made.database.close()


@pytest.fixture
def bench(service: PaymentService) -> Bench:
    return Bench(service)


def test_an_answer_goes_where_it_is_asked_for_with_all_it_must_carry(bench: Bench) -> None:
    order, correlation_id = order_of(0), bytes(range(200, 216))
    asked = request(order, address_of(3, correlation_id=correlation_id))
    (reply,) = bench.ask(asked)
    assert (reply.topic, reply.partition, reply.key) == (REPLIES, 3, b"00042")
    assert said(reply) == accepted(order)
    assert [v for n, v in reply.headers if n == "kafka_correlationId"] == [correlation_id]
    envelope = from_headers(reply.headers)
    assert envelope.type == "shop.AuthorizationAccepted.v1"
    assert envelope.source == "/shop/payment"
    assert envelope.time == NOW
    assert envelope.subject == envelope.correlation_id == order.order_id
    assert envelope.causation_id == from_headers(asked.headers).id
    assert bench.letters == []
    with bench.service.database.reading() as connection:
        assert next_offsets(connection) == {topics.TopicPartition(REQUESTS, 0): 1}


def test_a_decision_is_committed_before_its_reply_goes_out(bench: Bench) -> None:
    seen: list[int] = []
    bench.before_publishing = lambda: seen.append(len(bench.kept()))
    bench.ask(request(order_of(0)), request(order_of(1)))
    assert seen == [2]
    assert bench.calls == [2], "all replies of a batch go out in one call"


def test_without_a_partition_any_of_the_topic_will_do(bench: Bench) -> None:
    (reply,) = bench.ask(request(order_of(0), address_of(None)))
    assert (reply.topic, reply.partition) == (REPLIES, None)


def test_declined_is_an_answer_too_and_orders_of_a_customer_are_decided_in_turn(
    bench: Bench,
) -> None:
    orders = [order_of(n, cents=12_000) for n in range(4)]
    small = order_of(4, cents=6_000)
    replies = bench.ask(*(request(order) for order in [*orders, small]))
    assert [said(reply) for reply in replies] == [
        accepted(orders[0]),
        accepted(orders[1]),
        no_funds(orders[2]),
        no_funds(orders[3]),
        accepted(small),
    ]
    assert from_headers(replies[2].headers).type == "shop.AuthorizationDeclined.v1"
    assert [order_id for _, order_id in bench.kept()] == [f"test/{n}" for n in range(5)]


def test_the_same_order_asked_twice_gets_the_same_answer_and_is_charged_once(bench: Bench) -> None:
    order = order_of(0, cents=20_000)
    one, two = address_of(0), address_of(1)
    first, second = bench.ask(request(order, one), request(order, two, offset=1))
    (third,) = bench.ask(request(order, one, offset=2))
    assert first.body == second.body == third.body == encode(accepted(order))
    assert (first.partition, second.partition, third.partition) == (0, 1, 0)
    assert len(bench.kept()) == 1
    ids = [from_headers(reply.headers).id for reply in (first, second, third)]
    assert ids[0] == ids[2], "a repeated reply is known by its id"
    assert ids[0] != ids[1], "two requests have two replies"


def test_an_order_that_came_as_an_event_before_gets_that_answer(bench: Bench) -> None:
    order = order_of(0, cents=20_000)
    event = outgoing(order, "/shop/order", NOW)
    as_event = Record("orders", 0, 0, event.key, event.body, tuple(event.headers))
    handle_batch(bench.service, [as_event], NOW)
    assert bench.only(request(order)) == accepted(order)
    assert bench.only(request(order_of(1, cents=20_000))) == no_funds(order_of(1, cents=20_000))
    assert len(bench.kept()) == 2


def test_an_order_that_was_asked_for_before_it_came_as_an_event_is_charged_once(
    bench: Bench,
) -> None:
    order = order_of(0)
    bench.ask(request(order))
    event = outgoing(order, "/shop/order", NOW)
    as_event = Record("orders", 0, 0, event.key, event.body, tuple(event.headers))
    handle_batch(bench.service, [as_event], NOW)
    bench.ask(request(order, offset=1))
    assert len(bench.kept()) == 1


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(days=400)])
def test_a_request_past_its_deadline_is_not_decided(bench: Bench, late: timedelta) -> None:
    answer = bench.only(request(order_of(0), expires_at=NOW - late))
    assert failure(answer) == (Failure.EXPIRED, True, "test/0")
    assert answer.deadline == NOW - late, "it says which try it is about"  # type: ignore[union-attr]
    assert bench.kept() == []
    assert bench.letters == [], "who is late has broken nothing"


def test_a_request_in_time_is_decided(bench: Bench) -> None:
    asked = request(order_of(0), expires_at=NOW + timedelta(microseconds=1))
    assert bench.only(asked) == accepted(order_of(0))


def test_an_order_that_has_an_answer_gets_it_even_late(bench: Bench) -> None:
    asked = request(order_of(0), expires_at=NOW + timedelta(seconds=5))
    first = bench.ask(asked)
    bench.now = NOW + timedelta(seconds=6)
    again = bench.ask(asked)
    assert first[0].body == again[0].body == encode(accepted(order_of(0)))


@pytest.mark.parametrize("late_first", [True, False])
def test_of_one_order_with_two_deadlines_only_the_late_request_is_expired(
    bench: Bench, late_first: bool
) -> None:
    late = request(order_of(0), expires_at=NOW - timedelta(seconds=1))
    timely = request(order_of(0), offset=1)
    replies = bench.ask(*([late, timely] if late_first else [timely, late]))
    answers = [said(reply) for reply in replies]
    if late_first:
        assert failure(answers[0])[0] is Failure.EXPIRED
        assert answers[1] == accepted(order_of(0))
    else:
        assert answers == [accepted(order_of(0))] * 2
    assert len(bench.kept()) == 1


def test_a_stranger_gets_nothing_and_a_dead_letter_says_why(bench: Bench) -> None:
    stranger = request(order_of(1), address_of(topic="evil.topic"))
    replies = bench.ask(request(order_of(0)), stranger, request(order_of(2)))
    assert [said(reply) for reply in replies] == [accepted(order_of(0)), accepted(order_of(2))]
    assert {record.topic for record in bench.published} == {REPLIES, LETTERS}
    assert [order_id for _, order_id in bench.kept()] == ["test/0", "test/2"]
    (letter,) = [record for record in bench.published if record.topic == LETTERS]
    assert (letter.key, letter.body) == (stranger.key, stranger.value)
    assert tuple(letter.headers)[: len(stranger.headers)] == stranger.headers
    (headers,) = bench.letters
    assert headers["dead_letter_service"] == b"responder"
    assert headers["dead_letter_offset"] == b"1"
    assert "replies may not go to topic 'evil.topic'" in bench.reasons[0]
    assert waiting(bench.service.database) == 0


def test_a_topic_on_the_list_gets_its_replies(service: PaymentService) -> None:
    bench = Bench(service)
    bench.responder = Responder(
        service,
        "nowhere:1",
        bench,
        reply_topics=frozenset({"mine"}),
        clock=lambda: NOW,
        partitions=Known({"mine": 1, REPLIES: 4}),
    )
    kept, reply = bench.ask(request(order_of(0), address_of(0, "mine")), request(order_of(1)))
    assert reply.topic == "mine"
    assert (kept.topic, kept.partition) == (REPLIES, None), "after a restore it is read back there"
    assert (kept.headers, kept.body) == (reply.headers, reply.body)
    assert len(bench.letters) == 1


NO_ADDRESS: dict[str, tuple[Callable[[Record], Record], str]] = {
    "no correlation id": (lambda r: without(r, "kafka_correlationId"), "kafka_correlationId"),
    "empty correlation id": (lambda r: changed(r, "kafka_correlationId", b""), "correlationId"),
    "doubled correlation id": (
        lambda r: replace(r, headers=(*r.headers, ("kafka_correlationId", b"x"))),
        "kafka_correlationId is there twice",
    ),
    "no reply topic": (lambda r: without(r, "kafka_replyTopic"), "kafka_replyTopic"),
    "reply topic not UTF-8": (lambda r: changed(r, "kafka_replyTopic", b"\xff"), "not UTF-8"),
    "partition of three bytes": (
        lambda r: changed(r, "kafka_replyPartition", b"\0\0\1"),
        "kafka_replyPartition",
    ),
    "negative partition": (
        lambda r: changed(r, "kafka_replyPartition", b"\xff" * 4),
        "kafka_replyPartition",
    ),
    "partition that is not there": (
        lambda r: changed(r, "kafka_replyPartition", b"\0\0\0\4"),
        "replies can't go to payment.replies[4]",
    ),
    "no header at all": (lambda r: replace(r, headers=()), "kafka_correlationId"),
}


@pytest.mark.parametrize("case", NO_ADDRESS)
def test_without_a_good_return_address_nothing_is_decided(bench: Bench, case: str) -> None:
    spoil, why = NO_ADDRESS[case]
    replies = bench.ask(request(order_of(0)), spoil(request(order_of(1))), request(order_of(2)))
    assert [said(reply) for reply in replies] == [accepted(order_of(0)), accepted(order_of(2))]
    assert [order_id for _, order_id in bench.kept()] == ["test/0", "test/2"]
    (reason,) = bench.reasons
    assert why in reason


def test_a_topic_on_the_list_that_is_not_there_gets_a_dead_letter(
    service: PaymentService,
) -> None:
    bench = Bench(service)
    bench.responder = Responder(
        service, "nowhere:1", bench, frozenset({"mine"}), clock=lambda: NOW, partitions=Known({})
    )
    assert bench.ask(request(order_of(0), address_of(None, "mine"))) == []
    assert "replies can't go to mine" in bench.reasons[0]
    assert bench.kept() == []


MALFORMED: dict[str, Callable[[Record], Record]] = {
    "body": lambda r: replace(r, value=b"\xfe{"),
    "no body": lambda r: replace(r, value=None),
    "wrong type": lambda r: replace(r, value=(r.value or b"").replace(b"1000", b'"1000"')),
    "doubled key in the body": lambda r: replace(
        r, value=b'{"items":1,' + (r.value or b"").removeprefix(b"{")
    ),
    "key of another customer": lambda r: replace(r, key=b"00043"),
    "no key": lambda r: replace(r, key=None),
    "doubled header": lambda r: replace(r, headers=(*r.headers, ("ce_id", b"2"))),
    "doubled type": lambda r: replace(r, headers=(*r.headers, ("ce_type", b"shop.NewOrder.v1"))),
    "structured mode": lambda r: changed(r, "content-type", b"application/cloudevents+json"),
    "no type": lambda r: without(r, "ce_type"),
    "deadline that is no time": lambda r: replace(
        r, headers=(*r.headers, ("ce_expirytime", b"soon"))
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_cannot_be_decoded_gets_an_error_reply_and_a_dead_letter(
    bench: Bench, case: str
) -> None:
    address = address_of(1)
    broken = MALFORMED[case](request(order_of(1), address))
    replies = bench.ask(request(order_of(0)), broken, request(order_of(2)))
    assert [said(replies[0]), said(replies[2])] == [accepted(order_of(0)), accepted(order_of(2))]
    error = replies[1]
    assert failure(said(error)) == (Failure.MALFORMED_REQUEST, False, "test/1")
    assert (error.topic, error.partition, error.key) == (REPLIES, 1, broken.key)
    assert [v for n, v in error.headers if n == "kafka_correlationId"] == [address.correlation_id]
    envelope = from_headers(error.headers)
    assert envelope.type == "shop.AuthorizationFailed.v1"
    assert envelope.subject == envelope.correlation_id == "test/1"
    assert envelope.causation_id == (
        None if case == "doubled header" else from_headers(request(order_of(1)).headers).id
    )
    assert [order_id for _, order_id in bench.kept()] == ["test/0", "test/2"]
    (reason,) = bench.reasons
    assert reason.startswith("MalformedRecord: ")


OUT_OF_BOUNDS = {
    "amount": (b":1000", b":100000000001"),
    "time": (b"1997-01-01", b"9999-12-31"),
    "customer": (b'"00042"', b'"42"'),
}


@pytest.mark.parametrize("by", [request, plain], ids=["with an envelope", "plain"])
@pytest.mark.parametrize("what", OUT_OF_BOUNDS)
def test_what_is_beyond_the_bounds_is_malformed_whoever_asks(
    bench: Bench, what: str, by: Callable[..., Record]
) -> None:
    good = by(order_of(1), address_of())
    key = b"42" if what == "customer" else good.key
    broken = replace(good, key=key, value=(good.value or b"").replace(*OUT_OF_BOUNDS[what]))
    replies = bench.ask(request(order_of(0)), broken, request(order_of(2)))
    assert [said(replies[0]), said(replies[2])] == [accepted(order_of(0)), accepted(order_of(2))]
    assert failure(said(replies[1])) == (Failure.MALFORMED_REQUEST, False, "test/1")
    assert [order_id for _, order_id in bench.kept()] == ["test/0", "test/2"]
    (reason,) = bench.reasons
    assert reason.startswith("OutOfBounds: ")


@pytest.mark.parametrize("media", [b"", b"text/plain", b"application/x-java-serialized-object"])
def test_what_a_plain_client_says_of_its_media_type_is_its_own(bench: Bench, media: bytes) -> None:
    asked = plain(order_of(0), address_of())
    (reply,) = bench.ask(replace(asked, headers=(*asked.headers, ("content-type", media))))
    assert said(reply) == accepted(order_of(0))


def test_a_plain_request_may_not_have_its_envelope_in_its_body(bench: Bench) -> None:
    structured = plain(order_of(0), address_of())
    media = ("content-type", b"Application/CloudEvents+JSON; charset=UTF-8")
    assert failure(bench.only(replace(structured, headers=(*structured.headers, media))))
    assert "structured mode" in bench.reasons[0]
    assert bench.kept() == []


def test_a_request_that_says_all_twice_is_answered_once(bench: Bench) -> None:
    asked = request(order_of(0))
    (reply,) = bench.ask(replace(asked, headers=asked.headers * 2))
    assert said(reply) == accepted(order_of(0))
    assert bench.reasons == []


def test_a_correlation_that_contradicts_the_body_is_malformed(bench: Bench) -> None:
    broken = changed(request(order_of(0)), "ce_correlationid", b"test/9")
    assert failure(bench.only(broken)) == (Failure.MALFORMED_REQUEST, False, "test/9")
    assert bench.kept() == []


def test_where_the_order_is_not_known_it_is_called_unknown(bench: Bench) -> None:
    broken = changed(replace(request(order_of(0)), value=b"{}"), "ce_correlationid", b"\xff")
    (reply,) = bench.ask(changed(broken, "ce_id", b"\xff"))
    assert failure(said(reply)) == (Failure.MALFORMED_REQUEST, False, "unknown")
    envelope = from_headers(reply.headers)
    assert (envelope.subject, envelope.correlation_id) == ("unknown", "unknown")
    assert envelope.causation_id is None


def test_a_key_too_long_to_be_sent_back_is_left_out(bench: Bench) -> None:
    (reply,) = bench.ask(replace(request(order_of(0)), key=b"k" * 900_000))
    assert failure(said(reply))[0] is Failure.MALFORMED_REQUEST
    assert reply.key is None
    assert len(reply.body or b"") < 2_000


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("shop.RefundPayment.v1", b"\xff"),
        ("shop.AuthorizePayment.v2", encode(order_of(1))),
        ("shop.NewOrder.v1", encode(order_of(1))),
        ("shop.NewOrder.v1", b"{}"),
        ("shop.ShipOrder.v1", encode(ShipOrder(accepted(order_of(1))))),
        ("shop.RecordRevenue.v1", encode(RecordRevenue(accepted(order_of(1))))),
        ("shop.AuthorizationFailed.v1", b"{}"),
    ],
)
def test_a_request_of_another_type_is_unknown(bench: Bench, kind: str, body: bytes) -> None:
    other = replace(changed(request(order_of(1)), "ce_type", kind.encode()), value=body)
    replies = bench.ask(request(order_of(0)), other, request(order_of(2)))
    assert [said(replies[0]), said(replies[2])] == [accepted(order_of(0)), accepted(order_of(2))]
    assert failure(said(replies[1])) == (Failure.UNKNOWN_REQUEST, False, "test/1")
    (reason,) = bench.reasons
    assert reason.startswith("UnknownType: ")
    assert kind in reason


def test_an_order_in_another_currency_is_refused(bench: Bench) -> None:
    foreign = order_of(1, currency="EUR")
    replies = bench.ask(request(order_of(0)), request(foreign), request(order_of(2)))
    assert failure(said(replies[1])) == (Failure.REFUSED, False, "test/1")
    assert [said(replies[0]), said(replies[2])] == [accepted(order_of(0)), accepted(order_of(2))]
    (reason,) = bench.reasons
    assert reason.startswith("CurrencyMismatch: order test/1")


@pytest.mark.parametrize("key", [None, b"00042"])
def test_a_plain_client_without_an_envelope_is_answered(bench: Bench, key: bytes | None) -> None:
    address = address_of(1, correlation_id=b"any bytes")
    (reply,) = bench.ask(plain(order_of(0), address, key=key))
    assert said(reply) == accepted(order_of(0))
    assert (reply.partition, reply.key) == (1, key)
    assert ("kafka_correlationId", b"any bytes") in reply.headers
    assert from_headers(reply.headers).causation_id is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: replace(r, key=b"00043"),
        lambda r: replace(r, value=(r.value or b"").replace(b'"items":1', b'"items":0')),
        lambda r: replace(r, headers=(*r.headers, ("ce_id", b"1"))),
    ],
)
def test_a_plain_request_that_is_broken_says_so(
    bench: Bench, spoil: Callable[[Record], Record]
) -> None:
    answer = bench.only(spoil(plain(order_of(0), address_of())))
    assert failure(answer) == (Failure.MALFORMED_REQUEST, False, "test/0")
    assert bench.kept() == []
    assert len(bench.letters) == 1


def throw_on(monkeypatch: pytest.MonkeyPatch, order_id: str) -> None:
    def authorize(account: Account, order: NewOrder) -> Authorization:
        if order.order_id == order_id:
            raise ZeroDivisionError("a handler's own mistake")
        return domain.authorization.authorize(account, order)

    monkeypatch.setattr("services.payment.authorize", authorize)


def test_a_handler_that_throws_gives_an_error_reply_and_its_neighbours_their_answers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    throw_on(monkeypatch, "test/1")
    orders = [order_of(n, cents=12_000) for n in range(5)]
    stranger = request(order_of(5), address_of(topic="evil.topic"))
    replies = bench.ask(*(request(order) for order in orders), stranger)
    answers = [said(reply) for reply in replies]
    assert failure(answers[1]) == (Failure.INTERNAL_ERROR, True, "test/1")
    assert [answers[0], *answers[2:]] == [
        accepted(orders[0]),
        accepted(orders[2]),
        no_funds(orders[3]),
        no_funds(orders[4]),
    ]
    assert [order_id for _, order_id in bench.kept()] == ["test/0", "test/2", "test/3", "test/4"]
    assert len(bench.letters) == 1, "the stranger's; one that throws is none"
    (logged,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "test/1" in logged.getMessage()
    assert logged.exc_info is not None
    assert logged.exc_info[0] is ZeroDivisionError
    with bench.service.database.reading() as connection:
        assert next_offsets(connection) == {topics.TopicPartition(REQUESTS, 0): 6}


def test_after_a_handler_is_mended_the_same_request_is_decided(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    throw_on(monkeypatch, "test/0")
    assert failure(bench.only(request(order_of(0))))[0] is Failure.INTERNAL_ERROR
    monkeypatch.undo()
    assert bench.only(request(order_of(0))) == accepted(order_of(0))


def test_an_order_id_that_another_customer_uses_harms_nobody_else(bench: Bench) -> None:
    theirs = replace_order(order_of(1, customer=43), "test/0")
    replies = bench.ask(request(order_of(0)), request(theirs, offset=1), request(order_of(2)))
    assert [said(replies[0]), said(replies[2])] == [accepted(order_of(0)), accepted(order_of(2))]
    assert isinstance(said(replies[1]), AuthorizationFailed)
    assert bench.kept() == [("00042", "test/0"), ("00042", "test/2")]


def replace_order(order: NewOrder, order_id: str) -> NewOrder:
    fields = {name: getattr(order, name) for name in order.__struct_fields__}
    return NewOrder(**{**fields, "order_id": order_id})


def test_a_batch_that_comes_again_gives_the_same_replies_and_no_second_dead_letter(
    bench: Bench,
) -> None:
    batch = [
        request(order_of(0)),
        request(order_of(1), address_of(topic="evil.topic")),
        replace(request(order_of(2)), value=b"{"),
        request(order_of(3, currency="EUR")),
        request(order_of(4), expires_at=NOW),
    ]
    first = bench.ask(*batch)
    second = bench.ask(*batch)
    assert first == second
    assert len(first) == 4
    assert len(bench.letters) == 3
    assert len(bench.kept()) == 1


def test_replies_that_could_not_go_out_go_out_at_the_next_try(bench: Bench) -> None:
    bench.failures = 1
    batch = [request(order_of(0)), request(order_of(1), address_of(topic="evil.topic"))]
    with pytest.raises(BrokerError):
        bench.ask(*batch)
    assert len(bench.kept()) == 1
    assert waiting(bench.service.database) == 1
    (reply,) = bench.ask(*batch)
    assert said(reply) == accepted(order_of(0))
    assert len(bench.letters) == 1
    assert len(bench.kept()) == 1


def test_dead_letters_of_a_later_batch_go_out_too(bench: Bench) -> None:
    bench.ask(request(order_of(0)))
    for number in (1, 2):
        bench.ask(replace(request(order_of(number)), value=b"{"))
        assert len(bench.letters) == number


def test_dead_letters_that_cannot_go_out_hold_no_reply_up_and_go_out_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("request_reply.responder.LETTERS_PAUSE_SECONDS", 0)
    bench.refused_topics.add(LETTERS)
    replies = bench.ask(request(order_of(0)), replace(request(order_of(1)), value=b"{"))
    assert len(replies) == 2
    assert waiting(bench.service.database) == 1
    bench.refused_topics.clear()
    bench.ask(request(order_of(2)))
    assert len(bench.letters) == 1
    assert waiting(bench.service.database) == 0


# On a real broker.


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = LocalBroker(tmp_path_factory.mktemp("responder") / "home", Settings().jars)
    found = broker.start().bootstrap_servers
    assert found
    topics.create_topics(found, PARTITIONS, 1, 1)
    yield found
    broker.stop()


@pytest.fixture(autouse=True)
def from_here_on(request: pytest.FixtureRequest) -> None:
    """Let a new database count what former tests have asked as handled: its positions rule."""
    if not {"servers", "service"} <= set(request.fixturenames):
        return
    database: Database = request.getfixturevalue("service").database
    view = ClusterView(request.getfixturevalue("servers"))

    def known() -> dict[topics.TopicPartition, int]:
        # A topic that was just created may have no leader yet.
        with contextlib.suppress(BrokerError):
            return view.ends([REQUESTS])
        return {}

    ends = wait_for(known, "where requests end", 20)
    so_far = {place: end for place, end in ends.items() if end}
    database.in_transaction(lambda connection: advance(connection, so_far, NOW))


@contextlib.contextmanager
def responding(responder: Responder) -> Iterator[threading.Thread]:
    """A responder at work; at the end it is stopped, and has ended soon."""
    stop = threading.Event()
    thread = threading.Thread(target=responder.run, args=(stop,))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(timeout=20)
    assert not thread.is_alive()


class Inbox:
    """Reads a partition to its end, from where it ended when this was made."""

    def __init__(self, servers: str, topic: str, partition: int) -> None:
        self.consumer: Consumer = consumer_client(servers, "unused")
        place = TopicPartition(topic, partition)
        high = wait_for(lambda: self.end_of(place), f"{place} has a leader", seconds=20)[0]
        self.consumer.assign([TopicPartition(topic, partition, high)])
        self.records: list[Record] = []

    def end_of(self, place: TopicPartition) -> tuple[int] | None:
        """Where a partition ends; one that was just created may have no leader yet."""
        try:
            _low, high = self.consumer.get_watermark_offsets(place, timeout=20)
        except KafkaException:
            return None
        return (high,)

    def wait_for(self, count: int) -> list[Record]:
        def enough() -> bool:
            messages = self.consumer.consume(500, timeout=0.02)
            self.records += [record_of(each) for each in messages if each.error() is None]
            return len(self.records) >= count

        wait_for(enough, f"{count} records, {len(self.records)} are there", seconds=20)
        return self.records


@contextlib.contextmanager
def inbox(servers: str, topic: str, partition: int) -> Iterator[Inbox]:
    made = Inbox(servers, topic, partition)
    try:
        yield made
    finally:
        made.consumer.close()


@cache
def producer_of(servers: str) -> Producer:
    """One producer for all tests: a new one takes half a second to get its id."""
    return producer_client(servers)


def send(servers: str, *records: Record) -> None:
    """Send requests by a plain producer, in one go."""
    producer = producer_of(servers)
    for record in records:
        producer.produce(REQUESTS, value=record.value, key=record.key, headers=list(record.headers))
    assert producer.flush(20) == 0


def committed(servers: str) -> int:
    """How many requests the responders' group has committed, in all partitions."""
    consumer = consumer_client(servers, "shop-responder")
    try:
        places = [TopicPartition(REQUESTS, partition) for partition in range(PARTITIONS)]
        return sum(max(0, place.offset) for place in consumer.committed(places, timeout=20))
    finally:
        consumer.close()


def correlation(record: Record) -> bytes | None:
    return dict(record.headers)["kafka_correlationId"]


def test_requests_are_answered_on_the_partition_asked_for(
    servers: str, service: PaymentService
) -> None:
    orders = [order_of(1000 + n, customer=1 + n % 50, cents=100) for n in range(300)]
    addresses = [address_of(n % 3) for n in range(300)]
    broken = replace(request(order_of(2000), address_of(3)), value=b"{")
    nowhere = request(order_of(2001), address_of(PARTITIONS + 3))
    stranger = request(order_of(2002), address_of(topic="orders"))
    done = committed(servers)
    with contextlib.ExitStack() as stack:
        inboxes = [stack.enter_context(inbox(servers, REPLIES, n)) for n in range(4)]
        letters = stack.enter_context(inbox(servers, LETTERS, 0))
        stack.enter_context(responding(Responder(service, servers, Publisher(servers))))
        asked = [request(*pair) for pair in zip(orders, addresses, strict=True)]
        send(servers, *asked[:150], broken, nowhere, stranger, *asked[150:])
        for partition in range(3):
            wanted = {
                address.correlation_id: order
                for order, address in zip(orders, addresses, strict=True)
                if address.partition == partition
            }
            replies = inboxes[partition].wait_for(len(wanted))
            found = {correlation(reply): said(reply) for reply in replies}
            assert found == {
                key: accepted(order) if int(order.customer_id) not in (97, 89) else found[key]
                for key, order in wanted.items()
            }
        (error,) = inboxes[3].wait_for(1)
        assert failure(said(error)) == (Failure.MALFORMED_REQUEST, False, "test/2000")
        assert len(letters.wait_for(3)) == 3
        reasons = b" ".join(dict(r.headers)["dead_letter_reason"] or b"" for r in letters.records)
        for why in (b"MalformedRecord", b"payment.replies[7]: there is none", b"'orders'"):
            assert why in reasons
        wait_for(lambda: committed(servers) == done + 303, "offsets committed", 20)
        assert letters.end_of(TopicPartition("orders", 2)) == (0,), "the stranger got nothing"
    assert len(kept(service)) == 300


def test_marks_are_moved_over_so_that_retention_leaves_no_gap(
    servers: str, service: PaymentService
) -> None:
    """Deleted marks can't be told from requests that were deleted before anyone read them."""
    place = topics.TopicPartition(REQUESTS, 0)
    cluster, foreign = ClusterView(servers), Foreign(servers)
    began = cluster.ends([REQUESTS])[place]
    asked = request(order_of(3500))
    foreign.send([Outgoing(REQUESTS, asked.key, list(asked.headers), asked.value)], 0)
    foreign.commit()
    wait_for(lambda: cluster.ends([REQUESTS])[place] == began + 2, "a request and its mark")

    def position() -> int:
        with service.database.reading() as connection:
            return next_offsets(connection).get(place, 0)

    with responding(Responder(service, servers, Publisher(servers))):
        wait_for(lambda: position() == began + 2, "the position after the mark", 20)


def test_requests_that_are_deleted_before_they_are_read_end_the_responder(
    servers: str, service: PaymentService
) -> None:
    place = topics.TopicPartition(REQUESTS, 1)
    asked = request(order_of(3600))
    Publisher(servers).publish([Outgoing(REQUESTS, asked.key, [], asked.value, 1)] * 2)
    delete_before(servers, place, ClusterView(servers).ends([REQUESTS])[place])
    stop = threading.Event()
    late = threading.Timer(60, stop.set)
    late.start()
    with pytest.raises(BrokerError, match="requests can't be read"):
        Responder(service, servers, Publisher(servers)).run(stop)
    late.cancel()


class Crash(Exception):
    """Stands for the process's end."""


class Dying:
    """Publishes nothing: the process ends when the first reply should go out."""

    def publish(self, records: Sequence[Outgoing]) -> None:
        raise Crash


class DyingAfter:
    """Publishes, and then the process ends, before offsets are committed."""

    def __init__(self, servers: str) -> None:
        self._publisher = Publisher(servers)

    def publish(self, records: Sequence[Outgoing]) -> None:
        self._publisher.publish(records)
        raise Crash


def crash(responder: Responder) -> None:
    ended: list[BaseException] = []

    def run() -> None:
        try:
            responder.run(threading.Event())
        except Crash as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=20)
    assert ended, "the responder should have crashed"


def test_a_crash_between_commit_and_reply_charges_once_and_answers_at_the_next_start(
    servers: str, service: PaymentService
) -> None:
    order, address = order_of(4000, cents=20_000), address_of(1)
    later = order_of(4001, cents=20_000)
    done = committed(servers)
    send(servers, request(order, address))
    crash(Responder(service, servers, Dying()))
    assert kept(service) == [("00042", "test/4000")]
    assert committed(servers) == done
    with (
        inbox(servers, REPLIES, 1) as replies,
        responding(Responder(service, servers, Publisher(servers))),
    ):
        send(servers, request(later, address_of(1)))
        first, second = replies.wait_for(2)
        wait_for(lambda: committed(servers) == done + 2, "offsets committed", 20)
    assert correlation(first) == address.correlation_id
    assert first.value == encode(accepted(order))
    assert said(second) == no_funds(later)
    assert len(kept(service)) == 2


def test_a_crash_between_reply_and_offsets_gives_the_same_reply_once_more(
    servers: str, service: PaymentService
) -> None:
    order, address = order_of(5000, cents=20_000), address_of(2)
    done = committed(servers)
    with inbox(servers, REPLIES, 2) as replies:
        send(servers, request(order, address))
        crash(Responder(service, servers, DyingAfter(servers)))
        replies.wait_for(1)
        assert committed(servers) == done
        with responding(Responder(service, servers, Publisher(servers))):
            first, second = replies.wait_for(2)
            wait_for(lambda: committed(servers) == done + 1, "offsets committed", 20)
    assert first.value == second.value == encode(accepted(order))
    assert correlation(first) == correlation(second) == address.correlation_id
    assert from_headers(first.headers).id == from_headers(second.headers).id
    assert len(kept(service)) == 1


class Flaky:
    """A broker that is away for the first tries, and what was committed meanwhile."""

    def __init__(self, servers: str, failures: int) -> None:
        self._publisher = Publisher(servers)
        self._servers = servers
        self.failures = failures
        self.committed: list[int] = []

    def publish(self, records: Sequence[Outgoing]) -> None:
        self.committed.append(committed(self._servers))
        if self.failures:
            self.failures -= 1
            raise BrokerError("away")
        self._publisher.publish(records)


def test_while_replies_cannot_go_out_no_offset_is_committed(
    servers: str, service: PaymentService
) -> None:
    done = committed(servers)
    flaky = Flaky(servers, failures=2)
    with inbox(servers, REPLIES, 3) as replies, responding(Responder(service, servers, flaky)):
        send(servers, request(order_of(6000), address_of(3)))
        (reply,) = replies.wait_for(1)
        assert said(reply) == accepted(order_of(6000))
        wait_for(lambda: committed(servers) == done + 1, "offsets committed", 20)
    assert flaky.committed == [done] * 3


def test_a_responder_whose_replies_cannot_go_out_stops_when_told_and_commits_nothing(
    servers: str, service: PaymentService
) -> None:
    done = committed(servers)
    flaky = Flaky(servers, failures=1_000_000)
    with responding(Responder(service, servers, flaky)):
        send(servers, request(order_of(7000), address_of(3)))
        wait_for(lambda: flaky.committed, "a try to reply", 20)
    assert committed(servers) == done
    with (
        inbox(servers, REPLIES, 3) as replies,
        responding(Responder(service, servers, Publisher(servers))),
    ):
        (reply,) = replies.wait_for(1)
        assert said(reply) == accepted(order_of(7000))
        wait_for(lambda: committed(servers) == done + 1, "offsets committed", 20)
    assert len(kept(service)) == 1
