"""Kafka clients: one place for their settings, and a publisher that knows what arrived."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from domain.errors import BrokerError, NotLetIn, RecordsRefused
from transport.bounds import BATCH_BYTES, FETCHED_BYTES
from transport.servers import Servers, client_settings
from transport.throttling import note_throttling
from transport.trouble import Tried, ask_cluster, is_denial, trouble

if TYPE_CHECKING:
    from transport.records import Outgoing

# librdkafka writes to stderr otherwise, through any progress bar.
_client_log = logging.getLogger("librdkafka")

MAX_RECORD_BYTES = 12_000_000
"""The largest record that is sent, and that a dead-letter topic takes."""

PUBLISHED_TOGETHER_BYTES = 100_000
"""Bytes of records for one partition that are sent as one; a larger record goes alone."""

_HEARD: dict[str, Any] = {
    "logger": _client_log,
    "throttle_cb": lambda told: note_throttling(told.throttle_time),
}
"""Where a client says what it has to say beside its results."""

_FOR_GOOD = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError._INVALID_DIFFERENT_RECORD,
        KafkaError._UNKNOWN_PARTITION,
    }
)
"""What is wrong with a record itself, or with another of its batch: waiting would not help."""

PUBLISH_TIMEOUT_SECONDS = 120.0
"""How long a record may wait for its acknowledgement before publishing it has failed."""


def admin_client(servers: Servers) -> AdminClient:
    """A client that asks about and creates topics."""
    settings: dict[str, Any] = {
        **client_settings(servers),
        "logger": _client_log,
        # librdkafka (2.16) connects by need, and for an admin request that waits for a dead broker
        # it then tries without a pause, on a whole core; it waits between tries where it doesn't.
        "enable.sparse.connections": False,
    }
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
            # Counted in records there may be 100,000, and by default 64 MB.
            "queued.max.messages.kbytes": 2 * BATCH_BYTES // 1000,
            "fetch.message.max.bytes": FETCHED_BYTES,
            **_HEARD,
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
            **_HEARD,
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
        # Made where it is needed: it asks at once whether it may write, and a refusal is for good.
        self._producer: Producer | None = None

    def publish(self, records: "Sequence[Outgoing]") -> None:
        """Send `records` and wait until the brokers have them all.

        Raises:
            AccessDenied: this principal may not write to one of the topics.
            RecordsRefused: some will never be taken as they are; all others arrived.
            BrokerError: at least one is not there; its `arrived` says which are. Sending all of
                them again is safe, since a repeat is recognized by its id.
        """
        failed: dict[int, KafkaError] = {}
        # A batch is refused as a whole for one that is too large: alone each shows what it is.
        for index in sorted(self._send(records)):
            failed |= self._send(records[index : index + 1], index)
        if failed:
            raise RecordsRefused(
                {
                    index: f"topic {records[index].topic}: {error.str()}"
                    for index, error in sorted(failed.items())
                }
            )

    def _send(self, records: "Sequence[Outgoing]", first: int = 0) -> dict[int, KafkaError]:
        """Send, and say which were refused for good; they are numbered from `first` on."""
        failed: dict[int, KafkaError] = {}
        arrived: set[int] = set()
        if self._producer is None:
            self._producer = _publishing(self._servers)
        for index, record in enumerate(records, first):
            try:
                _produce(self._producer, record, partial(_note, failed, arrived, index))
            except KafkaException as error:
                failed[index] = error.args[0]
        try:
            waiting = self._producer.flush(PUBLISH_TIMEOUT_SECONDS + 10)
        except KafkaException as error:
            # A refusal for good, which no record has been told yet.
            unsaid = {*range(first, first + len(records))} - arrived - failed.keys()
            failed |= dict.fromkeys(unsaid, error.args[0])
            waiting = 0
        passing = {index: each for index, each in failed.items() if each.code() not in _FOR_GOOD}
        if passing:
            # A denial is the reason, whatever else became of the records beside it.
            index, why = min(passing.items(), key=lambda each: not is_denial(each[1]))
            count = len(failed) + waiting
            topic = records[index - first].topic
            missed = self._trouble(topic, why, f"{count} of {len(records)} records did not arrive")
        elif waiting:
            missed = trouble(
                self._servers,
                f"{waiting} of {len(records)} records did not arrive",
                KafkaError(KafkaError._MSG_TIMED_OUT),
            )
        else:
            return failed
        missed.arrived = frozenset(arrived)
        raise missed

    def _trouble(self, topic: str, error: KafkaError, what: str) -> BrokerError:
        if error.fatal() or error.code() == KafkaError._FATAL or is_denial(error):
            # It would refuse from now on, also what is allowed meanwhile; another sends it again.
            self._producer = None
        return trouble(self._servers, f"topic {topic}: {what}", error, Tried("WRITE", topic))


def _produce(
    producer: Producer, record: "Outgoing", told: Callable[[KafkaError | None, Message], None]
) -> None:
    while True:
        try:
            producer.produce(
                record.topic,
                value=record.body,
                key=record.key,
                headers=list(record.headers),
                partition=-1 if record.partition is None else record.partition,
                on_delivery=told,
            )
        except BufferError:
            producer.poll(0.1)
        else:
            return


def _note(
    failed: dict[int, KafkaError],
    arrived: set[int],
    index: int,
    error: KafkaError | None,
    _message: Message,
) -> None:
    if error is None:
        arrived.add(index)
    else:
        failed[index] = error


def _publishing(servers: Servers) -> Producer:
    # Small batches: a topic that takes less than one would refuse it for what others could have.
    return producer_client(servers, **{"linger.ms": 5, "batch.size": PUBLISHED_TOGETHER_BYTES})
