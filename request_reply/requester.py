"""The requester: asks the payment service and gets an outcome, blocking, by future or awaited.

Order of work: the request is registered, then sent, then its clock starts. Reply, timeout, failed
sending and stop race for one removal (`request_reply.pending`), so exactly one outcome wins, and
nothing stays pending for ever.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, Literal, Protocol
from uuid import UUID

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka import TopicPartition as KafkaTopicPartition
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from domain.contracts import AuthorizePayment, Contract, NewOrder
from domain.errors import AccessDenied, BrokerError, ContractError
from domain.identity import message_id_of
from request_reply.correlation import ReturnAddress, request_headers
from request_reply.outcomes import (
    Accepted,
    Declined,
    NotSent,
    Outcome,
    Stopped,
    TimedOut,
    Undecodable,
    word_of,
)
from request_reply.pending import Pending, PendingRequests
from request_reply.replies import correlation_id_of, understand_reply
from services.asked import Asked
from services.asking import NAME, Reply, Unusable
from services.order import SOURCE
from services.telemetry import telemetry
from transport.clients import consumer_client, producer_client
from transport.envelope import Headers
from transport.reading import take
from transport.records import Record, outgoing, record_of
from transport.servers import Servers
from transport.topics import PAYMENT_REPLIES, TopicPartition
from transport.trouble import Tried, is_denial, refuse_denied, trouble

_log = logging.getLogger(__name__)

MOST_REPLIES_AT_ONCE = 500


Trace = Callable[[str, str, Headers | tuple[tuple[str, bytes | None], ...], bytes | None], None]
"""Is told what goes over the wire: a direction, where, the headers, and the body."""


class RequestStore(Protocol):
    """Where requests are kept, so that a crash forgets none."""

    def keep(self, asked: Asked) -> "Future[None]":
        """Keep a request; the future is done when it is safe."""

    def take_replies(
        self,
        replies: Sequence[Reply],
        unusable: Sequence[Unusable],
        place: TopicPartition,
        after: int,
    ) -> None:
        """Take replies in, and the offset after them, and return when they are safe.

        What is unusable came to the partition as well, and is kept as dead letters.
        """

    def give_up(self, ids: Sequence[str]) -> None:
        """Note that the time of requests is over."""

    def next_offset(self, place: TopicPartition) -> int | None:
        """The offset after the last reply that was taken from a partition."""


@dataclass(frozen=True)
class RequesterSettings:
    """How a requester asks.

    `partition` is its own partition of the reply topic, which no other requester uses at the time;
    `in_flight` is the most requests that may wait at once, and `when_full` what happens to one
    more: it waits for room within its timeout, or is refused.
    """

    bootstrap_servers: Servers
    partition: int
    request_topic: str = "payment.requests"
    reply_topic: str = PAYMENT_REPLIES
    in_flight: int = 1024
    when_full: Literal["wait", "refuse"] = "wait"


class Requester:
    """Asks; usable from many threads at once. `start` it first, and `stop` it in the end."""

    def __init__(
        self,
        settings: RequesterSettings,
        store: RequestStore | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Connect nothing yet. With a `store`, what is asked survives a crash."""
        self._trace = trace
        self._settings = settings
        self._store = store
        self._place = TopicPartition(settings.reply_topic, settings.partition)
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._failed: str | None = None
        self._pending = PendingRequests(settings.in_flight, self._time_is_over)
        self._producer: Producer = producer_client(settings.bootstrap_servers)
        self._threads = [
            threading.Thread(target=self._listen, name="replies", daemon=True),
            threading.Thread(target=self._poll, name="deliveries", daemon=True),
        ]

    def start(self) -> "Requester":
        """Begin to listen for replies."""
        for thread in self._threads:
            thread.start()
        return self

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until the reply partition is assigned and positioned; whether it is, in time."""
        return self._ready.wait(seconds) and self._failed is None

    def authorize(self, order: NewOrder, timeout: float) -> Outcome:
        """Ask, and wait for the outcome; `timeout` in seconds."""
        return self.submit(order, timeout).result()

    async def ask(self, order: NewOrder, timeout: float) -> Outcome:
        """Ask from asyncio; waiting for room doesn't hold the event loop up."""
        future = await asyncio.to_thread(self.submit, order, timeout)
        return await asyncio.wrap_future(future)

    def submit(self, order: NewOrder, timeout: float) -> "Future[Outcome]":
        """Ask, and go on; the future always gets an outcome, and never an exception.

        An order that waits for its answer already is not asked twice: both get the same outcome.
        """
        began = monotonic()
        if self._stopping.is_set():
            return _settled(Stopped())
        if not self.wait_until_ready(timeout):
            return _settled(NotSent(self._failed or f"not ready within {timeout:g} s"))
        patience = timeout - (monotonic() - began) if self._settings.when_full == "wait" else 0.0
        if not self._pending.take_slot(patience):
            return _settled(NotSent(f"{self._settings.in_flight} requests are in flight already"))
        request = AuthorizePayment(order)
        left = max(0.0, timeout - (monotonic() - began))
        pending, new = self._pending.register(message_id_of(request), left)
        if not new:
            return pending.future
        _watch(pending, order.order_id)
        if self._stopping.is_set():
            # Stopped between the first look and the registration: nobody else would settle it.
            self._pending.settle(pending.correlation_id, Stopped())
            return pending.future
        expires_at = datetime.now(UTC) + timedelta(seconds=left)
        if self._store is None:
            self._send(request, pending, expires_at)
        else:
            kept = self._store.keep(Asked(pending.correlation_id, order, expires_at))
            kept.add_done_callback(lambda done: self._kept(done, request, pending, expires_at))
        return pending.future

    def resend(self, asked: Asked, timeout: float) -> "Future[Outcome]":
        """Ask again what was asked before a crash: same correlation id, same deadline."""
        if not self._pending.take_slot(timeout):
            return _settled(NotSent(f"{self._settings.in_flight} requests are in flight already"))
        pending, new = self._pending.register(asked.correlation_id, timeout)
        if new:
            _watch(pending, asked.order.order_id)
            self._send(AuthorizePayment(asked.order), pending, asked.expires_at)
        return pending.future

    def in_flight(self) -> int:
        """How many requests wait for their outcome."""
        return len(self._pending)

    def stop(self) -> None:
        """Stop; all that waits gets the outcome `Stopped`."""
        self._stopping.set()
        self._ready.set()
        for pending in self._pending.close():
            pending.settle(Stopped())
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=10)
        self._producer.flush(5)

    def _kept(
        self,
        done: "Future[None]",
        request: AuthorizePayment,
        pending: Pending,
        expires_at: datetime,
    ) -> None:
        error = done.exception()
        if error is None:
            self._send(request, pending, expires_at)
        else:
            self._pending.settle(pending.correlation_id, NotSent(f"not kept: {error}"))

    def _send(self, request: AuthorizePayment, pending: Pending, expires_at: datetime) -> None:
        record = outgoing(request, SOURCE, datetime.now(UTC))
        correlation = UUID(pending.correlation_id).bytes
        address = ReturnAddress(self._settings.reply_topic, self._settings.partition, correlation)

        def delivered(error: KafkaError | None, _message: Any) -> None:
            if error is not None:
                self._pending.settle(pending.correlation_id, NotSent(self._why_not_sent(error)))

        headers = [
            *record.headers,
            *request_headers(address, expires_at),
            *pending.asking.headers(),
        ]
        if self._trace is not None:
            self._trace("asked", self._settings.request_topic, headers, record.body)
        try:
            self._producer.produce(
                self._settings.request_topic,
                value=record.body,
                key=record.key,
                headers=list(headers),
                on_delivery=delivered,
            )
        except (BufferError, KafkaException) as error:
            self._pending.settle(pending.correlation_id, NotSent(str(error)))
            return
        self._pending.start_clock(pending)

    def _time_is_over(self, lost: Sequence[Pending]) -> None:
        if self._store is not None:
            self._store.give_up([pending.correlation_id for pending in lost])
        for pending in lost:
            pending.settle(TimedOut(pending.seconds))

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)

    def _listen(self) -> None:
        consumer = consumer_client(
            self._settings.bootstrap_servers, "unused", **{"fetch.wait.max.ms": 100}
        )
        try:
            self._position(consumer)
            while not self._stopping.is_set():
                messages = take(consumer, MOST_REPLIES_AT_ONCE, 0.1)
                refuse_denied(messages)
                records = [record_of(each) for each in messages if each.error() is None]
                if records:
                    self._take(records)
        except Exception as error:  # noqa: BLE001 whatever it was, nobody waits for ever
            self._failed = str(self._why_no_replies(error))
            _log.error("%s", self._failed, exc_info=not isinstance(error, KafkaException))
            self._ready.set()
            for pending in self._pending.close():
                pending.settle(NotSent(self._failed))
        finally:
            consumer.close()

    def _why_not_sent(self, error: KafkaError) -> str:
        if not is_denial(error):
            return error.str()
        topic = self._settings.request_topic
        servers = self._settings.bootstrap_servers
        return str(trouble(servers, "the request was refused", error, Tried("WRITE", topic)))

    def _why_no_replies(self, error: Exception) -> BrokerError:
        what = "replies can't be taken"
        if not isinstance(error, KafkaException):
            return BrokerError(f"{what}: {error}")
        tried = Tried("READ", self._settings.reply_topic)
        return trouble(self._settings.bootstrap_servers, what, error, tried)

    def _may_pass(self, error: BaseException) -> bool:
        if not isinstance(error, KafkaException):
            return False
        return not isinstance(self._why_no_replies(error), AccessDenied)

    def _position(self, consumer: Consumer) -> None:
        """Read from where replies were last taken, else from the partition's end as it is now."""
        offset = self._store.next_offset(self._place) if self._store is not None else None
        # A topic that was just made has no leader yet; a partition that isn't there never has.
        for attempt in Retrying(
            retry=retry_if_exception(self._may_pass),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            stop=stop_after_delay(30) | stop_when_event_set(self._stopping),
            reraise=True,
        ):
            with attempt:
                here = KafkaTopicPartition(*self._place)
                low, high = consumer.get_watermark_offsets(here, timeout=10)
        offset = high if offset is None else min(max(offset, low), high)
        consumer.assign([KafkaTopicPartition(*self._place, offset)])
        self._ready.set()

    def _take(self, records: Sequence[Record]) -> None:
        settled: list[tuple[str, Outcome]] = []
        replies: list[Reply] = []
        unusable: list[Unusable] = []
        said: list[tuple[Record, Contract]] = []
        for record in records:
            correlation_id = None
            try:
                correlation_id = correlation_id_of(record)
                if self._trace is not None:
                    self._trace("answered", record.place, record.headers, record.value)
                reply, outcome = understand_reply(record, correlation_id)
            except ContractError as why:
                ids = {"correlation_id": correlation_id}
                _log.warning("%s can't be used: %s", record.place, why, extra=ids)
                unusable.append((record, why))
                if correlation_id is not None:
                    settled.append((correlation_id, Undecodable(f"{record.place}: {why}")))
                continue
            settled.append((correlation_id, outcome))
            replies.append(reply)
            said.append((record, reply.said))
        if self._store is not None:
            steps = telemetry().steps(NAME, records)
            steps.take(said)
            with steps:
                after = records[-1].offset + 1
                self._store.take_replies(replies, unusable, self._place, after)
            steps.done(unusable)
        for correlation_id, outcome in settled:
            if not self._pending.settle(correlation_id, outcome):
                ids = {"correlation_id": correlation_id}
                _log.info(
                    "reply to %s came late, or twice, or not to us", correlation_id, extra=ids
                )


def _watch(pending: Pending, order_id: str) -> None:
    """Tell of a request until its outcome, whichever that is."""
    pending.asking = telemetry().asking(order_id, pending.correlation_id)
    pending.future.add_done_callback(partial(_tell, pending))


def _tell(pending: Pending, done: "Future[Outcome]") -> None:
    outcome = None if done.cancelled() else done.result()
    word = "cancelled" if outcome is None else word_of(outcome)
    if isinstance(outcome, TimedOut):
        telemetry().retried("request")
    failed = not isinstance(outcome, Accepted | Declined)
    pending.asking.answered(word, type(outcome).__name__ if failed else None)


def _settled(outcome: Outcome) -> "Future[Outcome]":
    done: Future[Outcome] = Future()
    done.set_result(outcome)
    return done
