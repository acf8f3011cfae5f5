"""Records of a partition from one offset to another, read directly, by no group."""

from collections.abc import Iterator
from time import monotonic

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition

from domain.errors import BrokerError
from transport.clients import consumer_client
from transport.records import Record, record_of
from transport.topics import TopicPartition

TIMEOUT_SECONDS = 30.0


def read_partition(
    bootstrap_servers: str, place: TopicPartition, start: int, end: int, batch: int = 500
) -> Iterator[list[Record]]:
    """Read what a partition still has from offset `start` up to, without, `end`, in batches.

    Raises:
        BrokerError: nothing came for 30 s.
    """
    consumer = consumer_client(bootstrap_servers, "unused", **{"enable.partition.eof": True})
    try:
        here = KafkaTopicPartition(*place)
        low, _high = consumer.get_watermark_offsets(here, timeout=TIMEOUT_SECONDS)
        start = max(start, low)
        if start < end:
            consumer.assign([KafkaTopicPartition(*place, start)])
        while start < end:
            records, start = _next_records(consumer, place, start, end, batch)
            if records:
                yield records
    except KafkaException as error:
        raise BrokerError(
            f"{place.topic}[{place.partition}]@{start} can't be read: {error.args[0].str()}"
        ) from error
    finally:
        consumer.close()


def _next_records(
    consumer: Consumer, place: TopicPartition, start: int, end: int, batch: int
) -> tuple[list[Record], int]:
    deadline = monotonic() + TIMEOUT_SECONDS
    while monotonic() < deadline:
        # `consume` waits for a full batch or its whole timeout: so it is called for short ones.
        messages = consumer.consume(batch, timeout=0.2)
        records = [record_of(message) for message in messages if message.error() is None]
        if records:
            wanted = [record for record in records if record.offset < end]
            return wanted, records[-1].offset + 1
    raise BrokerError(
        f"{place.topic}[{place.partition}]: no record from offset {start} on came within "
        f"{TIMEOUT_SECONDS:g} s"
    )
