"""Keeps the projections up to date while orders flow."""

import logging
import threading

from sqlalchemy.exc import SQLAlchemyError

from domain.errors import ShopError
from event_log.database import Database, Place, reason
from event_log.log import EventRow
from reporting.projector import catch_up, open_projections
from reporting.read_only import Identity, ReadOnlyDatabase, has_tables

LOOK_EVERY_SECONDS = 0.5

_log = logging.getLogger(__name__)


class Follower(threading.Thread):
    """Takes the event log into the projections, again and again, until it is told to stop.

    A daemon thread: taking in waits for a locked database for up to a minute, and the end must not.
    It may be cut off anywhere, since rows and position move in one transaction.
    """

    def __init__(self, log: Place, projections: Place) -> None:
        """Follow the event log's database into the projections'; neither need be there."""
        super().__init__(name="follower", daemon=True)
        self._log = ReadOnlyDatabase(log)
        self._projections = ReadOnlyDatabase(projections)
        self._open: Database | None = None
        self._opened_identity: Identity | None = None
        self._stop_asked = threading.Event()

    def stop(self, seconds: float) -> None:
        """Ask it to stop, and give it so many seconds for what it is at."""
        self._stop_asked.set()
        if self.is_alive():
            self.join(seconds)

    @property
    def waits(self) -> bool:
        """Whether it waits at this moment for the projections, to write them."""
        return self._open is not None and self._open.is_waited_for

    def run(self) -> None:
        """Follow; trouble with a database is said once, and tried again."""
        said = ""
        while not self._stop_asked.is_set():
            try:
                self.take_in()
                said = ""
            except (ShopError, SQLAlchemyError, OSError) as error:
                what = reason(error)
                if what != said:
                    _log.warning("the projections stay behind for now: %s", what)
                said = what
            self._stop_asked.wait(LOOK_EVERY_SECONDS)
        self._close()

    def take_in(self) -> None:
        """Take in what the log has by now; nothing while there is no log.

        Raises:
            StoreError: the projections can't be opened or written.
        """
        if self._log.identity() is None:
            return
        with self._log.reading() as connection:
            # The recorder makes its tables itself: to do it here too would be a race with it.
            if not has_tables(connection, EventRow):
                return
        if (projections := self._opened()) is not None:
            catch_up(self._log, projections)

    def _opened(self) -> Database | None:
        # An open connection goes on writing to a file that was moved away or deleted.
        if self._open is None or self._projections.identity() != self._opened_identity:
            self._close()
            # Where the folder was moved away just now, an empty one would bar its return.
            if self._log.identity() is None:
                return None
            self._open = open_projections(self._projections.place)
            self._opened_identity = self._projections.identity()
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None
