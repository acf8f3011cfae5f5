"""What the payment service learns from its own topics: decisions that its database doesn't have.

After a restore from a backup the database lacks what was decided since. Who asked has the answers,
so they stand: they are taken from where they were published, before anything is decided anew.
"""

import logging
from collections.abc import Iterable
from functools import partial

from domain.contracts import Authorization
from domain.errors import ContractError
from domain.principals import Principal
from services.payment import SOURCE, PaymentService
from services.reading_on import read_on
from transport.access import learned_by
from transport.codec import decode
from transport.envelope import from_headers
from transport.records import Record
from transport.servers import Servers

_log = logging.getLogger(__name__)


def learn_decisions(service: PaymentService, servers: Servers) -> int:
    """Take in what the service has published, and its database doesn't know; how many these were.

    Where there was no restore it is none: what it has published it has decided before.

    Raises:
        BrokerError: the topics can't be read.
        StoreError: the database can't be written.
    """
    learned = read_on(
        service.database,
        servers,
        learned_by(Principal.PAYMENT),
        lambda records: partial(service.learn, decisions=list(_decisions(records))),
    )
    if learned:
        _log.warning(
            "payment: %d decisions were not in database %s, which seems to be restored from a "
            "backup, and are taken from the topics",
            *(learned, service.database),
        )
    return learned


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
