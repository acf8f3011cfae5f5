"""What Kafka is told at its start."""

from pathlib import Path

import pytest

from transport.local_broker.server_properties import (
    escape,
    render_log_properties,
    render_server_properties,
)


def parsed(text: str) -> dict[str, str]:
    pairs = [line.split("=", 1) for line in text.splitlines()]
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), "a setting is there twice"
    return dict(pairs)


@pytest.fixture
def server() -> dict[str, str]:
    return parsed(render_server_properties(Path("/home/data"), 21001, 21002))


def test_one_node_is_broker_and_controller(server):
    assert server["process.roles"] == "broker,controller"
    assert server["controller.quorum.voters"] == f"{server['node.id']}@127.0.0.1:21002"
    assert server["log.dirs"] == "/home/data"


def test_nothing_listens_beyond_this_machine(server):
    addresses = [entry.split("://")[1] for entry in server["listeners"].split(",")]
    assert addresses == ["127.0.0.1:21001", "127.0.0.1:21002"]
    assert server["advertised.listeners"] == "PLAINTEXT://127.0.0.1:21001"


def test_a_topic_is_never_created_unasked(server):
    assert server["auto.create.topics.enable"] == "false"


def test_every_internal_topic_fits_one_node(server):
    copies = {name: value for name, value in server.items() if "replication.factor" in name}
    assert len(copies) == 4
    assert set(copies.values()) == {"1"}
    in_sync = {
        name: value
        for name, value in server.items()
        if name.endswith(("min.isr", "insync.replicas"))
    }
    assert len(in_sync) == 3
    assert set(in_sync.values()) == {"1"}


def test_a_group_starts_without_waiting(server):
    assert server["group.initial.rebalance.delay.ms"] == "0"
    assert server["offsets.topic.num.partitions"] == "4"


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/plain/path", "/plain/path"),
        ("/with space/x=y", "/with space/x=y"),
        ("C:\\shop\\new", "C:\\\\shop\\\\new"),
    ],
)
def test_paths_are_written_as_java_reads_them(path, written):
    assert escape(path) == written


def test_letters_beyond_ascii_are_escaped_as_java_reads_them():
    written = escape("/Büro/☃/𝄞")
    assert written.isascii()
    # Java's escapes are UTF-16 units, four digits each, two of them beyond the first plane.
    assert written == "/B\\u00fcro/\\u2603/\\ud834\\udd1e"


def test_the_log_is_bounded():
    log = parsed(render_log_properties(Path("/home/log")))
    assert log["appender.file.type"] == "RollingFile"
    assert log["appender.file.fileName"] == "/home/log/kafka.log"
    assert log["appender.file.filePattern"] == "/home/log/kafka.%i.log"
    assert log["appender.file.policies.size.size"] == "5MB"
    assert log["appender.file.strategy.max"] == "3"
    assert log["rootLogger.appenderRef.file.ref"] == log["appender.file.name"]
