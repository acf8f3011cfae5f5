"""`shop status`, from an empty home to a broker that is away."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from tests import expected
from tests.conftest import ROOT, Home
from tests.integration.test_styles import running, servers_of
from tests.waiting import wait_for
from transport.clients import admin_client

pytestmark = pytest.mark.slow

SERVICES = ("order", "payment", "warehouse", "recorder")
NO_SERVICE = "no service runs: new orders wait until the services are started"
WATCH = [sys.executable, "-m", "cli.start", "status", "--watch"]


def look(home: Home) -> dict[str, Any]:
    """What `shop status --json` says; its exit code says the same in short."""
    done = home.shop("status", "--json")
    assert "Traceback" not in done.stderr, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if found["wrong"] else 0)
    assert found["ok"] is not bool(found["wrong"])
    return found


def wait_until(home: Home, what: str, right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    last: dict[str, Any] = {}

    def looked() -> dict[str, Any] | None:
        nonlocal last
        last = look(home)
        return last if right(last) else None

    try:
        return wait_for(looked, what, every=0.2)  # type: ignore[return-value]
    except AssertionError as error:
        raise AssertionError(f"{error}: {json.dumps(last, indent=1)}") from None


def health(home: Home, service: str) -> int:
    return home.shop("status", "--service", service).returncode


def place(home: Home, count: int) -> None:
    assert home.shop("place", str(expected.DATA), "--limit", str(count)).returncode == 0


def all_is_well(found: dict[str, Any]) -> bool:
    return not found["wrong"] and all(
        found["services"][name]["status"] in ("ok", "idle") for name in SERVICES
    )


@contextmanager
def service(home: Home, name: str) -> Iterator["subprocess.Popen[str]"]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = home.start("run", name, **quiet)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def test_an_empty_home_has_no_broker_and_stays_empty(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    found = look(home)
    assert found["broker"] == {"bootstrap_servers": None, "reachable": False}
    assert "shop broker start" in found["wrong"][0]
    assert f"there is no home at {home.path}" in found["wrong"][1]
    assert len(found["wrong"]) == 2, "a service that was never started is not missed"
    assert {each["status"] for each in found["services"].values()} == {"not running"}
    assert {each["lag"] for each in found["services"].values()} == {None}
    assert found["waits"] == NO_SERVICE
    assert health(home, "order") == 1
    assert not home.path.exists()


def test_a_wrong_name_is_refused(tmp_path: Path) -> None:
    done = Home(tmp_path / "home").shop("status", "--service", "nobody")
    assert done.returncode == 2
    assert "'nobody' is not one of order, payment, responder" in re.sub(r"[\s│]+", " ", done.stderr)


def test_a_broker_without_topics_and_services_is_all_right(home: Home) -> None:
    assert home.shop("broker", "start").returncode == 0
    found = look(home)
    assert found["wrong"] == []
    assert found["waits"] == NO_SERVICE
    said = home.shop("status")
    assert NO_SERVICE in said.stdout
    assert "nothing is wrong" not in said.stdout
    assert found["broker"] == {"bootstrap_servers": servers_of(home), "reachable": True}
    assert not (home.path / "databases").exists()


def test_a_record_may_have_any_time(home: Home) -> None:
    """In microseconds it lies tens of thousands of years ahead."""
    with running(home):
        servers = servers_of(home)
        allow_any_time(servers, "orders")
        producer = Producer({"bootstrap.servers": servers})
        for partition, milliseconds in enumerate((1, 1_796_000_000_123_456, 2**63 - 1)):
            producer.produce("orders", b"{", b"1", partition, timestamp=milliseconds)
        assert producer.flush(30) == 0
        for page in (home.shop("status"), home.shop("status", "--service", "payment")):
            assert page.returncode == 1
            assert "Traceback" not in page.stderr
        found = look(home)
    assert found["services"]["payment"]["lag"] == 3


def allow_any_time(servers: str, topic: str) -> None:
    """As brokers do whose topics are older than Kafka 4's defaults."""
    entries = [
        ConfigEntry(
            f"message.timestamp.{which}.max.ms",
            str(2**63 - 1),
            incremental_operation=AlterConfigOpType.SET,
        )
        for which in ("before", "after")
    ]
    asked = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
    admin = admin_client(servers)
    for answer in admin.incremental_alter_configs([asked]).values():
        answer.result(30)


