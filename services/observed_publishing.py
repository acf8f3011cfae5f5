"""Publishing, with its spans: what is committed is seen to leave."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from time import time_ns

from opentelemetry.trace import Span, SpanContext, SpanKind

from domain.identity import trace_id_of
from event_log.outbox import Publishes
from services.instruments import Instruments
from services.spans import (
    KAFKA,
    SECOND,
    Attributes,
    Spans,
    fail,
    header_of,
    never_failing,
    nothing,
    order_attributes,
    sent_to,
)
from transport.letters import OURS
from transport.records import Outgoing
from transport.topics import DEAD_LETTER
from transport.trace_context import context_in, with_context

_ERROR = re.compile(r"(?:\(without .*?\) )*([A-Za-z]{1,60}): ", re.DOTALL)


_Send = tuple[str, str, SpanContext, SpanContext]
"""A topic, an order, the span that led to the record, and the one that sends it."""


def _none() -> list[Outgoing]:
    return []


class ObservedPublisher:
    """Publishes; each record of an order has a span, which the record carries from there on."""

    def __init__(
        self, publisher: Publishes, spans: Spans, instruments: Instruments, name: str
    ) -> None:
        self._publisher, self._spans = publisher, spans
        self._instruments, self._name = instruments, name

    def publish(self, records: Sequence[Outgoing]) -> None:
        """Publish all of `records`, or raise."""
        began = time_ns()
        batch = self._spans.begin(f"{self._name} relay", began)
        sends: list[_Send] = []
        try:
            self._publisher.publish(self._prepared(records, sends) or records)
        except Exception as error:
            fail(batch, type(error).__name__)
            batch.end()
            raise
        self._tell(records, sends, batch, (began, time_ns()))

    @never_failing(nothing)
    def _tell(
        self, records: Sequence[Outgoing], sends: list[_Send], batch: Span, times: tuple[int, int]
    ) -> None:
        batch.set_attributes({**KAFKA, "messaging.batch.message_count": len(records)})
        batch.end(times[1])
        for topic, order_id, parent, context in sends:
            attributes = order_attributes(order_id) | sent_to(topic)
            links = [batch.get_span_context()]
            self._spans.make(
                f"send {topic}", context, parent, SpanKind.PRODUCER, times, attributes, links
            )
        self._count(records, (times[1] - times[0]) / SECOND)

    @never_failing(_none)
    def _prepared(self, records: Sequence[Outgoing], sends: list[_Send]) -> list[Outgoing]:
        return [self._sent(record, sends) for record in records]

    def _sent(self, record: Outgoing, sends: list[_Send]) -> Outgoing:
        # A dead letter keeps the headers that it came with; so does what isn't an order's.
        parent = None if record.topic.endswith(DEAD_LETTER) else context_in(record.headers)
        order_id = header_of(record.headers, "ce_correlationid")
        if parent is None or parent.trace_id != trace_id_of(order_id):
            return record
        context = self._spans.context(parent.trace_id, parent)
        sends.append((record.topic, order_id, parent, context))
        return replace(record, headers=with_context(record.headers, context))

    def _count(self, records: Sequence[Outgoing], seconds: float) -> None:
        service = {"shop.service": self._name}
        self._instruments.batch_seconds.record(seconds, {**service, "shop.phase": "relay"})
        for topic, count in Counter(record.topic for record in records).items():
            attributes = {**KAFKA, "messaging.destination.name": topic}
            self._instruments.sent.add(count, {**attributes, "messaging.operation.name": "send"})
        for record in records:
            if record.topic.endswith(DEAD_LETTER):
                self._instruments.dead_letters.add(1, _refusal(record))


def _refusal(letter: Outgoing) -> Attributes:
    said = _ERROR.match(header_of(letter.headers, f"{OURS}reason"))
    return {
        "shop.service": header_of(letter.headers, f"{OURS}service"),
        "error.type": "unknown" if said is None else said[1],
        "messaging.destination.name": letter.topic.removesuffix(DEAD_LETTER),
    }
