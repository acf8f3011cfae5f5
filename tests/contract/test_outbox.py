"""Inbox and outbox: handled once, published in order, by one relay at a time."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from domain.errors import BrokerError, RecordsRefused
from event_log.database import Database
from event_log.outbox import OutboxRow, Relay, enqueue, set_aside, waiting
from services.batch import handle_batch
from services.payment import PaymentService
from tests.contract.conftest import Places
from tests.integration.pipes import NOW, Shop
from transport.bounds import BATCH_BYTES
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


class Slow(Collects):
    """A publisher whose broker takes only so many of a batch in the time that it has."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def publish(self, records: Sequence[Outgoing]) -> None:
        super().publish(records[: self.most])
        if len(records) > self.most:
            error = BrokerError("the others did not arrive in time")
            error.arrived = frozenset(range(self.most))
            raise error


class Refuses(Collects):
    """A publisher whose broker never takes records of some keys."""

    def __init__(self, *keys: bytes) -> None:
        super().__init__()
        self.refused = set(keys)

    def publish(self, records: Sequence[Outgoing]) -> None:
        super().publish([each for each in records if each.key not in self.refused])
        reasons = {at: "too large" for at, each in enumerate(records) if each.key in self.refused}
        if reasons:
            raise RecordsRefused(reasons)


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


def test_what_arrived_of_a_batch_is_not_sent_again_with_the_rest(database: Database) -> None:
    database.in_transaction(lambda connection: enqueue(connection, numbered(0, 10)))
    publisher = Slow(4)
    for left in (6, 2):
        with pytest.raises(BrokerError):
            Relay(database, publisher).drain()
        assert waiting(database) == left
    assert Relay(database, publisher).drain() == 2
    assert publisher.published == numbered(0, 10)


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


def test_what_the_broker_never_takes_is_set_aside_and_its_neighbours_go_once(
    database: Database,
) -> None:
    database.in_transaction(lambda connection: enqueue(connection, numbered(0, 12)))
    publisher = Refuses(b"3", b"4", b"5", b"9")
    assert Relay(database, publisher, batch=3).drain() == 8
    there = [each for each in numbered(0, 12) if each.key not in publisher.refused]
    assert publisher.published == there
    assert waiting(database) == 0
    with database.reading() as connection:
        assert set_aside(connection) == ["too large"] * 4
    # What comes later goes at once, by the same relay.
    database.in_transaction(lambda connection: enqueue(connection, numbered(12, 1)))
    relay = Relay(database, publisher)
    assert relay.drain() == 1
    assert publisher.published == there + numbered(12, 1)
    # Its topic takes more by now: the next relay tries again, and each is out once.
    publisher.refused.clear()
    assert relay.drain() == 0
    assert Relay(database, publisher).drain() == 4
    assert sorted(int(each.key or b"") for each in publisher.published) == list(range(13))
    with database.reading() as connection:
        assert set_aside(connection) == []


def test_a_batch_ends_by_bytes_too(database: Database) -> None:
    sizes: list[int] = []

    class Measures(Collects):
        def publish(self, records: Sequence[Outgoing]) -> None:
            super().publish(records)
            sizes.append(sum(len(each.body or b"") for each in records))

    large = [replace(each, body=b"x" * 900_000) for each in numbered(0, 25)]
    huge = [replace(each, body=b"x" * 11_000_000) for each in numbered(25, 2)]
    wanted = [*large, *huge, *numbered(27, 5)]
    for each in wanted:
        database.in_transaction(lambda connection, it=each: enqueue(connection, [it]))
    publisher = Measures()
    assert Relay(database, publisher).drain() == len(wanted)
    assert publisher.published == wanted
    assert all(size <= BATCH_BYTES + 11_000_000 for size in sizes)
    assert sizes[:2] == [9 * 900_000] * 2


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
