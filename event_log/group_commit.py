"""Group commit: items from many threads, one transaction for all that wait."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from domain.errors import StoreError
from event_log.database import Database

Item = TypeVar("Item")

_log = logging.getLogger(__name__)

MOST_AT_ONCE = 1000
"""Items in one transaction, at most."""


class GroupCommit(Generic[Item]):
    """Carries out items in transactions of its thread; an item's future is done at its commit.

    An item that can't be carried out fails alone: the others of its transaction are tried again
    without it. Every future is done in the end, also where the thread itself has ended.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[Connection, Sequence[Item]], Any],
        committed: Callable[[Any], None] = lambda _: None,
        ended: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        """Begin; `work` carries out items in a transaction, and `close` ends it.

        What `work` returned is given to `committed` after the commit; what the thread ended by, if
        not by `close`, is given to `ended`.
        """
        self._database = database
        self._work = work
        self._committed = committed
        self._tell_end = ended
        self._waiting: queue.SimpleQueue[tuple[Item, Future[None]] | None] = queue.SimpleQueue()
        self._closing = self._failed = False
        self._over: StoreError | None = None
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether nothing is carried out any more."""
        return self._over is not None

    def submit(self, item: Item) -> "Future[None]":
        """Carry out `item` soon, after those that were submitted before."""
        done: Future[None] = Future()
        self._waiting.put((item, done))
        if self._over is not None:
            self._refuse(self._over)
        return done

    def close(self) -> None:
        """Carry out what waits, then end; where the database can't be written, it is tried once.

        Whatever is submitted from then on is refused.
        """
        self._closing = True
        self._waiting.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        taken: list[tuple[Item, Future[None]] | None] = []
        error: BaseException | None = None
        try:
            while None not in taken:
                taken = [self._waiting.get()]
                while len(taken) < MOST_AT_ONCE and not self._waiting.empty():
                    taken.append(self._waiting.get())
                self._commit([each for each in taken if each is not None])
        except BaseException as why:  # noqa: BLE001 whatever it was, nobody waits for ever
            error = why
        how = "was closed" if error is None else f"has ended: {error!r}"
        self._over = StoreError(f"the thread group-commit of database {self._database} {how}")
        try:
            if error is not None:
                self._tell_end(error)
        finally:
            self._refuse(self._over, [each for each in taken if each is not None])

    def _refuse(self, why: StoreError, taken: Sequence[tuple[Item, "Future[None]"]] = ()) -> None:
        left = list(taken)
        with suppress(queue.Empty):
            while True:
                found = self._waiting.get_nowait()
                if found is not None:
                    left.append(found)
        _fail(left, why)

    def _commit(self, waiting: Sequence[tuple[Item, "Future[None]"]]) -> None:
        if not waiting:
            return
        items = [item for item, _ in waiting]
        if self._closing and self._failed:
            why = StoreError(f"database {self._database} could not be written before its end")
            _fail(waiting, why)
            return
        try:
            done = self._database.in_transaction(lambda connection: self._work(connection, items))
        except Exception as error:  # noqa: BLE001 it goes to whoever submitted the item
            self._failed = isinstance(error, StoreError)
            if len(waiting) == 1 or self._failed:
                _fail(waiting, error)
                return
            for each in waiting:
                self._commit([each])
            return
        self._failed = False
        try:
            self._committed(done)
        except Exception:  # noqa: BLE001 what is committed is so, whoever can't be told of it
            _log.exception("database %s: a commit could not be told of", self._database)
        for _, future in waiting:
            future.set_result(None)


def _fail(waiting: Sequence[tuple[Any, "Future[None]"]], why: BaseException) -> None:
    for _, future in waiting:
        if not future.done():
            future.set_exception(why)
