"""Something that takes long to find out, found out in the background for all who ask."""

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

Found = TypeVar("Found")

_log = logging.getLogger(__name__)


class InBackground(Generic[Found]):
    """Finds out again when someone asks and what is known is old; one search at a time."""

    def __init__(
        self, find: Callable[[], Found], every: float, useless_after: float, wait: float
    ) -> None:
        """Find nothing yet.

        Args:
            find: finds out, and may take long.
            every: seconds after which what is known is found out again.
            useless_after: seconds after which one rather waits for what is new.
            wait: seconds that one waits then.
        """
        self._find = find
        self._every, self._useless_after, self._wait = every, useless_after, wait
        self._lock = threading.Lock()
        self._found: Found | None = None
        self._found_at = float("-inf")
        self._search: threading.Thread | None = None

    def newest(self) -> Found | None:
        """What is known; `None` while nothing is."""
        with self._lock:
            age = monotonic() - self._found_at
            if self._search is None and age > self._every:
                self._search = threading.Thread(target=self._run, name="search", daemon=True)
                self._search.start()
            search = self._search
        if search is not None and age > self._useless_after:
            search.join(self._wait)
        return self._found

    def _run(self) -> None:
        try:
            found = self._find()
        except Exception:  # noqa: BLE001 whoever looks sees how old the last one is
            _log.exception("what is shown as health can't be found out")
            with self._lock:
                self._search = None
            return
        with self._lock:
            self._found, self._found_at, self._search = found, monotonic(), None
