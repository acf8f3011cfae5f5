"""Batches, placing and asking, each with its spans."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import time_ns

from opentelemetry import context as current
from opentelemetry.trace import Span, SpanContext, SpanKind, set_span_in_context

from domain.contracts import Contract, payload_of
from domain.errors import ContractError
from domain.identity import message_id_of, step_id_of, trace_id_of
from services.instruments import Instruments, group_of
from services.spans import (
    KAFKA,
    PLACED,
    RECORDED,
    SECOND,
    Attributes,
    Spans,
    fail,
    header_of,
    never_failing,
    no_headers,
    nothing,
    order_attributes,
    sent_to,
)
from services.telemetry import Asking, Phases, Placing, Steps
from transport.envelope import Headers
from transport.records import Record, carrier
from transport.topics import PAYMENT_REQUESTS
from transport.trace_context import context_headers, context_in

_VERBS = {
    "order": "follow",
    "payment": "decide",
    "warehouse": "ship",
    "recorder": RECORDED,
    "responder": "answer",
    "requester": "settle",
}


@dataclass(slots=True)
class _Step:
    says: Contract
    parent: SpanContext | None
    link: SpanContext | None
    context: SpanContext


class ObservedSteps(Steps):
    """A batch: a span for each record in its order's trace, and one for the batch in its own."""

    def __init__(
        self, spans: Spans, instruments: Instruments, service: str, records: Sequence[Record]
    ) -> None:
        self._began = time_ns()
        self._spans, self._instruments = spans, instruments
        self._service, self._records = service, records
        self._verb = _VERBS.get(service, "process")
        self._steps: dict[int, _Step] = {}
        self._by_cause: dict[str, _Step] = {}
        self._by_order: dict[str, _Step] = {}
        self._batch: Span | None = None
        self._leave = ExitStack()

    @never_failing(nothing)
    def take(self, understood: Iterable[tuple[Record, Contract]]) -> None:
        """Begin a step for each record that was understood, with what it says."""
        for record, says in understood:
            order_id = _order_of(says)
            trace_id = trace_id_of(order_id)
            found = context_in(record.headers)
            parent = found if found is not None and found.trace_id == trace_id else None
            link = found if parent is None else None
            step = _Step(says, parent, link, self._spans.context(trace_id, parent))
            self._steps[id(record)] = self._by_order[order_id] = step
            self._by_cause[header_of(record.headers, "ce_id")] = step

    @never_failing(no_headers)
    def headers_for(self, record: Record) -> Headers:
        """The headers of what is said because of a record, beside those of its envelope."""
        step = self._steps.get(id(record))
        return [] if step is None else context_headers(step.context)

    def __enter__(self) -> "ObservedSteps":
        self._batch = self._spans.begin(f"{self._service} batch", self._began)
        token = current.attach(set_span_in_context(self._batch))
        self._leave.callback(current.detach, token)
        self._leave.callback(carrier.reset, carrier.set(self._carry))
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._leave.close()
        if error is not None and self._batch is not None:
            fail(self._batch, type(error).__name__)
            self._batch.end()

    @never_failing(nothing)
    def done(
        self,
        refused: Collection[tuple[Record, ContractError]],
        repeated: Callable[[], Collection[int]] = tuple,
        phases: Phases | None = None,
    ) -> None:
        """Make the spans, now that the batch is committed."""
        times = (self._began, time_ns())
        self._end_batch(times, phases)
        errors = {id(record): type(why).__name__ for record, why in refused}
        repeats = repeated()
        counts: Counter[tuple[str, str | None]] = Counter()
        for record in self._records:
            error = errors.get(id(record))
            step = self._steps.get(id(record))
            if step is None and error is None:
                continue
            counts[record.topic, error] += 1
            self._make(record, step, times, error, again=id(record) in repeats)
        for (topic, error), count in counts.items():
            attributes = {**self._of(topic), **({} if error is None else {"error.type": error})}
            self._instruments.consumed.add(count, attributes)

    def _make(
        self,
        record: Record,
        step: _Step | None,
        times: tuple[int, int],
        error: str | None,
        *,
        again: bool,
    ) -> None:
        attributes: Attributes = {
            **self._of(record.topic),
            "messaging.operation.type": "process",
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
        }
        links = [] if self._batch is None else [self._batch.get_span_context()]
        if step is None:
            # Nobody knows what it is: it is in no order's trace, whatever it says.
            found = context_in(record.headers)
            parent, context = None, self._spans.context(None, None)
            links += [] if found is None else [found]
        else:
            parent, context = step.parent, step.context
            links += [] if step.link is None else [step.link]
            attributes |= order_attributes(_order_of(step.says))
            attributes["messaging.message.id"] = header_of(record.headers, "ce_id")
            attributes["cloudevents.event_type"] = header_of(record.headers, "ce_type")
            if again:
                attributes["shop.repeated"] = True
            elif self._verb == RECORDED and error is None:
                # So that the projector, which reads the log, knows which span came before.
                said = step_id_of(RECORDED, message_id_of(payload_of(step.says)))  # type: ignore[arg-type]
                context = self._spans.context(context.trace_id, parent, said)
        name = f"{self._service} {self._verb}"
        self._spans.make(name, context, parent, SpanKind.CONSUMER, times, attributes, links, error)

    def _end_batch(self, times: tuple[int, int], phases: Phases | None) -> None:
        size, service = len(self._records), {"shop.service": self._service}
        self._instruments.batch_size.record(size, service)
        if self._batch is None:
            return
        self._batch.set_attributes({**KAFKA, "messaging.batch.message_count": size})
        at = times[1] - int(SECOND * sum(phases or ()))
        for phase, seconds in ({} if phases is None else phases._asdict()).items():
            self._instruments.batch_seconds.record(seconds, {**service, "shop.phase": phase})
            below = self._batch.get_span_context()
            span = self._spans.begin(f"{self._service} batch {phase}", at, below)
            at += int(SECOND * seconds)
            span.end(at)
        self._batch.end(times[1])

    @never_failing(no_headers)
    def _carry(self, order_id: str, cause: str | None) -> Headers:
        # What came too early is the cause of something only when its order's turn has come.
        step = self._by_cause.get(cause or "") or self._by_order.get(order_id)
        return [] if step is None else context_headers(step.context)

    def _of(self, topic: str) -> Attributes:
        return {
            **KAFKA,
            "messaging.destination.name": topic,
            "messaging.operation.name": self._verb,
            "messaging.consumer.group.name": group_of(self._service),
        }


