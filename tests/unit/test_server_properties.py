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


@pytest.fixture(scope="module")
def secured() -> dict[str, str]:
    """The stack's own broker."""
    file = Path(__file__).parents[2] / "deploy" / "kafka" / "server.properties"
    lines = file.read_text().replace("\\\n", "").splitlines()
    return parsed("\n".join(line for line in lines if line and not line.startswith("#")))


def test_the_stack_s_broker_denies_what_no_acl_allows(secured):
    assert secured["authorizer.class.name"].endswith(".StandardAuthorizer")
    assert secured["allow.everyone.if.no.acl.found"] == "false"
    assert secured["super.users"] == "User:admin"


def test_the_stack_s_broker_knows_everybody_who_reaches_it(secured):
    protocols = secured["listener.security.protocol.map"]
    assert protocols == "CLIENTS:SASL_SSL,CONTROLLER:SSL"
    assert secured["sasl.enabled.mechanisms"] == "SCRAM-SHA-512"
    assert secured["listener.name.controller.ssl.client.auth"] == "required"
    assert secured["ssl.enabled.protocols"] == "TLSv1.3,TLSv1.2"
    assert secured["ssl.endpoint.identification.algorithm"] == "https"
    listeners = dict(each.split("://") for each in secured["listeners"].split(","))
    assert listeners["CONTROLLER"].startswith("127.0.0.1:")
    assert set(listeners) == {"CLIENTS", "CONTROLLER"}


def test_no_secret_is_in_the_stack_s_broker_s_settings(secured):
    passwords = {name: value for name, value in secured.items() if "password" in value + name}
    assert list(passwords) == ["listener.name.clients.scram-sha-512.sasl.jaas.config"]
    assert 'password="${directory:/run/secrets/broker:kafka_sasl_password}"' in str(passwords)


def test_the_stack_s_broker_creates_no_topic_unasked_and_keeps_one_copy(secured):
    assert secured["auto.create.topics.enable"] == "false"
    copies = [value for name, value in secured.items() if "replication.factor" in name]
    assert copies == ["1"] * 4


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
