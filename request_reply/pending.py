"""Pending requests: whoever takes one out settles it, so exactly one outcome wins."""

import heapq
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

from request_reply.outcomes import Outcome, TimedOut
from services.asking import Try
from services.telemetry import Asking

LONGEST_WAIT_SECONDS = 3600.0
"""The clock looks up at least so often; longer waits are more than a lock can be told."""

Ending = Callable[[bool], Outcome]
"""What becomes of requests when nobody waits any more: by whether one may have been asked."""


@dataclass(eq=False)
class Pending:
    """One time that a request is asked: who waits for it, how many seconds, and its deadline (UTC).

    Attributes:
        perhaps_asked: whether it may have been sent, or may be from the store some day.
        keeping: whether the store is at it, which holds its slot.
        timed_out: whether its time was over before anything else came.
    """

    correlation_id: str
    seconds: float
    deadline: datetime
    perhaps_asked: bool = False
    keeping: bool = False
    timed_out: bool = False
    futures: "list[Future[Outcome]]" = field(default_factory=list)
    asking: Asking = field(default_factory=Asking)

    @property
    def one_try(self) -> Try:
        """Which time of which request this is."""
        return self.correlation_id, self.deadline

    def join(self) -> "Future[Outcome]":
        """A future for one more who waits; if he goes away, the others still get the outcome."""
        joined: Future[Outcome] = Future()
        self.futures.append(joined)
        return joined

    def settle(self, outcome: Outcome) -> None:
        """Give the outcome to all who wait; who has gone away meanwhile doesn't get it."""
        with ExitStack() as all_of_them:
            for future in self.futures:
                if future.set_running_or_notify_cancel():
                    all_of_them.callback(future.set_result, outcome)


class PendingRequests:
    """The requests that wait for an outcome, by correlation id, with a bound and an end."""

    def __init__(self, most: int) -> None:
        """Hold at most `most` requests."""
        self._waiting: dict[str, Pending] = {}
        self._deadlines: list[tuple[float, int, Pending]] = []
        self._serial = 0
        self._changed = threading.Condition()
        self._slots = threading.Semaphore(most)
        self._ending: Ending | None = None

    def __len__(self) -> int:
        """How many requests wait."""
        with self._changed:
            return len(self._waiting)

    def refusal(self) -> Outcome | None:
        """What a request gets that comes after the end; `None` before it."""
        return None if self._ending is None else self._ending(False)

    def take_slot(self, seconds: float) -> bool:
        """Wait for room for one more; whether there was any in time, or the end came."""
        wait = min(max(0.0, seconds), threading.TIMEOUT_MAX)
        return self._slots.acquire(timeout=wait) if wait else self._slots.acquire(blocking=False)

    def register(self, made: Pending) -> "tuple[Future[Outcome], bool]":
        """Register a request that holds a slot, and start its clock.

        One that waits already is joined and needs no slot; after the end none is taken in.

        Returns:
            The future of its outcome, and whether it is to be asked.
        """
        with self._changed:
            ending = self._ending
            known = self._waiting.get(made.correlation_id, made)
            future = known.join()
            if ending is None and known is made:
                self._waiting[made.correlation_id] = made
                self._serial += 1
                over_at = monotonic() + made.seconds
                heapq.heappush(self._deadlines, (over_at, self._serial, made))
                if self._deadlines[0][2] is made:
                    self._changed.notify()
                return future, True
        self._slots.release()
        if ending is not None:
            made.settle(ending(made.perhaps_asked))
        return future, False

    def begin(self, pending: Pending, *, keeping: bool = False) -> bool:
        """Note that a request may be asked from now on, unless it is settled; whether it waits."""
        with self._changed:
            if self._waiting.get(pending.correlation_id) is not pending:
                return False
            pending.perhaps_asked = True
            pending.keeping = keeping
            return True

    def kept(self, pending: Pending) -> bool:
        """Note that the store is done with a request; whether it waits still."""
        with self._changed:
            pending.keeping = False
            waits = self._waiting.get(pending.correlation_id) is pending
        if not waits:
            self._slots.release()
        return waits

    def settle(self, pending: Pending, outcome: Outcome) -> bool:
        """Settle a request, and no other of its order; whether this outcome won."""
        with self._changed:
            taken = self._take(pending) if self._is_waiting(pending) else None
        return _settled(taken, outcome)

    def answer(
        self,
        correlation_id: str,
        outcome: Outcome,
        concerns: Callable[[datetime], bool] = lambda deadline: True,
    ) -> bool:
        """Settle the request that a reply is for, if it `concerns` one of its deadline."""
        with self._changed:
            known = self._waiting.get(correlation_id)
            taken = self._take(known) if known is not None and concerns(known.deadline) else None
        return _settled(taken, outcome)

    def close(self, ending: Ending) -> bool:
        """Settle all that waits and all that comes by `ending`; whether this was the first end."""
        with self._changed:
            if self._ending is not None:
                return False
            self._ending = ending
            taken = [self._take(each) for each in list(self._waiting.values())]
            self._changed.notify()
        # Whoever waits for room is let through one after the other, and refused.
        self._slots.release()
        _settle_all(taken, lambda each: ending(each.perhaps_asked))
        return True

    def watch(self, on_timeout: Callable[[list[Pending]], None]) -> None:
        """Give up what is not settled in time, until the end; then tell `on_timeout` of it."""
        while True:
            with self._changed:
                while self._ending is None and (
                    not self._deadlines or self._deadlines[0][0] > monotonic()
                ):
                    wait = self._deadlines[0][0] - monotonic() if self._deadlines else None
                    self._changed.wait(None if wait is None else min(wait, LONGEST_WAIT_SECONDS))
                if self._ending is not None:
                    return
                over = []
                while self._deadlines and self._deadlines[0][0] <= monotonic():
                    over.append(heapq.heappop(self._deadlines)[2])
                lost = [self._take(each) for each in over if self._is_waiting(each)]
                for each in lost:
                    each.timed_out = True
            _settle_all(lost, lambda each: TimedOut(each.seconds))
            if lost:
                on_timeout(lost)

    def _is_waiting(self, pending: Pending) -> bool:
        return self._waiting.get(pending.correlation_id) is pending

    def _take(self, pending: Pending) -> Pending:
        del self._waiting[pending.correlation_id]
        if not pending.keeping:
            self._slots.release()
        return pending


def _settled(taken: Pending | None, outcome: Outcome) -> bool:
    if taken is None:
        return False
    taken.settle(outcome)
    return True


def _settle_all(taken: Iterable[Pending], outcome_of: Callable[[Pending], Outcome]) -> None:
    # Each of them, also where what waits for one raises what ends a thread.
    with ExitStack() as all_of_them:
        for each in taken:
            all_of_them.callback(each.settle, outcome_of(each))
