"""Which partitions topics have: whether a reply can go where it is asked for."""

from confluent_kafka.admin import AdminClient

from transport.clients import admin_client
from transport.servers import Servers
from transport.topics import partitions_of

ANSWER_WITHIN_SECONDS = 10.0
"""How long the broker has to say which partitions a topic has."""


class Partitions:
    """Which partitions there are, as the broker says; asked again about one that is not known."""

    def __init__(self, servers: Servers) -> None:
        """Ask nothing yet."""
        self._servers = servers
        self._admin: AdminClient | None = None
        self._counts: dict[str, int] = {}

    def has(self, topic: str, partition: int | None) -> bool:
        """Whether a topic has a partition; `None` is any.

        Raises:
            AccessDenied: the topic may not be described.
            BrokerError: the broker doesn't say within 10 s.
        """
        wanted = partition or 0
        if wanted >= self._counts.get(topic, 0):
            self._counts[topic] = self._ask(topic)
        return wanted < self._counts[topic]

    def _ask(self, topic: str) -> int:
        if self._admin is None:
            self._admin = admin_client(self._servers)
        known = partitions_of(self._servers, self._admin, [topic], ANSWER_WITHIN_SECONDS)
        return known.get(topic, 0)
