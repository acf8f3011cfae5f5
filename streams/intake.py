"""What a worker takes in: the records of each partition in order, those that Faust skips too.

What comes next is what the database says, for another process may have handled more since. One that
has less than this process has committed to it is refused. What Faust's client skips, leaves
at the end of a partition or can't read is read directly (`streams.missing`).
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from time import monotonic

from domain.errors import BrokerError
from event_log.inbox import next_offsets, pass_over, refuse_behind
from services.batch import Service, Spent, handle_batch
from services.topic_lives import TopicLives
from streams.missing import missing_records
from transport.records import Record
from transport.retrying import until_it_works
from transport.servers import Servers
from transport.topics import TopicPartition

_log = logging.getLogger(__name__)

AT_ONCE_SECONDS = 1.0
"""How long records that were left may hold up those that come."""


class Intake:
    """Commits records into a service's database, in the order of each partition. For one thread."""

    def __init__(
        self,
        service: Service,
        servers: Servers,
        batch: int,
        lives: TopicLives,
        committed: Callable[[], None],
        stopping: threading.Event,
        still_after: float,
    ) -> None:
        """Read nothing yet.

        Args:
            service: what handles the records.
            servers: where they are read directly.
            batch: most of these in a transaction.
            lives: says whether the topics are the ones that the database knows.
            committed: is called when the outbox fills.
            stopping: ends all waiting.
            still_after: seconds that a partition stands still before it is taken for left, while
                records of others come: what Faust has of it may wait for its turn behind theirs.
        """
        self.spent = Spent()
        self._service = service
        self._servers = servers
        self._batch = batch
        self._lives = lives
        self._committed = committed
        self._stopping = stopping
        self._still_after = still_after
        self._expected: dict[TopicPartition, int] = {}
        self._still: dict[TopicPartition, tuple[int, float]] = {}
        """Partitions with records: where they stood at the last look, and since when (seconds)."""

    def take(self, records: Sequence[Record]) -> None:
        """Commit records as they came, and in their place those that were skipped.

        Raises:
            ForeignTopic: their topic was made anew.
            OffsetGap: records before them were deleted, and nobody has handled them.
            BrokerError: the end came before the broker gave what was skipped.
            StoreBehind: the database has less than was committed to it.
            StoreError: the database can't be written.
        """
        self._read_positions()
        run: list[Record] = []
        reached: dict[TopicPartition, int] = {}
        for record in records:
            place = TopicPartition(record.topic, record.partition)
            if record.offset > reached.get(place, self._next(place)):
                self._commit(run)
                run = []
                # Once for a batch: transactions leave a gap behind each, in which there is nothing.
                self._fetch_what_was_skipped(place, _last(records, place) + 1)
                reached[place] = self._next(place)
            if record.offset >= reached.get(place, self._next(place)):
                run.append(record)
                reached[place] = record.offset + 1
        self._commit(run)

    def take_left(
        self,
        assigned: Sequence[TopicPartition],
        ends: Mapping[TopicPartition, int],
        *,
        busy: bool = False,
    ) -> None:
        """Read partitions that ended past their positions at the last look, and have not moved.

        What was on its way then has come by now. Each partition is looked at by itself; where other
        records come meanwhile, that they are held up is bounded.

        Raises:
            ForeignTopic: a topic was made anew.
            OffsetGap: records were deleted, and nobody has handled them.
            BrokerError: they can't be read.
            StoreBehind: the database has less than was committed to it.
            StoreError: the database can't be written.
        """
        self._read_positions()
        before, self._still = self._still, {}
        now = monotonic()
        for place in assigned:
            position, end = self._next(place), ends.get(place, 0)
            if position >= end:
                continue
            stood, since = before.get(place, (None, now))
            if stood != position:
                since = now
            elif not busy or now - since >= self._still_after:
                until = monotonic() + AT_ONCE_SECONDS if busy else float("inf")
                self._read_directly(place, end, "left", until)
            self._still[place] = self._next(place), since

    def take_passed_over(self, ends: Mapping[TopicPartition, int]) -> None:
        """Read up to these ends what Faust's client can't read. It raises as `take_left` does."""
        for place, end in ends.items():
            self._read_directly(place, end, "passed over")

    def _next(self, place: TopicPartition) -> int:
        # Without a position from the first offset of all: what is gone before it was never read.
        return self._expected.get(place, 0)

    def _read_positions(self) -> None:
        found = self._service.database.read(next_offsets)
        refuse_behind(self._service.database, found, self._expected)
        self._expected = found

    def _commit(self, records: Sequence[Record]) -> None:
        if not records:
            return
        # Asked after they were fetched, so that they are of the topics that positions belong to.
        self._lives.wait_until_same(self._stopping, watched=True)
        if handle_batch(self._service, records, spent=self.spent, reached=self._expected):
            self._committed()
        for record in records:
            place = TopicPartition(record.topic, record.partition)
            self._expected[place] = max(self._next(place), record.offset + 1)

    def _fetch_what_was_skipped(self, place: TopicPartition, end: int) -> None:
        # Order is kept: what follows waits here until the broker gives what comes before it.
        until_it_works(
            partial(self._read_directly, place, end, "skipped"),
            f"{self._service.name}: skipped records can't be read, and {place.topic}"
            f"[{place.partition}] waits",
            lambda error: isinstance(error, BrokerError),
            stopping=self._stopping,
        )

    def _read_directly(
        self, place: TopicPartition, end: int, why: str, until: float = float("inf")
    ) -> None:
        """Read and commit the records of a partition before `end` that nobody has handled.

        It stops early at the moment `until`, after a batch.
        """
        self._read_positions()
        start = self._next(place)
        if start >= end:
            return
        with closing(missing_records(self._servers, place, start, end, self._batch)) as batches:
            for records in batches:
                _log.warning("%s was %s, and %d more", records[0].place, why, len(records) - 1)
                self._commit(records)
                if monotonic() > until:
                    return
        self._pass(place, end)

    def _pass(self, place: TopicPartition, end: int) -> None:
        """Move on over offsets without records: marks of transactions, and what was rolled back.

        Else they would be looked at again and again; and once retention has deleted them, nobody
        knows that nothing was there.
        """
        if self._next(place) >= end:
            return
        self._lives.wait_until_same(self._stopping, watched=True)
        pass_over(self._service.database, {place: end}, self._expected)
        self._expected[place] = end


def _last(records: Iterable[Record], place: TopicPartition) -> int:
    return max(each.offset for each in records if (each.topic, each.partition) == place)
