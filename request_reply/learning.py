"""What the order service learns from payment.requests: what it has asked, and doesn't know.

After a restore from a backup its database lacks what was asked since. Each of these requests is
asked again then (`request_reply.durable.recover`), and answered as it was decided.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from domain.contracts import AuthorizePayment
from domain.errors import ContractError
from domain.identity import message_id_of
from event_log.inbox import advance
from request_reply.correlation import expiry_of, return_address
from services.asked import Asked
from services.asking import Asking
from services.order import SOURCE
from services.reading_on import read_on
from transport.cluster import ClusterView
from transport.records import Record, understand
from transport.servers import Servers
from transport.topics import PAYMENT_REQUESTS

_log = logging.getLogger(__name__)


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
