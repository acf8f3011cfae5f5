"""`shop run projector`: the event log into the projections, as a service of its own."""

import logging
import signal
import sys
import threading
from functools import partial

from sqlalchemy import Connection

from cli.composition import PROJECTOR, until_open
from cli.follower import Follower
from cli.settings import Settings
from reporting.progress import LogView
from reporting.projector import LOG, open_projections, projected
from reporting.read_only import ReadOnlyDatabase
from reporting.set_aside import stopped
from services.heartbeat import beating
from services.watchdog import Watchdog
from streams.relaying import EXIT_FAILED
from transport.topics import TopicPartition

STOP_WITHIN_SECONDS = 5.0
"""How long the end waits for what is being taken in; what is cut off leaves nothing half done."""

_LOOK_EVERY_SECONDS = 0.1
_log = logging.getLogger(__name__)


def _handled(connection: Connection) -> dict[TopicPartition, int]:
    # Somebody must set aside what stops it: to be started again is no help.
    return {LOG: sys.maxsize} if stopped(connection) else projected(connection)


def run_projector(settings: Settings) -> None:
    """Follow the event log into the projections until SIGTERM or Ctrl-C; no broker is asked.

    While a database is away or locked it waits and tries again. One that stands still for too long
    ends itself, to be started again.

    Raises:
        StoreError: the projections' database can't be used.
    """
    _log.setLevel(logging.INFO)
    log, projections = settings.database("event_log"), settings.database("report")
    # What can't be mended by waiting is said before anything runs.
    until_open(
        partial(open_projections, projections), "the projections", within=float("inf")
    ).close()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    follower = Follower(log, projections)
    watchdog = Watchdog(
        PROJECTOR,
        ReadOnlyDatabase(projections),
        [LOG.topic],
        LogView(log),
        settings.stalled_after,
        handled=_handled,
        waits=lambda: follower.waits,
    )
    with beating(projections, PROJECTOR), watchdog:
        follower.start()
        _log.info("%s: follows %s into %s", PROJECTOR, log, projections)
        while not stop.wait(_LOOK_EVERY_SECONDS):
            if not follower.is_alive():
                _log.error("%s ends, to be started again; why is above", PROJECTOR)
                raise SystemExit(EXIT_FAILED)
        follower.stop(STOP_WITHIN_SECONDS)
    _log.info("%s: stopped", PROJECTOR)
