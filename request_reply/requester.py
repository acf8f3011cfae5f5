"""The requester: asks the payment service and gets an outcome, blocking, by future or awaited.

Order of work: the request is registered and its clock starts, then it is kept, then sent. Reply,
timeout, failed sending and stop race for one removal (`request_reply.pending`), so exactly one
outcome wins, and nothing stays pending for ever: not where the store can't be written, and not
where one of the threads has ended, which ends the requester.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from domain.contracts import AuthorizePayment, Contract, NewOrder
from domain.errors import AccessDenied, BrokerError, ContractError, ShopError
from domain.identity import message_id_of
from domain.requests import concerns
from request_reply.durable import DurableRequests
from request_reply.outcomes import (
    Accepted,
    Declined,
    InDoubt,
    NotSent,
    Outcome,
    Stopped,
    TimedOut,
    Undecodable,
    word_of,
)
from request_reply.pending import Pending, PendingRequests
from request_reply.replies import correlation_id_of, understand_reply
from request_reply.sending import Sending, Trace, Watched
from request_reply.sparing import Sparing
from services.asked import Asked
from services.asking import NAME, Reply, Unusable
from services.telemetry import telemetry
from transport.clients import consumer_client
from transport.reading import take
from transport.records import Record, record_of
from transport.servers import Servers
from transport.topics import PAYMENT_REPLIES, TopicPartition
from transport.trouble import Tried, refuse_denied, trouble

_log = logging.getLogger(__name__)

MOST_REPLIES_AT_ONCE = 500


STOP_SECONDS = 10.0
"""How long each thread has to end when the requester is stopped."""

FLUSH_SECONDS = 5.0
"""How long requests have to leave when the requester is stopped."""


@dataclass(frozen=True)
class RequesterSettings:
    """How a requester asks.

    `partition` is its own partition of the reply topic, which no other requester uses at the time;
    `in_flight` is the most requests that may wait at once: one more waits for room within its
    timeout.
    """

    bootstrap_servers: Servers
    partition: int
    request_topic: str = "payment.requests"
    reply_topic: str = PAYMENT_REPLIES
    in_flight: int = 1024


class Requester:
    """Asks; usable from many threads at once. `start` it first, and `stop` it in the end."""

    def __init__(
        self,
        settings: RequesterSettings,
        store: DurableRequests | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Connect nothing yet. With a `store`, what is asked survives a crash."""
        self._watched = Watched(trace)
        self._settings = settings
        self._store = store
        self._place = TopicPartition(settings.reply_topic, settings.partition)
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._pending = PendingRequests(settings.in_flight)
        self._sending = Sending(
            settings.bootstrap_servers,
            settings.request_topic,
            self._place,
            self._pending,
            store,
            self._watched,
        )
        self._said = Sparing(_log)
        work: dict[str, Callable[[], None]] = {
            "replies": self._listen,
            "deliveries": self._poll,
            "request-clock": lambda: self._pending.watch(self._time_is_over),
        }
        self._threads = [
            threading.Thread(target=self._until_its_end, args=each, name=each[0], daemon=True)
            for each in work.items()
        ]
        if store is not None:
            store.tell_end(partial(self._ended, "group-commit"))

    def start(self) -> "Requester":
        """Begin to listen for replies."""
        for thread in self._threads:
            thread.start()
        return self

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until the reply partition is assigned and positioned; whether it is, in time."""
        return self._ready.wait(seconds) and self._pending.refusal() is None

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
        deadline = datetime.now(UTC) + timedelta(seconds=timeout)
        pending = Pending(message_id_of(AuthorizePayment(order)), timeout, deadline)
        if not self.wait_until_ready(timeout):
            return _settled(self._pending.refusal() or NotSent(f"not ready within {timeout:g} s"))
        if not self._pending.take_slot(timeout - (monotonic() - began)):
            return _settled(self._pending.refusal() or NotSent(self._full()))
        pending.seconds = max(0.0, timeout - (monotonic() - began))
        future, new = self._pending.register(pending)
        if new:
            _watch(pending, future, order.order_id)
            self._sending.ask(order, pending)
        return future

    def resend(self, asked: Asked, timeout: float) -> "Future[Outcome]":
        """Ask again what was asked before a crash: same correlation id, same deadline."""
        pending = Pending(asked.correlation_id, timeout, asked.expires_at, perhaps_asked=True)
        if not self._pending.take_slot(timeout):
            return _settled(InDoubt(self._full()))
        future, new = self._pending.register(pending)
        if new:
            _watch(pending, future, asked.order.order_id)
            self._sending.send(asked.order, pending)
        return future

    def in_flight(self) -> int:
        """How many requests wait for their outcome."""
        return len(self._pending)

    def stop(self) -> None:
        """Stop; all that waits gets the outcome `Stopped`, and so does all that comes."""
        self._stopping.set()
        self._pending.close(Stopped)
        self._ready.set()
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(timeout=STOP_SECONDS)
        self._sending.flush(FLUSH_SECONDS)

    def _until_its_end(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 whatever it was, nobody waits for ever
            self._ended(name, error)

    def _ended(self, name: str, error: BaseException) -> None:
        """End, since a thread has: all that waits and all that comes is told which, and by what."""
        if self._pending.refusal() is not None:
            return
        told = isinstance(error, KafkaException | ShopError)
        said = str(error) if told else repr(error)
        with suppress(Exception):
            said = str(self._why_no_replies(error)) if name == "replies" else said
        why = f"the requester has ended, for its thread {name} has: {said}"
        self._stopping.set()
        self._pending.close(lambda perhaps_asked: InDoubt(why) if perhaps_asked else NotSent(why))
        self._ready.set()
        _log.error("%s", why, exc_info=None if told else error)

    def _full(self) -> str:
        return f"{self._settings.in_flight} requests are in flight already"

    def _time_is_over(self, lost: Sequence[Pending]) -> None:
        # What is being kept at this moment is noted by whoever keeps it.
        tries = [each.one_try for each in lost if not each.keeping]
        if self._store is not None and tries:
            self._store.give_up(tries)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._sending.poll(0.1)

    def _listen(self) -> None:
        consumer = consumer_client(
            self._settings.bootstrap_servers, "unused", **{"fetch.wait.max.ms": 100}
        )
        try:
            self._position(consumer)
            while not self._stopping.is_set():
                messages = take(consumer, MOST_REPLIES_AT_ONCE, 0.1)
                self._said.say_counts()
                refuse_denied(messages)
                records = [record_of(each) for each in messages if each.error() is None]
                if records:
                    self._take(records)
        finally:
            self._said.say_counts(at_once=True)
            consumer.close()

    def _why_no_replies(self, error: BaseException) -> BrokerError:
        what = "replies can't be taken"
        if not isinstance(error, KafkaException):
            said = str(error) if isinstance(error, ShopError) else repr(error)
            return BrokerError(f"{what}: {said}")
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
        settled: list[tuple[str, Outcome, Reply | None]] = []
        replies: list[Reply] = []
        unusable: list[Unusable] = []
        said: list[tuple[Record, Contract]] = []
        for record in records:
            correlation_id = None
            try:
                correlation_id = correlation_id_of(record)
                self._watched.tell("answered", record.place, record.headers, record.value)
                reply, outcome = understand_reply(record, correlation_id)
            except ContractError as why:
                ids = {"correlation_id": correlation_id}
                line = f"{record.place} can't be used: {why}"
                self._said.say(logging.WARNING, "unusable", line, ids)
                unusable.append((record, why.kept()))
                if correlation_id is not None:
                    outcome = Undecodable(f"{record.place}: {why}")
                    settled.append((correlation_id, outcome, None))
                continue
            settled.append((correlation_id, outcome, reply))
            replies.append(reply)
            said.append((record, reply.said))
        if self._store is not None:
            steps = telemetry().steps(NAME, records)
            steps.take(said)
            with steps:
                after = records[-1].offset + 1
                self._store.take_replies(replies, unusable, self._place, after)
            steps.done(unusable)
        for correlation_id, outcome, of in settled:
            about = _any_try if of is None else partial(concerns, of.said)
            if not self._pending.answer(correlation_id, outcome, about) and of is not None:
                ids = {"correlation_id": correlation_id}
                line = f"reply to {correlation_id} came late, or twice, or not to us"
                self._said.say(logging.INFO, "not awaited", line, ids)


def _any_try(_deadline: datetime) -> bool:
    return True


def _watch(pending: Pending, future: "Future[Outcome]", order_id: str) -> None:
    """Tell of a request until its outcome, whichever that is."""
    try:
        pending.asking = telemetry().asking(order_id, pending.correlation_id)
    except Exception:  # noqa: BLE001 it is no part of asking
        _log.exception("telemetry can't be told of order %s", order_id)
    future.add_done_callback(partial(_tell, pending))


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
