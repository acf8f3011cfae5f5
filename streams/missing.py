"""Records that the worker's client skipped, fetched directly.

After a rebalance Faust can hand over a later record first (faust-streaming issues 216 and 221), and
it can commit past records that nobody handled (issue 606). A service knows by its own positions,
which are committed with its state, what comes next; what was skipped is read here.
"""

from collections.abc import Generator

from domain.errors import OffsetGap
from transport.reading import read_partition
from transport.records import Record
from transport.servers import Servers
from transport.topics import TopicPartition

TIMEOUT_SECONDS = 5.0
"""How long the broker has for an answer; who asks tries again."""


def missing_records(
    servers: Servers, place: TopicPartition, start: int, end: int, batch: int
) -> Generator[list[Record]]:
    """Read offsets `start` up to, without, `end` of a partition, in batches.

    Raises:
        OffsetGap: the topic no longer has them.
        BrokerError: they could not be read within 5 s.
    """

    def begin(low: int) -> int:
        if low > start:
            raise OffsetGap(
                f"{place.topic}[{place.partition}] has no offsets {start} to {min(low, end) - 1} "
                "any more, and they were never handled: retention deleted them. Restore them, or "
                "give them up by `shop positions accept` and the service's name"
            )
        return start

    return read_partition(servers, place, begin, end, batch, TIMEOUT_SECONDS)
