"""What Faust's client can't read and the broker takes: it ends nothing, and nothing is lost."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest
from confluent_kafka import Producer

from domain.contracts import NewOrder
from tests.conftest import ROOT, Home
from tests.integration.pipes import NOW
from tests.integration.scripted import new_order
from tests.integration.test_pipeline import header, records
from tests.integration.test_styles import running, servers_of
from tests.waiting import wait_for
from transport.records import outgoing
from transport.topics import ORDERS, PAYMENT_REQUESTS

pytestmark = pytest.mark.slow

SERVICES = ("order", "payment", "recorder", "responder")

# The pure Python builder of records asks a header's name for its bytes.
NAMED_BADLY = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class Name(str):
    def encode(self, *_):
        return b"\\xff\\xfe"

async def send(servers, topic):
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        headers = [(Name("x"), b"1"), ("ce_type", b"shop.NewOrder.v1")]
        await producer.send_and_wait(topic, b"{}", key=b"1", headers=headers, partition=0)

asyncio.run(send(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def shop(module_home: Home) -> Iterator[tuple[Home, dict[str, "subprocess.Popen[str]"]]]:
    with running(module_home, *SERVICES) as processes:
        yield module_home, processes


def send_named_badly(servers: str, topic: str) -> None:
    environment = {**os.environ, "AIOKAFKA_NO_EXTENSIONS": "1"}
    command = [sys.executable, "-c", NAMED_BADLY, servers, topic]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=60)


def send_orders(servers: str, count: int, codec: str = "none") -> list[NewOrder]:
    """Publish orders of one customer with a compression, in as few batches as can be."""
    producer = Producer({"bootstrap.servers": servers, "compression.type": codec, "linger.ms": 500})
    orders = [new_order(1, cents=10) for _ in range(count)]
    for order in orders:
        sent = outgoing(order, "/shop/order", NOW)
        headers: list[tuple[str, str | bytes | None]] = list(sent.headers)
        producer.produce(ORDERS, sent.body, sent.key, headers=headers, partition=0)
    assert producer.flush(30) == 0
    return orders


def decided(home: Home) -> list[str]:
    """The orders that were authorized, in the order of their authorizations."""
    try:
        rows = home.rows("payment", "SELECT order_id FROM account_events ORDER BY id")
    except Exception:  # noqa: BLE001 there is no database yet
        return []
    return [order_id for (order_id,) in rows]


def all_are_decided_in_turn(home: Home, orders: Sequence[NewOrder]) -> None:
    wanted = [order.order_id for order in orders]

    def ours() -> list[str]:
        return [order_id for order_id in decided(home) if order_id in set(wanted)]

    wait_for(lambda: len(ours()) == len(wanted), "all are decided", 120)
    assert ours() == wanted
    in_log = "event_log WHERE type = 'shop.NewOrder' AND correlation_id IN ({})"
    listed = ", ".join(f"'{each}'" for each in wanted)
    wait_for(lambda: home.count("event_log", in_log.format(listed)) == len(wanted), "recorded")


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_orders_in_every_compression_are_decided_each_once_and_in_turn(
    shop: tuple[Home, dict[str, "subprocess.Popen[str]"]], codec: str
) -> None:
    home, processes = shop
    servers = servers_of(home)
    orders = send_orders(servers, 3)
    orders += send_orders(servers, 20, codec)
    orders += send_orders(servers, 3)
    orders += send_orders(servers, 20, codec)
    all_are_decided_in_turn(home, orders)
    assert {name: process.poll() for name, process in processes.items()} == dict.fromkeys(SERVICES)


def test_a_header_name_that_is_not_utf_8_is_a_dead_letter_and_its_neighbours_are_unharmed(
    shop: tuple[Home, dict[str, "subprocess.Popen[str]"]],
) -> None:
    home, processes = shop
    servers = servers_of(home)
    orders = send_orders(servers, 3)
    for _ in range(2):
        send_named_badly(servers, ORDERS)
        orders += send_orders(servers, 3)
    send_named_badly(servers, ORDERS)
    send_named_badly(servers, PAYMENT_REQUESTS)
    all_are_decided_in_turn(home, orders)
    for topic, service, count in ((ORDERS, "recorder", 3), (PAYMENT_REQUESTS, "responder", 1)):
        letters = wait_for(
            lambda topic=topic, count=count: (  # type: ignore[misc]
                len(found := records(servers, f"{topic}.dead-letter")) == count and found
            ),
            "the letters",
            120,
        )
        for letter in letters:
            assert header(letter, "dead_letter_service") == service
            assert "a header's name is not UTF-8" in header(letter, "dead_letter_reason")
            assert (letter.key(), letter.value()) == (b"1", b"{}")
    assert home.shop("dead-letters", "list").returncode == 0
    assert {name: process.poll() for name, process in processes.items()} == dict.fromkeys(SERVICES)
