"""Telemetry: what services tell of their work while they do it. Off by default, and free then.

`telemetry()` gives what is told to. While it is off that is `Telemetry` itself, which does nothing;
`services.open_telemetry` is the same on, and the only one that loads OpenTelemetry.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, NamedTuple, Self

from domain.contracts import Contract, Event
from domain.errors import ContractError
from domain.progress import Standing
from event_log.outbox import Publishes
from transport.envelope import Headers
from transport.records import Record
from transport.topics import TopicPartition


class Phases(NamedTuple):
    """Seconds that a batch took: to decode, to decide, to commit."""

    decode: float
    decide: float
    commit: float


class Projected(NamedTuple):
    """An event that the projections have now: its position in the log, what it says, and times.

    `ordered_at` is when its NewOrder was published, where this event is the one that completed its
    order in the report, so that an order has one such event; else `None`.
    """

    position: int
    event: Event
    ordered_at: datetime | None


class Figure(NamedTuple):
    """Orders of one outcome in the report, and their amount in minor units."""

    outcome: str
    currency: str
    orders: int
    cents: int


@dataclass(frozen=True)
class ReportState:
    """How the report stands: its figures, and how many events of the log it lacks."""

    figures: Sequence[Figure]
    lag: int


class Steps:
    """The steps that a batch of records takes through a service, one for each record.

    Entered while the batch is carried out: what is published meanwhile belongs to the step that
    led to it.
    """

    def take(self, understood: Iterable[tuple[Record, Contract]]) -> None:
        """Begin a step for each record that was understood, with what it says."""

    def headers_for(self, record: Record) -> Headers:
        """The headers of what is said because of a record, beside those of its envelope."""
        return []

    def done(
        self,
        refused: Collection[tuple[Record, ContractError]],
        repeated: Callable[[], Collection[int]] = tuple,
        phases: Phases | None = None,
    ) -> None:
        """Say that the batch is committed.

        Args:
            refused: what of it was refused, and why.
            repeated: gives the `id` of each record that had come before.
            phases: how long it took.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        return


class Placing:
    """Orders that are being placed; entered meanwhile, so that their NewOrder belongs to it."""

    def new(self, order_ids: Collection[str]) -> None:
        """Say which of the orders are new, in the transaction that places them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        return


class Asking:
    """A request that waits for its reply."""

    def headers(self) -> Headers:
        """The headers of the request, beside its own; the sending of it begins here."""
        return []

    def answered(self, outcome: str, error: str | None) -> None:
        """Say what came of it, in a word, and why if that is an error."""


_STEPS, _PLACING, _ASKING = Steps(), Placing(), Asking()


class Telemetry:
    """What services tell; here nobody listens."""

    on: ClassVar[bool] = False
    """Whether anybody does: what is made for telemetry alone need not be made."""

    def steps(self, service: str, records: Sequence[Record]) -> Steps:
        """Begin a batch of records that a service has got."""
        return _STEPS

    def placing(self, order_ids: Collection[str]) -> Placing:
        """Begin to place orders."""
        return _PLACING

    def placed(self, order_ids: Collection[str], since: float) -> None:
        """Say that new orders are placed, begun at `since` (seconds since the epoch)."""

    def asking(self, order_id: str, correlation_id: str) -> Asking:
        """Begin to ask for an order."""
        return _ASKING

    def publishing(self, publisher: Publishes) -> Publishes:
        """What publishes, and tells of it."""
        return publisher

    def projected(self, taken: Sequence[Projected], since: float) -> None:
        """Say that the projections have events, begun at `since` (seconds since the epoch)."""

    def retried(self, what: str) -> None:
        """Say that something is tried again: ``database``, ``broker`` or ``request``."""

    def lag(self, service: str, standings: Mapping[TopicPartition, Standing]) -> None:
        """Say how far a service has read what it reads."""

    def watch_outbox(self, service: str, depth: Callable[[], int]) -> None:
        """Ask `depth` now and then, in the background, how many records wait in an outbox."""

    def watch_report(self, state: Callable[[], ReportState]) -> None:
        """Ask `state` now and then, in the background, how the report stands."""

    def ids(self, order_id: str | None) -> tuple[str, str] | None:
        """The trace and the span, in hex, that a log line belongs to; of the order, if it has one.

        The span is empty where only the order is known.
        """
        return None


_telemetry = Telemetry()


def telemetry() -> Telemetry:
    """What this process tells its telemetry to."""
    return _telemetry


def tell(to: Telemetry) -> Telemetry:
    """From now on, tell telemetry to this; returns what it was told to before."""
    global _telemetry
    before, _telemetry = _telemetry, to
    return before