class ObservedPlacing(Placing):
    """Orders that are being placed: the root of each one's trace, if it is new."""

    def __init__(self, spans: Spans, order_ids: Collection[str]) -> None:
        self._began = time_ns()
        self._spans, self._order_ids = spans, order_ids
        self._contexts: dict[str, tuple[SpanContext, SpanContext | None]] = {}
        self._leave = ExitStack()

    @never_failing(nothing)
    def new(self, order_ids: Collection[str]) -> None:
        """Have the new ones begin their traces; the others go on in theirs."""
        for order_id in self._order_ids:
            root = self._spans.known(order_id, step_id_of(PLACED, order_id))
            self._contexts[order_id] = (
                (root, None)
                if order_id in order_ids
                else (self._spans.context(root.trace_id, root), root)
            )

    def __enter__(self) -> "ObservedPlacing":
        self._leave.callback(carrier.reset, carrier.set(self._carry))
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._leave.close()
        if error is None:
            self._make()

    @never_failing(nothing)
    def _make(self) -> None:
        times = (self._began, time_ns())
        for order_id, (context, root) in self._contexts.items():
            attributes = order_attributes(order_id)
            if root is not None:
                attributes["shop.repeated"] = True
            self._spans.make("order place", context, root, SpanKind.INTERNAL, times, attributes)

    @never_failing(no_headers)
    def _carry(self, order_id: str, cause: str | None) -> Headers:
        known = self._contexts.get(order_id)
        return [] if known is None else context_headers(known[0])


class ObservedAsking(Asking):
    """A request: a span until its outcome, and one for its sending."""

    def __init__(
        self,
        spans: Spans,
        order_id: str,
        correlation_id: str,
        began: int,
        told: Callable[[str, float], None],
    ) -> None:
        self._began, self._spans, self._told = began, spans, told
        self._attributes = order_attributes(order_id, correlation_id)
        self._root = spans.known(order_id, step_id_of(PLACED, order_id))
        self._context = spans.context(self._root.trace_id, self._root)

    @never_failing(no_headers)
    def headers(self) -> Headers:
        """The headers of the request, beside its own."""
        context = self._spans.context(self._context.trace_id, self._context)
        now = time_ns()
        attributes = self._attributes | sent_to(PAYMENT_REQUESTS)
        self._spans.make(
            f"send {PAYMENT_REQUESTS}",
            *(context, self._context, SpanKind.PRODUCER, (now, now), attributes),
        )
        return context_headers(context)

    @never_failing(nothing)
    def answered(self, outcome: str, error: str | None) -> None:
        """Make the span, now that the outcome is known."""
        now = time_ns()
        attributes = {**self._attributes, "shop.outcome": outcome}
        self._spans.make(
            "order ask",
            *(self._context, self._root, SpanKind.CLIENT, (self._began, now), attributes),
            error=error,
        )
        self._told(outcome, (now - self._began) / SECOND)


def _order_of(says: Contract) -> str:
    return payload_of(says).order_id  # type: ignore[arg-type]
