"""``python -m benchmarks.request_reply``: who takes how long for a round trip, in turn.

The Java sides come from `tests/interop` and need Maven. All have the same payload and acks=all.
spring-kafka's listener keeps nothing, so it is the peer of our requester in memory; our responder
always commits its decisions to SQLite with ``synchronous=FULL``.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any
from uuid import uuid4

from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]
from tenacity import retry, stop_after_delay, wait_fixed

from benchmarks.request_reply.load import Figures, an_order, figures
from benchmarks.request_reply.pingpong import PingPong
from cli.composition import order_service
from cli.console import err
from cli.settings import Settings
from domain.contracts import NewOrder
from request_reply.durable import DurableRequests
from request_reply.requester import Requester, RequesterSettings
from services.asking import Asking
from tests.interop.peers import answering, bench
from transport.clients import admin_client
from transport.cluster import ClusterView
from transport.local_broker import LocalBroker
from transport.topics import PAYMENT_REPLIES, PAYMENT_REQUESTS, create_topics

IN_FLIGHT = (1, 32, 1024)
NO_LINGER = ("-Dkafka.producer.linger.ms=0",)
Submit = Callable[[NewOrder], "Future[Any]"]


def drive(submit: Submit, in_flight: int, seconds: float, warmup: float) -> Figures:
    """Keep `in_flight` requests under way, and measure round trips in microseconds."""
    # The other side may still be starting.
    submit(an_order()).result(60)
    slots = threading.Semaphore(in_flight)
    took: list[tuple[float, float]] = []
    began = monotonic()
    while monotonic() - began < warmup + seconds:
        slots.acquire()
        asked = perf_counter()

        def answered(_: object, asked: float = asked) -> None:
            now = perf_counter()
            took.append((now, now - asked))
            slots.release()

        submit(an_order()).add_done_callback(answered)
    for _ in range(in_flight):
        slots.acquire()
    return figures(took, took[0][0] + warmup, seconds)


@contextmanager
def _process(settings: Settings, *command: str) -> Iterator[None]:
    environment = {
        **os.environ,
        "SHOP_HOME": str(settings.home),
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers or "",
    }
    process = subprocess.Popen([sys.executable, "-m", *command], env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def measure(name: str, settings: Settings, in_flight: int, seconds: float) -> Figures:
    """One contender at one number of requests in flight."""
    servers = settings.bootstrap_servers or ""
    warmup = min(3.0, seconds)
    with ExitStack() as stack:
        if name.startswith("spring"):
            options = NO_LINGER if name.endswith("linger 0") else ()
            topic = f"spring-{uuid4()}"
            _topic(servers, topic)
            stack.enter_context(answering(servers, topic, options))
            return bench(servers, topic, PAYMENT_REPLIES, in_flight, seconds, warmup, options)
        topic = PAYMENT_REQUESTS
        if name == "faust":
            return _faust(servers, in_flight, seconds, warmup)
        if name == "floor":
            topic = f"floor-{uuid4()}"
            _topic(servers, topic)
            stack.enter_context(_process(settings, "benchmarks.request_reply.echo", servers, topic))
            floor = PingPong(servers, topic, PAYMENT_REPLIES, 0)
            stack.callback(floor.stop)
            return drive(floor.submit, in_flight, seconds, warmup)
        if name == "ours to spring":
            topic = f"spring-{uuid4()}"
            _topic(servers, topic)
            stack.enter_context(answering(servers, topic, NO_LINGER))
        else:
            stack.enter_context(_process(settings, "cli.start", "run", "responder"))
        store = None
        if name == "ours, durable":
            store = DurableRequests(Asking(order_service(settings)))
            stack.callback(store.close)
        asking = RequesterSettings(servers, 0, request_topic=topic, in_flight=in_flight)
        requester = Requester(asking, store).start()
        stack.callback(requester.stop)
        requester.wait_until_ready(30)
        return drive(lambda order: requester.submit(order, 60), in_flight, seconds, warmup)


def _faust(servers: str, in_flight: int, seconds: float, warmup: float) -> Figures:
    topic, replies = f"faust-{uuid4()}", f"faust-replies-{uuid4()}"
    _topic(servers, topic)
    _topic(servers, replies)
    told = map(str, (servers, topic, replies, in_flight, seconds, warmup))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.request_reply.faust_ask", *told],
        stdout=subprocess.PIPE,
        timeout=180 + seconds,
        check=True,
    )
    # Faust writes terminal codes around it.
    found: Figures = json.loads(done.stdout[done.stdout.index(b"{") : done.stdout.rindex(b"}") + 1])
    return found


KEPT = ("per_second", "p50_us", "p99_us")
CONTENDERS = (
    "floor",
    "spring",
    "spring, linger 0",
    "faust",
    "ours to spring",
    "ours",
    "ours, durable",
)


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    chosen = parser.parse_args()
    found: dict[tuple[str, int], list[Figures]] = {}
    with tempfile.TemporaryDirectory() as folder:
        broker = LocalBroker(Path(folder) / "broker", Settings().jars)
        servers = broker.start().bootstrap_servers
        assert servers is not None
        try:
            create_topics(servers, 4, 1, 3650)
            _wait_for_leaders(servers, PAYMENT_REPLIES)
            settings = Settings(home=Path(folder) / "home", bootstrap_servers=servers)
            for number in range(chosen.rounds):
                for in_flight in IN_FLIGHT:
                    for name in CONTENDERS:
                        figures = measure(name, settings, in_flight, chosen.seconds)
                        found.setdefault((name, in_flight), []).append(figures)
                        err.print(f"round {number + 1}, {in_flight} in flight, {name}: {figures}")
        finally:
            broker.stop()
    _say(found)


def _say(found: dict[tuple[str, int], list[Figures]]) -> None:
    print(f"{'':18}{'in flight':>10}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'from':>9}{'to':>9}")
    for (name, in_flight), runs in found.items():
        rates = [run["per_second"] for run in runs]
        median = {key: statistics.median(run[key] for run in runs) for key in KEPT}
        print(
            f"{name:18}{in_flight:>10,}{median['per_second']:>10,.0f}"
            f"{median['p50_us'] / 1000:>9.1f}{median['p99_us'] / 1000:>9.1f}"
            f"{min(rates):>9,.0f}{max(rates):>9,.0f}"
        )
    lost = sum(run.get("lost", 0) for runs in found.values() for run in runs)
    print(f"requests to Faust's agent that got no reply within 5 s: {lost:,.0f}")
    print(f"{'ours to the peer':34}{'in flight':>10}{'throughput':>12}{'p50':>7}{'p99':>7}")
    for name in ("ours", "ours, durable"):
        for peer in ("spring", "spring, linger 0", "floor", "faust"):
            for in_flight in IN_FLIGHT:
                ratios = [
                    {key: mine[key] / (theirs[key] or math.nan) for key in KEPT}
                    for mine, theirs in zip(
                        found[name, in_flight], found[peer, in_flight], strict=True
                    )
                ]
                median = {key: statistics.median(each[key] for each in ratios) for key in KEPT}
                print(
                    f"{name + ' / ' + peer:34}{in_flight:>10,}{median['per_second']:>12.2f}"
                    f"{median['p50_us']:>7.2f}{median['p99_us']:>7.2f}"
                )


def _topic(servers: str, name: str) -> None:
    admin = admin_client(servers)
    for made in admin.create_topics([NewTopic(name, 4)]).values():
        made.result(30)
    _wait_for_leaders(servers, name)


@retry(stop=stop_after_delay(30), wait=wait_fixed(0.1), reraise=True)
def _wait_for_leaders(servers: str, topic: str) -> None:
    assert ClusterView(servers).ends([topic])


if __name__ == "__main__":
    main()
