"""Which partitions topics have: whether a reply can go where it is asked for."""

from typing import Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from domain.errors import BrokerError
from transport.clients import admin_client


class KnowsPartitions(Protocol):
    """Something that knows which partitions there are."""

    def has(self, topic: str, partition: int | None) -> bool:
        """Whether a topic has a partition; `None` is any."""


class Partitions:
    """Which partitions there are, as the broker says; asked again about one that is not known."""

    def __init__(self, bootstrap_servers: str) -> None:
        """Ask nothing yet."""
        self._servers = bootstrap_servers
        self._admin: AdminClient | None = None
        self._counts: dict[str, int] = {}

    def has(self, topic: str, partition: int | None) -> bool:
        """Whether a topic has a partition; `None` is any.

        Raises:
            BrokerError: the broker doesn't say within 10 s.
        """
        wanted = partition or 0
        if wanted >= self._counts.get(topic, 0):
            self._counts[topic] = self._ask(topic)
        return wanted < self._counts[topic]

    def _ask(self, topic: str) -> int:
        if self._admin is None:
            self._admin = admin_client(self._servers)
        try:
            return len(self._admin.list_topics(topic, timeout=10).topics[topic].partitions)
        except KafkaException as error:
            raise BrokerError(
                f"the broker at {self._servers} does not say which partitions topic {topic} has: "
                f"{error.args[0].str()}"
            ) from error
