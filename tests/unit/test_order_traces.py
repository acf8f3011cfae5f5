"""What services tell telemetry: an order's one trace, whatever comes; and nothing when it is off.

Services joined in memory (`tests.integration.pipes`), and OpenTelemetry's own SDK that keeps what
it is told. Whole processes and a collector are in `tests.integration.test_telemetry`.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind

from cli.place import read_purchases
from domain.errors import StoreError
from domain.identity import step_id_of, trace_id_of
from event_log.outbox import Relay
from reporting.projector import catch_up, open_projections
from services.batch import Service, handle_batch
from services.open_telemetry import OpenTelemetry
from services.spans import GivenIds, Spans
from services.telemetry import Telemetry, telemetry, tell
from tests import expected
from tests.conftest import ROOT
from tests.integration.pipes import NOW, Shop
from transport.records import Record

ORDERS = read_purchases(expected.DATA, "USD")[0]
OF_ANOTHER_TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class TellingShop(Shop):
    """A shop whose relays tell telemetry."""

    def relay(self, service: Service) -> int:
        return Relay(service.database, telemetry().publishing(self.topics)).drain()


class Told:
    """What OpenTelemetry was told."""

    def __init__(self, share: float) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        ids = GivenIds()
        sampler = ParentBased(TraceIdRatioBased(share))
        provider = TracerProvider(sampler=sampler, id_generator=ids, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._spans))
        tracer = provider.get_tracer("shop")
        assert isinstance(tracer, Tracer)
        meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.telemetry = OpenTelemetry("test", Spans(tracer, ids), meters.get_meter("shop"))

    def spans(self, order_id: str | None = None) -> list[ReadableSpan]:
        """All spans, or those of an order's trace."""
        return [
            span
            for span in self._spans.get_finished_spans()
            if order_id is None or span.context.trace_id == trace_id_of(order_id)
        ]

    def forget(self) -> None:
        self._spans.clear()

    def metric(self, name: str) -> list[Any]:
        """The points of a metric."""
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


def telling(share: float = 1.0) -> Iterator[Told]:
    told = Told(share)
    before = tell(told.telemetry)
    yield told
    tell(before)


@pytest.fixture
def told() -> Iterator[Told]:
    yield from telling()


@pytest.fixture
def shop(tmp_path: Path) -> TellingShop:
    return TellingShop(tmp_path)


def story(spans: Sequence[ReadableSpan]) -> list[tuple[str, str]]:
    """Each span's name, and that of its parent; "" is none, and "?" one that isn't there."""
    names = {span.context.span_id: span.name for span in spans}
    return sorted(
        (span.name, "" if span.parent is None else names.get(span.parent.span_id, "?"))
        for span in spans
    )


def published(shop: Shop, number: int = 0) -> Record:
    """An order's NewOrder as it lies in its topic."""
    shop.place(ORDERS[number : number + 1])
    (record,) = shop.topics.of("orders")
    return record


def with_header(record: Record, name: str, value: bytes | None) -> Record:
    headers = [each for each in record.headers if each[0] != name]
    return replace(record, headers=(*headers, (name, value)))


ACCEPTED_STORY = [
    ("order follow", "send authorizations"),
    ("order follow", "send orders"),
    ("order follow", "send orders"),
    ("order place", ""),
    ("payment decide", "send orders"),
    ("projector project", "recorder record"),
    ("projector project", "recorder record"),
    ("projector project", "recorder record"),
    ("recorder record", "send authorizations"),
    ("recorder record", "send orders"),
    ("recorder record", "send orders"),
    ("send authorizations", "payment decide"),
    ("send orders", "order place"),
    ("send orders", "warehouse ship"),
    ("send warehouse.requests", "order follow"),
    ("warehouse ship", "send warehouse.requests"),
]


