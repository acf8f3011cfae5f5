"""Requests that survive a crash: kept with the order, settled with the order."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from time import time

from sqlalchemy import Connection

from event_log.group_commit import GroupCommit
from request_reply.outcomes import Outcome
from request_reply.requester import Requester
from services.asked import Asked
from services.asking import Asking, Reply, Unusable
from services.telemetry import telemetry
from transport.topics import TopicPartition

RECOVER_SECONDS = 30.0
"""How long a request that is asked again after a crash is waited for."""


class DurableRequests:
    """The store of a requester: the order service's database, many requests a transaction."""

    def __init__(
        self,
        asking: Asking,
        on_outgoing: Callable[[], None] = lambda: None,
        require: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep requests in the database of `asking`.

        `on_outgoing` is called when its outbox fills; `require` before replies are taken, and it
        raises where they are not to be.
        """
        self._require = require
        self._asking = asking
        self._commits: GroupCommit[Asked] = GroupCommit(
            asking.database, self._ask, lambda done: telemetry().placed(*done)
        )
        self._on_outgoing = on_outgoing

    def _ask(self, connection: Connection, asked: Sequence[Asked]) -> tuple[set[str], float]:
        began = time()
        return self._asking.ask(connection, asked, datetime.now(UTC)), began

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
        if self._asking.database.in_transaction(take):
            self._on_outgoing()

    def give_up(self, ids: Sequence[str]) -> None:
        """Note that the time of requests is over."""
        give_up = partial(self._asking.give_up, ids=ids, now=datetime.now(UTC))
        self._asking.database.in_transaction(give_up)

    def next_offset(self, place: TopicPartition) -> int | None:
        """The offset after the last reply that was taken from a partition."""
        return self._asking.next_offset(place)

    def close(self) -> None:
        """Commit what waits."""
        self._commits.close()


def recover(requester: Requester, asking: Asking) -> "dict[str, Future[Outcome]]":
    """Ask again what a crashed requester has asked, and nobody has answered.

    Each is asked with its own correlation id and deadline. What was decided meanwhile is answered
    as it was decided; what was not, and is past its deadline, is answered as expired, and never
    decided. So afterwards it is known of each whether it was charged.

    Returns:
        By order id, the future of its outcome.
    """
    return {
        asked.order.order_id: requester.resend(asked, RECOVER_SECONDS)
        for asked in asking.unanswered()
    }
