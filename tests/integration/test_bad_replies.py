"""What comes to a requester's partition and is no reply: it ends nothing, and is kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]
from hypothesis import example, given
from hypothesis import strategies as st

from domain.contracts import AuthorizationDeclined, AuthorizePayment, NewOrder, Reason
from domain.errors import ContractError, StoreError
from domain.identity import message_id_of
from domain.requests import RequestState
from event_log.inbox import next_offsets
from event_log.outbox import Relay, waiting
from request_reply.correlation import CORRELATION_ID, ReturnAddress
from request_reply.durable import DurableRequests
from request_reply.outcomes import Accepted, InDoubt, NotSent, TimedOut, Undecodable
from request_reply.replies import correlation_id_of, understand_reply
from request_reply.requester import Requester
from services.asked import counts
from tests.integration.pipes import NOW
from tests.integration.scripted import Scripted, accepted, new_order, order_of, scripted
from tests.integration.test_pipeline import records
from tests.integration.test_requester import FACES, Asker, asker, durable, servers, topics
from tests.waiting import wait_for
from transport.clients import Publisher, admin_client
from transport.codec import encode, type_name
from transport.envelope import Headers
from transport.records import Record, outgoing

__all__ = ["asker", "durable", "servers", "topics"]

ACCEPTED = "shop.AuthorizationAccepted.v1"


@dataclass(frozen=True)
class Sent:
    """A record on its way to a reply partition."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    def with_header(self, name: str, value: bytes | None) -> "Sent":
        kept = tuple(pair for pair in self.headers if pair[0] != name)
        return replace(self, headers=(*kept, (name, value)))

    def without(self, name: str) -> "Sent":
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0] != name))

    def and_header(self, name: str, value: bytes | None) -> "Sent":
        return replace(self, headers=(*self.headers, (name, value)))


Change = Callable[[Sent], Sent]


def in_body(old: bytes, new: bytes) -> Change:
    def change(good: Sent) -> Sent:
        assert old in (good.value or b"")
        return replace(good, value=(good.value or b"").replace(old, new))

    return change


