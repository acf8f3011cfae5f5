"""Records that a service may send and shouldn't: forged, replayed, hostile."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from domain.contracts import AuthorizePayment, NewOrder
from domain.identity import message_id_of
from domain.money import Money
from request_reply.correlation import ReturnAddress, request_headers
from tests.integration.test_pipeline import records
from tests.stack.attacks import WITHIN_SECONDS, Ground, attack
from tests.waiting import wait_for
from transport.records import Outgoing, outgoing
from transport.topics import ORDERS, PAYMENT_REPLIES, PAYMENT_REQUESTS, dead_letter_topic

SQL = "'; DROP TABLE orders; --"


def new_order(**said: Any) -> NewOrder:
    """An order that nobody placed yet."""
    order = {
        "order_id": f"attack/{uuid4()}",
        "customer_id": "00001",
        "ordered_at": datetime(1999, 1, 1, tzinfo=UTC),
        "amount": Money(100, "USD"),
        "items": 1,
        "billing_address": "1 Order Street",
    }
    return NewOrder(**{**order, **said})


def publish(ground: Ground, record: Outgoing, **changed: Any) -> None:
    """Send a record as the order service, some of it changed."""
    said: dict[str, Any] = {"body": record.body, "headers": record.headers, "key": record.key}
    said.update(changed)
    assert ground.produce("order", record.topic, **said) is None


def letters_about(ground: Ground, topic: str, event_id: str) -> list[dict[str, str]]:
    """The headers of dead letters about records of a topic that have an id."""
    letters = records(ground.kafka("operator"), dead_letter_topic(topic))
    return [
        {name: (value or b"").decode(errors="replace") for name, value in letter.headers()}
        for letter in letters
        if ("ce_id", event_id.encode()) in letter.headers()
    ]


def letter_about(ground: Ground, topic: str, event_id: str) -> dict[str, str]:
    """One of them, once it is there."""
    found = wait_for(
        lambda: letters_about(ground, topic, event_id), f"a letter of {topic}", WITHIN_SECONDS
    )
    return found[0]


def decisions(ground: Ground, order_id: str) -> list[dict[str, Any]]:
    """What the accounts say of an order."""
    rows = ground.asked("SELECT body FROM payment.account_events")
    bodies = [json.loads(bytes(body)) for (body,) in rows]
    return [body for body in bodies if body["order_id"] == order_id]


def decided(ground: Ground, order_id: str) -> dict[str, Any]:
    """The one decision about an order, once it is there."""
    (found,) = wait_for(
        lambda: decisions(ground, order_id), f"a decision about {order_id}", WITHIN_SECONDS
    )
    return found


def recorded(ground: Ground, order_id: str, count: int) -> list[tuple[Any, ...]]:
    """The log's events of an order, once there are so many."""
    query = (
        "SELECT type, subject, body FROM event_log.event_log WHERE correlation_id = %s "
        "ORDER BY position"
    )
    found: list[tuple[Any, ...]] = []

    def there() -> bool:
        found[:] = ground.asked(query, order_id)
        return len(found) >= count

    wait_for(there, f"{count} events of {order_id}", WITHIN_SECONDS)
    return found


def ordered(order: NewOrder) -> Outgoing:
    return outgoing(order, "shop/order", datetime.now(UTC))


@attack("another amount under an id that was used", "the inbox's digest: a dead letter")
def _forged_id(ground: Ground) -> None:
    order = new_order()
    publish(ground, ordered(order))
    first = decided(ground, order.order_id)
    publish(ground, ordered(new_order(order_id=order.order_id, amount=Money(1, "USD"))))
    letter = letter_about(ground, ORDERS, message_id_of(order))
    assert "was used before, with another body" in letter["dead_letter_reason"]
    assert decisions(ground, order.order_id) == [first]
    assert first["amount"]["cents"] == 100


@attack("an order that was seen, sent again and again", "the inbox: it has its effect once")
def _replayed_order(ground: Ground) -> None:
    order = new_order()
    for _ in range(5):
        publish(ground, ordered(order))
    later = new_order()
    publish(ground, ordered(later))
    # One customer's orders are in order: what came before it has been handled.
    decided(ground, later.order_id)
    assert len(decisions(ground, order.order_id)) == 1


