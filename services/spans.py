"""Spans whose ids are known before they are made: what is published carries them at once.

A batch's spans are made when it is committed, with the times that it took, so that what was rolled
back leaves none.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec, TypeVar

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from domain.identity import trace_id_of
from transport.envelope import Headers

_log = logging.getLogger(__name__)

SECOND = 1_000_000_000
KAFKA = {"messaging.system": "kafka"}

Attributes = dict[str, str | int | bool]
"""What is known of a span or a measurement, by OpenTelemetry's names."""

PLACED, RECORDED = "place", "record"
"""The steps of an order whose spans' ids come from what they are steps of."""


class GivenIds(RandomIdGenerator):
    """Random ids, except where the next span's are given."""

    def __init__(self) -> None:
        super().__init__()
        self._given = threading.local()

    def give(self, context: SpanContext) -> None:
        """Use the ids of `context` for the next span that this thread makes."""
        self._given.context = context

    def generate_trace_id(self) -> int:
        """The given id of a trace that begins, or a random one."""
        given: SpanContext | None = getattr(self._given, "context", None)
        return super().generate_trace_id() if given is None else given.trace_id

    def generate_span_id(self) -> int:
        """The given id, once, or a random one."""
        given: SpanContext | None = self._given.__dict__.pop("context", None)
        return super().generate_span_id() if given is None else given.span_id


class Spans:
    """Makes contexts first and their spans later."""

    def __init__(self, tracer: Tracer, ids: GivenIds) -> None:
        """Make spans by a tracer whose provider takes its ids from `ids`."""
        self._tracer = tracer
        self._ids = ids

    def context(
        self, trace_id: int | None, parent: SpanContext | None, span_id: int | None = None
    ) -> SpanContext:
        """The context of a span to be made.

        Args:
            trace_id: the trace; `None` begins another one.
            parent: the span that led to it, in that trace; `None` where it is not known.
            span_id: the span's id; else a random one.
        """
        trace_id = self._ids.generate_trace_id() if trace_id is None else trace_id
        decided = self._tracer.sampler.should_sample(span_below(parent), trace_id, "")
        flags = TraceFlags.RANDOM_TRACE_ID if parent is None else 0
        if parent is not None:
            flags = parent.trace_flags & TraceFlags.RANDOM_TRACE_ID
        if decided.decision is Decision.RECORD_AND_SAMPLE:
            flags |= TraceFlags.SAMPLED
        return SpanContext(
            trace_id,
            self._ids.generate_span_id() if span_id is None else span_id,
            is_remote=False,
            trace_flags=TraceFlags(flags),
            trace_state=decided.trace_state,
        )

    def known(self, order_id: str, span_id: int) -> SpanContext:
        """The context of a span in an order's trace that another process made."""
        made = self.context(trace_id_of(order_id), None, span_id)
        return SpanContext(made.trace_id, made.span_id, True, made.trace_flags, made.trace_state)

    def make(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        times: tuple[int, int],
        attributes: Attributes,
        links: Iterable[SpanContext] = (),
        error: str | None = None,
    ) -> None:
        """Make the span of a context.

        Args:
            name: its name.
            context: its context, from this class.
            parent: the parent that the context was made with.
            kind: its kind.
            times: its begin and its end, nanoseconds since the epoch.
            attributes: what is known of it.
            links: contexts that it has to do with.
            error: where it failed, the error's type.
        """
        if not context.trace_flags.sampled:
            return
        self._ids.give(context)
        span = self._tracer.start_span(
            name,
            span_below(parent),
            kind,
            attributes,
            [Link(each) for each in links],
            start_time=times[0],
        )
        if error is not None:
            fail(span, error)
        span.end(times[1])

    def begin(self, name: str, began: int, parent: SpanContext | None = None) -> Span:
        """Begin the span of what is no order's, in a trace of its own or below its parent."""
        return self._tracer.start_span(name, span_below(parent), start_time=began)


def order_attributes(order_id: str, correlation_id: str | None = None) -> Attributes:
    """What every span of an order has; its correlation id is the order's, but for a request's."""
    return {
        "shop.order.id": order_id,
        "messaging.message.conversation_id": correlation_id or order_id,
    }


def span_below(parent: SpanContext | None) -> Context:
    """The context to make a span in that has this parent, or none."""
    # Not `None`: that would be the current span, and an order's span is not the batch's.
    return Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())


def sent_to(topic: str) -> Attributes:
    """What the span of a record that is sent has of where it goes."""
    return {
        **KAFKA,
        "messaging.destination.name": topic,
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
    }


def header_of(headers: Iterable[tuple[str, bytes | None]], name: str) -> str:
    """A header as text, whatever bytes it has; empty where it isn't there."""
    for other, value in headers:
        if other == name:
            return (value or b"").decode(errors="replace")
    return ""


def fail(span: Span, error: str) -> None:
    """Say that what a span is of has failed, by the error's type."""
    span.set_attribute("error.type", error)
    span.set_status(Status(StatusCode.ERROR, error))


Given = ParamSpec("Given")
Result = TypeVar("Result")


def never_failing(
    otherwise: Callable[[], Result],
) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """Have a method give this instead of failing: telemetry ends no service, whatever is wrong."""

    def guarded(method: Callable[Given, Result]) -> Callable[Given, Result]:
        @wraps(method)
        def guard(*arguments: Given.args, **named: Given.kwargs) -> Result:
            try:
                return method(*arguments, **named)
            except Exception:  # noqa: BLE001 whatever it was
                _log.exception("something is not told: %s", method.__qualname__)
                return otherwise()

        return guard

    return guarded


def nothing() -> None:
    """Nothing: what a method gives that tells."""


def no_headers() -> Headers:
    """No headers: what is published goes without."""
    return []
