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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import uvloop
from aiokafka.errors import IllegalStateError  # type: ignore[import-untyped]
from faust.types import TP

from domain.errors import BrokerError, ForeignTopic, OffsetGap, StoreError
from event_log.inbox import next_offsets
from services.batch import Service
from services.topic_lives import EXIT_FOREIGN, TopicLives
from services.watchdog import STALLED_AFTER_SECONDS, watched
from streams.bounded import Hand, fetch_by_bytes
from streams.denials import denial, say_denials_briefly
from streams.faust_app import FaustWorker, faust_app
from streams.intake import Intake
from streams.lean import RawSchema
from streams.readable import pass_over_what_is_unreadable, passed_over
from streams.relaying import EXIT_FAILED, RelayThread
from transport.cluster import ClusterView
from transport.local_broker.interrupts import Interrupts
from transport.records import Record
from transport.servers import Servers
from transport.topics import TopicPartition

_log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 3.0
"""How often a worker looks whether records were left: see `streams.intake`."""

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
        self._service = service
        self._settings = settings
        self._relay = relay
        self._lives = lives
        self._cluster = ClusterView(settings.bootstrap_servers)
        self._took_at = float("-inf")
        """When records were taken last (seconds); for ever from now while they are."""
        self._stopping = threading.Event()
        service.database.be_patient(self._stopping)
        # One thread: batches of a service follow one another; the event loop stays free meanwhile.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{service.name}-batches")
        self.intake = Intake(
            service,
            settings.bootstrap_servers,
            settings.batch,
            lives,
            relay.wake,
            self._stopping,
            # Long before the watchdog ends this process.
            still_after=settings.stalled_after / 6,
        )
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
            spent = self.intake.spent
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
            self._took_at = float("inf")
            try:
                await loop.run_in_executor(self._thread, self.intake.take, records)
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

        A rebalance can throw away what was fetched and not yet handled, and go on behind it.
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
            assigned = await self._passed_by(assigned)
            take = partial(self.intake.take_left, assigned, ends, busy=self._is_busy())
            await loop.run_in_executor(self._thread, take)
        except BrokerError as error:
            _log.info("%s: not known whether records were left: %s", self._service.name, error)
        except Exception:  # noqa: BLE001 whatever it was
            self._give_up("what was left")

    def _is_busy(self) -> bool:
        """Whether records are being taken, or were a moment ago: Faust may have more of them."""
        return monotonic() - self._took_at < LOOK_EVERY_SECONDS

    async def _passed_by(self, assigned: Sequence[TopicPartition]) -> list[TopicPartition]:
        """The partitions in which Faust's client is beyond what is handled.

        What is before it in others is only late: to read it directly would read it twice, and where
        the broker makes the client wait, by a quota, it would be taken from the client's share.
        """
        loop = asyncio.get_running_loop()
        handled = await loop.run_in_executor(None, self._service.database.read, next_offsets)
        found = []
        for place in assigned:
            # It may have been taken away from this process meanwhile.
            with suppress(IllegalStateError):
                position = await self.app.consumer.position(TP(*place))
                if (position or 0) > handled.get(place, 0):
                    found.append(place)
        return found

    async def _take_what_was_passed_over(self) -> None:
        """Read at once what Faust's client can't read: it won't come by itself."""
        ends = passed_over()
        if not ends:
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self.intake.take_passed_over, ends)
        except BrokerError as error:
            _log.warning("%s: records wait until they are left: %s", self._service.name, error)
        except Exception:  # noqa: BLE001 whatever it was
            self._give_up("what was passed over")

    def _give_up(self, what: str) -> None:
        met = sys.exc_info()[1]
        if isinstance(met, StoreError | OffsetGap):
            _log.error("%s ends, and acknowledges nothing: %s", self._service.name, met)
            logging.shutdown()
            os._exit(EXIT_FOREIGN if isinstance(met, ForeignTopic) else EXIT_FAILED)
        _log.exception(
            "%s could not handle %s and what follows: it ends without acknowledging and is to be "
            "started again",
            *(self._service.name, what),
        )
        logging.shutdown()
        os._exit(EXIT_FAILED)


def _record(message: Any) -> Record:
    headers = message.headers
    pairs = headers.items() if hasattr(headers, "items") else headers or ()
    return Record(
        message.topic, message.partition, message.offset, message.key, message.value, tuple(pairs)
    )
