"""Inbox and outbox: handled once, published in order, by one relay at a time."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from domain.errors import BrokerError
from event_log.database import Database
from event_log.outbox import OutboxRow, Relay, enqueue, waiting
from services.batch import handle_batch
from services.payment import PaymentService
from tests.contract.conftest import Places
from tests.integration.pipes import NOW, Shop
from transport.records import Outgoing, Record
from transport.topics import ORDERS

COUNT = 300


def numbered(first: int, count: int) -> list[Outgoing]:
    headers: list[tuple[str, bytes | None]] = [("name", b"\0\xff"), ("none", None)]
    return [
        Outgoing("topic", b"%d" % number, headers, None if number % 7 else b"\0", number % 3)
        for number in range(first, first + count)
    ]


class Collects:
    """A publisher that keeps what it is given, and may be away."""

    def __init__(self) -> None:
        self.published: list[Outgoing] = []
        self.away = False

    def publish(self, records: Sequence[Outgoing]) -> None:
        for record in records:
            self.published.append(record)
        if self.away:
            raise BrokerError("the acknowledgement never came")


@pytest.fixture
def database(places: Places) -> Iterator[Database]:
    made = Database(places.of("outbox"), [OutboxRow])
    yield made
    made.close()


def test_it_is_published_in_the_order_of_commits_as_it_was_put_there(database: Database) -> None:
    for first in range(0, 50, 10):
        database.in_transaction(lambda connection, at=first: enqueue(connection, numbered(at, 10)))
    publisher = Collects()
    assert waiting(database) == 50
    assert Relay(database, publisher, batch=7).drain() == 50
    assert publisher.published == numbered(0, 50)
    assert (waiting(database), Relay(database, publisher).drain()) == (0, 0)


def test_what_is_rolled_back_is_never_published(database: Database) -> None:

    def work(connection: Connection) -> None:
        enqueue(connection, numbered(0, 3))
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        database.in_transaction(work)
    database.in_transaction(lambda connection: enqueue(connection, numbered(3, 3)))
    publisher = Collects()
    Relay(database, publisher).drain()
    assert publisher.published == numbered(3, 3)


def test_writers_at_once_publish_all_in_the_order_of_each(database: Database) -> None:
    start = threading.Barrier(2)

    def write(first: int) -> None:
        start.wait(60)
        for number in range(first, first + 50):
            database.in_transaction(
                lambda connection, at=number: enqueue(connection, numbered(at, 1))
            )

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 1000)]
    publisher = Collects()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        Relay(database, publisher, batch=3).drain()
    Relay(database, publisher).drain()
    keys = [int(record.key or b"") for record in publisher.published]
    assert [key for key in keys if key < 1000] == list(range(50))
    assert [key for key in keys if key >= 1000] == list(range(1000, 1050))


def test_two_relays_at_once_publish_each_record_once_and_in_order(
    places: Places, database: Database
) -> None:
    database.in_transaction(lambda connection: enqueue(connection, numbered(0, COUNT)))
    publisher, start = Collects(), threading.Barrier(2)
    failures: list[BaseException] = []

    def drain() -> None:
        opened = Database(places.of("outbox"), [OutboxRow])
        try:
            start.wait(60)
            Relay(opened, publisher, batch=5).drain()
        except BaseException as error:  # noqa: BLE001 the test says it
            failures.append(error)
        opened.close()

    threads = [threading.Thread(target=drain) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert publisher.published == numbered(0, COUNT)


def test_a_crash_between_publishing_and_marking_repeats_the_batch_and_no_more(
    database: Database,
) -> None:
    database.in_transaction(lambda connection: enqueue(connection, numbered(0, 12)))
    publisher = Collects()
    relay = Relay(database, publisher, batch=5)
    assert relay._publish_batch() == 5
    publisher.away = True
    with pytest.raises(BrokerError):
        relay.drain()
    assert waiting(database) == 7
    publisher.away = False
    assert Relay(database, publisher, batch=5).drain() == 7
    assert publisher.published == numbered(0, 10) + numbered(5, 7)


def test_a_record_is_handled_once_however_often_and_by_whomever_it_is_delivered(
    places: Places, records: list[Record]
) -> None:
    shops = [Shop(places.of) for _ in range(2)]
    payments = [shop.payment for shop in shops]
    orders = [each for each in records if each.topic == ORDERS][:100]
    moved = [replace(each, offset=each.offset + 10_000) for each in orders]
    start = threading.Barrier(2)

    def work(payment: PaymentService, size: int) -> None:
        start.wait(60)
        for first in range(0, len(orders), size):
            handle_batch(payment, orders[first : first + size], NOW)

    threads = [
        threading.Thread(target=work, args=each) for each in zip(payments, (9, 13), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    handle_batch(payments[0], [*moved, *orders], NOW)
    database = payments[0].database
    placed = sum(dict(each.headers)["ce_type"] == b"shop.NewOrder.v1" for each in orders)
    assert waiting(database) == placed > 30
    with database.reading() as connection:
        for table in ("inbox", "account_events"):
            found = connection.exec_driver_sql(f"SELECT count(*) FROM {table}")  # noqa: S608
            assert found.scalar() == placed
    for shop in shops:
        for service in shop.services:
            service.database.close()
