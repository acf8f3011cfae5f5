"""Somebody else's producer, with transactions: what it rolls back was never said."""

from collections.abc import Sequence
from uuid import uuid4

from confluent_kafka import Producer

from transport.records import Outgoing
from transport.servers import Servers


class Foreign:
    """A transactional producer (KIP-98); `codec` is how it compresses."""

    def __init__(self, servers: Servers, codec: str = "none") -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": str(servers),
                "transactional.id": f"foreign-{uuid4()}",
                "compression.type": codec,
                "linger.ms": 20,
                "partitioner": "murmur2_random",
            }
        )
        self._producer.init_transactions(60)
        self._open = False

    def send(self, records: Sequence[Outgoing], partition: int | None = None) -> None:
        """Send records in the open transaction, which begins with the first."""
        if not self._open:
            self._producer.begin_transaction()
            self._open = True
        for record in records:
            self._producer.produce(
                record.topic,
                record.body,
                record.key,
                headers=list(record.headers),
                partition=-1 if partition is None else partition,
                on_delivery=_delivered,
            )
        assert self._producer.flush(30) == 0

    def commit(self) -> None:
        """Commit; the marks are written a moment later."""
        self._producer.commit_transaction(60)
        self._open = False

    def abort(self) -> None:
        """Roll back; the marks are written a moment later."""
        self._producer.abort_transaction(60)
        self._open = False

    def publish(self, records: Sequence[Outgoing]) -> None:
        """As a relay's publisher: each call is one transaction."""
        self.send(records)
        self.commit()


def _delivered(error: object, _message: object) -> None:
    assert error is None, error
