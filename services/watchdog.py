"""The watchdog: ends a process whose service has records and doesn't get on, or lost its rights."""

import logging
import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import AccessDenied, BrokerError, ForeignTopic, NotLetIn, StoreError
from domain.principals import Principal
from domain.progress import Standing, Wait, Watch
from event_log.database import Database
from event_log.inbox import next_offsets
from event_log.outbox import waiting
from services.heartbeat import beating
from services.telemetry import telemetry
from services.topic_lives import EXIT_FOREIGN
from transport.cluster import ClusterView
from transport.rights import RightsView
from transport.servers import SecuredServers, Servers
from transport.throttling import throttled
from transport.topics import TopicPartition

_log = logging.getLogger(__name__)

EXIT_STUCK = 71
"""Exit code of a process that ended itself because it was stuck; its supervisor starts it again.

One that gave up for a reason it knows ends with 70 (`streams.relaying.EXIT_FAILED`).
"""

EXIT_DENIED = 72
"""Exit code of a process that ended itself because it lost a right, or isn't let in any more.

It would wait in silence, or try the same again and again. Started again it reads its password anew,
or says what is wrong.
"""

STALLED_AFTER_SECONDS = 90.0
"""How long a partition may stand still."""

LOOK_EVERY_SECONDS = 5.0

BLIND_AFTER_SECONDS = 30.0
"""A look that comes so much late tells that this process was stopped itself, or the machine."""

SPREAD = 0.5
"""By how much of it the limit differs from process to process: when one of several has ended, the
others should see its partitions move before their own limit is over."""


Handled = Callable[[Connection], Mapping[TopicPartition, int]]


class Looks(Protocol):
    """What a watchdog asks of the cluster, or of what else a service reads."""

    def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """The offset where each partition ends, which may be past its last record."""

    def standings(
        self, ends: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, Standing]:
        """How far each partition was handled, and how many records wait there."""

    def waits_since(self, place: TopicPartition, standing: Standing) -> datetime | None:
        """The time of the first record that waits; `None` if there is none to read."""


