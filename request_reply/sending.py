"""The sending side of a requester: requests are kept, and then sent.

What is not sent for certain is told apart from what may have been: librdkafka knows of a record
that failed whether it may have arrived (``rd_kafka_message_status``), but its Python client does
not hand that on (confluent-kafka-python pull request 529 was never merged).
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from confluent_kafka import KafkaError, Producer

from domain.contracts import AuthorizePayment, NewOrder
from domain.errors import StoreError
from request_reply.correlation import ReturnAddress, request_headers
from request_reply.durable import DurableRequests
from request_reply.outcomes import InDoubt, NotSent
from request_reply.pending import Pending, PendingRequests
from services.asked import Asked
from services.order import SOURCE
from transport.clients import producer_client
from transport.envelope import Headers
from transport.records import Outgoing, outgoing
from transport.servers import Servers
from transport.topics import TopicPartition
from transport.trouble import Tried, is_denial, trouble

_log = logging.getLogger(__name__)

WireHeaders = tuple[tuple[str, bytes | None], ...]
Trace = Callable[[str, str, Headers | WireHeaders, bytes | None], None]
"""Is told what goes over the wire: a direction, where, the headers, and the body."""


class Watched:
    """What goes over the wire, for somebody who watches; no request is lost for want of him."""

    def __init__(self, trace: Trace | None) -> None:
        """Tell `trace`, as long as it works."""
        self.trace = trace

    def tell(
        self, direction: str, where: str, headers: Headers | WireHeaders, body: bytes | None
    ) -> None:
        """Tell of a record."""
        if self.trace is None:
            return
        try:
            self.trace(direction, where, headers, body)
        except Exception:  # noqa: BLE001 it is no part of asking
            self.trace = None
            _log.exception("what goes over the wire can't be shown any more")


class Sending:
    """Keeps requests where there is a store, and sends them; what can't be is settled as such."""

    def __init__(
        self,
        servers: Servers,
        topic: str,
        replies: TopicPartition,
        pending: PendingRequests,
        store: DurableRequests | None,
        watched: Watched,
    ) -> None:
        """Send to `topic`, with answers to the partition `replies`."""
        self._servers = servers
        self._topic = topic
        self._replies = replies
        self._pending = pending
        self._store = store
        self._watched = watched
        self._producer: Producer = producer_client(servers)

    def ask(self, order: NewOrder, pending: Pending) -> None:
        """Keep a request, if there is a store, and send it then."""
        if self._store is None:
            self.send(order, pending)
        elif self._pending.begin(pending, keeping=True):
            self._keep(self._store, order, pending)

    def send(self, order: NewOrder, pending: Pending) -> None:
        """Send a request that still waits."""
        was_asked = pending.perhaps_asked
        if not self._pending.begin(pending):
            return
        try:
            self._produce(outgoing(AuthorizePayment(order), SOURCE, datetime.now(UTC)), pending)
        except Exception as error:  # noqa: BLE001 it is the outcome
            # A producer takes none that it refuses; but what was kept will be asked some day.
            why = f"the request could not be sent: {error}"
            self._pending.settle(pending, InDoubt(why) if was_asked else NotSent(why))

    def poll(self, seconds: float) -> None:
        """Learn what became of the requests that were sent."""
        self._producer.poll(seconds)

    def flush(self, seconds: float) -> None:
        """Send what waits, within `seconds`."""
        self._producer.flush(seconds)

    def _keep(self, store: DurableRequests, order: NewOrder, pending: Pending) -> None:
        asked = Asked(pending.correlation_id, order, pending.deadline, self._replies.partition)

        def done(kept: "Future[None]") -> None:
            error = kept.exception()
            waits = self._pending.kept(pending)
            if isinstance(error, StoreError):
                # The commit may have come through, and only its confirmation not.
                self._pending.settle(pending, InDoubt(f"not known to be kept: {error}"))
            elif error is not None:
                self._pending.settle(pending, NotSent(f"it can't be kept: {error}"))
            elif waits:
                self.send(order, pending)
            elif pending.timed_out:
                store.give_up([pending.one_try])

        try:
            kept = store.keep(asked)
        except Exception as error:  # noqa: BLE001 it is the outcome
            kept = Future()
            kept.set_exception(error)
        kept.add_done_callback(done)

    def _produce(self, record: Outgoing, pending: Pending) -> None:
        address = ReturnAddress(*self._replies, UUID(pending.correlation_id).bytes)

        def delivered(error: KafkaError | None, _message: Any) -> None:
            # Whatever it is, the client may have sent the record before, and not heard of it.
            if error is not None:
                self._pending.settle(pending, InDoubt(self._why_not_delivered(error)))

        headers = [
            *record.headers,
            *request_headers(address, pending.deadline),
            *pending.asking.headers(),
        ]
        self._watched.tell("asked", self._topic, headers, record.body)
        self._producer.produce(
            self._topic,
            value=record.body,
            key=record.key,
            headers=list(headers),
            on_delivery=delivered,
        )

    def _why_not_delivered(self, error: KafkaError) -> str:
        if not is_denial(error):
            return f"the request may not have arrived: {error.str()}"
        tried = Tried("WRITE", self._topic)
        return str(trouble(self._servers, "the request was refused", error, tried))
