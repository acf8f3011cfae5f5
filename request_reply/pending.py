"""Pending requests: whoever takes one out settles it, so exactly one outcome wins."""

import heapq
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic

from request_reply.outcomes import Outcome
from services.telemetry import Asking


@dataclass(eq=False)
class Pending:
    """One request that waits: its future, and the seconds after which it is given up."""

    correlation_id: str
    future: "Future[Outcome]" = field(default_factory=Future)
    seconds: float = 0.0
    asking: Asking = field(default_factory=Asking)

    def settle(self, outcome: Outcome) -> None:
        """Give the outcome to whoever waits; who has gone away meanwhile doesn't get it."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(outcome)


class PendingRequests:
    """The requests that wait for an outcome, by correlation id, with a clock and a bound."""

    def __init__(self, most: int, on_timeout: Callable[[list[Pending]], None]) -> None:
        """Hold at most `most` requests; hand those whose time is over to `on_timeout`."""
        self._waiting: dict[str, Pending] = {}
        self._deadlines: list[tuple[float, int, Pending]] = []
        self._serial = 0
        self._changed = threading.Condition()
        self._slots = threading.BoundedSemaphore(most)
        self._on_timeout = on_timeout
        self._closed = False
        self._clock = threading.Thread(target=self._watch, name="request-clock", daemon=True)
        self._clock.start()

    def __len__(self) -> int:
        """How many requests wait."""
        with self._changed:
            return len(self._waiting)

    def take_slot(self, seconds: float) -> bool:
        """Wait for room for one more; whether there was any in time."""
        return self._slots.acquire(timeout=seconds) if seconds > 0 else self._slots.acquire(False)

    def register(self, correlation_id: str, seconds: float) -> tuple[Pending, bool]:
        """Register a request that holds a slot; one that waits already is joined, and needs none.

        Returns:
            The request, and whether it is new.
        """
        with self._changed:
            known = self._waiting.get(correlation_id)
            if known is None:
                known = self._waiting[correlation_id] = Pending(correlation_id, seconds=seconds)
                return known, True
        self._slots.release()
        return known, False

    def start_clock(self, pending: Pending) -> None:
        """Give the request up `seconds` from now, unless it is settled before."""
        with self._changed:
            self._serial += 1
            over_at = monotonic() + pending.seconds
            heapq.heappush(self._deadlines, (over_at, self._serial, pending))
            if self._deadlines[0][2] is pending:
                self._changed.notify()

    def take(self, correlation_id: str) -> Pending | None:
        """Take a request out to settle it; `None` when another has done so."""
        with self._changed:
            taken = self._waiting.pop(correlation_id, None)
        if taken is not None:
            self._slots.release()
        return taken

    def settle(self, correlation_id: str, outcome: Outcome) -> bool:
        """Settle a request; whether this outcome won."""
        taken = self.take(correlation_id)
        if taken is None:
            return False
        taken.settle(outcome)
        return True

    def close(self) -> list[Pending]:
        """Stop the clock and take out all that waits."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            ids = list(self._waiting)
        self._clock.join()
        return [taken for each in ids if (taken := self.take(each)) is not None]

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (
                    not self._deadlines or self._deadlines[0][0] > monotonic()
                ):
                    wait = self._deadlines[0][0] - monotonic() if self._deadlines else None
                    self._changed.wait(wait)
                if self._closed:
                    return
                over = []
                while self._deadlines and self._deadlines[0][0] <= monotonic():
                    over.append(heapq.heappop(self._deadlines)[2])
                lost = [each for each in over if self._waiting.get(each.correlation_id) is each]
                for each in lost:
                    del self._waiting[each.correlation_id]
            for _ in lost:
                self._slots.release()
            if lost:
                self._on_timeout(lost)
