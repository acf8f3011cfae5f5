"""Kafka clients: one place for their settings, and a publisher that knows what arrived."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from domain.errors import BrokerError, NotLetIn
from transport.servers import Servers, client_settings
from transport.trouble import Tried, ask_cluster, is_denial, trouble

if TYPE_CHECKING:
    from transport.records import Outgoing

_log = logging.getLogger(__name__)
# librdkafka writes to stderr otherwise, through any progress bar.
_client_log = logging.getLogger("librdkafka")

MAX_RECORD_BYTES = 12_000_000
"""The largest record that is sent, and that a dead-letter topic takes."""

PUBLISH_TIMEOUT_SECONDS = 120.0
"""How long a record may wait for its acknowledgement before publishing it has failed."""


def admin_client(servers: Servers) -> AdminClient:
    """A client that asks about and creates topics."""
    settings: dict[str, Any] = {**client_settings(servers), "logger": _client_log}
    return AdminClient(settings)


def consumer_client(servers: Servers, group: str, **overrides: Any) -> Consumer:
    """A plain consumer that commits nothing by itself and starts at the earliest offset.

    It reads what is committed: what a transaction rolled back was never said, and what is still
    open waits (KIP-98). A partition's end is then its last stable offset.
    """
    return Consumer(
        {
            **client_settings(servers),
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "logger": _client_log,
            **overrides,
        }
    )


def producer_client(servers: Servers, **overrides: Any) -> Producer:
    """A plain idempotent producer (KIP-98) that sends at once."""
    return Producer(
        {
            **client_settings(servers),
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 0,
            "partitioner": "murmur2_random",
            "delivery.timeout.ms": int(PUBLISH_TIMEOUT_SECONDS * 1000),
            "queue.buffering.max.messages": 200_000,
            # A dead letter is a record as large as the broker takes, and its reason.
            "message.max.bytes": MAX_RECORD_BYTES,
            "logger": _client_log,
            **overrides,
        }
    )


def cluster_id(servers: Servers, timeout: float = 30.0) -> str:
    """The id of the Kafka cluster behind `servers`.

    Args:
        servers: where the broker is.
        timeout: seconds to wait for an answer.

    Raises:
        NotLetIn: it is there, and a password, a certificate or the protocol is the wrong one.
        BrokerError: nobody answers there.
    """
    try:
        return ask_cluster(servers, timeout)
    except NotLetIn:
        raise
    except BrokerError as error:
        raise BrokerError(
            f"no Kafka broker answers at {servers} within {timeout:g} s: {error}. Start one with "
            "`shop broker start`, or set KAFKA_BOOTSTRAP_SERVERS to one that is there"
        ) from error


class Publisher:
    """Publishes records in order, each once per call, by Kafka's idempotent producer (KIP-98)."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._producer = _publishing(servers)
        self._failed: list[tuple[str, KafkaError]] = []

    def publish(self, records: "Sequence[Outgoing]") -> None:
        """Send `records` and wait until the brokers have them all.

        Raises:
            AccessDenied: this principal may not write to one of the topics.
            BrokerError: at least one is not there; sending all of them again is safe, since a
                repeat is recognized by its id.
        """
        self._failed.clear()
        produce = self._producer.produce
        for record in records:
            while True:
                try:
                    produce(
                        record.topic,
                        value=record.body,
                        key=record.key,
                        headers=list(record.headers),
                        partition=-1 if record.partition is None else record.partition,
                        on_delivery=self._delivered,
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
                except KafkaException as error:
                    raise self._trouble(record.topic, error.args[0]) from error
        waiting = self._producer.flush(PUBLISH_TIMEOUT_SECONDS + 10)
        if self._failed:
            # A denial is the reason, whatever else became of the records beside it.
            topic, why = min(self._failed, key=lambda each: not is_denial(each[1]))
            count = len(self._failed) + waiting
            raise self._trouble(topic, why, f"{count} of {len(records)} records did not arrive")
        if waiting:
            raise trouble(
                self._servers,
                f"{waiting} of {len(records)} records did not arrive",
                KafkaError(KafkaError._MSG_TIMED_OUT),
            )

    def _trouble(self, topic: str, error: KafkaError, what: str = "it was not sent") -> BrokerError:
        if error.fatal() or error.code() == KafkaError._FATAL or is_denial(error):
            # It would refuse from now on, also what is allowed meanwhile; another sends it again.
            self._producer = _publishing(self._servers)
        return trouble(self._servers, f"topic {topic}: {what}", error, Tried("WRITE", topic))

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append((str(message.topic()), error))


def _publishing(servers: Servers) -> Producer:
    return producer_client(servers, **{"linger.ms": 5})
