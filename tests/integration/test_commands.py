"""The `shop` command as a user meets it, on a broker of its own."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import expected
from tests.conftest import ROOT, Home
from tests.integration.test_pipeline import records
from tests.waiting import wait_for

GOOD = "00001 19970101  1   11.77"


@pytest.fixture(scope="module")
def servers(module_home: Home) -> Iterator[str]:
    done = module_home.shop("broker", "start", "--json")
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout)["bootstrap_servers"]
    module_home.shop("broker", "stop")


@pytest.fixture
def on_broker(servers: str, tmp_path: Path) -> Home:
    """A home whose databases are fresh, on the module's broker."""
    return Home(tmp_path / "home", {"KAFKA_BOOTSTRAP_SERVERS": servers})


class TestWithoutBroker:
    """What is said when there is none; each command says what to do."""

    @pytest.mark.parametrize(
        "command", [("place", str(expected.DATA)), ("topics", "create"), ("run", "payment")]
    )
    def test_a_missing_broker_is_an_error_that_says_how_to_start_one(
        self, tmp_path: Path, command: tuple[str, ...]
    ) -> None:
        home = Home(tmp_path / "home")
        process = home.start(*command)
        if command[0] == "run":
            # A service waits for its broker for a minute; stopping it meanwhile must be quick.
            wait_for(lambda: (home.path / "databases" / "payment.sqlite").exists(), "the database")
            process.terminate()
            _, err = process.communicate(timeout=20)
            assert "Traceback" not in err
            return
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "shop broker start" in err
        assert "Traceback" not in err

    def test_an_address_where_nobody_answers_is_said_so(self, tmp_path: Path) -> None:
        home = Home(tmp_path / "home", {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"})
        done = home.shop("place", str(expected.DATA), "--limit", "1")
        assert done.returncode == 1
        assert "127.0.0.1:9" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("SHOP_PARTITIONS", "none"),
            ("MONTHLY_LIMIT", "-1"),
            ("CLOSED_DIVISOR", "0"),
            ("SHOP_DASHBOARD_PORT", "99999"),
        ],
    )
    def test_a_wrong_setting_is_named(self, tmp_path: Path, name: str, value: str) -> None:
        done = Home(tmp_path / "home", {name: value}).shop("settings")
        assert done.returncode == 1
        assert name.removeprefix("SHOP_") in done.stderr
        assert value in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        "command",
        [
            ("report", "--as-of", "9" * 5000),
            ("report", "--compare-to", "9" * 5000),
            ("replay", "--without", "9" * 25, "--note", "none"),
            ("requests", "--limit", "9" * 25),
            ("ask", "--customer", "42", "--amount", "1.00", "--timeout", "inf"),
            ("secrets", "create", "secrets", "--days", "9" * 25),
        ],
    )
    def test_a_number_that_is_too_large_is_a_wrong_command_line(
        self, tmp_path: Path, command: tuple[str, ...]
    ) -> None:
        done = Home(tmp_path / "home").shop(*command)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr

    def test_settings_show_what_is_in_force(self, tmp_path: Path) -> None:
        home = Home(tmp_path / "home", {"MONTHLY_LIMIT": "150.00", "SHOP_PARTITIONS": "7"})
        found = json.loads(home.shop("settings", "--json").stdout)
        assert (found["monthly_limit"], found["partitions"]) == ("150.00", 7)
        assert "MONTHLY_LIMIT=150.00" in home.shop("settings").stdout

    def test_a_service_that_is_not_there_is_a_wrong_command_line(self, tmp_path: Path) -> None:
        done = Home(tmp_path / "home").shop("run", "billing")
        assert done.returncode == 2
        assert "order, payment, warehouse, recorder" in done.stderr