class Watchdog:
    """A thread that looks at a service's topics and positions, and ends the process if it's stuck.

    It also ends one that may not do any more what it must, or whose password was changed.

    While broker or database don't answer, the service waits for its database, or the broker makes
    this process wait by a quota, there is no verdict, and time starts anew; the log says so once,
    also for a service whose own client waits in silence.
    """

    def __init__(
        self,
        service: str,
        database: Database,
        topics: Iterable[str],
        cluster: Looks,
        stalled_after: float = STALLED_AFTER_SECONDS,
        end: Callable[[int], None] = os._exit,
        handled: Handled = next_offsets,
        waits: Callable[[], bool] | None = None,
    ) -> None:
        """Prepare the thread.

        Args:
            service: the service's name, for the message.
            database: the service's database, which has its positions.
            topics: what the service reads.
            cluster: where the topics are.
            stalled_after: seconds that a partition may have records and not move.
            end: ends the process with an exit code.
            handled: reads from the database how far the service has come.
            waits: whether the service waits for a database at this moment; else asks `database`.
        """
        self._waits = waits or (lambda: database.is_waited_for)
        self._service = service
        self._database = database
        self._topics = tuple(topics)
        self._cluster = cluster
        self._limit = stalled_after * random.uniform(1, 1 + SPREAD)  # noqa: S311 no secret
        self._every = min(LOOK_EVERY_SECONDS, stalled_after / 5)
        self._end = end
        self._handled = handled
        self._required: list[Callable[[], None]] = []
        self._watch: Watch[TopicPartition] = Watch()
        self._positions: Mapping[TopicPartition, int] = {}
        self._sees = True
        self._throttled = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{service}-watchdog", daemon=True)

    def require(self, *required: Callable[[], None]) -> None:
        """Have these called at each look: one raises AccessDenied or ForeignTopic to end it."""
        self._required += required

    def __enter__(self) -> None:
        """Begin to look."""
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        """Look no more; a look that waits for the broker is left behind."""
        self._stopped.set()

    def look(self, now: float) -> None:
        """Look once, at `now` (seconds of a clock that never goes back); end if it must be."""
        try:
            for require in self._required:
                require()
            seen = self._standings()
            self._watch = self._watch.look(seen, now, BLIND_AFTER_SECONDS)
            if self._waits() or throttled():
                # It says so, and goes on by itself; another process would wait too.
                self._watch = Watch()
            stuck = self._watch.stuck(now, self._limit)
            self._say_throttled()
        except (AccessDenied, NotLetIn) as error:
            if not self._stopped.is_set():
                _log.error("%s ends, and nothing is lost: %s", self._service, error)
                logging.shutdown()
                self._end(EXIT_DENIED)
            return
        except ForeignTopic as error:
            if not self._stopped.is_set():
                _log.error("%s ends, and acknowledges nothing: %s", self._service, error)
                logging.shutdown()
                self._end(EXIT_FOREIGN)
            return
        except (BrokerError, StoreError, SQLAlchemyError, OSError) as error:
            if self._sees:
                _log.warning("%s: not known whether it gets on: %s", self._service, error)
            self._watch, self._sees = Watch(), False
            return
        self._sees = True
        telemetry().lag(self._service, seen)
        if stuck and not self._stopped.is_set():
            self._say(stuck, seen, now)
            logging.shutdown()
            self._end(EXIT_STUCK)

    def _run(self) -> None:
        while not self._stopped.wait(self._every):
            try:
                self.look(monotonic())
            except Exception:  # noqa: BLE001 whatever it was
                # A watchdog that is gone would be noticed by nobody.
                _log.exception("%s: the watchdog could not look, and looks again", self._service)
                self._watch = Watch()

    def _standings(self) -> dict[TopicPartition, Standing]:
        ends = self._cluster.ends(self._topics)
        before = self._positions
        with self._database.reading() as connection:
            self._positions = handled = self._handled(connection)
        # Counting reads the records: where the service gets on, it is enough to count offsets.
        still = {
            place: end for place, end in ends.items() if handled.get(place) == before.get(place)
        }
        return {
            **{place: Standing(end, handled.get(place, 0)) for place, end in ends.items()},
            **self._cluster.standings(still, handled),
        }

    def _say_throttled(self) -> None:
        before, self._throttled = self._throttled, throttled()
        if self._throttled and not before:
            _log.warning(
                "%s: the broker makes it wait, by a quota for its client id or principal: records "
                "are read and published as slowly as that says (`kafka-configs.sh --describe "
                "--entity-type users --entity-type clients`)",
                self._service,
            )
        elif before and not self._throttled:
            _log.info("%s: the broker makes it wait no more", self._service)

    def _say(
        self,
        stuck: Mapping[TopicPartition, Wait],
        seen: Mapping[TopicPartition, Standing],
        now: float,
    ) -> None:
        where = "; ".join(
            f"{place.topic}[{place.partition}] stands at {wait.position} of {seen[place].end} "
            f"since {datetime.now(UTC) - timedelta(seconds=now - wait.since):%Y-%m-%dT%H:%M:%SZ}"
            for place, wait in sorted(stuck.items())
        )
        _log.error(
            "%s is stuck and ends with exit code %d, to be started again: %s. Nothing is lost: it "
            "goes on from there",
            *(self._service, EXIT_STUCK, where),
        )


@contextmanager
def watched(
    service: str,
    database: Database,
    topics: Iterable[str],
    servers: Servers,
    stalled_after: float,
    require: Callable[[], None] = lambda: None,
    reply_topics: Iterable[str] = (),
) -> Iterator[None]:
    """Inside, this process has a heartbeat and a watchdog, which calls `require` at each look.

    Leaving without error, or by a signal that asks for the end, is a clean stop. Two threads: one
    waits for the broker when it is away, and the heart must beat on.
    """
    telemetry().watch_outbox(service, partial(waiting, database))
    watchdog = Watchdog(service, database, topics, ClusterView(servers), stalled_after)
    if isinstance(servers, SecuredServers):
        watchdog.require(RightsView(servers, Principal(service), reply_topics).require)
    # After the rights, whose absence it would put in other words.
    watchdog.require(require)
    with beating(database.place, service), watchdog:
        yield
