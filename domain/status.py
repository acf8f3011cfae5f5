"""How a service does: a word for it, and what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from domain.progress import Standing

ALIVE_WITHIN = timedelta(seconds=15)
"""How old the heartbeat of a process that lives may be."""

OUTBOX_WITHIN = timedelta(minutes=1)
"""How long a record may wait in an outbox."""

IDLE_AFTER = timedelta(minutes=1)
"""A service with nothing to do whose last progress is older than this is idle."""


class Word(StrEnum):
    """A service in a word."""

    OK = "ok"
    IDLE = "idle"
    BEHIND = "behind"
    STUCK = "stuck"
    GONE = "gone"
    NOT_RUNNING = "not running"
    UNKNOWN = "unknown"


class Beat(NamedTuple):
    """A process of a service: its name, when it started, when it last said that it lives."""

    process: str
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True)
class Facts:
    """What was found out about a service.

    `partitions` are named as people write them, ``orders[2]``, and are `None` while the broker
    doesn't say where they end; `stuck` are those with a record that waits too long already.
    `stands_aside` is set for a service that was never started, and whose work another one does.
    """

    name: str
    beats: Sequence[Beat] = ()
    partitions: dict[str, Standing] | None = None
    stuck: Sequence[str] = ()
    last_progress: datetime | None = None
    outbox: int = 0
    outbox_since: datetime | None = None
    early: int | None = None
    stands_aside: bool = False
    trouble: str | None = None

    @property
    def lag(self) -> int | None:
        """How many records wait in all partitions; `None` if nobody knows."""
        if self.partitions is None:
            return None
        return sum(standing.lag for standing in self.partitions.values())


@dataclass(frozen=True)
class Verdict:
    """A service in a word, its processes, and what is wrong with it in sentences."""

    word: Word
    alive: list[Beat] = field(default_factory=list)
    gone: list[Beat] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def judge(facts: Facts, now: datetime) -> Verdict:
    """What is to be said of a service, seen with all others."""
    if facts.trouble:
        return Verdict(Word.UNKNOWN, wrong=[f"{facts.name}: {facts.trouble}"])
    alive, gone = _living(facts.beats, now), missing(facts.beats, now)
    wrong = [*_missed(facts.name, gone, now), *_stuck(facts)]
    if not alive and facts.lag and not facts.stands_aside:
        wrong.append(f"{facts.name}: {_records(facts.lag)} to be handled, and no process runs")
    wrong += _outbox(facts, now, alive=bool(alive))
    return Verdict(_word(facts, now, alive, gone), alive, gone, wrong)


def judge_alone(facts: Facts, now: datetime) -> Verdict:
    """What is to be said of a service by itself: whether it lives, and goes on.

    For a check of its health, which no other service's trouble must fail.
    """
    if facts.trouble:
        return Verdict(Word.UNKNOWN, wrong=[f"{facts.name}: {facts.trouble}"])
    alive, gone = _living(facts.beats, now), missing(facts.beats, now)
    wrong = [] if alive else [f"{facts.name}: no process runs"]
    return Verdict(_word(facts, now, alive, gone), alive, gone, [*wrong, *_stuck(facts)])


def missing(beats: Sequence[Beat], now: datetime) -> list[Beat]:
    """The processes that ended without a word, and that no later one has replaced.

    Each process that starts takes the place of one that was last seen before.
    """
    starts = [(beat.started_at, 0, beat) for beat in beats]
    ends = [(beat.seen_at, 1, beat) for beat in beats if not _lives(beat, now)]
    open_places: list[Beat] = []
    for _, ending, beat in sorted([*starts, *ends], key=lambda each: each[:2]):
        if ending:
            open_places.append(beat)
        elif open_places:
            open_places.pop(0)
    return open_places


def _lives(beat: Beat, now: datetime) -> bool:
    return now - beat.seen_at <= ALIVE_WITHIN


def _living(beats: Sequence[Beat], now: datetime) -> list[Beat]:
    return [beat for beat in beats if _lives(beat, now)]


def _word(facts: Facts, now: datetime, alive: Sequence[Beat], gone: Sequence[Beat]) -> Word:
    if gone:
        return Word.GONE
    if facts.stuck:
        return Word.STUCK
    if not alive:
        return Word.NOT_RUNNING
    if facts.lag:
        return Word.BEHIND
    recent = facts.last_progress is not None and now - facts.last_progress < IDLE_AFTER
    return Word.OK if recent else Word.IDLE


def _missed(name: str, gone: Sequence[Beat], now: datetime) -> list[str]:
    return [
        f"{name}: process {beat.process} ended without a word, last seen "
        f"{(now - beat.seen_at).total_seconds():.0f} s ago, and none took its place"
        for beat in gone
    ]


def _stuck(facts: Facts) -> list[str]:
    if not facts.stuck:
        return []
    return [f"{facts.name}: no progress in {', '.join(facts.stuck)}"]


def _outbox(facts: Facts, now: datetime, *, alive: bool) -> list[str]:
    if not facts.outbox:
        return []
    what = f"{facts.name}: {_records(facts.outbox)} in the outbox"
    if not alive:
        return [f"{what}, and no process runs to publish"]
    if facts.outbox_since is not None and now - facts.outbox_since > OUTBOX_WITHIN:
        return [f"{what}, for {(now - facts.outbox_since).total_seconds():.0f} s already"]
    return []


def _records(count: int) -> str:
    return "1 record waits" if count == 1 else f"{count:,} records wait"
