"""The main job on Apache Kafka itself: the real purchases, from order to revenue."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from confluent_kafka import TopicPartition as KafkaTopicPartition

from tests import expected
from tests.conftest import Home
from transport.clients import consumer_client
from transport.reading import messages_between
from transport.servers import Servers
from transport.topics import TopicPartition

pytestmark = [pytest.mark.slow, pytest.mark.timeout(960)]


def records(servers: Servers, topic: str) -> list[Any]:
    """All records of a topic that are committed, by a plain consumer."""
    # From one partition to the next it would wait for the former's last answer, which has nothing.
    quick = {"enable.partition.eof": True, "fetch.wait.max.ms": 10}
    consumer = consumer_client(servers, "tests", **quick)
    found = []
    try:
        for partition in consumer.list_topics(topic, timeout=30).topics[topic].partitions:
            place = TopicPartition(topic, partition)
            low, end = consumer.get_watermark_offsets(KafkaTopicPartition(*place), timeout=30)
            for messages in messages_between(consumer, place, low, end, 5000, 60):
                found += messages
    finally:
        consumer.close()
    return found


def header(message: Any, name: str) -> str:
    return dict(message.headers())[name].decode()


def expect(found: dict[str, Any], orders: list[expected.Purchase], **accounts: Any) -> None:
    wanted = expected.report(orders, expected.outcomes(orders, **accounts))
    assert found["currency"] == "USD"
    assert found["months"] == wanted["months"]
    assert found["totals"] == wanted["totals"]


@pytest.fixture(scope="module")
def done_home(module_home: Home) -> Home:
    # All orders: beside other tests it takes as long as the machine needs.
    done = module_home.shop("demo", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    for figure in ("67,425", "2,344,881.33", "735", "772", "727", "69,659", "2,500,315.63"):
        assert figure in done.stdout
    assert module_home.processes() == []
    return module_home


@pytest.fixture(scope="module")
def servers(done_home: Home) -> Iterator[str]:
    done = done_home.shop("broker", "start")
    assert done.returncode == 0, done.stderr
    yield next(word for word in done.stdout.split() if word.startswith("127.0.0.1:"))
    done_home.shop("broker", "stop")


class TestAllOrders:
    """One run of all 69,659 orders, looked at from every side."""

    def test_the_report_is_right_to_the_cent(self, done_home: Home) -> None:
        found = done_home.report()
        expect(found, expected.purchases())
        assert found["totals"]["accepted"] == {"orders": 67_425, "cents": 234_488_133}

    def test_every_order_is_decided_as_computed_apart_and_recorded_so(
        self, done_home: Home
    ) -> None:
        decided = expected.outcomes(expected.purchases())
        assert done_home.recorded() == done_home.decisions() == decided

    def test_accepted_orders_reach_the_warehouse_once_and_declined_ones_never(
        self, servers: str
    ) -> None:
        orders = expected.purchases()
        decided = expected.outcomes(orders)
        accepted = Counter(o.order_id for o in orders if decided[o.order_id] == "accepted")
        messages = records(servers, "warehouse.requests")
        assert Counter(header(message, "ce_correlationid") for message in messages) == accepted
        shipped = [
            message
            for message in records(servers, "orders")
            if header(message, "ce_type") == "shop.OrderShipped.v1"
        ]
        assert Counter(header(message, "ce_correlationid") for message in shipped) == accepted

    def test_the_payload_of_ship_order_is_the_authorization_that_caused_it(
        self, servers: str
    ) -> None:
        causes = {header(m, "ce_id"): m.value() for m in records(servers, "authorizations")}
        messages = records(servers, "warehouse.requests")
        assert len(messages) == 67_425
        for message in messages:
            assert header(message, "ce_type") == "shop.ShipOrder.v1"
            assert message.value() == causes[header(message, "ce_causationid")]

    def test_one_account_is_decided_in_order(self, servers: str) -> None:
        """All of a customer is in one partition, by date."""
        places: dict[bytes, set[int]] = {}
        for message in records(servers, "authorizations"):
            places.setdefault(message.key(), set()).add(message.partition())
        assert len(places) == 23_570
        assert all(len(partitions) == 1 for partitions in places.values())
        assert len({p for partitions in places.values() for p in partitions}) == 4

    @pytest.mark.parametrize("topic", ["orders", "authorizations", "warehouse.requests"])
    def test_who_knows_only_cloudevents_can_read_everything(self, servers: str, topic: str) -> None:
        """By the `cloudevents` package's Kafka binding."""
        ids = set()
        for message in records(servers, topic):
            headers = dict(message.headers())
            event = from_kafka_event(KafkaMessage(headers, message.key(), message.value()))
            body = event.get_data()
            attributes = event.get_attributes()
            assert attributes["specversion"] == "1.0"
            assert attributes["datacontenttype"] == "application/json"
            assert attributes["subject"] == attributes["correlationid"] == body["order_id"]
            assert message.key().decode() == body["customer_id"]
            assert attributes["time"].tzinfo is not None
            ids.add(attributes["id"])
        assert (
            len(ids)
            == {
                "orders": 69_659 + 67_425,
                "authorizations": 69_659,
                "warehouse.requests": 67_425,
            }[topic]
        )

    def test_nothing_is_a_dead_letter(self, servers: str) -> None:
        for topic in ("orders", "authorizations", "warehouse.requests"):
            assert records(servers, f"{topic}.dead-letter") == []

    def test_placed_again_no_figure_changes(self, done_home: Home) -> None:
        before = done_home.report()
        again = Home(done_home.path, {"ORDERS": "5000"}).shop("demo")
        assert again.returncode == 0, again.stderr
        assert "5,000 of them were known already" in again.stderr
        assert done_home.report() == before


@pytest.mark.parametrize(
    ("settings", "orders", "accounts"),
    [
        (
            {"MONTHLY_LIMIT": "150.00", "SHOP_PARTITIONS": "7", "PAYMENTS": "2", "ORDERS": "6000"},
            6000,
            {"limit": "150.00"},
        ),
        (
            {"CLOSED_DIVISOR": "7", "WRONG_ADDRESS_DIVISOR": "5", "ORDERS": "1000"},
            1000,
            {"closed": 7, "wrong_address": 5},
        ),
    ],
)
def test_other_accounts_other_partitions_and_two_payment_processes(
    home: Home, settings: dict[str, str], orders: int, accounts: dict[str, Any]
) -> None:
    home.settings.update(settings)
    done = home.shop("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    expect(home.report(), expected.purchases(orders), **accounts)
