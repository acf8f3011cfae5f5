"""Every cell of the table, tried by the real client: what is allowed works, all else is denied."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from domain.principals import Principal
from tests.secured_broker import SecuredBroker
from tests.waiting import wait_for
from transport.access import SERVICES, Kind, Operation, group_of, rights
from transport.clients import admin_client, consumer_client, producer_client
from transport.topics import TOPICS, dead_letter_topic

NAMES = [name for topic in TOPICS for name in (topic.name, dead_letter_topic(topic.name))]
GROUPS = [*(group_of(each) for each in SERVICES), "shop-projector", "unused"]
PRINCIPALS = [each for each in Principal if each is not Principal.ADMIN]

Cells = set[tuple[str, str]]
"""Which operation is allowed on which topic or group."""


def said(principal: Principal, kind: Kind) -> Cells:
    """What the table allows."""
    return {
        (right.name, right.operation.value)
        for right in rights()
        if right.principal is principal and right.kind is kind
    }


def implied(cells: Cells) -> Cells:
    """With what Kafka allows along."""
    seen = {name for name, operation in cells if operation in ("READ", "WRITE")}
    seen |= {name for name, operation in cells if operation == "DESCRIBE"}
    return cells | {(name, "DESCRIBE") for name in seen}


def code_of(call: Callable[[], Any]) -> int | None:
    try:
        call()
    except KafkaException as error:
        return int(error.args[0].code())
    return None


def allowed(found: dict[str, int | None], denial: int) -> set[str]:
    """The names that worked; the others must have been denied, and nothing else."""
    assert set(found.values()) <= {None, denial}, found
    return {name for name, code in found.items() if code is None}


def writes(broker: SecuredBroker, principal: Principal) -> set[str]:
    producer = producer_client(broker.servers(principal), **{"delivery.timeout.ms": 20_000})
    found: dict[str, int | None] = {}

    def delivered(name: str) -> Callable[[KafkaError | None, Any], None]:
        return lambda error, _: found.update({name: None if error is None else error.code()})

    for name in NAMES:
        producer.produce(name, b"tried", on_delivery=delivered(name))
    assert producer.flush(30) == 0
    if not any(code is None for code in found.values()):
        # Who may write nowhere gets no number, and its producer ends.
        denials = {KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError._FATAL}
        denials.add(KafkaError.TOPIC_AUTHORIZATION_FAILED)
        assert set(found.values()) <= denials, found
        return set()
    return allowed(found, KafkaError.TOPIC_AUTHORIZATION_FAILED)


def reads(broker: SecuredBroker, principal: Principal) -> set[str]:
    found: dict[str, int | None] = {}
    settings = {"enable.partition.eof": True, "fetch.wait.max.ms": 50}
    with closing(consumer_client(broker.servers(principal), "unused", **settings)) as consumer:
        # librdkafka keeps silent about a topic of an assignment that it doesn't see.
        visible = seen(broker, principal)
        for name in [name for name in NAMES if name not in visible]:
            place = KafkaTopicPartition(name, 0)
            code = code_of(lambda: consumer.get_watermark_offsets(place, timeout=10))  # noqa: B023
            assert code in (KafkaError._UNKNOWN_PARTITION, KafkaError.TOPIC_AUTHORIZATION_FAILED)
            found[name] = KafkaError.TOPIC_AUTHORIZATION_FAILED
        consumer.assign([KafkaTopicPartition(name, 0, 0) for name in visible])

        def all_tried() -> bool:
            message = consumer.poll(0.2)
            if message is not None and message.topic() is not None:
                error = message.error()
                code = None if error is None else error.code()
                read = code in (None, KafkaError._PARTITION_EOF)
                found.setdefault(str(message.topic()), None if read else code)
            return len(found) == len(NAMES)

        wait_for(all_tried, "an answer for each topic")
    return allowed(found, KafkaError.TOPIC_AUTHORIZATION_FAILED)


def seen(broker: SecuredBroker, principal: Principal) -> set[str]:
    admin = admin_client(broker.servers(principal))
    answers = admin.describe_topics(TopicCollection(NAMES))
    found = {name: code_of(answer.result) for name, answer in answers.items()}
    return allowed(found, KafkaError.TOPIC_AUTHORIZATION_FAILED)


def joins(broker: SecuredBroker, principal: Principal, group: str, topic: str) -> int | None:
    """Join a group and commit an offset; the denial, where there is one."""
    assigned: list[KafkaTopicPartition] = []
    with closing(consumer_client(broker.servers(principal), group)) as consumer:
        consumer.subscribe([topic], on_assign=lambda _, places: assigned.extend(places))

        def tried() -> bool | int:
            message = consumer.poll(0.2)
            error = None if message is None else message.error()
            return int(error.code()) if error is not None else bool(assigned)

        outcome = wait_for(tried, f"{group} is joined, or is not to be")
        if outcome is not True:
            return outcome
        place = KafkaTopicPartition(assigned[0].topic, assigned[0].partition, 0)
        return code_of(lambda: consumer.commit(offsets=[place], asynchronous=False))


def seen_configs(broker: SecuredBroker, principal: Principal) -> set[str]:
    asked = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in NAMES]
    admin = admin_client(broker.servers(principal))
    answers = admin.describe_configs(asked)
    found = {each.name: code_of(answer.result) for each, answer in answers.items()}
    return allowed(found, KafkaError.TOPIC_AUTHORIZATION_FAILED)


@pytest.mark.parametrize("principal", PRINCIPALS)
def test_each_topic_is_written_read_and_seen_by_whom_the_table_says(
    broker: SecuredBroker, principal: Principal
) -> None:
    wanted = implied(said(principal, Kind.TOPIC))
    tries = {
        Operation.WRITE: writes,
        Operation.READ: reads,
        Operation.DESCRIBE: seen,
        Operation.DESCRIBE_CONFIGS: seen_configs,
    }
    for operation, tried in tries.items():
        may = {name for name, each in wanted if each == operation}
        assert tried(broker, principal) == may, operation


@pytest.mark.parametrize("principal", PRINCIPALS)
def test_each_group_is_used_and_seen_by_whom_the_table_says(
    broker: SecuredBroker, principal: Principal
) -> None:
    wanted = said(principal, Kind.GROUP)
    readable = {name for name, operation in said(principal, Kind.TOPIC) if operation == "READ"}
    topic = min(readable, default=NAMES[0])
    used = {group: joins(broker, principal, group, topic) for group in GROUPS}
    admin = admin_client(broker.servers(principal))
    described = admin.describe_consumer_groups(GROUPS)
    found = {
        name: None if code == KafkaError.GROUP_ID_NOT_FOUND else code
        for name, answer in described.items()
        for code in [code_of(answer.result)]
    }
    denial = KafkaError.GROUP_AUTHORIZATION_FAILED
    assert allowed(used, denial) == {name for name, each in wanted if each == "READ"}
    assert allowed(found, denial) == {name for name, each in implied(wanted) if each == "DESCRIBE"}


@pytest.mark.parametrize("principal", PRINCIPALS)
def test_nobody_but_admin_makes_changes_or_deletes_topics_and_groups(
    broker: SecuredBroker, principal: Principal
) -> None:
    admin = admin_client(broker.servers(principal))
    new = admin.create_topics([NewTopic("stranger", 1, 1)])["stranger"]
    old = admin.delete_topics(["orders"])["orders"]
    group = admin.delete_consumer_groups(["shop-order"])["shop-order"]
    entry = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
    own = ConfigResource(ConfigResource.Type.TOPIC, "orders", incremental_configs=[entry])
    changed = admin.incremental_alter_configs([own])[own]
    assert code_of(new.result) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert code_of(old.result) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert code_of(group.result) == KafkaError.GROUP_AUTHORIZATION_FAILED
    assert code_of(changed.result) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    settings = {"transactional.id": "stranger", "transaction.timeout.ms": 120_000}
    transactional = producer_client(broker.servers(principal), **settings)
    code = code_of(lambda: transactional.init_transactions(10))
    assert code == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
