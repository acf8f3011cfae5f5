"""A collector of OpenTelemetry's: takes OTLP over HTTP in protobuf, and keeps what it is sent."""

import gzip
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

Attributes = dict[str, Any]


@dataclass(frozen=True)
class Span:
    """A span as it was sent; ids are in hex, times in nanoseconds."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    kind: str
    began: int
    ended: int
    attributes: Attributes
    links: tuple[str, ...]
    failed: bool


@dataclass(frozen=True)
class Point:
    """The newest value of a metric: a number, or a histogram's point."""

    service: str
    attributes: Attributes
    value: float
    histogram: HistogramDataPoint | None


class Collector:
    """What was sent, and where to send it."""

    def __init__(self, endpoint: str, stop: Callable[[], None]) -> None:
        self._stop = stop
        self.environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        self.metrics: dict[str, Metric] = {}
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        self._points: dict[tuple[str, str], dict[tuple[Any, ...], Point]] = defaultdict(dict)

    def spans(self, trace: str | None = None) -> list[Span]:
        """All spans, or those of a trace, by their beginning."""
        with self._lock:
            found = [each for each in self._spans if trace in (None, each.trace)]
        return sorted(found, key=lambda each: each.began)

    def points(self, name: str, service: str | None = None) -> list[Point]:
        """The newest points of a metric, of every process of a service."""
        with self._lock:
            return [
                point
                for (metric, _), points in self._points.items()
                if metric == name
                for point in points.values()
                if service in (None, point.service)
            ]

    def go_away(self) -> None:
        """Take no more: who connects is refused."""
        self._stop()

    def take(self, path: str, body: bytes) -> None:
        with self._lock:
            if path == "/v1/traces":
                self._take_spans(ExportTraceServiceRequest.FromString(body))
            elif path == "/v1/metrics":
                self._take_metrics(ExportMetricsServiceRequest.FromString(body))

    def _take_spans(self, sent: ExportTraceServiceRequest) -> None:
        for resource in sent.resource_spans:
            service = _read(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self._spans += [
                    Span(
                        service=service,
                        name=each.name,
                        trace=each.trace_id.hex(),
                        id=each.span_id.hex(),
                        parent=each.parent_span_id.hex(),
                        kind=ProtoSpan.SpanKind.Name(each.kind).removeprefix("SPAN_KIND_"),
                        began=each.start_time_unix_nano,
                        ended=each.end_time_unix_nano,
                        attributes=_read(each.attributes),
                        links=tuple(link.trace_id.hex() for link in each.links),
                        failed=each.status.code == Status.STATUS_CODE_ERROR,
                    )
                    for each in scope.spans
                ]

    def _take_metrics(self, sent: ExportMetricsServiceRequest) -> None:
        for resource in sent.resource_metrics:
            of = _read(resource.resource.attributes)
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.metrics[metric.name] = metric
                    points = self._points[metric.name, of["service.instance.id"]]
                    for key, point in _points_of(metric, of["service.name"]):
                        points[key] = point


def _points_of(metric: Metric, service: str) -> Iterator[tuple[tuple[Any, ...], Point]]:
    kind = metric.WhichOneof("data")
    for each in getattr(metric, str(kind)).data_points:
        attributes = _read(each.attributes)
        histogram = each if kind == "histogram" else None
        value = each.count if kind == "histogram" else getattr(each, each.WhichOneof("value"))
        yield tuple(sorted(attributes.items())), Point(service, attributes, value, histogram)


def _read(attributes: Iterable[KeyValue]) -> Attributes:
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in attributes
    }


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.headers["content-type"] == "application/x-protobuf"
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True

    def stop() -> None:
        server.shutdown()
        server.server_close()

    collector = Collector(f"http://127.0.0.1:{server.server_address[1]}", stop)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        stop()
        thread.join()
