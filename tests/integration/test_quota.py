"""A broker that holds services to a quota: they get on as slowly as it says, and that is said."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.composition import order_service, publisher
from cli.place import read_purchases
from event_log.outbox import Relay
from tests import expected
from tests.conftest import Home
from tests.integration.test_styles import running, servers_of, settings_of
from tests.waiting import wait_for
from transport.local_broker.jars import fetch_jars
from transport.local_broker.java import Jvm, java_environment, java_executable

ORDERS = 100
"""Some 75 kB, in a batch for each partition: a quota of 1 kB/s gives one of them in 20 s."""


@pytest.fixture
def held_back(home: Home) -> Iterator[Home]:
    """A home with orders on their topic, whose broker gives each user 1 kB/s to read."""
    with running(home):
        settings = settings_of(home)
        orders = order_service(settings)
        orders.place(read_purchases(expected.DATA, "USD")[0][:ORDERS], datetime.now(UTC))
        Relay(orders.database, publisher(settings.bootstrap_servers or "")).drain()
        orders.database.close()
        alter_quota(home, "--add-config", "consumer_byte_rate=1000")
        yield home


def alter_quota(home: Home, *change: str) -> None:
    jars = home.known_settings.jars
    jvm = Jvm(java_executable(), fetch_jars(jars), jars)
    of_all = ("--entity-type", "users", "--entity-default")
    subprocess.run(
        jvm.command(
            *("kafka.admin.ConfigCommand", "--bootstrap-server", servers_of(home)),
            *("--alter", *change, *of_all),
        ),
        env=java_environment(),
        capture_output=True,
        check=True,
    )


def test_a_quota_is_said_and_nothing_is_read_twice_meanwhile(held_back: Home) -> None:
    home, log = held_back, held_back.path / "payment.log"

    def look() -> dict[str, Any]:
        done = home.shop("status", "--service", "payment", "--json")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def says_so() -> str | None:
        found = look()
        held = found["services"]["payment"]["status"] == "throttled"
        return found["waits"] if held else None

    with log.open("w") as err:
        payment = home.start("run", "payment", stdout=subprocess.DEVNULL, stderr=err)
    try:
        said = wait_for(says_so, "status says that the broker makes payment wait")
        assert "payment: the broker makes it wait, by a quota: " in str(said)
        assert "was left" not in log.read_text(), "what was only late was read a second time"
        alter_quota(home, "--delete-config", "consumer_byte_rate")
        decided = lambda: home.count("payment", "account_events") == ORDERS  # noqa: E731
        wait_for(decided, "all are decided, once the quota is lifted")
    finally:
        payment.terminate()
        payment.wait(60)
    assert home.decisions() == expected.outcomes(expected.purchases(ORDERS))
    assert "payment: the broker makes it wait, by a quota for its client id" in log.read_text()
