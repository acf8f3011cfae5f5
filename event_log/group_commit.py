"""Group commit: pieces of work from many threads, one transaction for all that wait."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection

from domain.errors import StoreError
from event_log.database import Database

Result = TypeVar("Result")

_Work = tuple[Callable[[Connection], Any], Future[Any]]

MOST_AT_ONCE = 1000
"""Pieces of work in one transaction, at most."""


class GroupCommit:
    """Runs work in transactions of its thread; each piece's future is done after its commit.

    A piece that raises fails alone: the others of its transaction are run again without it.
    """

    def __init__(self, database: Database) -> None:
        """Begin; `close` ends it."""
        self._database = database
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], Result]) -> "Future[Result]":
        """Run `work` soon; its result, or what it raised, is in the future."""
        done: Future[Result] = Future()
        self._waiting.put((work, done))
        return done

    def close(self) -> None:
        """Do what waits, then end."""
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

    def _commit(self, works: list[_Work]) -> None:
        if not works:
            return
        try:
            results = self._database.in_transaction(
                lambda connection: [work(connection) for work, _ in works]
            )
        except Exception as error:  # noqa: BLE001 it goes to whoever asked for the work
            if len(works) == 1 or isinstance(error, StoreError):
                for _, done in works:
                    done.set_exception(error)
                return
            for each in works:
                self._commit([each])
            return
        for (_, done), result in zip(works, results, strict=True):
            done.set_result(result)
