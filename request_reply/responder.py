"""The responder: the payment service, asked by messages.

Order of work for a batch: decide and commit, publish the replies, commit the offsets. A crash
between two of these steps makes the batch come again; then each order gets the answer it got.

It begins where the database says that it has come to: also after a restore from a backup, whatever
the consumer group says. Where the group is behind, replies may be missing: then from there.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from time import monotonic

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition

from domain.errors import BrokerError, ContractError, RecordsRefused, StoreAway, StoreError
from event_log.inbox import next_offsets, pass_over, refuse_behind
from event_log.outbox import Publishes, Relay
from request_reply.partitions import Partitions
from request_reply.requests import (
    BrokenRequest,
    Request,
    Unaddressed,
    reply_to,
    understand_request,
)
from request_reply.verdicts import NAME, Verdicts
from services.batch import offsets_after
from services.payment import PaymentService
from services.telemetry import telemetry
from services.topic_lives import TopicLives
from transport.clients import consumer_client
from transport.reading import take
from transport.records import Record, record_of
from transport.retrying import until_it_works
from transport.servers import Servers
from transport.topics import PAYMENT_REPLIES, PAYMENT_REQUESTS, TopicPartition
from transport.trouble import Tried, is_denial, trouble

_log = logging.getLogger(__name__)

GROUP = "shop-responder"
SESSION_SECONDS = 10
"""How long the partitions of a responder that was killed wait for another."""

COMMITTED_SECONDS = 30.0
"""How long the broker has to say what the group has committed."""

LETTERS_PAUSE_SECONDS = 5.0
"""How long dead letters that could not be published wait for the next try."""


class Responder:
    """Answers AuthorizePayment from the payment service's own accounts, once for every order."""

    def __init__(
        self,
        service: PaymentService,
        servers: Servers,
        publisher: Publishes,
        reply_topics: frozenset[str] = frozenset({PAYMENT_REPLIES}),
        batch: int = 500,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        partitions: Partitions | None = None,
        lives: TopicLives | None = None,
    ) -> None:
        """Connect nothing yet.

        Args:
            service: the payment service, over its database.
            servers: where requests are read.
            publisher: by which replies and dead letters go.
            reply_topics: where replies may go; a request for another gets none.
            batch: most requests in one transaction.
            clock: the time (UTC, aware), by which requests are past their deadline.
            partitions: says which partitions the reply topics have; else the broker is asked.
            lives: says whether the topics are the ones that the database knows.
        """
        self._verdicts = Verdicts(service, clock)
        self._servers = servers
        self._publisher = publisher
        self._reply_topics = reply_topics
        self._batch = batch
        self._clock = clock
        self._database = service.database
        self._lives = lives
        self._partitions = partitions or Partitions(servers)
        # Another relay of the same outbox sends them as well: requests don't wait for it.
        self._relay = Relay(service.database, publisher, held_for=1.0)
        self._letters_wait = True
        self._letters_try_at = 0.0
        self._reached: dict[TopicPartition, int] = {}

    def run(self, stop: threading.Event) -> None:
        """Answer requests until `stop` is set; the batch at hand is answered first.

        While broker or database are away, it waits; offsets are committed after replies only.

        Raises:
            ForeignTopic: requests came from a topic that was made anew; nothing is done with them.
            AccessDenied: a right is missing; what it was at work on comes again.
            BrokerError: requests can't be read any more.
            StoreBehind: the payment database has less than was committed to it.
            StoreError: the payment database can't be written.
        """
        self._database.be_patient(stop)
        with self._subscribed() as consumer:
            try:
                self._send_letters()
                while not stop.is_set():
                    self._work(consumer, stop)
            except (BrokerError, StoreAway) as error:
                if not stop.is_set():
                    raise
                _log.warning("stopped before all requests got replies: %s", error)

    def _work(self, consumer: Consumer, stop: threading.Event) -> None:
        records, ends = self._take(consumer)
        if records:
            self._until_same(stop)
            until_it_works(partial(self.answer, records), "replies are not out", stopping=stop)
            reached = offsets_after(records)
            self._reached |= reached
            _commit(consumer, reached)
        else:
            self._send_letters()
        self._pass(ends, stop)

    def answer(self, records: Sequence[Record]) -> None:
        """Decide a batch of requests in one transaction, then publish the replies.

        What can't be answered or handled becomes a dead letter in that transaction. Doing it again
        gives every order the answer it got, and writes no dead letter twice.

        Raises:
            BrokerError: not every reply is out; the decisions are kept.
            StoreError: the payment database can't be written; nothing has changed.
        """
        steps = telemetry().steps(NAME, records)
        understood = self._understand(records)
        steps.take(
            (asked.record, asked.order) for asked in understood if isinstance(asked, Request)
        )
        with steps:
            verdicts, letters = self._verdicts.on(understood, self._reached)
        steps.done([(each.asked.record, each.why) for each in verdicts if each.why is not None])
        self._letters_wait = self._letters_wait or letters
        now = self._clock()
        replies = [
            reply_to(verdict.asked, verdict.answer, now, steps.headers_for(verdict.asked.record))
            for verdict in verdicts
            if verdict.answer is not None and not isinstance(verdict.asked, Unaddressed)
        ]
        if replies:
            try:
                # Whoever is told elsewhere is told after it stands where it is read back after a
                # restore (`services.learning`): topics of others may lose it.
                if elsewhere := [each for each in replies if each.topic != PAYMENT_REPLIES]:
                    kept = [
                        replace(each, topic=PAYMENT_REPLIES, partition=None) for each in elsewhere
                    ]
                    self._publisher.publish(kept)
                self._publisher.publish(replies)
            except RecordsRefused as error:
                # The decisions stand; who asks again is told again.
                _log.error("the broker does not take %d replies: %s", len(error.reasons), error)
        self._send_letters()

    def _understand(self, records: Sequence[Record]) -> list[Request | BrokenRequest | Unaddressed]:
        understood = [understand_request(record, self._reply_topics) for record in records]
        places = {
            (asked.address.topic, asked.address.partition)
            for asked in understood
            if not isinstance(asked, Unaddressed)
        }
        missing = {place for place in places if not self._partitions.has(*place)}
        if not missing:
            return understood
        return [
            asked
            if isinstance(asked, Unaddressed)
            or (asked.address.topic, asked.address.partition) not in missing
            else _nowhere(asked)
            for asked in understood
        ]

    def _send_letters(self) -> None:
        """Publish dead letters that wait; those that can't go hold nobody up."""
        if not self._letters_wait or monotonic() < self._letters_try_at:
            return
        try:
            self._relay.drain()
        except (BrokerError, StoreError) as error:
            self._letters_try_at = monotonic() + LETTERS_PAUSE_SECONDS
            _log.warning("dead letters wait in the outbox: %s", error)
        else:
            self._letters_wait = False

    def _until_same(self, stop: threading.Event) -> None:
        if self._lives is not None:
            self._lives.wait_until_same(stop, watched=True)

    def _pass(self, ends: Mapping[TopicPartition, int], stop: threading.Event) -> None:
        """Move on to the ends that were reached, over offsets without records.

        Those are marks of transactions, and what was rolled back. Once retention has deleted them
        nobody knows that no request was there, and the next start would be refused.
        """
        passed = {place: end for place, end in ends.items() if end > self._reached.get(place, 0)}
        if not passed:
            return
        self._until_same(stop)
        pass_over(self._database, passed, self._reached)
        self._reached |= passed

    @contextmanager
    def _subscribed(self) -> Iterator[Consumer]:
        consumer = consumer_client(
            self._servers,
            GROUP,
            **{
                "session.timeout.ms": SESSION_SECONDS * 1000,
                "enable.partition.eof": True,
                # Requests that are deleted before they are read must not be passed over in silence.
                "auto.offset.reset": "error",
            },
        )
        try:
            consumer.subscribe([PAYMENT_REQUESTS], on_assign=self._begin)
            yield consumer
        finally:
            consumer.close()

    def _begin(self, consumer: Consumer, assigned: list[KafkaTopicPartition]) -> None:
        """Read each partition from its position in the database, or from before it."""
        positions = self._database.read(next_offsets)
        refuse_behind(self._database, positions, self._reached)
        self._reached = positions
        begin, first = [], []
        for place in consumer.committed(assigned, timeout=COMMITTED_SECONDS):
            if place.error is not None:
                raise KafkaException(place.error)
            position = positions.get(TopicPartition(place.topic, place.partition))
            start = OFFSET_BEGINNING if position is None else position
            if place.offset < 0 and position is None:
                # So that a crash in the first batch is seen as any other.
                first.append(KafkaTopicPartition(place.topic, place.partition, 0))
            elif 0 <= place.offset < (position or 0):
                # Decided, and perhaps not answered; as far as they are still there.
                low, _ = consumer.get_watermark_offsets(place, timeout=COMMITTED_SECONDS)
                start = max(place.offset, low)
            begin.append(KafkaTopicPartition(place.topic, place.partition, start))
        if first:
            consumer.commit(offsets=first, asynchronous=False)
        consumer.assign(begin)

    def _take(self, consumer: Consumer) -> tuple[list[Record], dict[TopicPartition, int]]:
        """The first request that comes, and what else is there by then; and the ends reached."""
        try:
            messages = take(consumer, self._batch, 0.1)
        except KafkaException as error:
            raise self._unread(error.args[0]) from error
        records: list[Record] = []
        ends: dict[TopicPartition, int] = {}
        for message in messages:
            met = message.error()
            if met is None:
                records.append(record_of(message))
            elif met.code() == KafkaError._PARTITION_EOF:
                end = record_of(message)
                ends[TopicPartition(end.topic, end.partition)] = end.offset
            elif met.fatal() or is_denial(met) or met.code() == KafkaError._AUTO_OFFSET_RESET:
                raise self._unread(met)
            else:
                _log.warning("reading requests: %s", met.str())
        return records, ends

    def _unread(self, error: KafkaError) -> BrokerError:
        of_group = error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
        tried = Tried("READ", GROUP if of_group else PAYMENT_REQUESTS)
        return trouble(self._servers, "requests can't be read", error, tried)


def _nowhere(asked: Request | BrokenRequest) -> Unaddressed:
    address = asked.address
    where = address.topic if address.partition is None else f"{address.topic}[{address.partition}]"
    return Unaddressed(asked.record, ContractError(f"replies can't go to {where}: there is none"))


def _commit(consumer: Consumer, offsets: dict[TopicPartition, int]) -> None:
    """Commit offsets; where that fails the requests come again, to this responder or another."""
    try:
        committed = consumer.commit(
            offsets=[KafkaTopicPartition(*place, offset) for place, offset in offsets.items()],
            asynchronous=False,
        )
    except KafkaException as error:
        _log.warning("offsets are not committed, requests will repeat: %s", error.args[0].str())
        return
    for place in committed or ():
        if place.error is not None:
            _log.warning("%s[%d] is not committed: %s", place.topic, place.partition, place.error)
