"""A look at the cluster: where topics end, who reads them, and what waits to be read."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from confluent_kafka import IsolationLevel, KafkaError, KafkaException
from confluent_kafka.admin import ConfigResource, OffsetSpec  # type: ignore[attr-defined]

from domain.errors import BrokerError
from domain.progress import Standing
from transport.asking import answers
from transport.clients import admin_client
from transport.servers import Servers
from transport.topics import TopicPartition, offsets_of, partitions_of
from transport.trouble import Tried, trouble
from transport.waiting import Waiting

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
        self._waiting = Waiting(servers, timeout)

    def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """The offset where each partition ends; topics that aren't there are left out.

        It ends before what an open transaction holds up (its last stable offset), and an offset
        before the end need not have a record.

        Raises:
            AccessDenied: one may not be described.
            BrokerError: the broker doesn't say in time.
        """
        return self._ends(topics, IsolationLevel.READ_COMMITTED)

    def held_up(self, topics: Iterable[str]) -> dict[TopicPartition, datetime]:
        """The partitions whose records wait for an open transaction, and since when (UTC).

        Raises:
            AccessDenied: one may not be read.
            BrokerError: the broker doesn't say in time.
        """
        topics = tuple(topics)
        # What is closed in between is not held up: so the ends that count are asked for last.
        all_ends = self._ends(topics, IsolationLevel.READ_UNCOMMITTED)
        ends = self.ends(topics)
        found = {}
        for place, end in all_ends.items():
            if (stable := ends.get(place, end)) < end:
                since = self._waiting.since(place, stable, end, committed=False)
                if since is not None:
                    found[place] = since
        return found

    def _ends(self, topics: Iterable[str], level: IsolationLevel) -> dict[TopicPartition, int]:
        topics = tuple(topics)
        known = partitions_of(self._servers, self._admin, topics, self._timeout)
        places = [
            TopicPartition(topic, partition)
            for topic, count in known.items()
            for partition in range(count)
        ]
        if not places:
            return {}
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        try:
            return offsets_of(self._admin, places, latest, self._timeout, isolation_level=level)
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
            ask = partial(self._admin.describe_configs, asked)
            found = answers(self._admin, self._timeout, ask)
            return {
                str(each.name): int(answer.result()["max.message.bytes"].value)
                for each, answer in found.items()
            }
        except (KafkaException, TimeoutError) as error:
            tried = Tried("DESCRIBE_CONFIGS", ", ".join(each.name for each in asked))
            raise self._silent("does not say how large a record may be", error, tried) from error

    def groups(self, names: Iterable[str]) -> dict[str, Group]:
        """The consumer groups; one that nobody ever joined is ``dead`` and has no members.

        Raises:
            BrokerError: the broker doesn't say in time.
        """
        ask = partial(self._admin.describe_consumer_groups, list(names))
        try:
            described = answers(self._admin, self._timeout, ask)
        except (KafkaException, TimeoutError) as error:
            raise self._silent("does not say who reads its topics", error) from error
        found = {}
        for name, answer in described.items():
            try:
                found[name] = _group(answer)
            except KafkaException as error:
                tried = Tried("DESCRIBE", name)
                raise self._silent("does not say who reads its topics", error, tried) from error
        return found

    def standings(
        self, ends: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, Standing]:
        """How far each partition was handled, and how many records wait there.

        Raises:
            AccessDenied: a topic may not be read.
            BrokerError: a partition can't be read in time.
        """
        return self._waiting.standings(ends, positions)

    def waits_since(self, place: TopicPartition, standing: Standing) -> datetime | None:
        """The time (UTC) of the first record that waits; `None` if there is none to read.

        Raises:
            AccessDenied: the topic may not be read.
            BrokerError: it can't be read in time.
        """
        return self._waiting.since(place, standing.position, standing.end)

    def _silent(self, what: str, error: Exception, tried: Tried | None = None) -> BrokerError:
        return trouble(self._servers, f"the broker at {self._servers} {what}", error, tried)


def _group(answer: "Future[Any]") -> Group:
    try:
        found = answer.result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
            raise
        return Group("dead", 0)
    state = GROUP_STATES.get(found.state.name, found.state.name.lower())
    return Group(state, len(found.members))
