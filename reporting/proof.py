"""What a proof says: part by part, whether it holds, what was counted, and where it fails first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from transport.topics import TopicPartition

Progress = Callable[[int, int], None]
"""Is told how much is done, and of how much."""


class PartName(StrEnum):
    """The parts of a proof, in their order."""

    CHAIN = "chain"
    OFFSETS = "offsets"
    PROJECTIONS = "projections"
    ORDERS = "orders"
    SHIPMENTS = "shipments"


@dataclass(frozen=True)
class Failure:
    """Where a part fails first: a position, offset or order, what is wrong there, by how much."""

    where: str
    what: str
    by: Mapping[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What a part found: what it counted, what should be known though nothing is wrong, a failure.

    `checked` holds whole numbers, or tables of them; `notes` are sentences.
    """

    checked: Mapping[str, Any]
    notes: Sequence[str] = ()
    failure: Failure | None = None


@dataclass(frozen=True)
class Part:
    """A part that was run, and the seconds it took; or why it was left out."""

    name: str
    finding: Finding | None
    seconds: float = 0.0
    skipped: str | None = None

    @property
    def holds(self) -> bool | None:
        """Whether it holds; `None` when it was left out."""
        return None if self.finding is None else self.finding.failure is None


class Head(NamedTuple):
    """How far the log went when the proof began: all parts look at it up to there.

    `hash` is the last row's; `handled` the offsets that the recorder had then come to.
    """

    position: int
    hash: bytes
    recorded_time: str | None
    handled: Mapping[TopicPartition, int]


class FirstOf:
    """The first of failures that are found in any order, and how many there were."""

    def __init__(self) -> None:
        self.count = 0
        self.failure: Failure | None = None
        self._rank: float = float("inf")

    def add(self, rank: float, failure: Failure) -> None:
        """Take a failure in; the one of the lowest rank is the first."""
        self.count += 1
        if self.failure is None or rank < self._rank:
            self._rank, self.failure = rank, failure


def holds(parts: Sequence[Part]) -> bool:
    """Whether all parts that were run hold."""
    return all(part.holds is not False for part in parts)


def as_json(head: Head, parts: Sequence[Part]) -> dict[str, Any]:
    """A proof as one JSON object; its names and their meaning stay."""
    return {
        "holds": holds(parts),
        "position": head.position,
        "hash": head.hash.hex(),
        "recorded_time": head.recorded_time,
        "parts": [_part_as_json(part) for part in parts],
    }


def _part_as_json(part: Part) -> dict[str, Any]:
    finding = part.finding
    failure = finding.failure if finding else None
    return {
        "name": str(part.name),
        "holds": part.holds,
        "skipped": part.skipped,
        "checked": dict(finding.checked) if finding else {},
        "notes": list(finding.notes) if finding else [],
        "failure": failure
        and {"where": failure.where, "what": failure.what, "by": dict(failure.by)},
        "seconds": round(part.seconds, 3),
    }
