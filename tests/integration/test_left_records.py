"""Records that Faust dropped at the end of a partition are read all the same."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient

from cli.composition import order_service, payment_service, publisher, worker
from cli.place import read_purchases
from cli.settings import Settings
from domain.errors import OffsetGap, StoreBehind
from event_log.inbox import next_offsets
from event_log.outbox import Relay
from tests import expected
from tests.conftest import Home
from tests.integration.scripted import new_order
from tests.integration.test_styles import running, settings_of
from tests.integration.test_transactions import decided, said, send
from tests.integration.test_watchdog import logging_to
from tests.integration.transacting import Foreign
from tests.waiting import wait_for
from transport.cluster import ClusterView
from transport.reading import read_partition
from transport.topics import ORDERS, TopicPartition


@pytest.fixture
def home(home_on_shared_broker: Home) -> Home:
    return home_on_shared_broker


@pytest.fixture
def settings(home: Home) -> Iterator[Settings]:
    """A broker with topics, and no service."""
    with running(home):
        yield settings_of(home)


def test_what_stands_still_at_the_end_of_a_partition_is_read_directly(
    home: Home, settings: Settings
) -> None:
    orders = order_service(settings)
    orders.place(read_purchases(expected.DATA, "USD")[0][:200], datetime.now(UTC))
    Relay(orders.database, publisher(settings.bootstrap_servers or "")).drain()
    payment = worker(settings, "payment")
    mine = [TopicPartition(ORDERS, partition) for partition in (0, 1, 2)]
    ends = ClusterView(settings.bootstrap_servers or "").ends([ORDERS])
    payment.intake.take_left(mine, ends)
    assert home.count("payment", "account_events") == 0, "it may still be on its way"
    payment.intake.take_left(mine, ends)
    read = home.rows("payment", "SELECT topic, partition FROM positions")
    assert sorted(read) == [(ORDERS, 0), (ORDERS, 1), (ORDERS, 2)]
    decided = home.count("payment", "account_events")
    assert 0 < decided < 200
    payment.intake.take_left([*mine, TopicPartition(ORDERS, 3)], ends)
    payment.intake.take_left([*mine, TopicPartition(ORDERS, 3)], ends)
    assert home.decisions() == expected.outcomes(expected.purchases(200))


@contextmanager
def load(servers: str) -> Iterator[None]:
    """Orders come to the other partitions all the time."""
    over = threading.Event()

    def flow() -> None:
        while not over.wait(0.05):
            for partition in (1, 2, 3):
                send(servers, [new_order(partition, 1)], partition)

    thread = threading.Thread(target=flow)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
def test_what_was_left_is_read_while_other_partitions_are_busy(
    home: Home, settings: Settings, tmp_path: Path
) -> None:
    servers = str(settings.bootstrap_servers)
    home.settings["SHOP_STALLED_AFTER"] = "12"
    log = tmp_path / "log"
    with logging_to(log, home, "tests.integration.troubled", "drop") as process, load(servers):
        for _ in range(3):
            left = [new_order(4, 1) for _ in range(30)]
            send(servers, left, 0)
            wanted = {order.order_id for order in left}
            wait_for(lambda wanted=wanted: wanted <= set(decided(home)), "what was left")  # type: ignore[misc]
            assert process.poll() is None, log.read_text()
        process.terminate()
        assert process.wait(60) == 0, log.read_text()


def test_a_database_that_was_put_back_is_refused_and_read_on_from_its_own_position(
    home: Home, settings: Settings, tmp_path: Path
) -> None:
    """A database that was restored has less than was handled since."""
    servers = str(settings.bootstrap_servers)
    orders = [new_order(4, 1) for _ in range(12)]
    send(servers, orders, 0)
    place = TopicPartition(ORDERS, 0)
    (records,) = read_partition(servers, place, lambda low: low, 12, 100)
    payment = worker(settings, "payment")
    payment.intake.take(records[:11])
    restored = replace(home, path=tmp_path / "restored")
    payment._service.database = payment_service(restored.known_settings).database
    with pytest.raises(StoreBehind, match=r"stands at offset 0 of orders\[0\], and .* 11: it was"):
        payment.intake.take(records[11:])
    assert decided(restored) == []
    worker(restored.known_settings, "payment").intake.take(records[11:])
    assert decided(restored) == [order.order_id for order in orders]


def test_a_worker_moves_on_over_marks_so_that_retention_leaves_no_gap(
    home: Home, settings: Settings
) -> None:
    servers = str(settings.bootstrap_servers)
    foreign, place = Foreign(servers), TopicPartition(ORDERS, 0)
    foreign.send([said(new_order(4, 1))], 0)
    foreign.commit()
    cluster = ClusterView(servers)
    wait_for(lambda: cluster.ends([ORDERS])[place] == 2, "the mark")
    payment = worker(settings, "payment")
    (records,) = read_partition(servers, place, lambda low: low, 2, 100)
    payment.intake.take(records)
    with payment._service.database.reading() as connection:
        assert next_offsets(connection)[place] == 1
    for _ in range(2):
        payment.intake.take_left([place], cluster.ends([ORDERS]))
    with payment._service.database.reading() as connection:
        assert next_offsets(connection)[place] == 2
    delete_before(servers, place, 2)
    send(servers, [new_order(4, 1)], 0)
    (records,) = read_partition(servers, place, lambda low: low, 3, 100)
    payment.intake.take(records)
    assert len(decided(home)) == 2


def test_what_was_deleted_before_a_service_first_read_is_said(
    home: Home, settings: Settings
) -> None:
    servers, place = str(settings.bootstrap_servers), TopicPartition(ORDERS, 0)
    payment = worker(settings, "payment")
    send(servers, [new_order(4, 1) for _ in range(3)], 0)
    delete_before(servers, place, 2)
    payment.intake.take_left([place], {place: 3})
    with pytest.raises(OffsetGap, match="no offsets 0 to 1 any more"):
        payment.intake.take_left([place], {place: 3})
    assert home.count("payment", "account_events") == 0


def delete_before(servers: str, place: TopicPartition, offset: int) -> None:
    """As retention does."""
    admin = AdminClient({"bootstrap.servers": servers})
    for answer in admin.delete_records([KafkaTopicPartition(*place, offset)]).values():
        answer.result(30)