class TestOnBroker:
    """Commands that need one."""

    def test_topics_are_asked_for_by_name_until_they_are_there(self, on_broker: Home) -> None:
        """First of its class: the topics stay for the tests that follow."""
        done = on_broker.shop("place", str(expected.DATA), "--limit", "1")
        assert done.returncode == 1
        assert "shop topics create" in done.stderr
        assert "authorizations" in on_broker.shop("topics", "create").stdout
        assert "all topics are there" in on_broker.shop("topics", "create").stdout

    def test_other_partitions_than_there_are_are_refused(self, on_broker: Home) -> None:
        on_broker.shop("topics", "create")
        on_broker.settings["SHOP_PARTITIONS"] = "6"
        done = on_broker.shop("topics", "create")
        assert done.returncode == 1
        assert "has 4 partitions, the settings say 6" in done.stderr

    def test_wrong_lines_are_named_and_the_rest_is_published(
        self, on_broker: Home, servers: str, tmp_path: Path
    ) -> None:
        on_broker.shop("topics", "create")
        file = tmp_path / "mixed.txt"
        file.write_bytes(f"{GOOD}\r\nnonsense\r\n{GOOD}\r\n00002 1997".encode())
        done = on_broker.shop("place", str(file))
        assert done.returncode == 3
        assert "2 orders placed, 2 of them for the first time" in done.stdout
        assert "mixed line 2: has 1 fields" in done.stderr
        assert "mixed line 4: has 2 fields" in done.stderr
        assert "2 lines were refused" in done.stderr
        ids = [
            json.loads(message.value())["order_id"]
            for message in records(servers, "orders")
            if b"mixed/" in message.value()
        ]
        good = "mixed/00001/19970101/1/11.77"
        assert sorted(ids) == [good, f"{good}/2"]

    def test_a_mended_file_is_charged_once_and_a_changed_one_is_refused_in_every_style(
        self, on_broker: Home, servers: str, tmp_path: Path
    ) -> None:
        on_broker.shop("topics", "create")
        file = tmp_path / "mended.txt"
        lines = ["00001 19970101 1 10.00", "", "00002 19970101 1 20.00", "00003 1997"]
        file.write_text("\n".join(lines))
        assert on_broker.shop("place", str(file)).returncode == 3
        file.write_text("\r\n".join([*lines[:1], lines[2], "00003 19970101 1 30.00"]))
        done = on_broker.shop("place", str(file))
        assert done.returncode == 0, done.stderr
        assert "3 orders placed, 1 of them for the first time" in done.stdout
        paid = {
            order["order_id"]: order["amount"]["cents"]
            for message in records(servers, "orders")
            if b"mended/" in message.value()
            for order in [json.loads(message.value())]
        }
        assert sorted(paid.values()) == [1000, 2000, 3000]
        (tmp_path / "elsewhere").mkdir()
        other = tmp_path / "elsewhere" / "mended.txt"
        other.write_text(lines[0] + "\n00002 19970101 1 20.01")
        for style in ("events", "sync", "async"):
            done = on_broker.shop("place", str(other), "--style", style, "--limit", "1")
            assert done.returncode == 1
            assert "2 purchases are gone from it, and 1 purchase is new" in done.stderr
            assert "mended/00002/19970101/1/20.01 (line 2)" in done.stderr
            assert "Traceback" not in done.stderr
        assert on_broker.count("order", "orders") == 3
        done = on_broker.shop("place", str(other), "--as", "mended in part")
        assert "2 orders placed, 2 of them for the first time" in done.stdout
        file.write_text(lines[0])
        done = on_broker.shop("place", str(file))
        assert (done.returncode, "2 purchases that were placed" in done.stderr) == (0, True)
        long = tmp_path / f"{'x' * 180}.txt"
        long.write_text(lines[0])
        done = on_broker.shop("place", str(long))
        assert (done.returncode, "has 180 characters" in done.stderr) == (1, True)

    def test_limit_takes_the_first_in_date_order_and_rate_paces(
        self, on_broker: Home, servers: str, tmp_path: Path
    ) -> None:
        on_broker.shop("topics", "create")
        file = tmp_path / "dates.txt"
        days = ["19970105", "19970101", "19970103", "19970101"]
        file.write_text("".join(f"00001 {day} 1 1.00\n" for day in days))
        done = on_broker.shop("place", str(file), "--limit", "3", "--rate", "30")
        assert done.returncode == 0, done.stderr
        ids = [
            json.loads(message.value())["order_id"]
            for message in records(servers, "orders")
            if b"dates/" in message.value()
        ]
        assert ids == [
            f"dates/00001/{said}"
            for said in ("19970101/1/1.00", "19970101/1/1.00/2", "19970103/1/1.00")
        ]

    def test_a_database_of_another_broker_is_refused(self, on_broker: Home, tmp_path: Path) -> None:
        on_broker.shop("topics", "create")
        assert on_broker.shop("place", str(expected.DATA), "--limit", "1").returncode == 0
        other = Home(tmp_path / "other")
        started = json.loads(other.shop("broker", "start", "--json").stdout)
        try:
            on_broker.settings["KAFKA_BOOTSTRAP_SERVERS"] = started["bootstrap_servers"]
            on_broker.shop("topics", "create")
            for command in (("place", str(expected.DATA), "--limit", "1"), ("run", "order")):
                done = on_broker.shop(*command)
                assert done.returncode == 1
                assert "was fed by Kafka cluster" in done.stderr
                assert "Traceback" not in done.stderr
        finally:
            other.shop("broker", "stop")


