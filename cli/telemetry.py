"""Telemetry, set up for a process: on where OTEL_EXPORTER_OTLP_ENDPOINT names a collector.

OTLP over HTTP in protobuf. The other standard variables (``OTEL_…``) work as the SDK defines them.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from time import monotonic

from domain.errors import ShopError
from event_log.holding import process_name
from services.telemetry import Telemetry, tell
from transport.local_broker.interrupts import Interrupts
from transport.retrying import on_retry

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"

FLUSH_WITHIN_SECONDS = 3.0
"""How long the end of a process waits for a collector to take what is left."""

QUEUE = 20_000
"""Spans that wait for the collector, at most; what comes then is dropped. A batch has thousands."""

EXPORT = 2000
"""Spans in one request to the collector."""

_INSTANCE = "service.instance.id"


def wanted() -> bool:
    """Whether telemetry is on."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return bool(os.environ.get(ENDPOINT)) and not disabled


@contextmanager
def telling(name: str) -> Iterator[None]:
    """Inside, this process tells telemetry as the service `name`, if that is on.

    What is left is handed over at the end, also after SIGTERM, for a few seconds at most.

    Raises:
        ShopError: another protocol than ours is asked for.
    """
    if not wanted():
        yield
        return
    _refuse_other_protocols()
    made, close = _set_up(name)
    before = tell(made)
    on_retry.append(made.retried)
    # By default SIGTERM ends a process with no clean-up.
    interrupts = Interrupts()
    try:
        with interrupts:
            yield
    finally:
        on_retry.remove(made.retried)
        tell(before)
        _within(FLUSH_WITHIN_SECONDS, *close)


def _set_up(name: str) -> tuple[Telemetry, list[Callable[[], None]]]:
    # Loaded here and nowhere before: off is free.
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import Tracer, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from services.open_telemetry import OpenTelemetry
    from services.spans import GivenIds, Spans

    # A line for every span that is dropped would cost more than the span.
    logging.getLogger("opentelemetry.sdk._shared_internal").setLevel(logging.ERROR)
    ours = {
        "service.name": f"shop-{name}",
        "service.version": version("order-to-revenue"),
        _INSTANCE: process_name(),
    }
    theirs = OTELResourceDetector().detect().attributes
    resource = Resource.create({key: value for key, value in ours.items() if key not in theirs})
    ids = GivenIds()
    tracers = TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)
    readers = []
    if _exports("TRACES"):
        tracers.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(),
                max_queue_size=_unless_set("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE),
                max_export_batch_size=_unless_set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", EXPORT),
            )
        )
    if _exports("METRICS"):
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    meters = MeterProvider(readers, resource, shutdown_on_exit=False)
    tracer = tracers.get_tracer("shop", ours["service.version"])
    if not isinstance(tracer, Tracer):
        raise ShopError(f"telemetry can't be set up: {type(tracer).__name__} makes no spans")
    made = OpenTelemetry(
        name, Spans(tracer, ids), meters.get_meter("shop", ours["service.version"])
    )
    return made, [tracers.shutdown, meters.shutdown]


def _refuse_other_protocols() -> None:
    for signal in ("", "TRACES_", "METRICS_"):
        variable = f"OTEL_EXPORTER_OTLP_{signal}PROTOCOL"
        asked = os.environ.get(variable, "http/protobuf")
        if asked != "http/protobuf":
            raise ShopError(
                f"{variable}={asked} is not spoken here: leave it out, and let {ENDPOINT} name "
                "where the collector takes http/protobuf (port 4318 by default)"
            )


def _exports(signal: str) -> bool:
    return os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip().lower() != "none"


def _unless_set(variable: str, value: int) -> int | None:
    return None if os.environ.get(variable) else value


def _within(seconds: float, *works: Callable[[], None]) -> None:
    """Do all this at once, and go on when the time is over, wherever it is."""
    threads = [threading.Thread(target=work, name="telemetry-end", daemon=True) for work in works]
    for thread in threads:
        thread.start()
    deadline = monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - monotonic()))
