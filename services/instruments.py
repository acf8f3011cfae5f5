"""The instruments: what is measured, in which unit. What each tells is in docs/telemetry.md.

Names follow OpenTelemetry's semantic conventions; those of our own begin with ``shop.``.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import TypeVar

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from domain.progress import Standing
from services.telemetry import Figure, ReportState
from transport.topics import TopicPartition

_log = logging.getLogger(__name__)

Asked = TypeVar("Asked")

STALE_AFTER_SECONDS = 60.0
"""What a watchdog saw longer ago is not said any more: the broker has been away since."""

SAME_MOMENT_SECONDS = 1.0

_BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LONG = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 30, 60, 120, 300, 600, 1800)


class Instruments:
    """All instruments of a process; gauges ask in the exporter's thread, once an export."""

    def __init__(self, meter: Meter) -> None:
        """Make them; nothing is asked before something is to be watched."""
        self._meter = meter
        self._lags: dict[tuple[str, TopicPartition], tuple[int, float]] = {}
        self._outboxes: dict[str, Callable[[], int]] = {}
        self._report: Callable[[], ReportState] | None = None
        self._state: tuple[ReportState | None, float] = (None, float("-inf"))
        self.consumed = meter.create_counter(
            "messaging.client.consumed.messages", "{message}", "records that a service has handled"
        )
        self.sent = meter.create_counter(
            "messaging.client.sent.messages", "{message}", "records that the broker has taken"
        )
        self.batch_size = meter.create_histogram(
            "shop.batch.size",
            "{record}",
            "records in a transaction",
            explicit_bucket_boundaries_advisory=_BATCH_SIZES,
        )
        self.batch_seconds = meter.create_histogram(
            "shop.batch.duration",
            "s",
            "seconds that a batch takes, by phase",
            explicit_bucket_boundaries_advisory=_SHORT,
        )
        self.request_seconds = meter.create_histogram(
            "shop.request.duration",
            "s",
            "seconds from asking to the outcome",
            explicit_bucket_boundaries_advisory=_SHORT,
        )
        self.report_seconds = meter.create_histogram(
            "shop.order.report.duration",
            "s",
            "seconds from an order's NewOrder until the report has the order",
            explicit_bucket_boundaries_advisory=_LONG,
        )
        self.dead_letters = meter.create_counter(
            "shop.dead_letters", "{record}", "records that were refused, by service and error"
        )
        self.retries = meter.create_counter(
            "shop.retries", "{retry}", "times that something was tried again, by what was away"
        )
        meter.create_observable_gauge(
            "shop.consumer.lag", [self._observe_lags], "{record}", "records that wait to be read"
        )
        meter.create_observable_gauge(
            "shop.outbox.depth", [self._observe_outboxes], "{record}", "records to be published"
        )

    def lag(self, service: str, standings: Mapping[TopicPartition, Standing]) -> None:
        """Keep how far a service has read, until it is asked for."""
        now = monotonic()
        for place, standing in standings.items():
            self._lags[service, place] = (standing.lag, now)

    def watch_outbox(self, service: str, depth: Callable[[], int]) -> None:
        """Ask how many records wait in the outbox of a service."""
        self._outboxes[service] = depth

    def watch_report(self, state: Callable[[], ReportState]) -> None:
        """Ask how the report stands."""
        if self._report is None:
            for name, unit, what, callback in (
                ("shop.report.orders", "{order}", "orders in the report", self._observe_orders),
                ("shop.report.amount", "{cent}", "their amount, minor units", self._observe_cents),
            ):
                # What the report says is the total itself: started again, or made anew, it is
                # still right to the cent.
                self._meter.create_observable_counter(name, [callback], unit, what)
            self._meter.create_observable_gauge(
                "shop.report.lag", [self._observe_report_lag], "{event}", "events not projected yet"
            )
        self._report = state

    def _observe_lags(self, _: CallbackOptions) -> Iterable[Observation]:
        now = monotonic()
        for (service, place), (lag, seen_at) in list(self._lags.items()):
            if now - seen_at < STALE_AFTER_SECONDS:
                yield Observation(
                    lag,
                    {
                        "messaging.consumer.group.name": group_of(service),
                        "messaging.destination.name": place.topic,
                        "messaging.destination.partition.id": str(place.partition),
                    },
                )

    def _observe_outboxes(self, _: CallbackOptions) -> Iterable[Observation]:
        for service, depth in list(self._outboxes.items()):
            found = _ask(depth)
            if found is not None:
                yield Observation(found, {"shop.service": service})

    def _observe_orders(self, _: CallbackOptions) -> Iterable[Observation]:
        for each in self._figures():
            yield Observation(each.orders, _outcome(each.outcome, each.currency))

    def _observe_cents(self, _: CallbackOptions) -> Iterable[Observation]:
        for each in self._figures():
            # The protocol's integers have 64 bits.
            cents = each.cents if each.cents < 2**63 else float(each.cents)
            yield Observation(cents, _outcome(each.outcome, each.currency))

    def _observe_report_lag(self, _: CallbackOptions) -> Iterable[Observation]:
        state = self._asked_state()
        if state is not None:
            yield Observation(state.lag)

    def _figures(self) -> Iterable[Figure]:
        state = self._asked_state()
        return () if state is None else state.figures

    def _asked_state(self) -> ReportState | None:
        # Three gauges ask at the same moment: they are to say the same, and ask once.
        if monotonic() - self._state[1] > SAME_MOMENT_SECONDS and self._report is not None:
            self._state = (_ask(self._report), monotonic())
        return self._state[0]


def group_of(service: str) -> str:
    """The consumer group that a service reads by."""
    return f"shop-{service}"


def _outcome(outcome: str, currency: str) -> dict[str, str]:
    return {"shop.outcome": outcome, "shop.currency": currency}


def _ask(what: Callable[[], Asked]) -> Asked | None:
    try:
        return what()
    except Exception as error:  # noqa: BLE001 a gauge that isn't known ends nothing
        _log.info("not measured this time: %s", error)
        return None
