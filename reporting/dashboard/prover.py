"""Proves in the background: once at a time, however many people look at it."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from domain.errors import ShopError
from reporting.proof import Part

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PartNow:
    """How far a part is; `ended` as soon as it has come to its end."""

    done: int = 0
    total: int = 0
    ended: Part | None = None


@dataclass(frozen=True)
class Proving:
    """A proof that runs, or the last one that ran here; `trouble` is why it could not go on."""

    running: bool = False
    parts: Mapping[str, PartNow] = field(default_factory=dict)
    trouble: str | None = None


class Prover:
    """Runs a proof in a thread of its own."""

    def __init__(self, prove: "Callable[[Prover], None]") -> None:
        """Prove by `prove`, which tells this of its progress."""
        self._prove = prove
        self._lock = threading.Lock()
        self._now = Proving()

    @property
    def now(self) -> Proving:
        """How far it is."""
        return self._now

    def start(self) -> bool:
        """Begin, unless a proof runs; whether one began."""
        with self._lock:
            if self._now.running:
                return False
            self._now = Proving(running=True)
        # It only reads: the end of the program needn't wait for it.
        threading.Thread(target=self._run, name="prover", daemon=True).start()
        return True

    def progress(self, name: str, done: int, total: int) -> None:
        """Take note of how far a part is."""
        self._note(name, PartNow(done, total))

    def ended(self, part: Part) -> None:
        """Take note that a part has come to its end."""
        self._note(str(part.name), PartNow(ended=part))

    def _note(self, name: str, now: PartNow) -> None:
        with self._lock:
            self._now = replace(self._now, parts={**self._now.parts, name: now})

    def _run(self) -> None:
        trouble = None
        try:
            self._prove(self)
        except ShopError as error:
            trouble = str(error)
        except Exception as error:  # noqa: BLE001 whoever waits for it is told
            _log.exception("the proof could not go on")
            trouble = f"it ended unexpectedly: {error}"
        with self._lock:
            self._now = replace(self._now, running=False, trouble=trouble)
