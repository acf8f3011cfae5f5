"""Topics as they are now: their ids (KIP-516), and what their partitions have."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from domain.errors import BrokerError
from domain.topic_life import Kept
from transport.asking import answers
from transport.clients import admin_client
from transport.servers import Servers
from transport.topics import TopicPartition, is_unknown, offsets_of
from transport.trouble import Tried, trouble


class TopicsView:
    """Asks again and again which topics are there; one client for all questions."""

    def __init__(self, servers: Servers, timeout: float = 10.0) -> None:
        """Connect with the first question; each may take `timeout` seconds."""
        self._servers = servers
        self._timeout = timeout
        self._admin = admin_client(servers)

    def ids(self, topics: Iterable[str]) -> dict[str, str]:
        """The ids of topics, as Kafka writes them (base64url of 16 bytes).

        Raises:
            AccessDenied: one may not be described.
            BrokerError: one is not there, or the broker doesn't say in time.
        """
        wanted = tuple(topics)
        found = self.there(wanted)
        if absent := [topic for topic in wanted if topic not in found]:
            raise BrokerError(
                f"the broker at {self._servers} has no topic {', '.join(absent)}: run `shop topics "
                "create`"
            )
        return found

    def there(self, topics: Iterable[str]) -> dict[str, str]:
        """The ids of those of these topics that are there.

        Raises:
            AccessDenied: one may not be described.
            BrokerError: the broker doesn't say in time.
        """
        # librdkafka writes base64 with other characters than Kafka's own tools do.
        as_kafka = str.maketrans("+/", "-_")
        return {
            name: str(each.topic_id).translate(as_kafka)
            for name, each in self._described(topics).items()
        }

    def kept(self, topics: Iterable[str]) -> dict[TopicPartition, Kept]:
        """What the partitions of those topics have that are there, rolled-back records too.

        Raises:
            AccessDenied: one may not be described.
            BrokerError: the broker doesn't say in time.
        """
        places = [
            TopicPartition(name, partition.id)
            for name, each in self._described(topics).items()
            for partition in each.partitions
        ]
        if not places:
            return {}
        # The ends last: whatever is deleted meanwhile, no partition ends before it begins.
        lows = self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        ends = self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {place: Kept(lows[place], ends[place]) for place in places}

    def _described(self, topics: Iterable[str]) -> Mapping[str, Any]:
        names = list(dict.fromkeys(topics))
        if not names:
            return {}
        found, name = {}, ", ".join(names)
        ask = partial(self._admin.describe_topics, TopicCollection(names))
        try:
            for name, answer in answers(self._admin, self._timeout, ask).items():
                if not is_unknown(answer.exception()):
                    found[name] = answer.result()
        except (KafkaException, TimeoutError) as error:
            what = f"the broker at {self._servers} does not say which topic {name} is"
            raise trouble(self._servers, what, error, Tried("DESCRIBE", name)) from error
        return found

    def _offsets(self, places: Iterable[TopicPartition], spec: Any) -> dict[TopicPartition, int]:
        try:
            return offsets_of(self._admin, places, spec, self._timeout)
        except (KafkaException, TimeoutError) as error:
            topics = ", ".join(sorted({place.topic for place in places}))
            what = f"the broker at {self._servers} does not say what its topics have"
            raise trouble(self._servers, what, error, Tried("DESCRIBE", topics)) from error
