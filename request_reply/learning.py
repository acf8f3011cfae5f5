"""What the order service learns from payment.requests: what it has asked, and doesn't know.

After a restore from a backup its database lacks what was asked since. Each of these requests is
asked again then (`recover`), and answered as it was decided.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from domain.contracts import AuthorizePayment
from domain.errors import ContractError
from domain.identity import message_id_of
from event_log.inbox import advance
from request_reply.correlation import expiry_of, return_address
from request_reply.outcomes import InDoubt, NotSent, Outcome, Stopped, TimedOut, word_of
from request_reply.requester import Requester
from services.asked import Asked
from services.asking import Asking
from services.order import SOURCE
from services.reading_on import read_on
from transport.cluster import ClusterView
from transport.records import Record, understand
from transport.servers import Servers
from transport.topics import PAYMENT_REQUESTS

_log = logging.getLogger(__name__)

RECOVER_SECONDS = 30.0
"""How long a request that is asked again after a crash is waited for."""

MOST_RECOVERED_AT_ONCE = 500
"""So many requests are asked again together, and then the next."""


def learn_asked(asking: Asking, servers: Servers) -> int:
    """Take in what the order service has asked, and its database doesn't know; how many these were.

    Where there was no restore it is none: what is asked is kept before it is sent.

    Raises:
        BrokerError: the topic can't be read.
        StoreError: the database can't be written.
    """

    def take(records: list[Record]) -> Callable[[Connection], int]:
        now = datetime.now(UTC)
        return partial(asking.learn, asked=list(_asked(records, now)), now=now)

    learned = read_on(asking.database, servers, [PAYMENT_REQUESTS], take)
    if learned:
        _log.warning(
            "order: %d requests were not in database %s, which seems to be restored from a backup; "
            "they are asked again, and answered as they were",
            *(learned, asking.database),
        )
    return learned


def know_asked(asking: Asking, servers: Servers) -> None:
    """Note that all requests that are there now are known, so that nobody reads them for that.

    Raises:
        BrokerError: the broker doesn't say where the topic ends.
        StoreError: the database can't be written.
    """
    ends = ClusterView(servers).ends([PAYMENT_REQUESTS])
    asking.database.in_transaction(partial(advance, offsets=ends, now=datetime.now(UTC)))


def _asked(records: Iterable[Record], now: datetime) -> Iterable[Asked]:
    for record in records:
        try:
            delivery = understand(record)
            expires_at = expiry_of(record.headers) or now
            address = return_address(record.headers)
        except ContractError:
            # No request of ours.
            continue
        request = delivery.payload
        if delivery.envelope.source != SOURCE or not isinstance(request, AuthorizePayment):
            continue
        # Who asks with another one in the order service's name is answered, and is somebody else.
        correlation_id = message_id_of(request)
        if address.correlation_id.hex() == correlation_id.replace("-", ""):
            yield Asked(correlation_id, request.order, expires_at, address.partition or 0)


def recover(requester: Requester, asking: Asking, partitions: Iterable[int]) -> "Counter[str]":
    """Ask again what was asked from reply partitions that nobody has now, and was not answered.

    Each is asked with its own correlation id and deadline. What was decided meanwhile is answered
    as it was decided; what was not, and is past its deadline, is answered as expired, and never
    decided. So afterwards it is known of each whether it was charged, and none is asked a third
    time. Where nobody answers, the rest is left for the next time.

    Args:
        requester: asks, and must be ready.
        asking: has what was asked.
        partitions: those that `requester` and no other has, and those that nobody has.

    Returns:
        How many were asked again, by what came of it.
    """
    came: Counter[str] = Counter()
    for partition in partitions:
        for batch in asking.unanswered(partition, MOST_RECOVERED_AT_ONCE):
            futures = [requester.resend(asked, RECOVER_SECONDS) for asked in batch]
            outcomes = [future.result() for future in futures]
            came.update(word_of(outcome) for outcome in outcomes)
            if not any(_was_heard(outcome) for outcome in outcomes):
                _log.warning(
                    "nobody answered %d requests of before: they and the rest are asked again the "
                    "next time",
                    len(batch),
                )
                return came
    return came


def _was_heard(outcome: Outcome) -> bool:
    return not isinstance(outcome, TimedOut | NotSent | InDoubt | Stopped)
