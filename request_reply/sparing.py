"""Log lines about what foreigners send: said once, and from then on how often."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

SECONDS = 30.0
"""How often it is said how often something came."""


@dataclass(slots=True)
class _Kind:
    level: int
    said_at: float
    more: int = 0
    last: str = ""


class Sparing:
    """A log that says a kind of thing when it comes, and then once in a while how often it did.

    For one thread.
    """

    def __init__(self, log: logging.Logger, seconds: float = SECONDS) -> None:
        """Write to `log`; counts are said every so many seconds."""
        self._log = log
        self._seconds = seconds
        self._kinds: dict[str, _Kind] = {}

    def say(self, level: int, kind: str, line: str, ids: Mapping[str, object]) -> None:
        """Say `line`, or count it where one of its kind was said just now."""
        known = self._kinds.get(kind)
        if known is None:
            self._kinds[kind] = _Kind(level, monotonic())
            self._log.log(level, "%s", line, extra=ids)
            return
        known.more += 1
        known.last = line
        self.say_counts()

    def say_counts(self, *, at_once: bool = False) -> None:
        """Say how often each kind came since it was said, where that is long enough ago.

        What has not come since then is said as it is the next time.
        """
        now = monotonic()
        for kind, known in list(self._kinds.items()):
            passed = now - known.said_at
            if not at_once and passed < self._seconds:
                continue
            del self._kinds[kind]
            if known.more:
                told = "%d more of this kind in %.0f s, the last: %s"
                self._log.log(known.level, told, known.more, passed, known.last)
                self._kinds[kind] = _Kind(known.level, now)
