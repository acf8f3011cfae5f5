"""Attacks on the stack that must fail: each tries it for real, and says what it met.

Whoever attacks has a foot in the door: a place in the stack's network, or a service's own password.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from cli.certificates import new_authority
from tests.stack.composed import Composed
from tests.waiting import wait_for
from transport.servers import SecuredServers, client_settings

WITHIN_SECONDS = 60


@dataclass
class Ground:
    """Where it happens: the stack, and what every attack may need of it."""

    composed: Composed

    def kafka(self, principal: str, secrets_of: str | None = None) -> SecuredServers:
        """The broker as a principal knows it; with another one's password if that is said."""
        folder = self.composed.secrets(secrets_of or principal)
        password = (folder / "kafka_sasl_password").read_text()
        address = f"127.0.0.1:{self.composed.place.port('kafka', '9092')}"
        return SecuredServers(
            address, principal, password, self.composed.secrets("order") / "ca.pem"
        )

    def produce(
        self, principal: str, topic: str, body: bytes, headers: Any = (), key: bytes | None = None
    ) -> KafkaError | None:
        """Send one record; what the broker has against it."""
        answers: list[KafkaError | None] = []
        producer = Producer(
            {
                **client_settings(self.kafka(principal)),
                "delivery.timeout.ms": WITHIN_SECONDS * 1000,
                "message.max.bytes": 100_000_000,
            }
        )
        producer.produce(
            topic,
            body,
            key=key,
            headers=list(headers),
            on_delivery=lambda error, _message: answers.append(error),
        )
        producer.flush(WITHIN_SECONDS)
        (answer,) = answers
        return answer

    def join(self, principal: str, topic: str, group: str) -> KafkaError:
        """Join a group to read a topic; what the broker has against it."""
        consumer = Consumer(
            {
                **client_settings(self.kafka(principal)),
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        try:
            consumer.subscribe([topic])
            found: KafkaError = wait_for(
                lambda: _trouble(consumer), f"{principal} is refused {topic}", WITHIN_SECONDS
            )
        finally:
            consumer.close()
        return found

    def admin(self, principal: str) -> AdminClient:
        return AdminClient(client_settings(self.kafka(principal)))

    @contextmanager
    def sql(self, principal: str, secrets_of: str | None = None) -> Any:
        """The database as a principal knows it."""
        folder = self.composed.secrets(secrets_of or principal)
        with psycopg.connect(
            host="127.0.0.1",
            port=int(self.composed.place.port("postgres", "5432")),
            dbname="shop",
            user=f"shop_{principal}",
            password=(folder / "shop_database_password").read_text().strip(),
            connect_timeout=10,
        ) as connection:
            yield connection

    def is_let_in(self, servers: SecuredServers) -> bool:
        """Whether a broker talks with whom these name."""
        try:
            AdminClient(client_settings(servers)).list_topics(timeout=5)
        except KafkaException:
            return False
        return True

    def asked(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query finds, by the rights of an operator."""
        with self.sql("operator") as connection:
            return connection.execute(query, values).fetchall()


def _trouble(consumer: Consumer) -> KafkaError | None:
    message = consumer.poll(0.2)
    if message is None:
        return None
    error: KafkaError | None = message.error()
    assert error is not None, "it could be read"
    return error


@dataclass(frozen=True)
class Attack:
    """What is tried, what it meets, and how."""

    what: str
    met_by: str
    run: Callable[[Ground], None]


ATTACKS: list[Attack] = []


def attack(what: str, met_by: str) -> Callable[[Callable[[Ground], None]], None]:
    """Note an attack; `met_by` is what docs/attacks.md says of it."""

    def note(run: Callable[[Ground], None]) -> None:
        ATTACKS.append(Attack(what, met_by, run))

    return note


@attack("a principal that nobody made", "SASL authentication")
def _stranger(ground: Ground) -> None:
    stranger = replace(ground.kafka("order"), username="mallory", password=str(uuid4()))
    assert _refusal(stranger) == KafkaError._AUTHENTICATION


@attack("a service with another one's password", "SASL authentication")
def _another_password(ground: Ground) -> None:
    assert _refusal(ground.kafka("order", secrets_of="payment")) == KafkaError._AUTHENTICATION


@attack("a client that speaks in clear", "TLS alone is listened for")
def _in_clear(ground: Ground) -> None:
    client = AdminClient({"bootstrap.servers": ground.kafka("order").addresses})
    with pytest.raises(KafkaException):
        client.list_topics(timeout=5)


@attack("a broker that somebody else set up in between", "the broker's certificate")
def _another_authority(ground: Ground) -> None:
    _, certificate = new_authority(datetime.now(UTC))
    file = ground.composed.folder / "another-ca.pem"
    file.write_bytes(certificate)
    assert _refusal(replace(ground.kafka("order"), ca=file)) == KafkaError._SSL


@attack("the payment service places an order", "ACL: no WRITE of orders")
def _foreign_event(ground: Ground) -> None:
    error = ground.produce("payment", "orders", b"{}")
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@attack("the warehouse authorizes a payment", "ACL: no WRITE of authorizations")
def _foreign_decision(ground: Ground) -> None:
    error = ground.produce("warehouse", "authorizations", b"{}")
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@attack("the dashboard reads orders from Kafka", "ACL: it has none")
def _foreign_reader(ground: Ground) -> None:
    known = ground.admin("dashboard").list_topics("orders", timeout=30).topics["orders"]
    assert known.error is not None
    assert known.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@attack("a service takes another one's partitions away", "ACL: no READ of its group")
def _foreign_group(ground: Ground) -> None:
    error = ground.join("order", "orders", "shop-recorder")
    assert error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED


@attack("a service makes a topic", "ACL: no CREATE")
def _topic(ground: Ground) -> None:
    client = ground.admin("order")
    (answer,) = client.create_topics([NewTopic("mine", 1)]).values()
    assert _code(answer) == KafkaError.TOPIC_AUTHORIZATION_FAILED


@attack("a service deletes a topic", "ACL: no DELETE")
def _deleted(ground: Ground) -> None:
    client = ground.admin("recorder")
    (answer,) = client.delete_topics(["orders"]).values()
    assert _code(answer) == KafkaError.TOPIC_AUTHORIZATION_FAILED


@attack("an operator gives itself more rights", "ACL: no ALTER of the cluster")
def _more_rights(ground: Ground) -> None:
    wish = AclBinding(
        ResourceType.TOPIC,
        "authorizations",
        ResourcePatternType.LITERAL,
        "User:operator",
        "*",
        AclOperation.ALL,
        AclPermissionType.ALLOW,
    )
    client = ground.admin("operator")
    (answer,) = client.create_acls([wish]).values()
    assert _code(answer) == KafkaError.CLUSTER_AUTHORIZATION_FAILED


@attack("a record larger than any topic takes", "the broker's message.max.bytes")
def _oversized(ground: Ground) -> None:
    error = ground.produce("order", "orders", b"x" * 20_000_000)
    assert error is not None
    assert error.code() == KafkaError.MSG_SIZE_TOO_LARGE


@attack("the order service reads accounts", "the role's rights: schema payment is another's")
def _foreign_schema(ground: Ground) -> None:
    with ground.sql("order") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM payment.account_events")


@attack("the dashboard changes a figure", "the role's rights: it may only read")
def _figure(ground: Ground) -> None:
    with ground.sql("dashboard") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE report.revenue_by_day SET cents = cents + 1")


@attack("the recorder changes what it recorded", "the role's rights: it may only append")
def _recorded(ground: Ground) -> None:
    with ground.sql("recorder") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE event_log.event_log SET body = 'x'")


@attack("the database's owner changes the log", "the log's trigger; without it, the hash chain")
def _owner(ground: Ground) -> None:
    with ground.sql("admin") as connection, pytest.raises(psycopg.errors.IntegrityError):
        connection.execute("UPDATE event_log.event_log SET body = 'x'")


@attack("a role of the database with another one's password", "SCRAM authentication")
def _database_password(ground: Ground) -> None:
    refused = pytest.raises(psycopg.OperationalError, match="password authentication failed")
    with refused, ground.sql("order", secrets_of="payment"):
        pass


def _refusal(servers: SecuredServers) -> int:
    """By which error a client is not let in."""
    reasons: list[int] = []
    client = AdminClient(
        {**client_settings(servers), "error_cb": lambda error: reasons.append(error.code())}
    )
    with pytest.raises(KafkaException):
        client.list_topics(timeout=5)
    client.poll(0)
    wanted = {KafkaError._AUTHENTICATION, KafkaError._SSL}
    found = [code for code in reasons if code in wanted]
    assert found, reasons
    return found[0]


def _code(answer: Any) -> int:
    with pytest.raises(KafkaException) as refused:
        answer.result(WITHIN_SECONDS)
    code: int = refused.value.args[0].code()
    return code
