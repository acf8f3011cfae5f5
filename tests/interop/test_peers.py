"""spring-kafka asks spring-kafka: what the peers do without us."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from cli.settings import Settings
from tests.interop.peers import answering, ask, bench, require_maven
from transport.clients import admin_client
from transport.local_broker import LocalBroker

pytestmark = pytest.mark.slow

REQUESTS = "java.requests"
REPLIES = "java.replies"
NOBODY = "java.nobody"
PARTITIONS = 3


def line(number: int) -> str:
    customer = f"{number:05}"
    order = {
        "order_id": f"order-{number}",
        "customer_id": customer,
        "ordered_at": "1997-01-01T00:00:00Z",
        "amount": {"cents": 2_000 * (number + 1), "currency": "USD"},
        "items": number + 1,
        "billing_address": "1 Käfer Street",
    }
    return f"{customer}\t{json.dumps(order, ensure_ascii=False)}"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    require_maven()
    home: Path = tmp_path_factory.mktemp("peers") / "home"
    broker = LocalBroker(home, Settings().jars)
    found = broker.start().bootstrap_servers
    assert found is not None
    topics = [NewTopic(name, PARTITIONS, 1) for name in (REQUESTS, REPLIES, NOBODY)]
    admin = admin_client(found)
    try:
        for created in admin.create_topics(topics).values():
            created.result(30)
        yield found
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def answered(servers: str) -> Iterator[str]:
    """The servers, with a Java responder on the request topic."""
    with answering(servers, REQUESTS):
        yield servers


@pytest.mark.parametrize("partition", [None, 2])
def test_each_request_gets_its_own_answer(answered: str, partition: int | None) -> None:
    lines = [line(number) for number in range(20)]

    answers = ask(answered, REQUESTS, REPLIES, lines, timeout=30, partition=partition)

    assert [answer.index for answer in answers] == list(range(20))
    for answer, asked in zip(answers, lines, strict=True):
        assert answer.type == "-", answer
        order = json.loads(asked.split("\t")[1])
        del order["billing_address"]
        if order["amount"]["cents"] > 30_000:
            order["reason"] = "no_funds"
        assert json.loads(answer.body) == order


def test_a_request_that_nobody_answers_times_out(servers: str) -> None:
    (answer,) = ask(servers, NOBODY, REPLIES, [line(1)], timeout=1)

    assert answer.millis is None
    assert answer.type == "error"
    assert answer.body == "org.springframework.kafka.requestreply.KafkaReplyTimeoutException"


def test_the_benchmark_measures(answered: str) -> None:
    measured = bench(answered, REQUESTS, REPLIES, in_flight=8, seconds=2, warmup=0.5)

    assert measured["in_flight"] == 8
    assert measured["failed"] == 0
    assert measured["count"] > 100
    assert measured["p99_us"] >= measured["p50_us"] > 0