@pytest.mark.slow
def test_two_homes_at_once_do_not_meet(tmp_path: Path) -> None:
    homes = [
        Home(tmp_path / "one", {"ORDERS": "300"}),
        Home(tmp_path / "two", {"ORDERS": "200", "MONTHLY_LIMIT": "20.00"}),
    ]
    processes = [home.start("demo") for home in homes]
    for process in processes:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, out + err
    for home, limit in zip(homes, ("300.00", "20.00"), strict=True):
        orders = expected.purchases(int(home.settings["ORDERS"]))
        wanted = expected.report(orders, expected.outcomes(orders, limit))
        assert home.report()["totals"] == wanted["totals"]
        assert home.processes() == []


@pytest.mark.slow
def test_wrong_lines_do_not_stop_the_demo_and_its_exit_code_says_so(
    home: Home, tmp_path: Path
) -> None:
    file = tmp_path / "CDNOW_master.txt"
    lines = expected.DATA.read_bytes().split(b"\r\n")[:50]
    lines[10] = b"garbage"
    file.write_bytes(b"\r\n".join(lines) + b"\r\n00099 1998")
    done = home.shop("demo", str(file))
    assert done.returncode == 3, done.stderr
    assert "CDNOW_master line 11: " in done.stderr
    assert "CDNOW_master line 51: " in done.stderr
    assert "2 lines were refused" in done.stderr
    good = tmp_path / "good.txt"
    good.write_bytes(b"\r\n".join(lines[:10] + lines[11:]))
    orders = expected.purchases(data=good)
    assert home.report()["totals"] == expected.report(orders, expected.outcomes(orders))["totals"]


@pytest.mark.slow
def test_in_a_terminal_the_demo_stays_with_its_dashboard_until_ctrl_c(home: Home) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.start", "demo"],
        cwd=ROOT,
        env={**home.environment, "ORDERS": "200", "TERM": "xterm", "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""

    def address() -> re.Match[bytes] | None:
        nonlocal shown
        shown += os.read(ours, 65536)
        return re.search(rb"The dashboard is at .*?(http://127\.0\.0\.1:\d+)", shown)

    found = wait_for(address, "the dashboard's address", 120)
    assert b"orders placed" in shown
    assert b"orders settled" in shown
    url = found.group(1).decode()

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    wait_for(answers, "the dashboard", 60)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    os.close(ours)
    assert home.processes() == []
