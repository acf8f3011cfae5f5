"""Faust with a bound in bytes: what is fetched, what waits, and what is in hand.

Faust and its client count records: 32,000 of them may wait, and they may have 1 MB each. Here each
of the three places ends at so many bytes too, with the record that reached them. That is added up
in docs/decisions/0019-bounded-in-bytes-and-time.md.
"""

import asyncio
from typing import Any

import faust
from aiokafka.consumer import fetcher  # type: ignore[import-untyped]
from mode.utils.queues import ThrowableQueue

from transport.bounds import BATCH_BYTES, FETCHED_BYTES


def fetch_by_bytes() -> None:
    """From now on, have every client of Faust's in this process hand over so many bytes at a time.

    There is no setting for it: the class that holds what was fetched of a partition is exchanged.
    """
    fetcher.FetchResult = _BoundedResult


class _BoundedResult(fetcher.FetchResult):  # type: ignore[misc]
    """What was fetched of a partition, handed over by bytes as well as by records."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Any]:
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        taken: list[Any] = []
        size = 0
        # Unpacked one by one: what comes after these is still as it was fetched.
        for record in self._partition_records:
            taken.append(record)
            size += _measured(record)
            if size >= FETCHED_BYTES or len(taken) == max_records:
                self._update_position()
                return taken
        self._update_position()
        self._partition_records = None
        return taken


def _measured(record: Any) -> int:
    """The size of a record, which from here on is all that its `serialized_value_size` says."""
    size = len(record.key or b"") + len(record.value or b"")
    for name, value in record.headers:
        size += len(name) + len(value or b"")
    record.serialized_value_size = size
    return size


WAITING_BYTES = 4 * BATCH_BYTES
"""Bytes that a stream's queue holds: a full one makes Faust's client wait at every record."""


class ByteQueue(ThrowableQueue[Any]):
    """A stream's queue that is full by bytes too."""

    _bytes = 0

    def full(self) -> bool:
        """Whether it has as many records or bytes as it may."""
        return self._bytes >= WAITING_BYTES or super().full()

    def clear(self) -> None:
        """Throw away what waits, and what waits for room."""
        super().clear()
        self._bytes = 0

    def _put(self, item: Any) -> None:
        self._bytes += item.message.serialized_value_size
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self._bytes -= item.message.serialized_value_size
        return item


class BoundedApp(faust.App):
    """A Faust app whose streams' queues are bounded in bytes."""

    def FlowControlQueue(  # noqa: N802 Faust's name
        self, maxsize: int | None = None, *, clear_on_resume: bool = False
    ) -> ThrowableQueue[Any]:
        """A queue for a stream."""
        return ByteQueue(
            maxsize=maxsize or 0, flow_control=self.flow_control, clear_on_resume=clear_on_resume
        )


class Hand:
    """Keeps a stream from taking more bytes into a batch than one may have.

    A processor of the stream: whatever comes when the hand is full waits until it is emptied.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._bytes = 0
        self._emptied = asyncio.Event()

    def __call__(self, value: Any) -> Any:
        """Let the stream's current event into the hand: at once, or by something to wait for."""
        size = self._stream.current_event.message.serialized_value_size
        if self._bytes and self._bytes + size > BATCH_BYTES:
            return self._wait(value, size)
        self._bytes += size
        return value

    def empty(self) -> None:
        """The batch is done."""
        self._bytes = 0
        self._emptied.set()

    async def _wait(self, value: Any, size: int) -> Any:
        self._emptied.clear()
        await self._emptied.wait()
        self._bytes += size
        return value
