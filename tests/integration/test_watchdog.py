"""A worker that stands still ends itself; one that only has to wait waits, and loses nothing."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.composition import order_service, publisher
from cli.place import read_purchases
from cli.settings import Settings
from event_log.outbox import Relay
from request_reply.responder import GROUP
from services.watchdog import EXIT_STUCK
from tests import expected
from tests.conftest import ROOT, Home
from tests.integration.test_styles import running, settings_of
from tests.waiting import wait_for
from transport.cluster import ClusterView

pytestmark = pytest.mark.slow

ORDERS = 200


@pytest.fixture
def settings(home: Home) -> Iterator[Settings]:
    """A broker with topics, and no service."""
    with running(home):
        yield settings_of(home)


@contextmanager
def logging_to(file: Path, home: Home, *command: str) -> Iterator["subprocess.Popen[str]"]:
    """A process of the home that writes its log to a file, killed at the end if need be."""
    with file.open("w") as log:
        if command[0] == "cli.main":
            process = home.start(*command[1:], stdout=log, stderr=log)
        else:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env=home.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def publish_orders(settings: Settings) -> None:
    orders = order_service(settings)
    orders.place(read_purchases(expected.DATA, "USD")[0][:ORDERS], datetime.now(UTC))
    Relay(orders.database, publisher(settings.bootstrap_servers or "")).drain()


def wait_for_log(file: Path, text: str, process: "subprocess.Popen[str]") -> None:
    def written() -> bool:
        assert process.poll() is None, file.read_text()
        return text in file.read_text()

    wait_for(written, text, 100)


def all_are_decided(home: Home) -> bool:
    return home.count("payment", "account_events") == ORDERS


def nothing_is_lost_doubled_or_dead(home: Home) -> bool:
    assert home.decisions() == expected.outcomes(expected.purchases(ORDERS))
    assert home.count("payment", "outbox WHERE topic LIKE '%.dead-letter'") == 0
    return True


def test_a_worker_that_hangs_ends_itself_and_the_next_one_goes_on(
    home: Home, settings: Settings, tmp_path: Path
) -> None:
    publish_orders(settings)
    log = tmp_path / "log"
    home.settings["SHOP_STALLED_AFTER"] = "2"
    with logging_to(log, home, "tests.integration.troubled", "hang") as process:
        assert process.wait(100) == EXIT_STUCK, log.read_text()
    said = log.read_text()
    assert "payment is stuck and ends with exit code 71, to be started again: " in said
    assert " stands at 0 of " in said
    assert "Traceback" not in said
    assert home.count("payment", "account_events") == 0
    del home.settings["SHOP_STALLED_AFTER"]
    with logging_to(log, home, "cli.start", "run", "payment") as process:
        wait_for(lambda: all_are_decided(home), "decisions")
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    assert nothing_is_lost_doubled_or_dead(home)


def test_a_locked_database_is_waited_for(home: Home, settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with logging_to(log, home, "cli.start", "run", "payment") as process:
        wait_for_log(log, "works on", process)
        with closing(
            sqlite3.connect(settings.database("payment"), isolation_level=None, timeout=30)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            publish_orders(settings)
            wait_for_log(log, "payment: no heartbeat for now", process)
            wait_for_log(log, "payment.sqlite can't be used, trying again", process)
            assert home.count("payment", "account_events") == 0
            other.execute("ROLLBACK")
        wait_for(lambda: all_are_decided(home), "decisions")
        assert process.poll() is None, log.read_text()
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    assert nothing_is_lost_doubled_or_dead(home)
    assert home.count("payment", "workers") == 0


def test_a_responder_whose_broker_is_away_says_so_and_waits(
    home: Home, settings: Settings, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with logging_to(log, home, "cli.start", "run", "responder") as process:
        wait_for(lambda: home.count("payment", "workers"), "a heartbeat")
        # What it commits when it begins is waited for as long as it takes.
        cluster = ClusterView(str(settings.bootstrap_servers))
        wait_for(lambda: cluster.groups([GROUP])[GROUP].state == "stable", "its partitions")
        assert home.shop("broker", "stop").returncode == 0
        wait_for_log(log, "responder: not known whether it gets on: the broker at", process)
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    assert home.count("payment", "workers") == 0


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_broker_that_is_away_is_waited_for_until_the_end(
    home: Home, settings: Settings, tmp_path: Path, comes_back: bool
) -> None:
    """Away while records that Faust skipped are to be read, which come before what it gave."""
    publish_orders(settings)
    log, gate = tmp_path / "log", tmp_path / "gate"
    with logging_to(log, home, "tests.integration.troubled", "gate", str(gate)) as process:
        wait_for(lambda: (tmp_path / "gate.reached").exists(), "skipped records")
        assert home.shop("broker", "stop").returncode == 0
        gate.touch()
        wait_for_log(log, "payment: skipped records can't be read, and orders[", process)
        assert home.count("payment", "account_events") == 0
        if comes_back:
            assert home.shop("broker", "start").returncode == 0
            wait_for(lambda: all_are_decided(home), "decisions", 100)
            assert process.poll() is None, log.read_text()
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    if comes_back:
        assert nothing_is_lost_doubled_or_dead(home)
    assert home.count("payment", "workers") == 0
