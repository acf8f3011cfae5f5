"""Topics as a proof reads them: where partitions begin and end, and all their records in order."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition

from domain.errors import AccessDenied, BrokerError, ForeignCluster, NotLetIn
from transport.clients import admin_client, cluster_id, consumer_client
from transport.reading import read_between
from transport.records import Record
from transport.servers import Servers
from transport.topics import TopicPartition, partitions_of
from transport.trouble import Tried, trouble

TIMEOUT_SECONDS = 30.0
"""How long the broker may be silent."""

BATCH = 2_000
_MEMORY_KILOBYTES = 16_384


class Span(NamedTuple):
    """The offsets that a partition has: from `low` on, up to, without, `end`.

    What an open transaction holds up is past the end.
    """

    low: int
    end: int


class KafkaTopics:
    """Topics of a broker, read by assignment: no group is joined and nothing is committed.

    It must be closed.
    """

    def __init__(self, servers: Servers, fed_by: str | None) -> None:
        """Connect to the broker that fed the log; `fed_by` is its cluster id, if it is known.

        Raises:
            BrokerError: nobody answers there.
            ForeignCluster: it is another cluster.
        """
        cluster = cluster_id(servers)
        if fed_by not in (None, cluster):
            raise ForeignCluster(
                f"the log was fed by Kafka cluster {fed_by}, and the one at {servers} is "
                f"{cluster}: set KAFKA_BOOTSTRAP_SERVERS to the one that fed it"
            )
        self._servers = servers
        self._admin = admin_client(servers)
        self._consumer: Consumer = consumer_client(
            servers,
            "unused",
            **{
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": _MEMORY_KILOBYTES,
                # A fetch at the end of one partition must not hold up the next partition's.
                "fetch.wait.max.ms": 10,
            },
        )

    def spans(self, topics: Iterable[str]) -> dict[TopicPartition, Span]:
        """The partitions of `topics`, and what offsets they have; topics may be missing.

        Raises:
            AccessDenied: one may not be described.
            BrokerError: the broker doesn't say within 30 s.
        """
        known = partitions_of(self._servers, self._admin, topics, TIMEOUT_SECONDS)
        places = [
            TopicPartition(topic, partition)
            for topic, count in known.items()
            for partition in range(count)
        ]
        return {place: self.span(place) for place in places}

    def span(self, place: TopicPartition) -> Span:
        """The offsets that one partition has now.

        Raises:
            BrokerError: the broker doesn't say within 30 s.
        """
        try:
            low, end = self._consumer.get_watermark_offsets(
                KafkaTopicPartition(*place), timeout=TIMEOUT_SECONDS
            )
        except KafkaException as error:
            raise self._silent(error, Tried("DESCRIBE", place.topic)) from error
        return Span(low, end)

    def records(self, place: TopicPartition, span: Span) -> Iterator[list[Record]]:
        """The records of a partition's span in order, in batches, as far as they are there.

        Raises:
            BrokerError: the broker is silent for 30 s.
        """
        try:
            yield from read_between(
                self._consumer, place, span.low, span.end, BATCH, TIMEOUT_SECONDS
            )
        except TimeoutError as error:
            raise BrokerError(
                f"{place.topic}[{place.partition}] could not be read up to offset {span.end} from "
                f"{self._servers} within {TIMEOUT_SECONDS:g} s: try again, or leave Kafka out with "
                "--offline"
            ) from error
        except KafkaException as error:
            raise self._silent(error, Tried("READ", place.topic)) from error
        finally:
            self._consumer.unassign()

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _silent(self, error: KafkaException, tried: Tried) -> BrokerError:
        what = f"the broker at {self._servers} does not give {tried.name}"
        found = trouble(self._servers, what, error, tried)
        if isinstance(found, AccessDenied | NotLetIn):
            return found
        return BrokerError(f"{found}. Try again, or leave Kafka out with --offline")