# By name: what is done to a good reply, whether it still says whose it is, and what the letter
# says.
BAD: dict[str, tuple[Change, bool, str]] = {
    "no correlation id": (
        lambda r: r.without(CORRELATION_ID),
        False,
        f"no header {CORRELATION_ID}",
    ),
    "two correlation ids": (lambda r: r.and_header(CORRELATION_ID, b"1" * 16), False, "twice"),
    "null correlation id": (lambda r: r.with_header(CORRELATION_ID, None), False, "0 bytes"),
    "long correlation id": (lambda r: r.with_header(CORRELATION_ID, b"1" * 17), False, "17 bytes"),
    "another request's id": (
        lambda r: r.with_header(CORRELATION_ID, bytes(16)),
        False,
        "not that of a request for order",
    ),
    "tombstone": (lambda r: replace(r, value=None), True, "tombstone"),
    "empty": (lambda r: replace(r, value=b""), True, "truncated"),
    "not UTF-8": (in_body(b"test/", b"\xff/"), True, "utf-8"),
    "not JSON": (lambda r: replace(r, value=b"{"), True, "truncated"),
    "NaN": (in_body(b":1000", b":NaN"), True, "invalid character"),
    "1e400": (in_body(b":1000", b":1e400"), True, "out of range"),
    "negative": (in_body(b":1000", b":-1"), True, "cents"),
    "fraction of a cent": (in_body(b":1000", b":10.5"), True, "cents"),
    "over 64 bits": (in_body(b":1000", b":9223372036854775808"), True, "cents"),
    "amount beyond its bound": (
        in_body(b":1000", b":100000000001"),
        True,
        "larger than 1000000000",
    ),
    "wrong type": (in_body(b":1000", b':"1000"'), True, "cents"),
    "unknown currency": (in_body(b"USD", b"XYZ"), True, "no code of ISO 4217"),
    "duplicate key": (in_body(b'"items":1', b'"items":1,"items":1'), True, "twice"),
    "200 levels": (
        in_body(b'"items":1', b'"items":1,"x":' + b"[" * 200 + b"]" * 200),
        True,
        "levels deep",
    ),
    "naive time": (in_body(b"00Z", b"00"), True, "ordered_at"),
    "year 9999": (in_body(b"2026-", b"9999-"), True, "up to 2100-01-01"),
    "basic time": (in_body(b"2026-01-01", b"20260101"), True, "not a time of RFC 3339"),
    "another form of the customer": (in_body(b'"00001"', b'"1"'), True, "not in the one form"),
    "structured mode": (
        lambda r: r.with_header("content-type", b"application/cloudevents+json"),
        True,
        "structured mode",
    ),
    "year 0": (in_body(b"2026-", b"0000-"), True, "ordered_at"),
    "unknown type": (lambda r: r.with_header("ce_type", b"shop.Perhaps.v1"), True, "no contract"),
    "unknown version": (
        lambda r: r.with_header("ce_type", b"shop.AuthorizationAccepted.v2"),
        True,
        "no contract",
    ),
    "no reply's type": (
        lambda r: r.with_header("ce_type", b"shop.OrderShipped.v1"),
        True,
        "no reply to AuthorizePayment",
    ),
    "type not UTF-8": (lambda r: r.with_header("ce_type", b"\xff"), True, "not UTF-8"),
    "two types": (lambda r: r.and_header("ce_type", b"shop.NewOrder.v1"), True, "twice"),
    "empty type": (lambda r: r.with_header("ce_type", b""), True, "empty"),
    "id not UTF-8": (lambda r: r.with_header("ce_id", b"\xff"), True, "not UTF-8"),
    "two ids": (lambda r: r.and_header("ce_id", b"1"), True, "twice"),
    "null id": (lambda r: r.with_header("ce_id", None), True, "empty"),
    "oversized id": (lambda r: r.with_header("ce_id", b"1" * 1025), True, "1024 at most"),
    "key of another": (lambda r: replace(r, key=b"99999"), True, "the key is"),
    "order of another in the headers": (
        lambda r: r.with_header("ce_correlationid", b"test/another"),
        True,
        "ce_correlationid says",
    ),
    "accepted, with a reason": (
        in_body(b'"items":1', b'"items":1,"reason":"no_funds"'),
        True,
        "the body's fields say",
    ),
    "accepted, with no reason's type": (
        in_body(b'"items":1', b'"items":1,"reason":5'),
        True,
        "reason",
    ),
}


def reply_to(order: NewOrder, correlation_id: bytes | None = None) -> Sent:
    said = accepted(order)
    sent = outgoing(said, "/shop/payment", NOW)
    own = UUID(message_id_of(AuthorizePayment(order))).bytes
    headers = (*sent.headers, (CORRELATION_ID, correlation_id or own))
    return Sent(sent.key, sent.body, headers)


def answers_badly(change: Change, then: Change | None = None) -> Callable[..., None]:
    """Answers with a good reply that was changed; and then, perhaps, with another."""

    def answer(made: Scripted, record: Record, address: ReturnAddress) -> None:
        for each in (change, then):
            if each is not None:
                send(made.producer, address, each(reply_to(order_of(record))))

    return answer


def send(producer: Producer, address: ReturnAddress, sent: Sent) -> None:
    assert address.partition is not None
    headers: list[tuple[str, str | bytes | None]] = list(sent.headers)
    producer.produce(
        address.topic, sent.value, sent.key, partition=address.partition, headers=headers
    )
    producer.flush(10)


def letters_of(asker: Asker) -> list[tuple[bytes | None, bytes | None, Headers]]:
    """Dead letters, by way of the broker, as a plain client reads them."""
    name = f"{asker._topics[1]}.dead-letter"
    admin = admin_client(asker._servers)
    if name not in admin.list_topics(timeout=10).topics:
        admin.create_topics([NewTopic(name, 1)])[name].result(30)
    Relay(asker.orders.database, Only(asker._servers, name)).drain()
    return [(m.key(), m.value(), m.headers()) for m in records(asker._servers, name)]


