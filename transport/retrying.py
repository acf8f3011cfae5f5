"""What may pass is tried again: one policy for brokers and databases, and one way to say so."""

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from domain.errors import AccessDenied, BrokerError, StoreAway, StoreError, StoreHeld

_log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 3.0
"""How long the next try is waited for, at most; the first pauses are shorter, all are random."""

SAID_AGAIN_SECONDS = 30.0
"""How long it is not said again that the same is still waited for."""

_said: dict[str, float] = {}
"""What is waited for at this moment, and when that was said last: several threads may wait."""

_saying = threading.Lock()

on_retry: list[Callable[[str], None]] = []
"""Each is told what is tried again, ``broker`` or ``database``, for whoever counts."""

Result = TypeVar("Result")


def may_pass(error: BaseException) -> bool:
    """Whether the same may work in a moment: a missing right, or a final refusal, stays."""
    passing = isinstance(error, BrokerError | StoreAway | StoreHeld)
    return passing and not isinstance(error, AccessDenied)


def until_it_works(
    work: Callable[[], Result],
    what: str,
    passes: Callable[[BaseException], bool] = may_pass,
    *,
    within: float = float("inf"),
    stopping: threading.Event | None = None,
    met: Callable[[], None] = lambda: None,
) -> Result:
    """Do `work`, and again while what it raises may pass; the last error is raised as it is.

    Args:
        work: changes nothing where it raises, or nothing that doing it again would spoil.
        what: what doesn't work meanwhile, the beginning of a sentence. It is said once, again after
            30 s, and when it is over.
        passes: whether an error may pass.
        within: seconds after which nothing is tried any more.
        stopping: ends the waiting.
        met: is called before each further try.
    """
    ends = stopping or threading.Event()
    began, tried = monotonic(), False

    def say(state: RetryCallState) -> None:
        nonlocal tried
        tried = True
        met()
        error = state.outcome.exception() if state.outcome else None
        for tell in on_retry:
            tell("database" if isinstance(error, StoreError) else "broker")
        with _saying:
            if monotonic() - _said.get(what, float("-inf")) < SAID_AGAIN_SECONDS:
                return
            _said[what] = monotonic()
        _log.warning("%s, trying again: %s", what, str(error) or type(error).__name__)

    attempts = Retrying(
        retry=retry_if_exception(passes),
        wait=wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE_SECONDS),
        sleep=sleep_using_event(ends),
        stop=stop_after_delay(within) | stop_when_event_set(ends),
        before_sleep=say,
        reraise=True,
    )
    try:
        done = attempts(work)
    except BaseException:
        _said.pop(what, None)
        raise
    if tried and _said.pop(what, None) is not None:
        _log.warning("%s: over after %.1f s", what, monotonic() - began)
    return done
