"""How a service does: a word for it, and what is wrong."""

from collections.abc import Iterable, Sequence
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


THROTTLED_WITHIN = timedelta(minutes=1)
"""How long a service may make no progress since a quota of the broker's holds it back."""

BEGINS_WITHIN = timedelta(seconds=30)
"""How long a process may take to join its consumer group and begin with each partition."""


class Word(StrEnum):
    """A service in a word."""

    OK = "ok"
    IDLE = "idle"
    BEHIND = "behind"
    THROTTLED = "throttled"
    STUCK = "stuck"
    GONE = "gone"
    NOT_RUNNING = "not running"
    UNKNOWN = "unknown"


class Beat(NamedTuple):
    """A process of a service: its name, when it started, when it last said that it lives.

    Until `throttled_until` it counts as one that the broker makes wait by a quota.
    """

    process: str
    started_at: datetime
    seen_at: datetime
    throttled_until: datetime | None = None


@dataclass(frozen=True)
class Facts:
    """What was found out about a service.

    `partitions` are named as people write them, ``orders[2]``, and are `None` while the broker
    doesn't say where they end; `stuck` are those with a record that waits too long already.
    `refused` says why records of the outbox were set aside, which the broker will not take.
    `twin` names another service over the same database, and `twin_runs` says that it has a living
    process: it publishes the outbox of both, and does the work of one that was never started. One
    that is not `needed` may be away though records wait: others do its work.
    """

    name: str
    beats: Sequence[Beat] = ()
    partitions: dict[str, Standing] | None = None
    stuck: Sequence[str] = ()
    last_progress: datetime | None = None
    outbox: int = 0
    outbox_since: datetime | None = None
    early: int | None = None
    twin: str | None = None
    refused: Sequence[str] = ()
    twin_runs: bool = False
    needed: bool = True
    trouble: str | None = None

    @property
    def was_started(self) -> bool:
        """Whether there is a trace of any process of it."""
        return bool(self.beats) or self.last_progress is not None

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
    alive, gone = living(facts.beats, now), missing(facts.beats, now)
    wrong = [*_missed(facts.name, gone, now), *_stuck(facts), *_throttled_long(facts, now)]
    done_by_twin = facts.twin_runs and not facts.was_started
    if not alive and facts.lag and facts.needed and not done_by_twin:
        wrong.append(f"{facts.name}: {_records(facts.lag)} to be handled, and no process runs")
    wrong += _outbox(facts, now, relayed=bool(alive) or facts.twin_runs)
    return Verdict(_word(facts, now, alive, gone), alive, gone, wrong)


def judge_alone(facts: Facts, now: datetime) -> Verdict:
    """What is to be said of a service by itself: whether it lives, and goes on.

    For a check of its health, which no other service's trouble must fail.
    """
    if facts.trouble:
        return Verdict(Word.UNKNOWN, wrong=[f"{facts.name}: {facts.trouble}"])
    alive, gone = living(facts.beats, now), missing(facts.beats, now)
    wrong = [] if alive else [f"{facts.name}: no process runs"]
    wrong = [*wrong, *_stuck(facts), *_throttled_long(facts, now)]
    return Verdict(_word(facts, now, alive, gone), alive, gone, wrong)


def where_orders_wait(services: Iterable[tuple[Facts, Verdict]]) -> str | None:
    """In a sentence, which services new orders will wait for, since none of their processes runs.

    A service that was stopped with nothing to do is not at fault, and so nothing is wrong; but
    orders would not get past it. Of one with which something is wrong, that says enough.
    """
    known = list(services)
    if not any(verdict.alive or facts.trouble for facts, verdict in known):
        return "no service runs: new orders wait until the services are started"
    away: dict[str, str] = {}
    for facts, verdict in known:
        idle = facts.needed and not facts.twin_runs and not verdict.alive and not verdict.wrong
        if idle and facts.twin not in away:
            away[facts.name] = f"{facts.name} or {facts.twin}" if facts.twin else facts.name
    if not away:
        return None
    return f"new orders wait until there is a process of {', of '.join(away.values())}"


def throttled(facts: Facts, now: datetime) -> bool:
    """Whether the broker makes a living process of a service wait, by a quota."""
    return any(
        beat.throttled_until is not None and beat.throttled_until > now
        for beat in living(facts.beats, now)
    )


