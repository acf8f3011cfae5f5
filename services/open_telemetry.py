"""Telemetry told to OpenTelemetry: the spans of orders and batches, and the instruments.

An order has one trace. Its id comes from the order's id (`domain.identity.trace_id_of`), so whoever
has the order can join it: who reads headers, who asks again after a crash, who reads the log. The
parent within it comes by the headers. A context of another trace is kept as a link: nobody can put
orders together that aren't, or hide one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from time import time, time_ns
from typing import ClassVar

from opentelemetry.metrics import Meter
from opentelemetry.trace import (
    SpanKind,
    format_span_id,
    format_trace_id,
    get_current_span,
)

from domain.identity import message_id_of, step_id_of, trace_id_of
from domain.progress import Standing
from event_log.outbox import Publishes
from services.instruments import Instruments
from services.observed import ObservedAsking, ObservedPlacing, ObservedSteps
from services.observed_publishing import ObservedPublisher
from services.spans import (
    PLACED,
    RECORDED,
    SECOND,
    Spans,
    never_failing,
    nothing,
    order_attributes,
    span_below,
)
from services.telemetry import Asking, Placing, Projected, ReportState, Steps, Telemetry
from transport.records import Record
from transport.topics import TopicPartition


class OpenTelemetry(Telemetry):
    """Tells what services tell to OpenTelemetry."""

    on: ClassVar[bool] = True

    def __init__(self, name: str, spans: Spans, meter: Meter) -> None:
        """Tell in the name of the service `name`."""
        self._name = name
        self._spans = spans
        self._instruments = Instruments(meter)
        self._asked_at: dict[str, int] = {}

    def steps(self, service: str, records: Sequence[Record]) -> Steps:
        """Begin a batch of records that a service has got."""
        return ObservedSteps(self._spans, self._instruments, service, records)

    def placing(self, order_ids: Collection[str]) -> Placing:
        """Begin to place orders."""
        return ObservedPlacing(self._spans, order_ids)

    @never_failing(nothing)
    def placed(self, order_ids: Collection[str], since: float) -> None:
        """Say that new orders are placed, begun at `since` (seconds since the epoch)."""
        now = time_ns()
        for order_id in order_ids:
            # An order that is asked for is placed from then on.
            times = (self._asked_at.get(order_id, int(since * SECOND)), now)
            context = self._spans.known(order_id, step_id_of(PLACED, order_id))
            self._spans.make(
                "order place", context, None, SpanKind.INTERNAL, times, order_attributes(order_id)
            )

    def asking(self, order_id: str, correlation_id: str) -> Asking:
        """Begin to ask for an order."""
        began = self._asked_at[order_id] = time_ns()

        def told(outcome: str, seconds: float) -> None:
            self._asked_at.pop(order_id, None)
            self._instruments.request_seconds.record(seconds, {"shop.outcome": outcome})

        return ObservedAsking(self._spans, order_id, correlation_id, began, told)

    def publishing(self, publisher: Publishes) -> Publishes:
        """What publishes, and tells of it."""
        return ObservedPublisher(publisher, self._spans, self._instruments, self._name)

    @never_failing(nothing)
    def projected(self, taken: Sequence[Projected], since: float) -> None:
        """Say that the projections have events, begun at `since` (seconds since the epoch)."""
        now = time()
        times = (int(since * SECOND), int(now * SECOND))
        for each in taken:
            order_id = each.event.order_id
            recorded = step_id_of(RECORDED, message_id_of(each.event))
            parent = self._spans.known(order_id, recorded)
            context = self._spans.context(parent.trace_id, parent)
            attributes = {**order_attributes(order_id), "shop.log.position": each.position}
            self._spans.make(
                "projector project", context, parent, SpanKind.INTERNAL, times, attributes
            )
            if each.ordered_at is not None:
                seconds = (datetime.fromtimestamp(now, UTC) - each.ordered_at).total_seconds()
                # With the span, so that an example of what took long can be looked up.
                self._instruments.report_seconds.record(
                    max(0.0, seconds), context=span_below(context)
                )

    @never_failing(nothing)
    def retried(self, what: str) -> None:
        """Say that something is tried again: ``database``, ``broker`` or ``request``."""
        self._instruments.retries.add(1, {"shop.retried": what})

    @never_failing(nothing)
    def lag(self, service: str, standings: Mapping[TopicPartition, Standing]) -> None:
        """Say how far a service has read what it reads."""
        self._instruments.lag(service, standings)

    def watch_outbox(self, service: str, depth: Callable[[], int]) -> None:
        """Ask `depth` now and then, in the background, how many records wait in an outbox."""
        self._instruments.watch_outbox(service, depth)

    def watch_report(self, state: Callable[[], ReportState]) -> None:
        """Ask `state` now and then, in the background, how the report stands."""
        self._instruments.watch_report(state)

    def ids(self, order_id: str | None) -> tuple[str, str] | None:
        """The trace and the span, in hex, that a log line belongs to; of the order, if it has one.

        The span is empty where only the order is known.
        """
        if order_id is not None:
            return format_trace_id(trace_id_of(order_id)), ""
        here = get_current_span().get_span_context()
        if not here.is_valid:
            return None
        return format_trace_id(here.trace_id), format_span_id(here.span_id)
