"""Group commit: items from many threads, one transaction for all that wait."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from domain.errors import StoreError
from event_log.database import Database

Item = TypeVar("Item")

MOST_AT_ONCE = 1000
"""Items in one transaction, at most."""


class GroupCommit(Generic[Item]):
    """Carries out items in transactions of its thread; an item's future is done at its commit.

    An item that can't be carried out fails alone: the others of its transaction are tried again
    without it.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[Connection, Sequence[Item]], Any],
        committed: Callable[[Any], None] = lambda _: None,
    ) -> None:
        """Begin; `work` carries out items in a transaction, and `close` ends it.

        What `work` returned is given to `committed` after the commit.
        """
        self._database = database
        self._work = work
        self._committed = committed
        self._waiting: queue.SimpleQueue[tuple[Item, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> "Future[None]":
        """Carry out `item` soon, after those that were submitted before."""
        done: Future[None] = Future()
        self._waiting.put((item, done))
        return done

    def close(self) -> None:
        """Carry out what waits, then end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        ending = False
        while not ending:
            taken = [self._waiting.get()]
            while len(taken) < MOST_AT_ONCE and not self._waiting.empty():
                taken.append(self._waiting.get())
            ending = None in taken
            self._commit([each for each in taken if each is not None])

    def _commit(self, waiting: Sequence[tuple[Item, "Future[None]"]]) -> None:
        if not waiting:
            return
        items = [item for item, _ in waiting]
        try:
            done = self._database.in_transaction(lambda connection: self._work(connection, items))
        except Exception as error:  # noqa: BLE001 it goes to whoever submitted the item
            if len(waiting) == 1 or isinstance(error, StoreError):
                for _, future in waiting:
                    future.set_exception(error)
                return
            for each in waiting:
                self._commit([each])
            return
        self._committed(done)
        for _, future in waiting:
            future.set_result(None)
