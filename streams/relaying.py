"""The relay's thread: publishes the outbox while its service works."""

import logging
import os
import threading

from domain.errors import BrokerError, StoreError
from event_log.outbox import Relay
from transport.retrying import may_pass, until_it_works

_log = logging.getLogger(__name__)

EXIT_FAILED = 70
"""Exit code of a worker that gave up; its supervisor starts it again."""

IDLE_SECONDS = 1.0
"""How often the outbox is looked at when nobody says that something is in it."""


class RelayThread:
    """Drains an outbox whenever it is woken, and now and then.

    It waits where the broker or the database is away.
    """

    def __init__(self, relay: Relay, name: str) -> None:
        """Prepare the thread; it runs from `start` to `stop`."""
        self._relay = relay
        self._name = name
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{name}-relay", daemon=True)

    def start(self) -> None:
        """Begin, with what a former process left in the outbox."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something waits in the outbox."""
        self._woken.set()

    def stop(self) -> None:
        """End after the batch at hand; what is left stays in the outbox."""
        self._stopped.set()
        self._woken.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            try:
                until_it_works(
                    self._relay.drain, f"{self._name} can't publish", stopping=self._stopped
                )
            except (BrokerError, StoreError) as error:
                if not may_pass(error):
                    # Tried on, it would publish what may be published again and again.
                    _log.error("%s can't publish and ends; its outbox stays: %s", self._name, error)
                    _end()
                _log.warning("%s stops with records in its outbox: %s", self._name, error)
            except Exception:  # noqa: BLE001 whatever it was
                # Without its relay a service would go on and nothing would leave it.
                _log.exception("%s can't publish and ends, to be started again", self._name)
                _end()
            self._woken.wait(IDLE_SECONDS)


def _end() -> None:
    logging.shutdown()
    os._exit(EXIT_FAILED)
