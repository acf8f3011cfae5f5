"""A worker: one service, one Faust app, one process.

How Faust 0.15 is kept from losing or repeating anything is written in
docs/decisions/0003-faust.md.
"""

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import uvloop
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from domain.errors import BrokerError, ForeignTopic
from event_log.inbox import advance, next_offsets
from services.batch import Service, Spent, handle_batch
from services.telemetry import telemetry
from services.topic_lives import EXIT_FOREIGN, TopicLives
from services.watchdog import STALLED_AFTER_SECONDS, watched
from streams.bounded import Hand, fetch_by_bytes
from streams.denials import denial, say_denials_briefly
from streams.faust_app import FaustWorker, faust_app
from streams.lean import RawSchema
from streams.missing import missing_records
from streams.readable import pass_over_what_is_unreadable, passed_over
from streams.relaying import EXIT_FAILED, RelayThread
from transport.cluster import ClusterView
from transport.local_broker.interrupts import Interrupts
from transport.records import Record
from transport.servers import Servers
from transport.topics import TopicPartition

_log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 3.0
"""How often a worker looks whether records were left: what stands still at two looks was."""

AT_ONCE_SECONDS = 1.0
"""How long records that were left may hold up those that come."""

PASSED_OVER_SECONDS = 0.5
"""How often a worker looks whether its client passed over what it can't read."""


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker needs to know.

    `batch` is the most records in a transaction, `within` the seconds that a record waits for
    others; `data` is a folder for Faust's own files. After `stalled_after` seconds with records and
    without progress the worker ends itself (`services.watchdog`).
    """

    bootstrap_servers: Servers
    data: Path
    batch: int = 2000
    within: float = 0.03
    stalled_after: float = STALLED_AFTER_SECONDS


class Worker:
    """Drives a service by Faust: takes batches, commits them, then acknowledges."""

    def __init__(
        self, service: Service, settings: WorkerSettings, relay: RelayThread, lives: TopicLives
    ) -> None:
        """Build the Faust app; nothing connects before `run`."""
        self.spent = Spent()
        self._service = service
        self._settings = settings
        self._relay = relay
        self._lives = lives
        self._expected: dict[TopicPartition, int] = {}
        self._cluster = ClusterView(settings.bootstrap_servers)
        self._took_at = 0.0
        self._left: dict[TopicPartition, int] = {}
        # One thread: batches of a service follow one another; the event loop stays free meanwhile.
        self._stopping = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{service.name}-batches")
        self.app = faust_app(
            service.name, settings.bootstrap_servers, settings.data, settings.batch
        )
        channel = self.app.topic(*service.subscriptions, schema=RawSchema())
        self.app.agent(channel, name=f"{service.name}.agent", concurrency=1)(self._consume)
        self.app.timer(LOOK_EVERY_SECONDS)(self._take_what_was_left)
        self.app.timer(PASSED_OVER_SECONDS)(self._take_what_was_passed_over)

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, then say where the time went.

        Raises:
            AccessDenied: the broker refuses records since it was asked whether they may be read.
        """
        service, settings = self._service, self._settings
        # Faust listens to signals only once it runs: what comes before it must end cleanly too.
        with (
            Interrupts(),
            watched(
                service.name,
                service.database,
                service.subscriptions,
                settings.bootstrap_servers,
                settings.stalled_after,
                self._lives.require,
            ),
        ):
            self._run()

    def _run(self) -> None:
        uvloop.install()
        pass_over_what_is_unreadable()
        fetch_by_bytes()
        say_denials_briefly()
        # Tens of thousands of messages are alive at a time and none is in a cycle: look seldom.
        gc.freeze()
        gc.set_threshold(100_000, 50, 50)
        self._relay.start()
        worker = FaustWorker(
            self.app, loglevel="WARN", redirect_stdouts=False, override_logging=False, quiet=True
        )
        _log.info("%s: works on %s", self._service.name, ", ".join(self._service.subscriptions))
        try:
            worker.execute_from_commandline()
        except SystemExit as ended:
            servers, group = self._settings.bootstrap_servers, self.app.conf.id
            if ended.code:
                raise denial(servers, group, worker.crash_reason) or ended from None
        finally:
            self._stopping.set()
            self._relay.stop()
            self._thread.shutdown()
            spent = self.spent
            _log.info(
                "%s: stopped after %d records in %d batches; seconds: decode %.2f, decide %.2f, "
                "commit %.2f; processor %.2f",
                self._service.name,
                spent.records,
                spent.batches,
                spent.decode,
                spent.decide,
                spent.commit,
                process_time(),
            )

    async def _consume(self, stream: Any) -> None:
        settings = self._settings
        loop = asyncio.get_running_loop()
        hand = Hand(stream)
        stream.add_processor(hand)
        async for events in stream.noack_take(settings.batch, within=settings.within):
            records = [_record(event.message) for event in events]
            try:
                await loop.run_in_executor(self._thread, self._handle, records)
            except Exception:  # noqa: BLE001 whatever it was
                # An exception that leaves an agent acknowledges what it was given: never let it.
                self._give_up(records[0].place)
            self._took_at = monotonic()
            for event in events:
                await stream.ack(event)
            # Not kept while the next ones come in: they may be large.
            del events, records
            hand.empty()

    async def _take_what_was_left(self) -> None:
        """Read what Faust dropped at the end of a partition, where no later record shows the gap.

        A rebalance can throw away what was fetched and not yet handled, and go on behind it. Each
        partition is looked at by itself: others may be busy all the time.
        """
        topics = self._service.subscriptions
        assigned = [
            TopicPartition(each.topic, each.partition)
            for each in self.app.consumer.assignment()
            if each.topic in topics
        ]
        loop = asyncio.get_running_loop()
        try:
            # Not by the batches' thread: a broker that is slow to answer must not hold them up.
            ends = await loop.run_in_executor(None, self._cluster.ends, topics)
            await loop.run_in_executor(self._thread, self._handle_left, assigned, ends)
        except BrokerError as error:
            _log.info("%s: not known whether records were left: %s", self._service.name, error)
        except Exception:  # noqa: BLE001 whatever it was
            self._give_up("what was left")

    async def _take_what_was_passed_over(self) -> None:
        """Read at once what Faust's client can't read: it won't come by itself."""
        ends = passed_over()
        if not ends:
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._handle_passed_over, ends)
        except BrokerError as error:
            _log.warning("%s: records wait until they are left: %s", self._service.name, error)
        except Exception:  # noqa: BLE001 whatever it was
            self._give_up("what was passed over")

    def _handle_passed_over(self, ends: Mapping[TopicPartition, int]) -> None:
        for place, end in ends.items():
            self._handle_directly(place, end, "passed over")

    def _handle_left(
        self, assigned: Sequence[TopicPartition], ends: Mapping[TopicPartition, int]
    ) -> None:
        busy = monotonic() - self._took_at < LOOK_EVERY_SECONDS
        self._read_positions()
        before, self._left = self._left, {}
        for place in assigned:
            position, end = self._expected.get(place, 0), ends.get(place, 0)
            if position >= end:
                continue
            if before.get(place) == position:
                # Perhaps it was on its way before: only what stands still at two looks was left.
                until = monotonic() + AT_ONCE_SECONDS if busy else float("inf")
                self._handle_directly(place, end, "left", until)
            self._left[place] = self._expected.get(place, 0)

    def _give_up(self, what: str) -> None:
        met = sys.exc_info()[1]
        if isinstance(met, ForeignTopic):
            _log.error("%s ends, and acknowledges nothing: %s", self._service.name, met)
            logging.shutdown()
            os._exit(EXIT_FOREIGN)
        _log.exception(
            "%s could not handle %s and what follows: it ends without acknowledging and is to be "
            "started again",
            *(self._service.name, what),
        )
        logging.shutdown()
        os._exit(EXIT_FAILED)

    def _handle(self, records: Sequence[Record]) -> None:
        """Commit records in the order of each partition, and in their place those skipped.

        What comes next is what the database says: another process may have handled more since, and
        a database that was restored has less than this process remembers.
        """
        self._read_positions()
        run: list[Record] = []
        reached: dict[TopicPartition, int] = {}
        for record in records:
            place = TopicPartition(record.topic, record.partition)
            next_offset = reached.get(place, self._expected.get(place, -1))
            if record.offset > next_offset:
                self._commit(run)
                run = []
                # Once for a batch: transactions leave a gap behind each, in which there is nothing.
                end = _last(records, place) + 1 if next_offset >= 0 else record.offset
                self._fetch_what_was_skipped(place, end)
                reached[place] = self._expected.get(place, 0)
            if record.offset >= reached.get(place, 0):
                run.append(record)
                reached[place] = record.offset + 1
        self._commit(run)

    def _say_why(self, state: RetryCallState) -> None:
        telemetry().retried("broker")
        why = state.outcome.exception() if state.outcome else None
        _log.warning(
            "%s: records can't be read, attempt %d, its partition waits: %s",
            *(self._service.name, state.attempt_number, why),
        )

    def _commit(self, records: Sequence[Record]) -> None:
        if not records:
            return
        # Asked after they were fetched, so that they are of the topics that positions belong to.
        self._lives.wait_until_same(self._stopping, watched=True)
        if handle_batch(self._service, records, spent=self.spent):
            self._relay.wake()
        for record in records:
            place = TopicPartition(record.topic, record.partition)
            self._expected[place] = max(self._expected.get(place, 0), record.offset + 1)

    def _fetch_what_was_skipped(self, place: TopicPartition, end: int) -> None:
        # Order is kept: what follows waits here until the broker gives what comes before it.
        for attempt in Retrying(
            retry=retry_if_exception_type(BrokerError),
            wait=wait_random_exponential(multiplier=0.2, max=10),
            sleep=sleep_using_event(self._stopping),
            stop=stop_when_event_set(self._stopping),
            before_sleep=self._say_why,
            reraise=True,
        ):
            with attempt:
                self._handle_directly(place, end, "skipped")

    def _handle_directly(
        self, place: TopicPartition, end: int, why: str, until: float = float("inf")
    ) -> None:
        """Read and commit the records of a partition before `end` that nobody has handled.

        It stops early at the moment `until`, after a batch.
        """
        # Another process may have handled them since: what counts is the database.
        self._read_positions()
        start = self._expected.get(place)
        if start is not None and start >= end:
            return
        servers, size = self._settings.bootstrap_servers, self._settings.batch
        with closing(missing_records(servers, place, start, end, size)) as batches:
            for records in batches:
                _log.warning("%s was %s, and %d more", records[0].place, why, len(records) - 1)
                self._commit(records)
                if monotonic() > until:
                    return
        self._pass(place, end)

    def _pass(self, place: TopicPartition, end: int) -> None:
        """Move on over offsets without records: marks of transactions, and what was rolled back.

        Else they would be looked at again and again; and once retention has deleted them, nobody
        knows that nothing was there.
        """
        if self._expected.get(place, 0) < end:
            self._lives.wait_until_same(self._stopping, watched=True)
            now = datetime.now(UTC)
            self._service.database.in_transaction(
                lambda connection: advance(connection, {place: end}, now)
            )
            self._expected[place] = end

    def _read_positions(self) -> None:
        with self._service.database.reading() as connection:
            self._expected = next_offsets(connection)


def _last(records: Iterable[Record], place: TopicPartition) -> int:
    return max(each.offset for each in records if (each.topic, each.partition) == place)


def _record(message: Any) -> Record:
    headers = message.headers
    pairs = headers.items() if hasattr(headers, "items") else headers or ()
    return Record(
        message.topic, message.partition, message.offset, message.key, message.value, tuple(pairs)
    )
