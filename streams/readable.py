"""Batches that Faust's client can't read: passed over there, and read by the worker itself.

aiokafka ends, at every start anew, at a header whose name is not UTF-8. The broker takes such a
record, and librdkafka reads it.
"""

import logging
from queue import Empty, SimpleQueue
from typing import Any

from aiokafka.consumer import fetcher  # type: ignore[import-untyped]

from transport.topics import TopicPartition

_log = logging.getLogger(__name__)

_passed: SimpleQueue[tuple[TopicPartition, int]] = SimpleQueue()


def pass_over_what_is_unreadable() -> None:
    """From now on, have every client of Faust's in this process pass over such batches.

    There is no hook for it: the class that unpacks what was fetched is exchanged.
    """
    fetcher.PartitionRecords = _ReadableRecords


def passed_over() -> dict[TopicPartition, int]:
    """What was passed over since the last call: by partition, the offset after it."""
    ends: dict[TopicPartition, int] = {}
    while True:
        try:
            place, end = _passed.get_nowait()
        except Empty:
            return ends
        ends[place] = max(end, ends.get(place, 0))


class _Batches:
    """The batches of a fetch, and which of them was taken last."""

    def __init__(self, records: Any) -> None:
        self._records = records
        self.last: Any = None

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def next_batch(self) -> Any:
        self.last = self._records.next_batch()
        return self.last


class _ReadableRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of a fetch, but for those of a batch from one on that can't be read."""

    def __init__(self, tp: Any, records: Any, *others: Any, **named: Any) -> None:
        super().__init__(tp, _Batches(records), *others, **named)

    def __next__(self) -> Any:
        while True:
            try:
                return super().__next__()
            except UnicodeDecodeError as error:
                # The iterator has ended; another one begins with the next batch.
                self.next_fetch_offset = self._records.last.next_offset
                self._records_iterator = self._unpack_records()
                place = TopicPartition(self._tp.topic, self._tp.partition)
                _log.info("%s[%d]: a batch is passed over: %s", *place, error)
                _passed.put((place, self.next_fetch_offset))