class TestAnOrdersTrace:
    def test_it_goes_from_placing_to_the_report(
        self, told: Told, shop: TellingShop, tmp_path: Path
    ) -> None:
        projections = open_projections(tmp_path / "report.sqlite")
        shop.place(ORDERS[50:51])
        shop.run()
        catch_up(shop.recorder.database, projections)
        shop.place(ORDERS[:50])
        shop.run()
        catch_up(shop.recorder.database, projections)
        decided = expected.outcomes(expected.purchases(50))
        for order in ORDERS[:50]:
            spans = [
                span
                for span in told.spans(order.order_id)
                if not (span.attributes or {}).get("shop.repeated")
            ]
            if decided[order.order_id] == "accepted":
                assert story(spans) == ACCEPTED_STORY
            else:
                assert len(spans) == 10
            assert {(span.attributes or {})["shop.order.id"] for span in spans} == {order.order_id}

    def test_its_id_and_its_roots_come_from_the_order(self, told: Told, shop: TellingShop) -> None:
        order_id = ORDERS[0].order_id
        published(shop)
        (root,) = (span for span in told.spans(order_id) if span.parent is None)
        assert root.context.span_id == step_id_of("place", order_id)

    def test_placed_again_it_goes_on_below_the_root(self, told: Told, shop: TellingShop) -> None:
        shop.place(ORDERS[:1])
        shop.place(ORDERS[:1])
        assert story(told.spans(ORDERS[0].order_id)) == [
            ("order place", ""),
            ("order place", "order place"),
            ("send orders", "order place"),
            ("send orders", "order place"),
        ]

    def test_it_survives_a_crash_between_commit_and_relay(
        self, told: Told, shop: TellingShop
    ) -> None:
        """What a relay of another process publishes carries the context that was committed."""
        shop.order.place(ORDERS[:1], NOW)
        told.forget()
        shop.relay(shop.order)
        (span,) = told.spans(ORDERS[0].order_id)
        assert span.parent is not None
        assert span.parent.span_id == step_id_of("place", ORDERS[0].order_id)

    def test_projections_made_anew_from_history_tell_nothing(
        self, told: Told, shop: TellingShop, tmp_path: Path
    ) -> None:
        """`NOW` of the pipes, at which all was recorded, is long ago."""
        shop.place(ORDERS[:5])
        shop.run()
        told.forget()
        catch_up(shop.recorder.database, open_projections(tmp_path / "report.sqlite"))
        assert told.spans() == []
        assert told.metric("shop.order.report.duration") == []
        assert sum(point.value for point in told.metric("shop.report.orders")) == 5

    def test_a_tenth_of_the_orders_is_a_tenth_and_each_of_them_whole(
        self, shop: TellingShop, tmp_path: Path
    ) -> None:
        for told in telling(0.1):
            shop.place(ORDERS[:400])
            shop.run()
            traces: dict[int, list[ReadableSpan]] = {}
            for span in told.spans():
                if "shop.order.id" in (span.attributes or {}):
                    traces.setdefault(span.context.trace_id, []).append(span)
        assert 20 < len(traces) < 60
        assert all("order place" in {span.name for span in spans} for spans in traces.values())
        assert all("recorder record" in {span.name for span in spans} for spans in traces.values())


class TestWhatOthersSend:
    @pytest.mark.parametrize(
        "parent", [b"nonsense", None, b"", b"00-" + b"0" * 10_000, b"\xff\n", OF_ANOTHER_TRACE]
    )
    def test_a_context_that_is_not_the_orders_begins_its_trace(
        self, told: Told, shop: TellingShop, parent: bytes | None
    ) -> None:
        record = with_header(published(shop), "traceparent", parent)
        told.forget()
        handle_batch(shop.payment, [record], NOW)
        (span,) = told.spans(ORDERS[0].order_id)
        assert (span.name, span.parent) == ("payment decide", None)
        linked = [f"{link.context.trace_id:032x}".encode() for link in span.links]
        assert (OF_ANOTHER_TRACE[3:35] in linked) is (parent == OF_ANOTHER_TRACE)
        (out,) = _outbox(shop, shop.payment)
        assert len(_headers(out, "traceparent")) == 1
        assert len(_headers(out, "traceparent")[0] or b"") == 55
        assert _headers(out, "tracestate") == []

    def test_a_state_is_passed_on_within_the_orders_trace_and_a_long_one_is_not(
        self, told: Told, shop: TellingShop
    ) -> None:
        record = published(shop)
        for number, (state, wanted) in enumerate([(b"v=1", [b"v=1"]), (b"v=" + b"1" * 600, [])]):
            service = TellingShop(shop.payment.database.path.parent / str(number)).payment
            handle_batch(service, [with_header(record, "tracestate", state)], NOW)
            (out,) = _outbox(shop, service)
            assert _headers(out, "tracestate") == wanted

    @pytest.mark.parametrize("parent", [b"nonsense", b"its own"])
    def test_who_is_refused_fails_in_the_orders_trace_and_its_letter_is_as_it_came(
        self, told: Told, shop: TellingShop, parent: bytes
    ) -> None:
        record = published(shop)
        other = replace(
            record, offset=7, value=(record.value or b"").replace(b'"items":1', b'"items":2')
        )
        other = with_header(other, "ce_id", b"another")
        if parent == b"nonsense":
            other = with_header(other, "traceparent", parent)
        told.forget()
        handle_batch(shop.payment, [record, other], NOW)
        errors = [(s.attributes or {}).get("error.type") for s in told.spans(ORDERS[0].order_id)]
        assert errors == [None, "OrderConflict"]
        shop.relay(shop.payment)
        (letter,) = shop.topics.of("orders.dead-letter")
        assert letter.headers[: len(other.headers)] == other.headers
        assert _headers(letter, "traceparent") == _headers(other, "traceparent")
        (point,) = told.metric("shop.dead_letters")
        assert point.value == 1
        assert dict(point.attributes) == {
            "shop.service": "payment",
            "error.type": "OrderConflict",
            "messaging.destination.name": "orders",
        }

    def test_what_nobody_can_read_begins_a_trace_of_its_own(
        self, told: Told, shop: TellingShop
    ) -> None:
        record = published(shop)
        told.forget()
        handle_batch(shop.payment, [replace(record, value=b"no JSON")], NOW)
        assert told.spans(ORDERS[0].order_id) == []
        (span,) = (span for span in told.spans() if span.kind is SpanKind.CONSUMER)
        assert span.parent is None
        assert (span.attributes or {})["error.type"] == "MalformedRecord"
        assert "shop.order.id" not in (span.attributes or {})
        assert len(span.links) == 2

    def test_what_comes_twice_is_said_to(self, told: Told, shop: TellingShop) -> None:
        record = published(shop)
        told.forget()
        for service in (shop.payment, shop.recorder):
            handle_batch(service, [record], NOW)
            handle_batch(service, [replace(record, offset=9)], NOW)
            first, second = (
                span for span in told.spans(ORDERS[0].order_id) if span.kind is SpanKind.CONSUMER
            )
            assert "shop.repeated" not in (first.attributes or {})
            assert (second.attributes or {})["shop.repeated"] is True
            assert first.context.span_id != second.context.span_id
            told.forget()

    def test_no_customer_is_in_a_span(self, told: Told, shop: TellingShop) -> None:
        shop.place(ORDERS[:20])
        shop.run()
        said = "".join(str(dict(span.attributes or {})) for span in told.spans())
        assert "Street" not in said
        assert "customer" not in said