class Only:
    """Publishes what is for one topic, and takes the rest: these topics are not there."""

    def __init__(self, servers: str, topic: str) -> None:
        self._publisher, self._topic = Publisher(servers), topic

    def publish(self, found: object) -> None:
        self._publisher.publish([each for each in found if each.topic == self._topic])  # type: ignore[attr-defined]


def test_whatever_comes_the_listener_goes_on_and_what_is_unusable_is_kept(
    asker: Asker, topics: tuple[str, str]
) -> None:
    """Each between two good replies, on the same partition."""
    changes: dict[str, Change] = {}

    def answer(made: Scripted, record: Record, address: ReturnAddress) -> None:
        good = reply_to(order_of(record))
        change = changes.get(order_of(record).order_id, lambda good: good)
        send(made.producer, address, change(good))

    with scripted(asker._servers, topics[0], answer):
        requester = asker.requester()
        unanswered = 0
        for name, (change, ours, _why) in BAD.items():
            assert isinstance(requester.authorize(new_order(), 30), Accepted), name
            order = new_order()
            changes[order.order_id] = change
            future = requester.submit(order, 600)
            if ours:
                outcome = future.result(30)
                assert isinstance(outcome, Undecodable), name
                assert f"{topics[1]}[0]@" in outcome.why
            else:
                unanswered += 1
        assert isinstance(requester.authorize(new_order(), 30), Accepted)
        assert requester.in_flight() == unanswered
        place = (topics[1], 0)
        if asker.durable:
            with asker.orders.database.reading() as connection:
                assert next_offsets(connection)[place] == 2 * len(BAD) + 1  # type: ignore[index]
            found = letters_of(asker)
            assert len(found) == len(BAD)
            for (name, (_, _, why)), (_, _, headers) in zip(BAD.items(), found, strict=True):
                letter = dict(headers)
                assert why in letter["dead_letter_reason"].decode(), name
                assert letter["dead_letter_service"] == b"requester"
                assert letter["dead_letter_topic"] == topics[1].encode()
            assert asker.states()[RequestState.PENDING] == len(BAD)
        else:
            assert waiting(asker.orders.database) == 0


@pytest.mark.parametrize("face", FACES)
def test_in_every_face_a_bad_reply_is_an_outcome_by_name_and_the_next_is_answered(
    asker: Asker, topics: tuple[str, str], face: str
) -> None:
    ask = FACES[face]
    with scripted(asker._servers, topics[0], answers_badly(BAD["id not UTF-8"][0])) as made:
        requester = asker.requester()
        outcome = ask(requester, new_order(), 30)
        assert isinstance(outcome, Undecodable)
        assert "ce_id is not UTF-8" in outcome.why
        made.answer = answers_badly(BAD["no correlation id"][0], then=lambda good: good)
        assert isinstance(ask(requester, new_order(), 30), Accepted)
        assert requester.in_flight() == 0


def test_a_letter_has_bytes_key_and_headers_as_they_came(
    durable: Asker, topics: tuple[str, str]
) -> None:
    bad = Sent(b"\xff\x00", b"\xfe{", (("x", b"\x80"), ("x", b""), ("ce_id", b"\xff")))
    with scripted(durable._servers, topics[0], answers_badly(lambda _: bad)):
        requester = durable.requester()
        future = requester.submit(new_order(), 600)
        ((key, value, headers),) = wait_for(lambda: letters_of(durable), "the letter")
        assert not future.done()
    assert (key, value) == (bad.key, bad.value)
    assert tuple(headers[:3]) == bad.headers
    assert dict(headers)["dead_letter_offset"] == b"0"


def test_late_repeated_and_never_asked_are_no_letters(
    durable: Asker, topics: tuple[str, str]
) -> None:
    held: list[tuple[Record, ReturnAddress]] = []
    with scripted(durable._servers, topics[0], lambda m, r, a: held.append((r, a))) as made:
        requester = durable.requester()
        assert isinstance(requester.authorize(new_order(), 0.3), TimedOut)
        wait_for(lambda: held, "the request")
        record, address = held[0]
        for _ in range(3):
            made.accept(record, address)
        send(made.producer, address, reply_to(new_order()))
        made.answer = Scripted.accept
        assert isinstance(requester.authorize(new_order(), 30), Accepted)
    assert durable.states() == {RequestState.LATE: 1, RequestState.ANSWERED: 1}
    assert waiting(durable.orders.database) == 4, "two messages for each of the two that were asked"
    assert letters_of(durable) == []


