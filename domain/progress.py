"""Whether work goes on: a partition that has records and doesn't move is stuck."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

Place = TypeVar("Place", bound=Hashable)


class Standing(NamedTuple):
    """A partition at one moment: the offset where it ends, and the next to be handled.

    Not every offset between them has a record: `records` says how many do, where that is known.
    """

    end: int
    position: int
    records: int | None = None

    @property
    def lag(self) -> int:
        """How many records wait; where nobody counted them, how many offsets."""
        return max(0, self.end - self.position) if self.records is None else self.records


class Wait(NamedTuple):
    """Where a partition stands still although it has records, and since when (seconds)."""

    position: int
    since: float


@dataclass(frozen=True)
class Watch(Generic[Place]):
    """What was seen so far: by partition with records, where it stands and since when.

    Times are seconds of one clock that never goes back.
    """

    waits: Mapping[Place, Wait] = field(default_factory=dict)
    looked_at: float | None = None

    def look(
        self, seen: Mapping[Place, Standing], now: float, pause: float = float("inf")
    ) -> "Watch[Place]":
        """What is known after one more look.

        A partition that moved, has no records or was not seen waits anew. So do all of them when
        the last look is more than `pause` seconds ago: nobody knows what happened meanwhile, and
        a process that was stopped itself has no blame to give.
        """
        blind = self.looked_at is not None and now - self.looked_at > pause
        before: Mapping[Place, Wait] = {} if blind else self.waits
        waits = {}
        for place, standing in seen.items():
            if standing.lag:
                known = before.get(place)
                still = known is not None and known.position == standing.position
                waits[place] = known if known and still else Wait(standing.position, now)
        return Watch(waits, now)

    def stuck(self, now: float, limit: float) -> dict[Place, Wait]:
        """The partitions that had records and didn't move for `limit` seconds or longer."""
        return {place: wait for place, wait in self.waits.items() if now - wait.since >= limit}
