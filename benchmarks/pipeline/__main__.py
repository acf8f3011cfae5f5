"""``python -m benchmarks.pipeline``: contenders in turn on one broker, and their ratios.

Each run has fresh topics and fresh databases. Orders per second are counted from the first order
placed to the last one settled and recorded. Services are up before the first order. The contenders
alternate, so that a drift of the machine's speed meets them all.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from confluent_kafka import KafkaException

from cli.composition import SERVICES, bootstrap_servers
from cli.console import err
from cli.demo import PURCHASES
from cli.place import place
from cli.settings import Settings
from cli.settled import wait_until_settled
from transport.clients import admin_client
from transport.local_broker.broker import LocalBroker
from transport.servers import Servers
from transport.topics import TOPICS, create_topics, dead_letter_topic

PHASES = ("decode", "decide", "commit", "produce")


@dataclass
class Run:
    """One run of one contender."""

    orders: int
    seconds: float
    services: list[dict[str, Any]]

    @property
    def rate(self) -> float:
        """Orders per second."""
        return self.orders / self.seconds


def run(kind: str, orders: int, said: Mapping[str, str], folder: Path) -> Run:
    """Take `orders` orders through the services of one contender.

    Args:
        kind: which contender.
        orders: how many.
        said: variables of its services, as a user sets them.
        folder: where its home may be.
    """
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    environment = {**os.environ, **said, "SHOP_HOME": str(home)}
    with patch.dict(os.environ, environment):
        settings = Settings()
    servers = bootstrap_servers(settings)
    _fresh_topics(servers)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.pipeline.contender", kind, name],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in SERVICES
    ]
    try:
        _wait_for_groups(servers)
        began = time.perf_counter()
        place(settings, PURCHASES, limit=orders)
        wait_until_settled(settings, servers, stalled_after=60)
        seconds = time.perf_counter() - began
    finally:
        for process in processes:
            process.terminate()
        ends = [process.communicate(timeout=60)[0] for process in processes]
    # Faust writes to the terminal's cursor around it.
    return Run(orders, seconds, [json.loads(text[text.index("{") :]) for text in ends])


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orders", type=int, default=20_000, help="for ours and the floor")
    parser.add_argument("--documented", type=int, default=1_500, help="for Faust as documented")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    runs: dict[str, list[Run]] = {"ours": [], "floor": [], "documented": []}
    with tempfile.TemporaryDirectory() as name:
        broker = LocalBroker(Path(name) / "broker", Settings().jars)
        servers = broker.start().bootstrap_servers
        assert servers is not None
        said = {"KAFKA_BOOTSTRAP_SERVERS": servers}
        try:
            for number in range(chosen.rounds):
                for kind, found in runs.items():
                    orders = chosen.documented if kind == "documented" else chosen.orders
                    found.append(run(kind, orders, said, Path(name)))
                    err.print(f"round {number + 1} {kind}: {found[-1].rate:,.0f} orders/s")
        finally:
            broker.stop()
    if chosen.json:
        print(json.dumps({kind: [vars(each) for each in found] for kind, found in runs.items()}))
    else:
        _print(runs)


def _print(runs: dict[str, list[Run]]) -> None:
    print(f"{'':12}{'orders/s: median':>18}{'min':>9}{'max':>9}")
    for kind, found in runs.items():
        rates = [each.rate for each in found]
        print(f"{kind:12}{statistics.median(rates):>18,.0f}{min(rates):>9,.0f}{max(rates):>9,.0f}")
    for other in ("documented", "floor"):
        ratios = [a.rate / b.rate for a, b in zip(runs["ours"], runs[other], strict=True)]
        print(
            f"ours / {other}: median {statistics.median(ratios):.2f}, "
            f"from {min(ratios):.2f} to {max(ratios):.2f}"
        )
    for kind in ("ours", "floor"):
        print(f"\n{kind}: microseconds of wall time a record, by phase; and processor time")
        print(
            f"{'service':11}{'records':>9}{'a batch':>9}"
            + "".join(f"{phase:>9}" for phase in PHASES)
            + f"{'processor':>11}{'peak MB':>9}"
        )
        for service in runs[kind][-1].services:
            count = max(1, service["records"])
            print(
                f"{service['service']:11}{count:>9,}{count / max(1, service['batches']):>9,.0f}"
                + "".join(f"{service[phase] / count * 1e6:>9.1f}" for phase in PHASES)
                + f"{service['processor'] / count * 1e6:>11.1f}{service['peak_mb']:>9.0f}"
            )
    print("\nWhat the processor's time has beyond the phases is consuming, and starting up.")


def _fresh_topics(servers: Servers) -> None:
    admin = admin_client(servers)
    names = [name for topic in TOPICS for name in (topic.name, dead_letter_topic(topic.name))]
    for _ in range(100):
        known = [name for name in names if name in admin.list_topics(timeout=30).topics]
        if not known:
            break
        for answer in admin.delete_topics(known, operation_timeout=30).values():
            _ignore_failure(answer)
        time.sleep(0.2)
    groups = [f"shop-{name}" for name in SERVICES]
    for answer in admin.delete_consumer_groups(groups).values():
        _ignore_failure(answer)
    create_topics(servers, 4, 1, 3650)


def _wait_for_groups(servers: Servers) -> None:
    admin = admin_client(servers)
    groups = [f"shop-{name}" for name in SERVICES]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answers = admin.describe_consumer_groups(groups)
        states = [answer.result(30).state.name for answer in answers.values()]
        if all(state == "STABLE" for state in states):
            return
        time.sleep(0.1)
    raise SystemExit(f"consumer groups are not stable within 60 s: {states}")


def _ignore_failure(answer: Any) -> None:
    try:
        answer.result(30)
    except KafkaException:
        # Not there, or going: the loop looks again.
        return


if __name__ == "__main__":
    main()
