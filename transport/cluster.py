"""A look at the cluster: where topics end, who reads them, and what waits to be read."""

from collections.abc import Iterable
from datetime import UTC, datetime
from time import monotonic
from typing import Any, NamedTuple

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import ConfigResource, OffsetSpec  # type: ignore[attr-defined]

from domain.errors import BrokerError
from transport.clients import admin_client, consumer_client
from transport.servers import Servers
from transport.topics import TopicPartition, partitions_of
from transport.trouble import Tried, refuse_denied, trouble

GROUP_STATES = {"PREPARING_REBALANCING": "rebalancing", "COMPLETING_REBALANCING": "rebalancing"}
"""Words for states of a group whose names are longer than they need to be."""


class Group(NamedTuple):
    """A consumer group: its state in a word, and how many members it has."""

    state: str
    members: int


class ClusterView:
    """Asks a cluster again and again; one client for all questions."""

    def __init__(self, servers: Servers, timeout: float = 10.0) -> None:
        """Connect with the first question; each may take `timeout` seconds."""
        self._servers = servers
        self._timeout = timeout
        self._admin = admin_client(servers)

    def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """The offset after the last record, by partition; topics that aren't there are left out.

        Raises:
            AccessDenied: one may not be described.
            BrokerError: the broker doesn't say in time.
        """
        topics = tuple(topics)
        known = partitions_of(self._servers, self._admin, topics, self._timeout)
        try:
            places = [
                KafkaTopicPartition(topic, partition)
                for topic, count in known.items()
                for partition in range(count)
            ]
            if not places:
                return {}
            latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
            answers = self._admin.list_offsets(
                dict.fromkeys(places, latest), request_timeout=self._timeout
            )
            return {
                TopicPartition(place.topic, place.partition): answer.result(self._timeout).offset
                for place, answer in answers.items()
            }
        except (KafkaException, TimeoutError) as error:
            tried = Tried("DESCRIBE", ", ".join(topics))
            raise self._silent("does not say where its topics end", error, tried) from error

    def largest(self, topics: Iterable[str]) -> dict[str, int]:
        """How many bytes the largest record may have that a topic takes, by topic.

        Raises:
            BrokerError: the broker doesn't say in time.
        """
        asked = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics]
        if not asked:
            return {}
        try:
            answers = self._admin.describe_configs(asked, request_timeout=self._timeout)
            return {
                each.name: int(answer.result(self._timeout)["max.message.bytes"].value)
                for each, answer in answers.items()
            }
        except (KafkaException, TimeoutError) as error:
            tried = Tried("DESCRIBE_CONFIGS", ", ".join(each.name for each in asked))
            raise self._silent("does not say how large a record may be", error, tried) from error

    def groups(self, names: Iterable[str]) -> dict[str, Group]:
        """The consumer groups; one that nobody ever joined is ``dead`` and has no members.

        Raises:
            BrokerError: the broker doesn't say in time.
        """
        try:
            answers = self._admin.describe_consumer_groups(
                list(names), request_timeout=self._timeout
            )
        except (KafkaException, TimeoutError) as error:
            raise self._silent("does not say who reads its topics", error) from error
        found = {}
        for name, answer in answers.items():
            try:
                found[name] = _group(answer, self._timeout)
            except (KafkaException, TimeoutError) as error:
                tried = Tried("DESCRIBE", name)
                raise self._silent("does not say who reads its topics", error, tried) from error
        return found

    def waits_since(self, place: TopicPartition, offset: int) -> datetime | None:
        """The time (UTC) of the first record from `offset` on; `None` if there is none to read.

        The end of a partition may be past its last record: after transactions, and where records
        were deleted.

        Raises:
            BrokerError: it can't be read in time.
        """
        consumer = consumer_client(self._servers, "unused", **{"enable.partition.eof": True})
        deadline = monotonic() + self._timeout
        try:
            consumer.assign([KafkaTopicPartition(place.topic, place.partition, offset)])
            while monotonic() < deadline:
                message = consumer.poll(0.2)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    return _time_of(message)
                if error.code() == KafkaError._PARTITION_EOF:
                    return None
                refuse_denied([message])
        except KafkaException as error:
            tried = Tried("READ", place.topic)
            what = f"does not give {place.topic}[{place.partition}]"
            raise self._silent(what, error, tried) from error
        finally:
            consumer.close()
        raise BrokerError(
            f"{place.topic}[{place.partition}]: the broker at {self._servers} gave no record "
            f"within {self._timeout:g} s"
        )

    def _silent(self, what: str, error: Exception, tried: Tried | None = None) -> BrokerError:
        return trouble(self._servers, f"the broker at {self._servers} {what}", error, tried)


def _group(answer: Any, timeout: float) -> Group:
    try:
        found = answer.result(timeout)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
            raise
        return Group("dead", 0)
    state = GROUP_STATES.get(found.state.name, found.state.name.lower())
    return Group(state, len(found.members))


def _time_of(message: Message) -> datetime:
    kind, milliseconds = message.timestamp()
    # A record without a time was there before times were: it waits for ever.
    since = 0 if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds
    return datetime.fromtimestamp(max(0, since) / 1000, UTC)
