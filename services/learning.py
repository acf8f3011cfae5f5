"""What the payment service learns from its own topics: decisions that its database doesn't have.

After a restore from a backup the database lacks what was decided since. Who asked has the answers,
so they stand: they are taken from where they were published, before anything is decided anew.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from domain.contracts import Authorization
from domain.errors import ContractError
from domain.principals import Principal
from event_log.inbox import advance, next_offsets
from services.payment import SOURCE, PaymentService
from transport.access import learned_by
from transport.cluster import ClusterView
from transport.codec import decode
from transport.envelope import from_headers
from transport.reading import read_partition
from transport.records import Record
from transport.servers import Servers
from transport.topics import TopicPartition

_log = logging.getLogger(__name__)

AT_ONCE = 2000


def learn_decisions(service: PaymentService, servers: Servers) -> int:
    """Take in what the service has published, and its database doesn't know; how many these were.

    Where there was no restore it is none: what it has published it has decided before.

    Raises:
        BrokerError: the topics can't be read.
        StoreError: the database can't be written.
    """
    with service.database.reading() as connection:
        positions = next_offsets(connection)
    learned = 0
    ends = ClusterView(servers).ends(learned_by(Principal.PAYMENT))
    for place, end in sorted(ends.items()):
        start = positions.get(place, 0)
        if start >= end:
            continue
        for records in read_partition(servers, place, partial(max, start), end, AT_ONCE):
            learned += _take(service, place, records)
    if learned:
        _log.warning(
            "payment: %d decisions were not in database %s, which seems to be restored from a "
            "backup, and are taken from the topics",
            *(learned, service.database),
        )
    return learned


def _take(service: PaymentService, place: TopicPartition, records: list[Record]) -> int:
    decisions = list(_decisions(records))

    def work(connection: Connection) -> int:
        count = service.learn(connection, decisions)
        advance(connection, {place: records[-1].offset + 1}, datetime.now(UTC))
        return count

    return service.database.in_transaction(work)


def _decisions(records: Iterable[Record]) -> Iterable[Authorization]:
    for record in records:
        try:
            envelope = from_headers(record.headers)
            said = decode(envelope.type, record.value) if envelope.source == SOURCE else None
        except ContractError:
            # No record of ours.
            continue
        # Whatever its key: a reply has that of its request, which may have none.
        if isinstance(said, Authorization):
            yield said