def test_a_reply_for_another_order_changes_neither(durable: Asker, topics: tuple[str, str]) -> None:
    held: list[tuple[Record, ReturnAddress]] = []
    with scripted(durable._servers, topics[0], lambda m, r, a: held.append((r, a))) as made:
        requester = durable.requester()
        one, two = (requester.submit(new_order(number), 600) for number in (1, 2))
        wait_for(lambda: len(held) == 2, "the requests")
        orders = [order_of(record) for record, _ in held]
        crossed = reply_to(orders[1], UUID(message_id_of(AuthorizePayment(orders[0]))).bytes)
        send(made.producer, held[0][1], crossed)
        outcomes = wait_for(
            lambda: [each.result() for each in (one, two) if each.done()], "an outcome"
        )
        assert [type(each) for each in outcomes] == [Undecodable]
        assert durable.states() == {RequestState.PENDING: 2}
        assert durable.orders.open_orders() == 2
        for each in held:
            made.accept(*each)
        wait_for(lambda: durable.states() == {RequestState.ANSWERED: 2}, "both answered")


def test_a_letter_is_written_once_however_often_its_record_is_taken(durable: Asker) -> None:
    place = durable.requester()._place
    store = durable._made[0][1]
    assert isinstance(store, DurableRequests)
    record = Record(*place, 7, None, b"{", ())
    for _ in range(3):
        store.take_replies([], [(record, ContractError("broken"))], place, 8)
    assert waiting(durable.orders.database) == 1


def test_where_replies_can_not_be_kept_nobody_waits_for_ever(
    durable: Asker, topics: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(DurableRequests, "take_replies", full)
    with scripted(durable._servers, topics[0], Scripted.accept):
        requester: Requester = durable.requester()
        outcome = requester.submit(new_order(), 600).result(30)
        assert isinstance(outcome, InDoubt)
        assert "its thread replies has: replies can't be taken: the disk is full" in outcome.why
        assert requester.authorize(new_order(), 600) == NotSent(outcome.why)
    with durable.orders.database.reading() as connection:
        assert counts(connection) == {RequestState.PENDING: 1}


any_headers = st.lists(
    st.tuples(
        st.sampled_from(["ce_type", "ce_id", "ce_correlationid", CORRELATION_ID]) | st.text(),
        st.none()
        | st.binary(max_size=40)
        | st.sampled_from([ACCEPTED.encode(), b"shop.AuthorizationFailed.v1", b"1" * 16]),
    ),
    max_size=6,
)
ORDER = new_order(number="1")
DECLINED = AuthorizationDeclined(
    *[getattr(accepted(ORDER), name) for name in accepted(ORDER).__struct_fields__],
    Reason.NO_FUNDS,
)
any_body = (
    st.none()
    | st.binary(max_size=100)
    | st.builds(
        lambda body, at, byte: body[: at % len(body)] + byte + body[at % len(body) + 1 :],
        st.sampled_from([encode(accepted(ORDER)), encode(DECLINED)]),
        st.integers(0, 1000),
        st.binary(max_size=3),
    )
)


@given(key=st.none() | st.binary(max_size=10), value=any_body, headers=any_headers)
@example(key=None, value=encode(accepted(ORDER)), headers=[("ce_id", b"\xff")])
@example(
    key=None,
    value=encode(DECLINED),
    headers=[(CORRELATION_ID, b"1" * 16), ("ce_type", type_name(accepted(ORDER)).encode())],
)
def test_any_record_is_a_reply_or_is_refused_by_name(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    record = Record("payment.replies", 0, 0, key, value, tuple(headers))
    try:
        correlation_id = correlation_id_of(record)
    except ContractError as why:
        assert str(why)  # noqa: PT017
        correlation_id = str(uuid4())
    try:
        reply, _ = understand_reply(record, correlation_id)
    except ContractError as why:
        assert str(why)  # noqa: PT017
    else:
        assert reply.body == value
