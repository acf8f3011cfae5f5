"""Records of a partition from one offset to another, read directly, by no group."""

from collections.abc import Callable, Generator, Iterable, Iterator
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaTopicPartition

from transport.clients import consumer_client
from transport.records import Record, record_of
from transport.servers import Servers
from transport.topics import TopicPartition
from transport.trouble import Tried, refuse_denied, trouble

TIMEOUT_SECONDS = 30.0


def read_partition(
    servers: Servers,
    place: TopicPartition,
    begin: Callable[[int], int],
    end: int,
    batch: int,
    timeout: float = TIMEOUT_SECONDS,
) -> Generator[list[Record]]:
    """Read what a partition has up to, without, offset `end`, in batches.

    Args:
        servers: where the topic is.
        place: the partition.
        begin: says where to begin, of the first offset that the partition still has; may raise.
        end: the offset to stop before.
        batch: most records at a time.
        timeout: seconds that the broker has for an answer.

    Raises:
        AccessDenied: the topic may not be read.
        BrokerError: no answer came in time.
    """
    consumer = consumer_client(
        servers,
        "unused",
        **{
            "enable.partition.eof": True,
            # What is deleted once `begin` has been asked must not be passed over in silence.
            "auto.offset.reset": "error",
        },
    )
    try:
        low, _high = consumer.get_watermark_offsets(KafkaTopicPartition(*place), timeout=timeout)
        yield from read_between(consumer, place, begin(low), end, batch, timeout)
    except KafkaException as error:
        what = f"{place.topic}[{place.partition}] can't be read up to offset {end}"
        raise trouble(servers, what, error, Tried("READ", place.topic)) from error
    except TimeoutError as error:
        what = f"{place.topic}[{place.partition}] can't be read up to offset {end}"
        raise trouble(servers, f"{what} within {timeout:g} s", error) from error
    finally:
        consumer.close()


def read_between(
    consumer: Consumer, place: TopicPartition, start: int, end: int, batch: int, timeout: float
) -> Iterator[list[Record]]:
    """The records of `messages_between`, in the same batches.

    Raises:
        KafkaException: the partition can't be read, or may not be.
        TimeoutError: nothing came for `timeout` seconds.
    """
    for messages in messages_between(consumer, place, start, end, batch, timeout):
        yield [record_of(message) for message in messages]


def messages_between(
    consumer: Consumer, place: TopicPartition, start: int, end: int, batch: int, timeout: float
) -> Iterator[list[Message]]:
    """Read offsets `start` up to, without, `end` by a consumer that tells where partitions end.

    There may be fewer records than offsets: Kafka's own marks of transactions take offsets too, and
    what was rolled back or compacted is left out. Where this ends without an error, all of them
    were read.

    Raises:
        KafkaException: the partition can't be read, or may not be.
        TimeoutError: nothing came for `timeout` seconds.
    """
    if start >= end:
        return
    consumer.assign([KafkaTopicPartition(*place, start)])
    quiet_until = monotonic() + timeout
    while start < end:
        messages = take(consumer, batch, 0.05)
        refuse_denied(messages)
        _refuse_out_of_range(messages)
        read = [message for message in messages if message.error() is None]
        if wanted := [message for message in read if _offset(message) < end]:
            yield wanted
        if read:
            start = _offset(read[-1]) + 1
            quiet_until = monotonic() + timeout
        if any(_is_end_of(place, message, end) for message in messages):
            # The last offsets may hold no record, and this is said once.
            return
        if monotonic() > quiet_until:
            raise TimeoutError


def take(consumer: Consumer, most: int, timeout: float) -> list[Message]:
    """The first message that comes within `timeout` seconds, and what else is there by then.

    So a batch has no more bytes than a client's queue (`transport.clients`): to wait for a full one
    would be to take from the queue while it is filled anew.

    Raises:
        KafkaException: nothing can be read.
    """
    first = consumer.poll(timeout)
    if first is None:
        return []
    return [first, *consumer.consume(most - 1, timeout=0)] if most > 1 else [first]


def _is_end_of(place: TopicPartition, message: Message, end: int) -> bool:
    trouble = message.error()
    if trouble is None or trouble.code() != KafkaError._PARTITION_EOF:
        return False
    # A new leader may know less of its end than the former one for a moment (KIP-207).
    return (message.topic(), message.partition()) == place and _offset(message) >= end


def _refuse_out_of_range(messages: Iterable[Message]) -> None:
    for message in messages:
        error = message.error()
        if error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise KafkaException(error)


def _offset(message: Message) -> int:
    offset = message.offset()
    assert offset is not None  # noqa: S101 what a consumer gives has one
    return offset
