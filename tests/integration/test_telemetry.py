"""Telemetry of whole processes on a real broker, as a collector gets it: traces, metrics, logs."""

import json
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from domain.identity import trace_id_of
from tests import expected
from tests.conftest import ROOT, Home
from tests.integration.pipes import NOW
from tests.integration.scripted import new_order
from tests.integration.test_pipeline import records
from tests.integration.test_styles import servers_of
from tests.otlp import Collector, Span, collecting
from tests.prometheus import asked_for, grouped_by, label_of, names_of
from tests.waiting import wait_for
from transport.records import outgoing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SERVICES = ("order", "payment", "responder", "warehouse", "recorder")
PLACED = 300
DASHBOARD = ROOT / "deploy" / "telemetry" / "dashboard.json"
SELDOM = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_METRIC_EXPORT_INTERVAL": "600000"}
"""So seldom that what arrives was handed over at a process's end."""

# Nobody of the data's: a closed account, a wrong address, and two whose second order is too much.
CUSTOMERS = (97 * 700, 89 * 801, 90_001, 90_003)
EVENTS = [
    ("order place", ""),
    ("send orders", "order place"),
    ("payment decide", "send orders"),
    ("order follow", "send orders"),
    ("recorder record", "send orders"),
    ("projector project", "recorder record"),
    ("send authorizations", "payment decide"),
    ("order follow", "send authorizations"),
    ("recorder record", "send authorizations"),
    ("projector project", "recorder record"),
]
REQUESTS = [
    ("order place", ""),
    ("order ask", "order place"),
    ("send payment.requests", "order ask"),
    ("responder answer", "send payment.requests"),
    ("send payment.replies", "responder answer"),
    ("requester settle", "send payment.replies"),
    ("send reporting.requests", "requester settle"),
    ("recorder record", "send reporting.requests"),
    ("projector project", "recorder record"),
]
SHIPPED = [
    ("warehouse ship", "send warehouse.requests"),
    ("send orders", "warehouse ship"),
    ("order follow", "send orders"),
    ("recorder record", "send orders"),
    ("projector project", "recorder record"),
]
KINDS = {
    "send": "PRODUCER",
    "order place": "INTERNAL",
    "order ask": "CLIENT",
    "projector project": "INTERNAL",
}


@dataclass
class Stack:
    """Services that run, the collector that they tell, and their logs."""

    home: Home
    collector: Collector
    logs: Path
    processes: dict[str, "subprocess.Popen[str]"] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        with (self.logs / f"{name}.log").open("w") as log:
            self.processes[name] = self.home.start(*command, stdout=log, stderr=log)

    def place(self, file: Path, style: str = "events", count: int | None = None) -> None:
        limit = () if count is None else ("--limit", str(count))
        # Its own spans are handed over at its end, or not at all.
        done = Home(self.home.path, self.home.settings | SELDOM).shop(
            "place", str(file), *limit, "--style", style
        )
        assert (done.returncode, done.stderr) == (0, "")

    def story(self, order_id: str) -> Counter[tuple[str, str]]:
        """Each span's name and its parent's, but for what came twice."""
        spans = self.spans(order_id)
        names = {span.id: span.name for span in spans}
        return Counter(
            (span.name, names.get(span.parent, "?") if span.parent else "") for span in spans
        )

    def spans(self, order_id: str) -> list[Span]:
        found = self.collector.spans(f"{trace_id_of(order_id):032x}")
        return [span for span in found if "shop.repeated" not in span.attributes]

    def report(self, name: str) -> dict[str, float]:
        points = self.collector.points(f"shop.report.{name}", "shop-projector")
        return {point.attributes["shop.outcome"]: point.value for point in points}