@attack("a request that was seen, sent again", "an order is authorized once: the same answer")
def _replayed_request(ground: Ground) -> None:
    order = new_order(customer_id="00002")
    for correlation in (b"first", b"again"):
        request(ground, order, ReturnAddress(PAYMENT_REPLIES, 0, correlation))

    def answers() -> list[bytes]:
        replies = records(ground.kafka("order"), PAYMENT_REPLIES)
        return [reply.value() for reply in replies if order.order_id.encode() in reply.value()]

    found = wait_for(lambda: len(answers()) == 2 and answers(), "two replies", WITHIN_SECONDS)
    assert found[0] == found[1]
    assert len(decisions(ground, order.order_id)) == 1


@attack("a request whose reply is to go to others", "the responder's list of reply topics")
def _foreign_reply(ground: Ground) -> None:
    order = new_order(customer_id="00003")
    request(ground, order, ReturnAddress(ORDERS, 0, b"mine"))
    letter = letter_about(ground, PAYMENT_REQUESTS, message_id_of(AuthorizePayment(order)))
    assert ORDERS in letter["dead_letter_reason"]
    assert not decisions(ground, order.order_id)


@attack("SQL in every text of an order", "bound parameters: it is a text")
def _sql(ground: Ground) -> None:
    order = new_order(order_id=f"{SQL}{uuid4()}", billing_address=SQL)
    record = ordered(order)
    headers = [
        (name, SQL.encode() if name in ("ce_source", "ce_subject") else value)
        for name, value in record.headers
    ]
    publish(ground, record, headers=headers)
    assert decided(ground, order.order_id)["order_id"] == order.order_id
    first, *_ = recorded(ground, order.order_id, 2)
    assert first[1] == SQL
    assert order.order_id in [
        row[0]
        for row in ground.asked(
            'SELECT order_id FROM "order".orders WHERE order_id = %s', order.order_id
        )
    ]


@attack("a customer who is no number", "the contract: a dead letter")
def _customer(ground: Ground) -> None:
    order = new_order()
    record = ordered(order)
    body = (record.body or b"").replace(b'"00001"', f'"{SQL}"'.encode())
    publish(ground, record, body=body, key=SQL.encode())
    letter = letter_about(ground, ORDERS, message_id_of(order))
    assert "customer_id" in letter["dead_letter_reason"]


@attack("an amount that is said twice, or is no number", "strict JSON: a dead letter")
def _twice(ground: Ground) -> None:
    for said in (b'"cents":100,"cents":1', b'"cents":NaN', b'"cents":1e400', b'"cents":-100'):
        order = new_order()
        record = ordered(order)
        body = (record.body or b"").replace(b'"cents":100', said)
        assert body != record.body
        publish(ground, record, body=body)
        letter_about(ground, ORDERS, message_id_of(order))
        assert not decisions(ground, order.order_id)


@attack("JSON as deep as it goes", "the decoder's bound: a dead letter")
def _deep(ground: Ground) -> None:
    order = new_order()
    record = ordered(order)
    deep = b"[" * 100_000 + b"]" * 100_000
    publish(ground, record, body=(record.body or b"{}")[:-1] + b',"more":' + deep + b"}")
    letter_about(ground, ORDERS, message_id_of(order))


@attack("a line break in an id, to forge a line of a log", "an id is written as JSON")
def _forged_line(ground: Ground) -> None:
    order = new_order(order_id=f"attack/{uuid4()}\nERROR order payment: taken over")
    publish(ground, ordered(order), body=b"{}")
    letter_about(ground, ORDERS, message_id_of(order))
    for name in ground.composed.running:
        assert "\nERROR order payment: taken over" not in ground.composed.log(name), name


def request(ground: Ground, order: NewOrder, address: ReturnAddress) -> None:
    """Ask the payment service for an order, as a requester of one's own."""
    record = outgoing(AuthorizePayment(order), "shop/order", datetime.now(UTC))
    publish(ground, record, headers=[*record.headers, *request_headers(address, None)])
