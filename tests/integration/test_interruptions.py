"""Stopped at any moment no process is left, and the next run goes on."""

import os
import signal
from collections.abc import Callable

import pytest

from tests import expected
from tests.conftest import Home
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

ORDERS = 4000


MOMENTS: dict[str, Callable[[Home], bool]] = {
    "the broker's folder is there": lambda home: (home.path / "broker").exists(),
    "the broker has a process": lambda home: (home.path / "broker" / "pid.json").exists(),
    "the services are starting": lambda home: (home.path / "logs" / "order.log").exists(),
    "some orders are placed": lambda home: home.count("order", "orders") > 500,
    "some events are recorded": lambda home: home.count("event_log", "event_log") > 500,
}


def test_stopped_at_any_moment_nothing_runs_on_and_the_next_run_goes_on(home: Home) -> None:
    home.settings["ORDERS"] = str(ORDERS)
    for number, (moment, reached) in enumerate(MOMENTS.items()):
        process = home.start("demo")
        try:
            wait_for(lambda reached=reached: reached(home), moment)  # type: ignore[misc]
        finally:
            process.send_signal(signal.SIGTERM if number % 2 else signal.SIGINT)
            out, err = process.communicate(timeout=90)
        # One that was killed with it may take a moment to be gone.
        wait_for(lambda: home.processes() == [], f"nothing runs on after {moment}", 10)
        assert "Traceback" not in err, err
        assert process.returncode in (130, 143), (moment, out, err)
    done = home.shop("demo")
    assert done.returncode == 0, done.stderr
    orders = expected.purchases(ORDERS)
    assert home.report()["totals"] == expected.report(orders, expected.outcomes(orders))["totals"]


def test_a_service_that_dies_is_started_again_and_nothing_is_lost(home: Home) -> None:
    """SIGKILL each service once while orders flow."""
    home.settings["ORDERS"] = str(ORDERS)
    process = home.start("demo")
    for number, name in enumerate(("order", "payment", "warehouse", "recorder")):
        wait_for(
            lambda number=number: (  # type: ignore[misc]
                home.count("event_log", "event_log") > 300 * number or process.poll() is not None
            ),
            f"events before {name} is killed",
        )
        for line in home.processes():
            pid, _, command = line.partition(": ")
            if command.endswith(f"run {name} "):
                os.kill(int(pid), signal.SIGKILL)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, out + err
    assert err.count("starting it again") >= 1
    orders = expected.purchases(ORDERS)
    assert home.report()["totals"] == expected.report(orders, expected.outcomes(orders))["totals"]


def test_a_service_with_a_new_database_reads_its_topics_from_the_start(home: Home) -> None:
    """Whatever its consumer group has committed: the database is what counts."""
    home.settings["ORDERS"] = "1500"
    assert home.shop("demo").returncode == 0
    before = home.report()
    databases = home.path / "databases"
    parcels = home.count("warehouse", "parcels")
    assert parcels > 1000
    for name in ("warehouse", "payment"):
        for file in databases.glob(f"{name}.sqlite*"):
            file.unlink()
    home.settings["ORDERS"] = "1600"
    assert home.shop("demo").returncode == 0
    assert home.count("payment", "account_events") == 1600
    assert home.count("warehouse", "parcels") > parcels
    orders = expected.purchases(1600)
    found = home.report()
    assert found["totals"] == expected.report(orders, expected.outcomes(orders))["totals"]
    assert found["position"] > before["position"]
