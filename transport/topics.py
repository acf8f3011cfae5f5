"""Topics: which there are, what they carry, and how they are created."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from confluent_kafka import KafkaError, KafkaException
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
from transport.clients import MAX_RECORD_BYTES, admin_client

DEAD_LETTER = ".dead-letter"

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

_TOPIC_OF = {contract: topic.name for topic in TOPICS for contract in topic.carries}


def topic_of(contract: type[Contract]) -> str:
    """The topic that carries a contract."""
    return _TOPIC_OF[contract]


def dead_letter_topic(topic: str) -> str:
    """Where records of `topic` go that could not be handled."""
    return f"{topic}{DEAD_LETTER}"


def topic_config(replication: int, retention_days: int) -> dict[str, str]:
    """How a topic of ours keeps its records, with `replication` copies of each."""
    return {
        "retention.ms": str(retention_days * 24 * 3600 * 1000),
        "cleanup.policy": "delete",
        "min.insync.replicas": str(max(1, replication - 1)),
    }


def create_topics(
    bootstrap_servers: str, partitions: int, replication: int, retention_days: int
) -> list[str]:
    """Create the topics that aren't there yet, and say which they were.

    Dead letters have one partition: they are few, and read by people.

    Raises:
        BrokerError: the broker refuses, or a topic is there with other partitions. A key's
            partition depends on their number, so it can't be changed under recorded orders.
    """
    admin = admin_client(bootstrap_servers)
    config = topic_config(replication, retention_days)
    wanted = {topic.name: partitions for topic in TOPICS}
    wanted |= {dead_letter_topic(topic.name): 1 for topic in TOPICS}
    _check_partitions(admin, wanted)
    created = []
    letters = {"max.message.bytes": str(MAX_RECORD_BYTES)}
    requests = admin.create_topics(
        [
            NewTopic(
                name,
                count,
                replication,
                config=config | letters if name.endswith(DEAD_LETTER) else config,
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
                raise BrokerError(
                    f"topic {name} can't be created on {bootstrap_servers}: {error.args[0].str()}"
                ) from error
    return created


def require_topics(bootstrap_servers: str) -> None:
    """Check that every topic is there.

    Raises:
        BrokerError: one is not.
    """
    known = admin_client(bootstrap_servers).list_topics(timeout=30).topics
    missing = [topic.name for topic in TOPICS if topic.name not in known]
    if missing:
        raise BrokerError(
            f"the broker at {bootstrap_servers} has no topic {', '.join(missing)}: "
            "run `shop topics create`"
        )


def _check_partitions(admin: AdminClient, wanted: dict[str, int]) -> None:
    known = admin.list_topics(timeout=30).topics
    for name, count in wanted.items():
        if name in known and len(known[name].partitions) != count:
            raise BrokerError(
                f"topic {name} has {len(known[name].partitions)} partitions, the settings say "
                f"{count}: start with a fresh SHOP_HOME, or set SHOP_PARTITIONS to what is there"
            )