def where_records_wait(facts: Facts, now: datetime) -> str | None:
    """In a sentence, what waits of a service since a quota of the broker's holds it back."""
    if not throttled(facts, now) or not (facts.lag or facts.outbox):
        return None
    since = facts.last_progress
    moved = "never" if since is None else f"{since:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"{facts.name}: the broker makes it wait, by a quota: {_records(facts.lag or 0)} to be "
        f"handled and {facts.outbox:,} to be published, last progress {moved}"
    )


def missing(beats: Sequence[Beat], now: datetime) -> list[Beat]:
    """The processes that went silent without a clean stop, and that no later one has replaced.

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


def stands_still(
    beats: Sequence[Beat],
    moved_at: datetime | None,
    waits_since: datetime,
    now: datetime,
    limit: timedelta,
) -> bool:
    """Whether a service has a partition before it and does not get on with it.

    Args:
        beats: the service's processes; with none that had time to begin, nobody stands still.
        moved_at: when the partition's position last moved; `None` if it never did.
        waits_since: the time of the first record that waits there.
        now: this moment.
        limit: how long it may take.
    """
    if not any(now - beat.started_at > BEGINS_WITHIN for beat in living(beats, now)):
        return False
    if waits_since > now + limit:
        # Whoever sent the record gave it a time to come: since when it waits is not known.
        waits_since = min(beat.started_at for beat in living(beats, now))
    since = waits_since if moved_at is None else max(moved_at, waits_since)
    return now - since > limit


def _lives(beat: Beat, now: datetime) -> bool:
    return now - beat.seen_at <= ALIVE_WITHIN


def living(beats: Sequence[Beat], now: datetime) -> list[Beat]:
    """The processes that said lately that they live."""
    return [beat for beat in beats if _lives(beat, now)]


def _word(facts: Facts, now: datetime, alive: Sequence[Beat], gone: Sequence[Beat]) -> Word:
    if gone:
        return Word.GONE
    if facts.stuck:
        return Word.STUCK
    if not alive:
        return Word.NOT_RUNNING
    if where_records_wait(facts, now):
        return Word.THROTTLED
    if facts.lag:
        return Word.BEHIND
    recent = facts.last_progress is not None and now - facts.last_progress < IDLE_AFTER
    return Word.OK if recent else Word.IDLE


def _missed(name: str, gone: Sequence[Beat], now: datetime) -> list[str]:
    return [
        f"{name}: process {beat.process} has said nothing for "
        f"{(now - beat.seen_at).total_seconds():.0f} s: it was killed, or its database is locked; "
        "and none took its place"
        for beat in gone
    ]


def _throttled_long(facts: Facts, now: datetime) -> list[str]:
    waits = where_records_wait(facts, now)
    since = facts.last_progress or min((beat.started_at for beat in facts.beats), default=now)
    return [waits] if waits and facts.lag and now - since > THROTTLED_WITHIN else []


def _stuck(facts: Facts) -> list[str]:
    if not facts.stuck:
        return []
    return [f"{facts.name}: no progress in {', '.join(facts.stuck)}"]


def _outbox(facts: Facts, now: datetime, *, relayed: bool) -> list[str]:
    return [*_refused(facts), *_waiting(facts, now, relayed=relayed)]


def _refused(facts: Facts) -> list[str]:
    if not facts.refused:
        return []
    count = len(facts.refused)
    records, they = ("1 record", "it is") if count == 1 else (f"{count:,} records", "they are")
    return [
        f"{facts.name}: the broker will not take {records} of the outbox as {they} "
        f"({facts.refused[0]}): mend the topic and start {facts.name} again, which tries once more"
    ]


def _waiting(facts: Facts, now: datetime, *, relayed: bool) -> list[str]:
    if not facts.outbox:
        return []
    what = f"{facts.name}: {_records(facts.outbox)} in the outbox"
    if not relayed:
        return [f"{what}, and no process runs to publish"]
    if facts.outbox_since is not None and now - facts.outbox_since > OUTBOX_WITHIN:
        return [f"{what}, for {(now - facts.outbox_since).total_seconds():.0f} s already"]
    return []


def _records(count: int) -> str:
    return "1 record waits" if count == 1 else f"{count:,} records wait"
