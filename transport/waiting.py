"""What waits in partitions, counted by records: not every offset has one."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaException, Message

from domain.errors import BrokerError
from domain.progress import Standing
from transport.clients import consumer_client
from transport.reading import messages_between
from transport.servers import Servers
from transport.throttling import throttled
from transport.topics import TopicPartition
from transport.trouble import Tried, trouble

COUNTED_OFFSETS = 2_000
"""So many offsets are looked at one by one; of more, only where their first record is."""

_COUNTED_BYTES = 4_000_000
_BATCH = 500
_SETTINGS = {
    "enable.partition.eof": True,
    # A look is short: nothing is fetched ahead, and the end of a partition is said at once.
    "fetch.wait.max.ms": 10,
    "fetch.message.max.bytes": 262_144,
    "queued.max.messages.kbytes": 1_024,
}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


class _Counted(NamedTuple):
    position: int
    end: int
    records: int


class Waiting:
    """Looks at what partitions have from a position on; what was seen once is known."""

    def __init__(self, servers: Servers, timeout: float) -> None:
        """Connect with the first question; each may take `timeout` seconds."""
        self._servers = servers
        self._timeout = timeout
        self._known: dict[TopicPartition, _Counted] = {}

    def standings(
        self, ends: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, Standing]:
        """How far each partition was handled, and how many records wait there.

        None is counted where there is none: Kafka's marks of transactions, and what was rolled
        back, compacted or deleted, take offsets too. Of many offsets the number may be too high,
        and so it may be while the broker makes this process wait by a quota.

        Raises:
            AccessDenied: a topic may not be read.
            BrokerError: a partition can't be read in time.
        """
        found = {
            place: Standing(end, positions.get(place, 0)) for place, end in sorted(ends.items())
        }
        if throttled():
            # To count is to read, and whatever is read here is taken from the work.
            return found
        behind = {place: standing for place, standing in found.items() if standing.lag}
        self._known = {place: each for place, each in self._known.items() if place in behind}
        unknown = [
            place
            for place, (end, position, _) in behind.items()
            if self._known.get(place, ())[:2] != (position, end)
        ]
        if unknown:
            with closing(consumer_client(self._servers, "unused", **_SETTINGS)) as consumer:
                for place in unknown:
                    end, position, _ = behind[place]
                    try:
                        count = self._count(consumer, place, position, end)
                    except BrokerError:
                        if not throttled():
                            raise
                        break
                    self._known[place] = _Counted(position, end, count)
        return found | {
            place: standing._replace(records=self._known[place].records)
            for place, standing in behind.items()
            if place in self._known
        }

    def since(
        self, place: TopicPartition, offset: int, end: int, *, committed: bool = True
    ) -> datetime | None:
        """The time (UTC) of the first record from `offset` on.

        `None` if there is none to read, or none comes since a quota holds this process back.

        Args:
            place: the partition.
            offset: where to begin.
            end: where to stop at the latest.
            committed: without it, also what is still open or was rolled back.

        Raises:
            AccessDenied: the topic may not be read.
            BrokerError: it can't be read in time.
        """
        level = {} if committed else {"isolation.level": "read_uncommitted"}
        with closing(consumer_client(self._servers, "unused", **_SETTINGS, **level)) as consumer:
            try:
                first = next(self._from(consumer, place, offset, end), None)
            except BrokerError:
                if not throttled():
                    raise
                return None
        return None if first is None else _time_of(first[0])

    def _count(self, consumer: Consumer, place: TopicPartition, position: int, end: int) -> int:
        count = size = 0
        for messages in self._from(consumer, place, position, end):
            count += len(messages)
            size += sum(_size_of(message) for message in messages)
            last = messages[-1].offset() or 0
            if size > _COUNTED_BYTES or end - (messages[0].offset() or 0) > COUNTED_OFFSETS:
                # The rest by offsets: it may be long, and is about to be handled.
                return count + max(0, end - last - 1)
        return count

    def _from(
        self, consumer: Consumer, place: TopicPartition, start: int, end: int
    ) -> Iterator[list[Message]]:
        what = f"the broker at {self._servers} does not give {place.topic}[{place.partition}]"
        try:
            yield from messages_between(consumer, place, start, end, _BATCH, self._timeout)
        except KafkaException as error:
            raise trouble(self._servers, what, error, Tried("READ", place.topic)) from error
        except TimeoutError as error:
            raise BrokerError(f"{what}: no record within {self._timeout:g} s") from error
        finally:
            consumer.unassign()


def _size_of(message: Message) -> int:
    headers: Any = message.headers() or []
    return len(message) + sum(len(name) + len(value or b"") for name, value in headers)


def _time_of(message: Message) -> datetime:
    kind, milliseconds = message.timestamp()
    # A record without a time was there before times were: it waits for ever.
    return moment_of(0 if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds)


def moment_of(milliseconds: int) -> datetime:
    """The time (UTC) that is so many milliseconds after 1970; the nearest there is.

    Whoever sends a record may give it any time: in microseconds, or before there was Kafka.
    """
    after = min(max(0, milliseconds), (_LAST - _EPOCH) // timedelta(milliseconds=1))
    return _EPOCH + timedelta(milliseconds=after)
