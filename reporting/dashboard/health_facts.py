"""What the page "Log and health" is told by whoever can ask broker and services."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reporting.dashboard.html_tables import Tone

LETTERS_SHOWN = 50
"""So many open dead letters are listed, the newest."""


@dataclass(frozen=True)
class ServiceHealth:
    """How a service does; `None` is what nobody knows.

    `word` is what `shop status` says of it, and `tone` whether that is good. `lag` counts records
    that wait for it, `outbox` those that it has still to publish.
    """

    name: str
    word: str
    tone: Tone
    processes: str
    lag: int | None
    last_progress: datetime | None
    outbox: int


@dataclass(frozen=True)
class OpenLetter:
    """A record that could not be handled, and waits for someone; `refused_at` is the last time."""

    name: str
    services: str
    reason: str
    topic: str
    partition: int
    offset: int
    refused_at: datetime
    tries: int


@dataclass(frozen=True)
class Letters:
    """Open dead letters: how many in all, the newest, and why there may be others."""

    count: int = 0
    newest: Sequence[OpenLetter] = ()
    trouble: str | None = None


@dataclass(frozen=True)
class LetterText:
    """What is in a letter, as text that may hold anything; `cut` characters of its body aren't."""

    key: str
    headers: Sequence[tuple[str, str]]
    body: str
    cut: int = 0


@dataclass(frozen=True)
class Health:
    """What one look found.

    `broker` is where it is, `broker_trouble` why it doesn't answer; `wrong` has a sentence for all
    that is wrong, and `waits` one that says where new orders would wait.
    """

    looked_at: datetime
    broker: str | None
    broker_trouble: str | None
    services: Sequence[ServiceHealth]
    letters: Letters
    wrong: Sequence[str] = ()
    waits: str | None = None
