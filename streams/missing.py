"""Records that the worker's client skipped, fetched directly.

After a rebalance Faust can hand over a later record first (faust-streaming issues 216 and 221), and
it can commit past records that nobody handled (issue 606). A service knows by its own positions,
which are committed with its state, what comes next; what was skipped is read here.
"""

from collections.abc import Iterator
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaTopicPartition

from domain.errors import BrokerError, OffsetGap
from transport.clients import consumer_client
from transport.records import Record, record_of
from transport.topics import TopicPartition

TIMEOUT_SECONDS = 5.0
"""How long the broker has for an answer; who asks tries again."""


def missing_records(
    bootstrap_servers: str, place: TopicPartition, start: int | None, end: int, batch: int
) -> Iterator[list[Record]]:
    """Read offsets `start` up to, without, `end` of a partition, in batches.

    `start` is `None` for a service that never read the partition: then from its first record on.

    Raises:
        OffsetGap: the topic no longer has them.
        BrokerError: they could not be read within 5 s.
    """
    consumer = consumer_client(bootstrap_servers, "unused", **{"enable.partition.eof": True})
    try:
        here = KafkaTopicPartition(place.topic, place.partition)
        low, _high = consumer.get_watermark_offsets(here, timeout=TIMEOUT_SECONDS)
        start = low if start is None else start
        if low > start:
            raise OffsetGap(
                f"{place.topic}[{place.partition}] has no offsets {start} to {min(low, end) - 1} "
                "any more, and they were never handled: retention deleted them. Restore them, or "
                "accept the loss by moving the service's row in its table `positions` on to "
                f"{low}"
            )
        consumer.assign([KafkaTopicPartition(place.topic, place.partition, start)])
        passed = False
        while start < end and not passed:
            records, passed = _next_records(consumer, place, end, batch)
            if records:
                yield records
                start = records[-1].offset + 1
    except KafkaException as error:
        raise BrokerError(
            f"{place.topic}[{place.partition}]@{start} can't be read: {error.args[0].str()}"
        ) from error
    finally:
        consumer.close()


def _next_records(
    consumer: Consumer, place: TopicPartition, end: int, batch: int
) -> tuple[list[Record], bool]:
    """The next records before `end`, and whether all before it were read.

    There may be none: Kafka's own marks of transactions take offsets too.
    """
    deadline = monotonic() + TIMEOUT_SECONDS
    # `consume` waits for a full batch or its whole timeout: so it is called for short ones.
    while monotonic() < deadline:
        messages = consumer.consume(batch, timeout=0.2)
        records = [
            record_of(message)
            for message in messages
            if message.error() is None and (message.offset() or 0) < end
        ]
        passed = any(_is_past(message, end) for message in messages)
        if records or passed:
            return records, passed
    raise BrokerError(
        f"{place.topic}[{place.partition}]: no record before offset {end} came within "
        f"{TIMEOUT_SECONDS:g} s"
    )


def _is_past(message: Message, end: int) -> bool:
    trouble = message.error()
    if trouble is not None:
        return trouble.code() == KafkaError._PARTITION_EOF
    return (message.offset() or 0) >= end
