"""A proof as a whole: what its parts look at, and one part after the other."""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import DataError, SQLAlchemyError

from domain.errors import StoreError
from event_log.database import ClusterRow, Place, reason, table_of
from reporting.proof import Failure, Finding, Part, PartName, Progress
from reporting.proof_of_figure import FIGURE, prove_figures
from reporting.proof_of_log import look, open_log_to_prove, prove_chain
from reporting.proof_of_offsets import prove_offsets, topics_behind
from reporting.proof_of_orders import prove_orders
from reporting.proof_of_projections import prove_projections
from reporting.proof_of_service import OrderBook, open_book
from reporting.proof_of_shipments import prove_shipments
from reporting.proof_stories import Stories
from reporting.proof_topics import KafkaTopics
from reporting.read_only import ReadOnlyDatabase, look_up
from reporting.set_aside import SetAsideRow, aside

NEEDS_KAFKA = frozenset({PartName.OFFSETS, PartName.ORDERS, PartName.SHIPMENTS})
"""Parts that ask Kafka: the latter two, for what the recorder may not have come to."""

_OF_THE_DATA = ("22", "42", "54", "58P01", "XX")
"""Beginnings of what Postgres calls an error that comes of what is there: values, or bodies, that
are none, columns of another kind, what is too deep to read, a file that is missing, damage."""

_NOT_OF_THE_DATA = ("42501", "42601")
"""A right that is missing, and a statement that the server can't read."""

_FILE_CANT_BE_USED = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""What SQLite says of a file, a proof's own too, whatever is in it."""

_DAMAGED = frozenset(
    {
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_SHORT_READ,
        sqlite3.SQLITE_IOERR_CORRUPTFS,
        sqlite3.SQLITE_IOERR_DATA,
    }
)
"""Which failures of a disk are in what is there; others are of writing."""


class Databases(NamedTuple):
    """Where what a proof looks at is; only the log must be there."""

    log: Place
    projections: Place
    orders: Place


class Proof:
    """A proof of the log as it is when this is made; nothing is written. It must be closed."""

    def __init__(self, databases: Databases, *, settled: bool) -> None:
        """Look how far the log goes.

        Args:
            databases: what to look at.
            settled: whether what is still on its way is a failure.

        Raises:
            StoreError: there is no log, or it was made by another version of the project.
        """
        self._databases = databases
        self._settled = settled
        self._log = open_log_to_prove(databases.log)
        self._open = ExitStack()
        self._topics: KafkaTopics | None = None
        self.head = look(self._log)

    def ask(self, topics: KafkaTopics) -> None:
        """Ask Kafka too; `topics` belongs to the caller."""
        self._topics = topics

    def fed_by(self) -> str | None:
        """The id of the Kafka cluster that fed the log, as far as it is known."""
        with self._log.reading() as connection:
            return connection.scalar(select(table_of(ClusterRow).c.id))

    def run(self, name: PartName, progress: Progress) -> Part:
        """Run one part; one that needs Kafka alone is left out without it.

        Raises:
            BrokerError: Kafka can't be read.
            StoreError: the part can't be run.
        """
        topics = self._topics
        if name is PartName.OFFSETS and topics is None:
            return Part(name, None, skipped="Kafka was not asked")
        parts: dict[PartName, Callable[[Progress], Finding]] = {
            PartName.CHAIN: self._chain,
            PartName.PROJECTIONS: self._projections,
            PartName.ORDERS: self._orders,
            PartName.SHIPMENTS: self._shipments,
        }
        if topics is not None:
            parts[PartName.OFFSETS] = partial(self._offsets, topics)
        return _timed(name, partial(parts[name], progress))

    def figures(self, file: Path) -> Part:
        """Check an exported file.

        Raises:
            ShopError: the file can't be read, or holds no figures that could be checked.
        """
        return _timed(FIGURE, partial(prove_figures, self._log, self.head, file))

    def close(self) -> None:
        """Forget what was gathered."""
        self._open.close()

    def _chain(self, progress: Progress) -> Finding:
        return prove_chain(self._log, self.head, progress, aside=self._aside)

    def _offsets(self, topics: KafkaTopics, progress: Progress) -> Finding:
        return prove_offsets(self._log, self.head, topics, progress, settled=self._settled)

    def _projections(self, progress: Progress) -> Finding:
        return prove_projections(self._log, ReadOnlyDatabase(self._databases.projections), progress)

    def _orders(self, progress: Progress) -> Finding:
        return prove_orders(
            self._stories, self._book, self._behind, progress, settled=self._settled
        )

    def _shipments(self, progress: Progress) -> Finding:
        return prove_shipments(self._stories, self._behind, progress, settled=self._settled)

    @cached_property
    def _aside(self) -> tuple[int, ...]:
        return look_up(self._databases.projections, aside, SetAsideRow) or ()

    @cached_property
    def _behind(self) -> frozenset[str]:
        return frozenset() if self._topics is None else topics_behind(self._topics, self.head)

    @cached_property
    def _stories(self) -> Stories:
        return self._open.enter_context(closing(Stories(self._log, self.head.position)))

    @cached_property
    def _book(self) -> OrderBook | None:
        book = open_book(self._databases.orders)
        return None if book is None else self._open.enter_context(closing(book))


def _timed(name: str, find: Callable[[], Finding]) -> Part:
    began = perf_counter()
    try:
        finding = find()
    except OSError as error:
        raise StoreError(f"{name} can't be proved: {error}") from error
    except (sqlite3.DatabaseError, SQLAlchemyError) as error:
        if not tells_of_the_data(error):
            raise StoreError(f"{name} can't be proved at the moment: {reason(error)}") from error
        # A damaged file, or a column that holds what none can: that is what a proof looks for.
        why = reason(error)
        finding = Finding({}, failure=Failure("a database", f"it can't be read: {why}"))
    return Part(name, finding, perf_counter() - began)


def tells_of_the_data(error: sqlite3.DatabaseError | SQLAlchemyError) -> bool:
    """Whether a database can't read what is in it; anything else says nothing of what is there.

    A server that is away, a time that is over, no room, a lock or a right can't fail a proof.
    """
    origin = getattr(error, "orig", error)
    if isinstance(origin, sqlite3.Error):
        code = getattr(origin, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if code & 0xFF == sqlite3.SQLITE_IOERR:
            return code in _DAMAGED
        return code & 0xFF not in _FILE_CANT_BE_USED
    state: str | None = getattr(origin, "sqlstate", None)
    if state is None:
        # The driver's: it can't make a value of what it was given.
        return isinstance(error, DataError)
    return state.startswith(_OF_THE_DATA) and state not in _NOT_OF_THE_DATA