@pytest.mark.timeout(600)
def test_from_all_is_well_through_every_trouble(home: Home) -> None:
    with running(home, *[name for name in SERVICES if name != "warehouse"]):
        place(home, 100)
        without = wait_until(
            home, "lag of the warehouse", lambda found: bool(found["services"]["warehouse"]["lag"])
        )
        assert any("no process runs" in each for each in without["wrong"])

        with service(home, "warehouse") as first:
            found = wait_until(
                home, "all is well", lambda found: all_is_well(found) and found["log_position"]
            )
            the_shape_is_right(found)
            assert found["waits"] is None
            assert {name: health(home, name) for name in SERVICES} == dict.fromkeys(SERVICES, 0)
            assert health(home, "responder") == 1
            first.kill()
            found = wait_until(home, "gone", lambda found: bool(found["wrong"]))
            assert found["services"]["warehouse"]["status"] == "gone"
            assert f":{first.pid}" in found["services"]["warehouse"]["gone"][0]["process"]
            assert all(each.startswith("warehouse: ") for each in found["wrong"])
            assert health(home, "warehouse") == 1
            assert health(home, "order") == 0

        with service(home, "warehouse"):
            found = wait_until(home, "replaced", all_is_well)
            assert found["services"]["warehouse"]["gone"] == []
        # It was asked to stop, and nothing waits for it.
        found = look(home)
        assert found["services"]["warehouse"]["status"] == "not running"
        assert found["wrong"] == []
        assert found["waits"] == "new orders wait until there is a process of warehouse"

        with service(home, "warehouse"):
            wait_until(home, "all is well again", all_is_well)
            producer = Producer({"bootstrap.servers": servers_of(home)})
            producer.produce("warehouse.requests", b"no message", b"1")
            assert producer.flush(30) == 0
            found = wait_until(home, "a dead letter", lambda found: bool(found["dead_letters"]))
            assert found["dead_letters"] == {"warehouse.requests": 1}
            assert any("dead letter" in each for each in found["wrong"])
            assert health(home, "warehouse") == 0

            assert home.shop("broker", "stop").returncode == 0
            found = look(home)
            assert found["broker"]["reachable"] is False
            assert found["services"]["order"]["lag"] is None
            assert found["services"]["order"]["status"] in ("ok", "idle")
            assert found["dead_letters"] is None
            assert health(home, "warehouse") == 0, "a broker that is away is not its fault"


def the_shape_is_right(found: dict[str, Any]) -> None:
    assert found["dead_letters"] == {}
    assert set(found["services"]) == {*SERVICES, "responder", "projector"}
    for name in SERVICES:
        each = found["services"][name]
        assert len(each["processes"]) == 1
        assert each["processes"][0]["started_at"] <= each["processes"][0]["seen_at"]
        assert each["group"] == {"state": "stable", "members": 1}
        assert each["lag"] == sum(at["lag"] for at in each["partitions"].values()) == 0
        assert each["outbox"] == 0
        assert each["last_progress"]
        assert each["stuck"] == each["wrong"] == each["gone"] == []
    assert found["services"]["order"]["early"] == 0
    assert sum(at["end"] for at in found["services"]["payment"]["partitions"].values()) > 100
    assert found["services"]["responder"]["status"] == "not running"
    assert found["services"]["responder"]["group"]["members"] == 0


def test_watching_goes_on_in_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    file = tmp_path / "out"
    with file.open("w") as out:
        process = home.start("status", "--watch", stdout=out)
        try:
            wait_for(lambda: file.read_text().count("shop broker start") >= 2, "a second look")
        finally:
            process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert "\x1b" not in file.read_text()
    assert "Traceback" not in process.communicate()[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_watching_in_a_terminal_draws_anew_and_gives_the_cursor_back(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    home = Home(tmp_path / "home")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        WATCH,
        cwd=ROOT,
        env={**home.environment, "TERM": "xterm", "COLUMNS": "90"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""

    def shows(what: bytes, times: int) -> bool:
        nonlocal shown
        shown += os.read(ours, 65536)
        return shown.count(what) >= times

    try:
        wait_for(lambda: shows(b"warehouse", 2), "a second look")
    finally:
        process.send_signal(number)
    assert process.wait(30) == code
    shown += os.read(ours, 65536)
    os.close(ours)
    assert b"\x1b[?25l" in shown, "the cursor is hidden meanwhile"
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    # The sentence is longer than a line, and its end is shown too.
    assert b"is there" in shown
    assert b"Traceback" not in shown