@pytest.fixture(scope="module")
def stack(module_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    logs = tmp_path_factory.mktemp("logs")
    with collecting() as collector:
        module_home.settings |= collector.environment
        made = Stack(module_home, collector, logs)
        assert module_home.shop("broker", "start").returncode == 0
        assert module_home.shop("topics", "create").returncode == 0
        try:
            for name in SERVICES:
                made.start(name, "run", name)
            made.start("projector", "run", "projector")
            report = module_home.path / "databases" / "report.sqlite"
            wait_for(report.exists, "whoever projects", 120)
            yield made
        finally:
            for process in made.processes.values():
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def placed(stack: Stack) -> dict[str, list[expected.Purchase]]:
    """Orders that are placed and in the report, by style."""
    files = {style: stack.logs / f"{style}.txt" for style in ("sync", "async")}
    orders = {"events": expected.purchases(PLACED)}
    for number, (style, file) in enumerate(files.items()):
        lines = [
            f"{customer + 97 * 89 * number} 199702{day:02} 1 {200 + day}.{day:02}"
            for customer in CUSTOMERS
            for day in (1, 2)
        ]
        file.write_text("\n".join(lines) + "\n")
        orders[style] = expected.purchases(data=file)
    stack.place(expected.DATA, count=PLACED)
    for style, file in files.items():
        stack.place(file, style)
    count = sum(map(len, orders.values()))
    wait_for(lambda: sum(stack.report("orders").values()) == count, "the report", 120)
    return orders


def after(style: str, outcome: str) -> Counter[tuple[str, str]]:
    """The story that an order must have."""
    ways = {"events": (EVENTS, "order follow")}
    steps, teller = ways.get(style, (REQUESTS, "requester settle"))
    if outcome != "accepted":
        return Counter(steps)
    return Counter([*steps, ("send warehouse.requests", teller), *SHIPPED])


@pytest.mark.parametrize("style", ["events", "sync", "async"])
class TestTraces:
    def test_every_order_has_one_trace_from_placing_to_the_report(
        self, stack: Stack, placed: dict[str, list[expected.Purchase]], style: str
    ) -> None:
        decided = expected.outcomes(placed[style])
        assert {"accepted", "no_funds"} <= set(decided.values())
        for order_id, outcome in decided.items():
            wanted = after(style, outcome)

            def whole(order_id: str = order_id, wanted: Counter[Any] = wanted) -> bool:
                return stack.story(order_id) == wanted

            wait_for(whole, f"{order_id}, {outcome}: {wanted - stack.story(order_id)} is missing")

    def test_its_spans_follow_one_another_and_say_what_they_are(
        self, stack: Stack, placed: dict[str, list[expected.Purchase]], style: str
    ) -> None:
        decided = expected.outcomes(placed[style])
        order_id = next(each for each, outcome in decided.items() if outcome == "accepted")
        wanted = after(style, "accepted")
        wait_for(lambda: stack.story(order_id) == wanted, order_id)
        spans = stack.spans(order_id)
        by_id = {span.id: span for span in spans}
        for span in spans:
            assert span.began <= span.ended
            assert not span.parent or by_id[span.parent].began <= span.began, span
            assert span.attributes["shop.order.id"] == order_id
            assert not span.failed
            kind = KINDS.get("send" if span.name.startswith("send ") else span.name, "CONSUMER")
            assert span.kind == kind, span
            if kind == "CONSUMER":
                assert span.attributes["messaging.system"] == "kafka"
                assert span.attributes["messaging.operation.type"] == "process"
                assert span.attributes["messaging.operation.name"] == span.name.split()[1]
                assert span.attributes["messaging.destination.name"] in by_id[span.parent].name
                assert span.attributes["messaging.kafka.offset"] >= 0
                assert span.attributes["messaging.destination.partition.id"] in set("0123")
        # What can be known of when is known: the report comes last, and placing first.
        assert spans[0].name == "order place"
        reported = [span for span in spans if span.name == "projector project"]
        assert all(span.ended > spans[0].ended for span in reported)
        services = {span.service for span in spans}
        other = {"shop-payment"} if style == "events" else {"shop-responder"}
        assert services == other | {
            *("shop-order", "shop-recorder", "shop-warehouse", "shop-projector")
        }


class TestMetrics:
    def test_orders_and_cents_by_outcome_are_right_to_the_cent(
        self, stack: Stack, placed: dict[str, list[expected.Purchase]]
    ) -> None:
        orders: Counter[str] = Counter()
        cents: Counter[str] = Counter()
        for purchases in placed.values():
            decided = expected.outcomes(purchases).values()
            for purchase, outcome in zip(purchases, decided, strict=True):
                orders[outcome] += 1
                cents[outcome] += purchase.cents
        assert set(orders) == {"accepted", *expected.REASONS}
        assert stack.report("orders") == dict(orders)
        assert stack.report("amount") == dict(cents)
        points = stack.collector.points("shop.report.amount")
        assert {point.attributes["shop.currency"] for point in points} == {"USD"}

    def test_each_order_took_some_time_to_the_report(
        self, stack: Stack, placed: dict[str, list[expected.Purchase]]
    ) -> None:
        (point,) = stack.collector.points("shop.order.report.duration")
        assert point.histogram is not None
        assert point.value == sum(point.histogram.bucket_counts) == len(placed["events"])
        assert point.histogram.sum > 0
        assert len(point.histogram.explicit_bounds) == 20

    def test_requests_are_counted_by_outcome(
        self, stack: Stack, placed: dict[str, list[expected.Purchase]]
    ) -> None:
        wanted = Counter(
            outcome
            for style in ("sync", "async")
            for outcome in expected.outcomes(placed[style]).values()
        )
        found: Counter[str] = Counter()
        for point in stack.collector.points("shop.request.duration", "shop-order"):
            found[point.attributes["shop.outcome"]] += int(point.value)
        assert found == wanted

    def test_what_was_read_and_published_is_counted_and_nothing_waits(
        self, stack: Stack, placed: dict[str, list[expected.Purchase]]
    ) -> None:
        count = len(placed["events"])

        def total(name: str, service: str, topic: str) -> float:
            return sum(
                point.value
                for point in stack.collector.points(name, service)
                if point.attributes["messaging.destination.name"] == topic
            )

        sent = "messaging.client.sent.messages"
        assert total(sent, "shop-payment", "authorizations") == count
        assert total(sent, "shop-responder", "payment.replies") == 16
        read = "messaging.client.consumed.messages"
        wait_for(lambda: total(read, "shop-recorder", "authorizations") >= count, "all is read")
        places = {"payment": 1, "order": 2, "warehouse": 1, "recorder": 3, "responder": 1}
        for service, topics in places.items():

            def settled(service: str = service, topics: int = topics) -> bool:
                lags = stack.collector.points("shop.consumer.lag", f"shop-{service}")
                waiting = stack.collector.points("shop.outbox.depth", f"shop-{service}")
                values = [point.value for point in [*lags, *waiting]]
                return values == [0] * (4 * topics + 1)

            wait_for(settled, f"{service} has read all that is there, and published all", 30)
        (lag,) = stack.collector.points("shop.report.lag")
        wait_for(lambda: stack.collector.points("shop.report.lag")[0].value == 0, f"no {lag}")


def test_what_is_refused_is_counted_by_service_and_error_and_fails_in_a_trace_of_its_own(
    stack: Stack, placed: object
) -> None:
    """With headers that are made to harm."""
    before = {span.id for span in stack.collector.spans()}
    headers = [
        *outgoing(new_order(), "/elsewhere", NOW).headers,
        ("traceparent", b"00-" + b"0" * 5000 + b"\n"),
        ("tracestate", b"a=" + b"1" * 100_000),
    ]
    producer = Producer({"bootstrap.servers": servers_of(stack.home)})
    producer.produce("orders", b"{}", b"00001", headers=headers, partition=0)
    assert producer.flush(30) == 0

    def letters() -> Counter[tuple[str, str]]:
        return Counter(
            (point.attributes["shop.service"], point.attributes["error.type"])
            for point in stack.collector.points("shop.dead_letters")
            for _ in range(int(point.value))
        )

    wanted = Counter({(name, "MalformedRecord"): 1 for name in ("order", "payment", "recorder")})
    wait_for(lambda: letters() == wanted, f"{wanted}")
    failed = [s for s in stack.collector.spans() if s.failed and s.id not in before]
    wait_for(lambda: len([s for s in stack.collector.spans() if s.failed]) >= 3, "spans")
    failed = [s for s in stack.collector.spans() if s.failed and s.id not in before]
    assert {span.service for span in failed} == {"shop-order", "shop-payment", "shop-recorder"}
    assert len({span.trace for span in failed}) == 3
    assert all(not span.parent for span in failed)
    for letter in records(servers_of(stack.home), "orders.dead-letter"):
        assert letter.headers()[: len(headers)] == headers


def test_an_order_of_somebody_elses_has_the_trace_of_its_id_and_forges_no_line(
    stack: Stack, placed: object
) -> None:
    order = new_order(900_100, number='evil"}\n{"level": "INFO", "message": "forged"}\r\x1b[2J')
    record = outgoing(order, "/elsewhere", NOW)
    headers = [*record.headers, ("traceparent", b"garbage")]
    producer = Producer({"bootstrap.servers": servers_of(stack.home)})
    producer.produce(record.topic, record.body, record.key, headers=headers)
    assert producer.flush(30) == 0
    wait_for(lambda: ("projector project", "recorder record") in stack.story(order.order_id), "it")
    assert ("payment decide", "") in stack.story(order.order_id)


def test_a_request_without_an_answer_in_time_is_counted_as_tried_again(
    stack: Stack, placed: object
) -> None:
    responder = stack.processes["responder"]
    responder.send_signal(signal.SIGSTOP)
    try:
        done = stack.home.shop("ask", "--customer", "90200", "--amount", "1.00", "--timeout", "1")
    finally:
        responder.send_signal(signal.SIGCONT)
    assert done.returncode == 1
    (point,) = stack.collector.points("shop.retries", "shop-order")
    assert (point.attributes, point.value) == ({"shop.retried": "request"}, 1)
    (span,) = (s for s in stack.collector.spans() if s.name == "order ask" and s.failed)
    assert span.attributes["shop.outcome"] == "timed_out"


def test_what_was_told_is_handed_over_after_sigterm_too(stack: Stack, placed: object) -> None:
    file = stack.logs / "slow.txt"
    file.write_text("".join(f"90300 199703{day:02} 1 1.00\n" for day in range(1, 29)))
    seldom = Home(stack.home.path, stack.home.settings | SELDOM)
    process = seldom.start("place", str(file), "--rate", "0.5")
    first = "slow/90300/19970301/1/1.00"
    # The first is told of once the second is begun.
    slow = "orders WHERE order_id LIKE 'slow/%'"
    wait_for(lambda: stack.home.count("order", slow) > 1, "the second")
    process.terminate()
    assert process.wait(60) == 143
    assert "order place" in {span.name for span in stack.spans(first)}


def test_no_customer_and_no_address_is_in_a_span_or_a_metric(stack: Stack, placed: object) -> None:
    said = str([span.attributes for span in stack.collector.spans()])
    said += str([stack.collector.points(name) for name in stack.collector.metrics])
    assert "Street" not in said
    assert "customer" not in said


class TestDashboard:
    def test_its_queries_ask_for_what_is_told_and_for_all_of_it(
        self, stack: Stack, placed: object
    ) -> None:
        told = {name for each in stack.collector.metrics.values() for name in names_of(each)}
        labels = {"le", "job"} | {
            label_of(attribute)
            for name in stack.collector.metrics
            for point in stack.collector.points(name)
            for attribute in point.attributes
        }
        asked: set[str] = set()
        for query in queries():
            assert asked_for(query), query
            assert asked_for(query) <= told, query
            assert grouped_by(query) <= labels, query
            asked |= asked_for(query)
        for metric in stack.collector.metrics.values():
            assert names_of(metric) & asked, f"no panel shows {metric.name}"

    def test_its_traces_are_asked_for_by_attributes_that_spans_have(
        self, stack: Stack, placed: object
    ) -> None:
        attributes = {name for span in stack.collector.spans() for name in span.attributes}
        for query in trace_queries():
            assert set(re.findall(r"span\.([a-z_.]+)", query)) <= attributes, query

    def test_each_metric_is_in_the_documentation_with_its_unit(
        self, stack: Stack, placed: object
    ) -> None:
        text = (ROOT / "docs" / "telemetry.md").read_text()
        for metric in stack.collector.metrics.values():
            assert f"`{metric.name}` | {metric.unit} |" in text
        told = {name for each in stack.collector.metrics.values() for name in names_of(each)}
        assert asked_for(text) <= told


def test_without_a_collector_orders_flow_and_services_end_as_ever(
    stack: Stack, placed: object
) -> None:
    """The last one: afterwards there is no collector, and no service."""
    stack.collector.go_away()
    file = stack.logs / "away.txt"
    file.write_text("".join(f"90400 199703{day:02} 1 1.00\n" for day in range(1, 21)))
    done = stack.home.shop("place", str(file))
    assert done.returncode == 0, done.stderr
    shipped = "orders WHERE order_id LIKE 'away/%' AND state = 'shipped'"
    wait_for(lambda: stack.home.count("order", shipped) == 20, "all are shipped")
    for process in stack.processes.values():
        assert process.poll() is None
        process.terminate()
    for name, process in stack.processes.items():
        assert process.wait(60) == 0, (stack.logs / f"{name}.log").read_text()
    for name in SERVICES:
        lines = [json.loads(line) for line in (stack.logs / f"{name}.log").read_text().splitlines()]
        assert {line["service"] for line in lines} <= {name}
        about = [line for line in lines if line["logger"].startswith("opentelemetry")]
        assert len(about) < 20, about
        assert not [line for line in lines if line["message"] == "forged"]


def queries() -> Iterator[str]:
    """The queries of the dashboard to Prometheus."""
    yield from (target["expr"] for target in _targets() if "expr" in target)


def trace_queries() -> Iterator[str]:
    """Those to Tempo."""
    yield from (target["query"] for target in _targets() if "query" in target)


def _targets() -> Iterator[dict[str, Any]]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from panel.get("targets", ())
