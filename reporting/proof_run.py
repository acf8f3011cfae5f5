"""A proof as a whole: what its parts look at, and one part after the other."""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import StoreError
from event_log.database import ClusterRow, Database, Place, reason, table_of
from reporting.proof import Failure, Finding, Part, PartName, Progress
from reporting.proof_of_figure import FIGURE, prove_figures
from reporting.proof_of_log import look, open_log_to_prove, prove_chain
from reporting.proof_of_offsets import prove_offsets, topics_behind
from reporting.proof_of_orders import prove_orders
from reporting.proof_of_projections import prove_projections
from reporting.proof_of_service import OrderBook, open_book
from reporting.proof_of_shipments import prove_shipments
from reporting.proof_stories import Stories
from reporting.proof_topics import Topics
from reporting.read_only import ReadOnlyDatabase, look_up
from reporting.set_aside import SetAsideRow, aside

NEEDS_KAFKA = frozenset({PartName.OFFSETS, PartName.ORDERS, PartName.SHIPMENTS})
"""Parts that ask Kafka: the latter two, for what the recorder may not have come to."""


_DENIED = "42501"
"""What Postgres calls a right that a role doesn't have."""


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
        self._topics: Topics | None = None
        self.head = look(self._log)

    def ask(self, topics: Topics) -> None:
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
        return _timed(self._log, name, partial(parts[name], progress))

    def figures(self, file: Path) -> Part:
        """Check an exported file.

        Raises:
            ShopError: the file can't be read, or holds no figures that could be checked.
        """
        return _timed(self._log, FIGURE, partial(prove_figures, self._log, self.head, file))

    def close(self) -> None:
        """Forget what was gathered."""
        self._open.close()

    def _chain(self, progress: Progress) -> Finding:
        return prove_chain(self._log, self.head, progress, aside=self._aside)

    def _offsets(self, topics: Topics, progress: Progress) -> Finding:
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


def _timed(log: Database, name: str, find: Callable[[], Finding]) -> Part:
    began = perf_counter()
    try:
        finding = find()
    except OSError as error:
        raise StoreError(f"{name} can't be proved: {error}") from error
    except (sqlite3.DatabaseError, SQLAlchemyError) as error:
        if not isinstance(log.place, Path) and _says_nothing(log, error):
            raise StoreError(f"{name} can't be proved at the moment: {reason(error)}") from error
        # A damaged file, or a column that holds what none can: that is what a proof looks for.
        why = reason(error)
        finding = Finding({}, failure=Failure("a database", f"it can't be read: {why}"))
    return Part(name, finding, perf_counter() - began)


def _says_nothing(log: Database, error: Exception) -> bool:
    """Whether a server is away or a right is missing: that says nothing of what is there."""
    denied = getattr(getattr(error, "orig", None), "sqlstate", None) == _DENIED
    return denied or log.backend.is_passing(error)
