"""Records that the broker will never take: set aside by name, while their neighbours go once."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from cli.composition import payment_service, publisher
from event_log.outbox import Relay, enqueue, set_aside, waiting
from services.payment import PaymentService
from tests.conftest import Home
from tests.integration.test_styles import records, running, servers_of, settings_of
from tests.integration.test_too_large import take_up_to
from transport.records import Outgoing

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(module_home: Home) -> Iterator[Home]:
    with running(module_home):
        yield module_home


@pytest.fixture
def payment(shop: Home) -> Iterator[PaymentService]:
    made = payment_service(settings_of(shop))
    yield made
    made.database.close()


def bodies(shop: Home, word: bytes) -> "Counter[bytes]":
    found = [each.value() or b"" for each in records(servers_of(shop), "orders")]
    return Counter(each[:20] for each in found if each.startswith(word))


def test_one_too_large_and_one_for_no_partition_hold_nobody_up(
    shop: Home, payment: PaymentService
) -> None:
    take_up_to(shop, 1_048_588)
    outs = [
        Outgoing("orders", b"7", [], b"neighbour before"),
        Outgoing("orders", b"7", [], b"large" + b"x" * 1_500_000),
        Outgoing("orders", b"7", [], b"nowhere", partition=999),
        Outgoing("orders", b"7", [], b"neighbour after"),
        Outgoing("orders", b"7", [], b"huge" + b"x" * 12_500_000),
        Outgoing("authorizations", b"7", [], b"neighbour elsewhere"),
    ]
    payment.database.in_transaction(lambda connection: enqueue(connection, outs))
    sends = publisher(servers_of(shop))
    assert Relay(payment.database, sends).drain() == 3
    assert waiting(payment.database) == 0
    with payment.database.reading() as connection:
        large, nowhere, huge = set_aside(connection)
    for why in (large, huge):
        assert why.startswith("topic orders: ")
        assert "Message size too large" in why
    assert "Unknown partition" in nowhere
    status = json.loads(shop.shop("status", "--json").stdout)
    said = "payment: the broker will not take 3 records of the outbox as they are (topic "
    assert sum(each.startswith(f"{said}orders: ") for each in status["wrong"]) == 1
    # Asked again with a topic that takes more, and each neighbour was there once.
    take_up_to(shop, 2_000_000)
    assert Relay(payment.database, sends).drain() == 1
    with payment.database.reading() as connection:
        assert len(set_aside(connection)) == 2
    assert bodies(shop, b"neighbour") == {b"neighbour before": 1, b"neighbour after": 1}
    assert bodies(shop, b"large") == {b"large" + b"x" * 15: 1}


def test_a_batch_larger_than_the_topic_takes_is_no_fault_of_its_records(
    shop: Home, payment: PaymentService
) -> None:
    take_up_to(shop, 20_000)
    outs = [Outgoing("orders", b"8", [], b"many %03d" % n + b"." * 1000) for n in range(60)]
    outs.insert(30, Outgoing("orders", b"8", [], b"mean" + b"x" * 30_000))
    payment.database.in_transaction(lambda connection: enqueue(connection, outs))
    Relay(payment.database, publisher(servers_of(shop))).drain()
    assert waiting(payment.database) == 0
    with payment.database.reading() as connection:
        assert len([why for why in set_aside(connection) if "size too large" in why]) >= 1
    found = bodies(shop, b"many")
    assert set(found.values()) == {1}
    assert len(found) == 60
