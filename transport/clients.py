"""Kafka clients: one place for their settings, and a publisher that knows what arrived."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from domain.errors import BrokerError

if TYPE_CHECKING:
    from transport.records import Outgoing

_log = logging.getLogger(__name__)
# librdkafka writes to stderr otherwise, through any progress bar.
_client_log = logging.getLogger("librdkafka")

MAX_RECORD_BYTES = 12_000_000
"""The largest record that is sent, and that a dead-letter topic takes."""

PUBLISH_TIMEOUT_SECONDS = 120.0
"""How long a record may wait for its acknowledgement before publishing it has failed."""


def admin_client(bootstrap_servers: str) -> AdminClient:
    """A client that asks about and creates topics."""
    settings: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, "logger": _client_log}
    return AdminClient(settings)


def consumer_client(bootstrap_servers: str, group: str, **overrides: Any) -> Consumer:
    """A plain consumer that commits nothing by itself and starts at the earliest offset."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "logger": _client_log,
            **overrides,
        }
    )


def producer_client(bootstrap_servers: str, **overrides: Any) -> Producer:
    """A plain idempotent producer (KIP-98) that sends at once."""
    return Producer(
        {
            "bootstrap.servers": bootstrap_servers,
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


def cluster_id(bootstrap_servers: str, timeout: float = 30.0) -> str:
    """The id of the Kafka cluster behind `bootstrap_servers`.

    Args:
        bootstrap_servers: host:port, separated by commas.
        timeout: seconds to wait for an answer.

    Raises:
        BrokerError: nobody answers there.
    """
    try:
        metadata = admin_client(bootstrap_servers).list_topics(timeout=timeout)
    except KafkaException as error:
        raise BrokerError(
            f"no Kafka broker answers at {bootstrap_servers} within {timeout:g} s: "
            f"{error.args[0].str()}. Start one with `shop broker start`, or set "
            "KAFKA_BOOTSTRAP_SERVERS to one that is there"
        ) from error
    return str(metadata.cluster_id)


class Publisher:
    """Publishes records in order, each once per call, by Kafka's idempotent producer (KIP-98)."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = producer_client(bootstrap_servers, **{"linger.ms": 5})
        self._failed: list[str] = []

    def publish(self, records: "Sequence[Outgoing]") -> None:
        """Send `records` and wait until the brokers have them all.

        Raises:
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
                    raise BrokerError(
                        f"a record for topic {record.topic} can't be sent: {error.args[0].str()}"
                    ) from error
        waiting = self._producer.flush(PUBLISH_TIMEOUT_SECONDS + 10)
        if self._failed or waiting:
            raise BrokerError(
                f"{len(self._failed) + waiting} of {len(records)} records did not arrive: "
                f"{self._failed[0] if self._failed else 'no answer from the broker'}"
            )

    def _delivered(self, error: Any, message: Message) -> None:
        if error is not None:
            self._failed.append(f"topic {message.topic()}: {error.str()}")
