"""The trace that a record belongs to, in its headers, as W3C Trace Context has it.

Source: W3C Recommendation "Trace Context" (``traceparent``, ``tracestate``), read and written by
OpenTelemetry's own propagator. Loaded only while telemetry is on.
"""

from collections.abc import Iterable

from opentelemetry.trace import SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from transport.envelope import Headers

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

MAX_STATE_BYTES = 512
"""A longer ``tracestate`` is left out: so much must be passed on by the standard, and no more."""

MAX_PARENT_BYTES = 256

_propagator = TraceContextTextMapPropagator()


def context_in(headers: Iterable[tuple[str, bytes | None]]) -> SpanContext | None:
    """The context that headers carry; `None` where they carry none, or one that is wrong.

    Anyone may have written them: nothing in them is an error, and what is read has a bound.
    """
    parents: list[bytes | None] = []
    states: list[bytes | None] = []
    for name, value in headers:
        if name == TRACEPARENT:
            parents.append(value)
        elif name == TRACESTATE:
            states.append(value)
    # Twice is wrong, and neither is better than the other.
    if len(parents) != 1 or not parents[0] or len(parents[0]) > MAX_PARENT_BYTES:
        return None
    carried = {TRACEPARENT: parents[0].decode("latin-1")}
    if len(states) == 1 and states[0] and len(states[0]) <= MAX_STATE_BYTES:
        carried[TRACESTATE] = states[0].decode("latin-1")
    found = get_current_span(_propagator.extract(carried)).get_span_context()
    return found if found.is_valid else None


def context_headers(context: SpanContext) -> Headers:
    """The headers that carry a context."""
    headers: Headers = [
        (
            TRACEPARENT,
            b"00-%032x-%016x-%02x" % (context.trace_id, context.span_id, context.trace_flags),
        )
    ]
    if context.trace_state:
        headers.append((TRACESTATE, context.trace_state.to_header().encode()))
    return headers


def with_context(headers: Headers, context: SpanContext) -> Headers:
    """Headers that carry this context instead of the one that they carried."""
    return [each for each in headers if each[0] not in (TRACEPARENT, TRACESTATE)] + context_headers(
        context
    )
