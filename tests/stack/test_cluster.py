"""compose.cluster.yaml: three brokers, each record on all of them, and one may go."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import ClusterMetadata

from tests.conftest import ROOT
from tests.integration.test_pipeline import records
from tests.stack.attacks import Ground
from tests.stack.composed import Composed
from tests.unit.test_compose import find_compose, quiet_environment
from tests.waiting import wait_for
from transport.servers import client_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NODES = ("kafka", "kafka-2", "kafka-3")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Composed]:
    compose = find_compose()
    if compose is None:
        pytest.skip("only Docker Compose puts two files together; .ci/install-compose brings it")
    files = ("-f", "compose.yaml", "-f", "compose.cluster.yaml")
    done = subprocess.run(
        [*compose, *files, "config", "--format", "json"],
        cwd=ROOT,
        env=quiet_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(mkdtemp(prefix="cluster-"))
    made = Composed(folder, json.loads(done.stdout))
    try:
        for name in ("secrets", *NODES, "access", "topics"):
            made.start(name)
        yield made
    finally:
        made.close()
        rmtree(folder, ignore_errors=True)


def metadata(cluster: Composed) -> ClusterMetadata:
    return Ground(cluster).admin("admin").list_topics(timeout=30)


def test_each_record_is_on_three_brokers(cluster: Composed) -> None:
    known = metadata(cluster)
    assert len(known.brokers) == 3
    for topic in ("orders", "authorizations", "orders.dead-letter"):
        for partition in known.topics[topic].partitions.values():
            assert len(partition.replicas) == 3


def test_one_may_go_and_nothing_that_was_acknowledged_is_lost(cluster: Composed) -> None:
    leader = metadata(cluster).topics["orders"].partitions[0].leader
    process = cluster.running[NODES[leader - 1]].pop()
    process.kill()
    process.wait()
    refused: list[object] = []
    producer = Producer({**client_settings(Ground(cluster).kafka("order")), "acks": "all"})
    for number in range(100):
        producer.produce(
            "orders", str(number), partition=0, on_delivery=lambda error, _: refused.append(error)
        )
    assert producer.flush(60) == 0
    assert refused == [None] * 100
    cluster.start(NODES[leader - 1])

    def whole() -> bool:
        partition = metadata(cluster).topics["orders"].partitions[0]
        return len(partition.isrs) == 3

    wait_for(whole, "all copies", 120)
    found = [message.value() for message in records(Ground(cluster).kafka("operator"), "orders")]
    assert found == [str(number).encode() for number in range(100)]