class TestBatches:
    def test_a_batch_shows_its_phases_and_its_commit(self, told: Told, shop: TellingShop) -> None:
        record = published(shop)
        told.forget()
        handle_batch(shop.payment, [record], NOW)
        (batch,) = (span for span in told.spans() if span.name == "payment batch")
        below = [s for s in told.spans() if s.parent and s.parent.span_id == batch.context.span_id]
        assert [span.name.rpartition(" ")[2] for span in below] == ["decode", "decide", "commit"]
        (span,) = told.spans(ORDERS[0].order_id)
        assert [link.context.span_id for link in span.links] == [batch.context.span_id]

    def test_what_is_rolled_back_leaves_no_step_and_a_batch_that_failed(
        self, told: Told, shop: TellingShop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record = published(shop)
        told.forget()

        def refuse(*_: object) -> None:
            raise StoreError("no")

        monkeypatch.setattr(shop.payment, "handle", refuse)
        with pytest.raises(StoreError):
            handle_batch(shop.payment, [record], NOW)
        (span,) = told.spans()
        assert (span.name, span.status.is_ok) == ("payment batch", False)


def test_what_is_wrong_with_telemetry_ends_no_service(
    told: Told, shop: TellingShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no span for you")

    monkeypatch.setattr(Spans, "context", fail)
    shop.place(ORDERS[:5])
    shop.run()
    shop.deliver_all(shop.recorder)
    assert len(shop.topics.of("authorizations")) == 5
    assert told.metric("messaging.client.consumed.messages") == []


class TestOff:
    def test_it_is_off_by_default_and_no_header_says_anything(self, tmp_path: Path) -> None:
        assert type(telemetry()) is Telemetry
        shop = Shop(tmp_path)
        shop.place(ORDERS[:20])
        shop.run()
        names = {
            name for log in shop.topics.records.values() for each in log for name, _ in each.headers
        }
        assert "ce_id" in names
        assert not names & {"traceparent", "tracestate"}

    def test_nothing_of_opentelemetry_is_loaded(self) -> None:
        """By any command, nor by a service's modules."""
        code = (
            "import sys, cli.main, cli.telemetry\n"
            "with cli.telemetry.telling('payment'): pass\n"
            "print([name for name in sys.modules if name.startswith('opentelemetry')])"
        )
        environment = {"PATH": "", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=environment,
            cwd=ROOT,
            check=True,
        )
        assert done.stdout == "[]\n"


def _outbox(shop: Shop, service: Service) -> list[Record]:
    """What a service is about to publish."""
    before = shop.topics.records
    shop.topics.records = {}
    Relay(service.database, shop.topics).drain()
    found = [each for log in shop.topics.records.values() for each in log]
    shop.topics.records = before
    return found


def _headers(record: Record, name: str) -> list[bytes | None]:
    return [value for other, value in record.headers if other == name]
