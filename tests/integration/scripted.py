"""A responder that does what a test says: loses, doubles, delays, forges."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from confluent_kafka import Producer

from domain.contracts import AuthorizationAccepted, NewOrder
from domain.money import Money
from request_reply.correlation import CORRELATION_ID, ReturnAddress, return_address
from transport.clients import consumer_client
from transport.codec import encode, type_name
from transport.records import Record, record_of, understand

ANSWER = Callable[["Scripted", Record, ReturnAddress], None]


def new_order(customer: int = 1, cents: int = 1000, number: str | None = None) -> NewOrder:
    return NewOrder(
        order_id=f"test/{number or uuid4()}",
        customer_id=f"{customer:05}",
        ordered_at=datetime(2026, 1, 1, tzinfo=UTC),
        amount=Money(cents, "USD"),
        items=1,
        billing_address=f"{customer} Order Street",
    )


def order_of(record: Record) -> NewOrder:
    return understand(record).payload.order  # type: ignore[union-attr]


def accepted(order: NewOrder) -> AuthorizationAccepted:
    return AuthorizationAccepted(
        order.order_id, order.customer_id, order.ordered_at, order.amount, order.items
    )


@dataclass
class Scripted:
    """Consumes a request topic; `answer` says what to do with each request."""

    servers: str
    topic: str
    answer: ANSWER
    asked: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.producer = Producer({"bootstrap.servers": self.servers, "acks": "all"})

    def reply(
        self,
        address: ReturnAddress,
        body: bytes | None,
        kind: str | None,
        correlation: bytes | None = None,
        flush: bool = True,
    ) -> None:
        headers: list[tuple[str, str | bytes | None]] = [
            (CORRELATION_ID, correlation or address.correlation_id)
        ]
        if kind is not None:
            headers.append(("ce_type", kind.encode()))
            headers.append(("ce_id", b"reply-1"))
        assert address.partition is not None
        self.producer.produce(
            address.topic, value=body, headers=headers, partition=address.partition
        )
        if flush:
            self.producer.flush(10)

    def accept(self, record: Record, address: ReturnAddress, flush: bool = True) -> None:
        said = accepted(order_of(record))
        self.reply(address, encode(said), type_name(said), flush=flush)


@contextmanager
def scripted(servers: str, topic: str, answer: ANSWER) -> Iterator[Scripted]:
    made = Scripted(servers, topic, answer)
    stop, ready = threading.Event(), threading.Event()

    def run() -> None:
        consumer = consumer_client(servers, f"scripted-{uuid4()}")
        consumer.subscribe([topic], on_assign=lambda *_: ready.set())
        while not stop.is_set():
            message = consumer.poll(0.05)
            if message is not None and message.error() is None:
                record = record_of(message)
                made.asked.append(record)
                made.answer(made, record, return_address(record.headers))
        consumer.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(30)
    try:
        yield made
    finally:
        stop.set()
        thread.join()
