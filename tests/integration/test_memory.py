"""What a process has in memory at most, whatever lies on the topics: less than its container."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Producer

from tests.conftest import ROOT, Home
from tests.integration.test_dead_letters import new_order, order_of
from tests.integration.test_styles import running, servers_of
from tests.waiting import wait_for
from transport.records import Outgoing

pytestmark = pytest.mark.slow

BAD, GOOD = 260, 100
"""Records of a megabyte, of which a process may have a third at once."""


def stated_limit() -> int:
    """The bytes that a service's container has in the stack."""
    stack = yaml.safe_load((ROOT / "compose.yaml").read_text())
    limit = str(stack["x-limits"]["service"]["memory"])
    assert limit.endswith("M")
    return int(limit[:-1]) * 2**20


def broken(number: int) -> Outgoing:
    """A NewOrder whose body, of nearly all that a topic takes, is no JSON."""
    out = new_order(order_of(f"bad-{number}", number))
    return Outgoing(out.topic, out.key, out.headers, b"x" * 1_047_000)


def whole(number: int) -> Outgoing:
    """One that is good, with a field that nobody knows."""
    return new_order(order_of(f"good-{number}", number + 1000), note="x" * 990_000)


def produce(home: Home, outs: Iterator[Outgoing]) -> None:
    producer = Producer({"bootstrap.servers": servers_of(home), "message.max.bytes": 2_000_000})
    for out in outs:
        producer.produce(out.topic, out.body, out.key, headers=list(out.headers))
        while len(producer) > 20:
            producer.poll(0.1)
    assert producer.flush(60) == 0


@pytest.fixture(scope="module")
def shop(module_home: Home) -> Iterator[Home]:
    with running(module_home):
        produce(module_home, map(broken, range(BAD)))
        produce(module_home, map(whole, range(GOOD)))
        yield module_home


def peak_of(process: "subprocess.Popen[str]") -> int:
    """The most bytes that a process that runs has had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@contextmanager
def service(home: Home, name: str) -> Iterator["subprocess.Popen[str]"]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = home.start_anew("run", name, **quiet)
    try:
        yield process
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(60)


# By a small process: a child counts the memory that its parent had when it was made.
MEASURING = """
import os, subprocess, sys
nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
child = subprocess.Popen([sys.executable, "-m", "cli.start", *sys.argv[1:]], **nowhere)
_, status, used = os.wait4(child.pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_maxrss)
"""


def peak_of_command(home: Home, *arguments: str) -> int:
    """The most bytes that a `shop` command has had, whose output nobody keeps."""
    command = [sys.executable, "-c", MEASURING, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=home.environment, capture_output=True, text=True, check=True
    )
    code, kilobytes = map(int, done.stdout.split())
    assert code == 0
    return kilobytes * 1024


def let_wait_again(home: Home, database: str) -> None:
    file = home.path / "databases" / f"{database}.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE outbox SET published = 0")


@pytest.mark.parametrize(
    ("name", "database", "done"),
    [
        ("payment", "payment", (("account_events", GOOD), ("outbox WHERE published", BAD + GOOD))),
        ("recorder", "event_log", (("event_log", 2 * GOOD), ("outbox WHERE published", BAD))),
    ],
)
def test_a_worker_keeps_to_its_limit_with_the_largest_records_and_at_its_next_start(
    shop: Home, name: str, database: str, done: Sequence[tuple[str, int]]
) -> None:
    def all_done() -> bool:
        return all(shop.count(database, what) == count for what, count in done)

    with service(shop, name) as process:
        wait_for(all_done, f"{name} has handled all", 120)
        first = peak_of(process)
    let_wait_again(shop, database)
    with service(shop, name) as process:
        wait_for(all_done, f"{name} has published all", 120)
        second = peak_of(process)
    print(f"{name}: {first / 2**20:.0f} MiB, at its next start {second / 2**20:.0f} MiB")
    assert max(first, second) < stated_limit()


def test_who_reads_the_log_keeps_to_its_limit(shop: Home) -> None:
    assert shop.count("event_log", "event_log") == 2 * GOOD
    for command in ("report", "prove"):
        peak = peak_of_command(shop, command)
        print(f"{command}: {peak / 2**20:.0f} MiB")
        assert peak < stated_limit()


def test_who_looks_at_dead_letters_and_sends_them_keeps_to_its_limit(shop: Home) -> None:
    for arguments in (["list"], ["list", "--json"], ["send", "--all", "--service", "payment"]):
        peak = peak_of_command(shop, "dead-letters", *arguments)
        print(f"dead-letters {arguments}: {peak / 2**20:.0f} MiB")
        assert peak < stated_limit()
    assert shop.count("dead_letters", "outbox WHERE published") == BAD


def test_a_responder_keeps_to_its_limit(shop: Home) -> None:
    def request(number: int) -> Outgoing:
        return Outgoing("payment.requests", b"%d" % number, [], b"x" * 1_047_000)

    produce(shop, map(request, range(BAD)))
    before = shop.count("payment", "outbox WHERE published")
    with service(shop, "responder") as process:
        wait_for(
            lambda: shop.count("payment", "outbox WHERE published") == before + BAD,
            "all have letters",
            120,
        )
        peak = peak_of(process)
    print(f"responder: {peak / 2**20:.0f} MiB")
    assert peak < stated_limit()
