"""Requests that survive a crash: kept with the order, settled with the order."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from time import time

from sqlalchemy import Connection

from domain.errors import StoreError
from event_log.group_commit import GroupCommit
from services.asked import Asked
from services.asking import Asking, Reply, Try, Unusable
from services.telemetry import telemetry
from transport.topics import TopicPartition

_log = logging.getLogger(__name__)

NOTED_AGAIN_SECONDS = 5.0
"""How long a note that could not be written waits for its next try, which may take a minute."""


class DurableRequests:
    """The store of a requester: the order service's database, many requests a transaction.

    What is kept and what is given up are written by one thread, in the order in which they are.
    """

    def __init__(self, asking: Asking, require: Callable[[], None] = lambda: None) -> None:
        """Keep requests in the database of `asking`.

        `require` is called before replies are taken, and raises where they are not to be.
        """
        self._require = require
        self._asking = asking
        self._closing = False
        self._later: list[Try] = []
        self._later_changed = threading.Lock()
        self._ended: Callable[[BaseException], None] = lambda _: None
        self._commits: GroupCommit[Asked | Sequence[Try]] = GroupCommit(
            asking.database,
            self._write,
            lambda done: telemetry().placed(*done),
            lambda error: self._ended(error),
        )

    def _write(
        self, connection: Connection, items: Sequence[Asked | Sequence[Try]]
    ) -> tuple[set[str], float]:
        began, now = time(), datetime.now(UTC)
        new = self._asking.ask(connection, [each for each in items if isinstance(each, Asked)], now)
        # Each names its deadline, so that it ends no later try which is among these.
        over = [each for tries in items if not isinstance(tries, Asked) for each in tries]
        self._asking.give_up(connection, over, now)
        return new, began

    def tell_end(self, ended: Callable[[BaseException], None]) -> None:
        """Have `ended` told by what the thread has ended that keeps requests, if it does."""
        self._ended = ended

    def keep(self, asked: Asked) -> "Future[None]":
        """Keep a request with its order; the future is done at the commit."""
        return self._commits.submit(asked)

    def take_replies(
        self,
        replies: Sequence[Reply],
        unusable: Sequence[Unusable],
        place: TopicPartition,
        after: int,
    ) -> None:
        """Settle orders and requests, and move the reply partition's position, in a transaction.

        What is unusable becomes a dead letter in that same transaction.
        """
        self._require()
        take = partial(
            self._asking.take_replies,
            replies=replies,
            offsets={place: after},
            now=datetime.now(UTC),
            unusable=unusable,
        )
        self._asking.database.in_transaction(take)

    def give_up(self, tries: Sequence[Try]) -> None:
        """Note soon that the time of these tries is over, and return at once.

        Until that can be written they stay pending, and it is tried again.
        """
        self._commits.submit(tries).add_done_callback(partial(self._given_up, tries))

    def _given_up(self, tries: Sequence[Try], done: "Future[None]") -> None:
        error = done.exception()
        if error is None:
            return
        again = isinstance(error, StoreError) and not self._commits.is_over and not self._closing
        _log.warning(
            "%d requests that nobody waits for any more stay pending, %s: %s",
            *(len(tries), "to be noted as soon as may be" if again else "to be asked again", error),
        )
        if not again:
            return
        with self._later_changed:
            self._later += tries
            is_first = len(self._later) == len(tries)
        if is_first:
            timer = threading.Timer(NOTED_AGAIN_SECONDS, self._give_up_again)
            timer.daemon = True
            timer.start()

    def _give_up_again(self) -> None:
        with self._later_changed:
            tries, self._later = self._later, []
        self.give_up(tries)

    def next_offset(self, place: TopicPartition) -> int | None:
        """The offset after the last reply that was taken from a partition."""
        return self._asking.next_offset(place)

    def close(self) -> None:
        """Commit what waits; where that can't be, it is tried for a minute and not again."""
        self._closing = True
        self._commits.close()
