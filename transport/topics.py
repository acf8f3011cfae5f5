"""Topics: which there are, what they carry, and how they are created."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    AuthorizationFailed,
    AuthorizePayment,
    Contract,
    NewOrder,
    OrderShipped,
    RecordRevenue,
    ShipOrder,
)
from domain.errors import BrokerError
from transport.asking import answers
from transport.clients import MAX_RECORD_BYTES, admin_client
from transport.servers import Servers
from transport.trouble import Tried, trouble

TOPIC_NAME = "[A-Za-z0-9._-]{1,249}"
"""What a topic may be called (org.apache.kafka.common.internals.Topic), but ``.`` and ``..``."""

DEAD_LETTER = ".dead-letter"

TIMEOUT_SECONDS = 30.0
"""How long the broker has to say which topics it has."""

ORDERS = "orders"
AUTHORIZATIONS = "authorizations"
WAREHOUSE_REQUESTS = "warehouse.requests"
PAYMENT_REQUESTS = "payment.requests"
PAYMENT_REPLIES = "payment.replies"
REPORTING_REQUESTS = "reporting.requests"


class TopicPartition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True)
class Topic:
    """A topic: events have observers that their source doesn't know, a message one recipient."""

    name: str
    kind: Literal["events", "messages"]
    carries: tuple[type[Contract], ...]


TOPICS = (
    Topic(ORDERS, "events", (NewOrder, OrderShipped)),
    Topic(AUTHORIZATIONS, "events", (AuthorizationAccepted, AuthorizationDeclined)),
    Topic(WAREHOUSE_REQUESTS, "messages", (ShipOrder,)),
    Topic(PAYMENT_REQUESTS, "messages", (AuthorizePayment,)),
    Topic(PAYMENT_REPLIES, "messages", (AuthorizationFailed,)),
    Topic(REPORTING_REQUESTS, "messages", (RecordRevenue,)),
)

ALL_TOPICS = (
    *(topic.name for topic in TOPICS),
    *(f"{topic.name}{DEAD_LETTER}" for topic in TOPICS),
)
"""The names of all topics of the project, those of dead letters at the end."""

_TOPIC_OF = {contract: topic.name for topic in TOPICS for contract in topic.carries}


def topic_of(contract: type[Contract]) -> str:
    """The topic that carries a contract."""
    return _TOPIC_OF[contract]


def dead_letter_topic(topic: str) -> str:
    """Where records of `topic` go that could not be handled."""
    return f"{topic}{DEAD_LETTER}"


def topic_config(topic: str, replication: int, retention_days: int) -> dict[str, str]:
    """How a topic of ours keeps its records, with `replication` copies of each.

    All that can lose records is said, so that a broker's own settings change nothing.
    """
    config = {
        "retention.ms": str(retention_days * 24 * 3600 * 1000),
        "retention.bytes": "-1",
        "cleanup.policy": "delete",
        "min.insync.replicas": str(max(1, replication - 1)),
        "unclean.leader.election.enable": "false",
    }
    if topic.endswith(DEAD_LETTER):
        config["max.message.bytes"] = str(MAX_RECORD_BYTES)
    return config


def create_topics(
    servers: Servers, partitions: int, replication: int, retention_days: int
) -> list[str]:
    """Create the topics that aren't there yet, and say which they were.

    Dead letters have one partition: they are few, and read by people.

    Raises:
        BrokerError: the broker refuses, or a topic is there with other partitions. A key's
            partition depends on their number, so it can't be changed under recorded orders.
    """
    admin = admin_client(servers)
    wanted = {topic.name: partitions for topic in TOPICS}
    wanted |= {dead_letter_topic(topic.name): 1 for topic in TOPICS}
    _check_partitions(servers, admin, wanted)
    created = []
    requests = admin.create_topics(
        [
            NewTopic(
                name, count, replication, config=topic_config(name, replication, retention_days)
            )
            for name, count in wanted.items()
        ]
    )
    for name, answer in requests.items():
        try:
            answer.result(timeout=30)
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                what = f"topic {name} can't be created on {servers}"
                raise trouble(servers, what, error, Tried("CREATE", name)) from error
    return created


def partitions_of(
    servers: Servers, admin: AdminClient, topics: Iterable[str], timeout: float
) -> dict[str, int]:
    """How many partitions topics have; those that aren't there are left out.

    Raises:
        AccessDenied: one may not be described, and perhaps isn't there.
        BrokerError: the broker doesn't say within `timeout` seconds.
    """
    wanted = tuple(topics)
    what = f"the broker at {servers} does not say which topics it has"
    try:
        known = admin.list_topics(timeout=timeout).topics
    except KafkaException as error:
        raise trouble(servers, what, error) from error
    found = {topic: len(known[topic].partitions) for topic in wanted if topic in known}
    # Of all topics a broker lists only those that may be described; asked by name, it says so.
    hidden = [topic for topic in wanted if topic not in found]
    if not hidden:
        return found
    topic = ", ".join(hidden)
    ask = partial(admin.describe_topics, TopicCollection(hidden))
    try:
        for topic, answer in answers(admin, timeout, ask).items():
            if not is_unknown(answer.exception()):
                found[topic] = len(answer.result().partitions)
    except (KafkaException, TimeoutError) as error:
        raise trouble(servers, what, error, Tried("DESCRIBE", topic)) from error
    return found


def offsets_of(
    admin: AdminClient, places: Iterable[TopicPartition], spec: Any, timeout: float, **options: Any
) -> dict[TopicPartition, int]:
    """The offset that a spec (Kafka's `OffsetSpec`) means in each of these partitions.

    Raises:
        KafkaException: one was refused, or isn't there.
        TimeoutError: the broker doesn't say within `timeout` seconds.
    """
    asked = {KafkaTopicPartition(*place): spec for place in places}
    found = answers(admin, timeout, partial(admin.list_offsets, asked, **options))
    return {
        TopicPartition(place.topic, place.partition): answer.result().offset
        for place, answer in found.items()
    }


def is_unknown(error: BaseException | None) -> bool:
    """Whether a client says by this that a topic isn't there."""
    unknown = KafkaError.UNKNOWN_TOPIC_OR_PART
    return isinstance(error, KafkaException) and error.args[0].code() == unknown


def _check_partitions(servers: Servers, admin: AdminClient, wanted: dict[str, int]) -> None:
    known = partitions_of(servers, admin, wanted, TIMEOUT_SECONDS)
    for name, count in wanted.items():
        if known.get(name, count) != count:
            raise BrokerError(
                f"topic {name} has {known[name]} partitions, the settings say {count}: start with "
                "a fresh SHOP_HOME, or set SHOP_PARTITIONS to what is there"
            )
