"""Who else writes to the topics: another shop by transactions, and whoever sends what is none."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import NamedTuple
from uuid import uuid4

from confluent_kafka import Producer

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    NewOrder,
    Reason,
    ShipOrder,
)
from domain.house_accounts import house_address
from domain.money import Money
from transport.clients import producer_client
from transport.records import Outgoing, outgoing
from transport.servers import Servers
from transport.topics import AUTHORIZATIONS, ORDERS, WAREHOUSE_REQUESTS

SOURCE = "/elsewhere/shop"
FIRST_CUSTOMER = 50_001
"""The real purchases are of customers up to 23,570."""

LARGE_BYTES = 1_000_000


class Purchase(NamedTuple):
    """What `tests.expected` needs of an order that was placed elsewhere."""

    order_id: str
    customer: int
    month: str
    cents: int


@dataclass
class ForeignShop:
    """Publishes orders of its own customers by transactions, which it commits or aborts at random.

    An aborted transaction also has what would do harm if anybody took it for said: authorizations
    of orders that are real, and a message to ship them.
    """

    servers: Servers
    chance: random.Random
    first: int = 0
    """The number of its first order."""
    committed: list[Purchase] = field(default_factory=list)
    rolled_back: int = 0
    transactions: int = 0

    def __post_init__(self) -> None:
        self._numbers = count(self.first)

    @contextmanager
    def open(self, pause: float = 0.1) -> Iterator[None]:
        """Have it publish during a block, a transaction after the other."""
        stopped = threading.Event()
        failed: list[BaseException] = []

        def publish() -> None:
            try:
                producer = self._producer()
                while not stopped.wait(pause * self.chance.random()):
                    self._transaction(producer)
            except BaseException as error:  # noqa: BLE001 it is raised where the block ends
                failed.append(error)

        thread = threading.Thread(target=publish, name="foreign-shop")
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
        if failed:
            raise failed[0]

    def _producer(self) -> Producer:
        made = producer_client(
            self.servers,
            # A record may not wait longer than its transaction may be open.
            **{"transactional.id": f"elsewhere-{uuid4()}", "delivery.timeout.ms": 30_000},
        )
        made.init_transactions(60)
        return made

    def _transaction(self, producer: Producer) -> None:
        placed = [self._purchase() for _ in range(self.chance.randint(1, 8))]
        aborts = self.chance.random() < 0.5
        producer.begin_transaction()
        for order in map(_order, placed):
            _produce(producer, outgoing(order, SOURCE, datetime.now(UTC)))
        if aborts:
            for record in self._harm(placed):
                _produce(producer, record)
            # What is open has been read, by whoever reads what isn't committed.
            producer.flush(60)
            producer.abort_transaction(60)
            self.rolled_back += len(placed)
        else:
            producer.commit_transaction(60)
            self.committed += placed
        self.transactions += 1

    def _harm(self, placed: list[Purchase]) -> Iterator[Outgoing]:
        for about in [*placed, *self.committed[-3:]]:
            order = _order(about)
            said = (order.order_id, order.customer_id, order.ordered_at, order.amount, order.items)
            accepted = AuthorizationAccepted(*said)
            for contract in (
                accepted,
                AuthorizationDeclined(*said, Reason.NO_FUNDS),
                ShipOrder(accepted),
            ):
                yield outgoing(contract, SOURCE, datetime.now(UTC))

    def _purchase(self) -> Purchase:
        number = next(self._numbers)
        # Few customers, so that many reach their limit.
        customer = FIRST_CUSTOMER + self.chance.randrange(40)
        month = f"2024-{self.chance.randint(1, 3):02}"
        return Purchase(f"elsewhere/{number}", customer, month, self.chance.randint(0, 12_000))


def large_records(servers: Servers, number: int, chance: random.Random) -> dict[str, int]:
    """Publish so many records of nearly 1 MB to each topic of events and messages.

    Each says that it is of a type of the topic, and its body is none.

    Returns:
        How many letters there must be of each topic: one for each service that takes the type.
    """
    producer = producer_client(servers, **{"queue.buffering.max.kbytes": 100_000})
    readers = {ORDERS: 3, AUTHORIZATIONS: 2, WAREHOUSE_REQUESTS: 1}
    kinds = {
        ORDERS: b"shop.NewOrder.v1",
        AUTHORIZATIONS: b"shop.AuthorizationAccepted.v1",
        WAREHOUSE_REQUESTS: b"shop.ShipOrder.v1",
    }
    for _ in range(number):
        for topic, kind in kinds.items():
            body = chance.randbytes(LARGE_BYTES)
            producer.produce(topic, value=body, key=b"1", headers=[("ce_type", kind)])
        # Each round before the next: more would wait than a client holds where the broker is slow.
        assert producer.flush(120) == 0
    return {topic: number * services for topic, services in readers.items()}


def _order(purchase: Purchase) -> NewOrder:
    year, month = map(int, purchase.month.split("-"))
    customer = f"{purchase.customer:05}"
    return NewOrder(
        purchase.order_id,
        customer,
        datetime(year, month, 15, 12, tzinfo=UTC),
        Money(purchase.cents, "USD"),
        1,
        house_address(customer),
    )


def _produce(producer: Producer, record: Outgoing) -> None:
    producer.produce(record.topic, value=record.body, key=record.key, headers=list(record.headers))
