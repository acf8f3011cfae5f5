"""Topics that aren't what they were, or as they should be: refused by whoever works with them."""

import subprocess
from datetime import UTC, datetime

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from cli.place import read_purchases
from cli.settled import wait_until_settled
from services.topic_lives import EXIT_FOREIGN
from tests import expected
from tests.conftest import Home
from tests.integration.test_styles import running, servers_of, settings_of
from tests.live_topics import delete, make_anew, shorten
from tests.waiting import wait_for
from transport.clients import Publisher, admin_client
from transport.records import outgoing
from transport.topics import ALL_TOPICS, ORDERS

pytestmark = pytest.mark.slow

SERVICES = ("order", "payment", "warehouse", "recorder", "responder")
PLACED = 30


@pytest.fixture
def home(home_on_shared_broker: Home) -> Home:
    return home_on_shared_broker


def fill(servers: str) -> None:
    """Somebody's orders, on topics where none were."""
    orders = read_purchases(expected.DATA, "USD")[0][PLACED : 2 * PLACED]
    Publisher(servers).publish(
        [outgoing(order, "/shop/order", datetime.now(UTC)) for order in orders]
    )


def settle(home: Home) -> None:
    wait_until_settled(settings_of(home), servers_of(home))


def set_in_force(servers: str, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    asked = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = admin_client(servers)
    for answer in admin.incremental_alter_configs([asked]).values():
        answer.result(30)


@pytest.mark.timeout(600)
def test_topics_made_anew_are_refused_by_all_before_they_do_anything(home: Home) -> None:
    with running(home, *SERVICES):
        done = home.shop("place", str(expected.DATA), "--limit", str(PLACED))
        assert done.returncode == 0, done.stderr
        # However it is typed, it is the customer's one account.
        for typed in ("42", "042", "00042"):
            done = home.shop("ask", "--customer", typed, "--amount", "1.00")
            assert done.returncode == 0, done.stderr
            assert ", customer 00042, 1.00 USD: accepted" in done.stdout
        assert home.count("payment", "account_events WHERE customer_id = '00042'") == 3
        settle(home)
        assert home.shop("dead-letters", "list").returncode == 0
    servers = servers_of(home)
    kept = ("account_events", "inbox"), ("parcels", "inbox"), ("event_log", "repeats")

    def counts() -> list[int]:
        found = [home.count("payment", each) for each in kept[0]]
        found += [home.count("warehouse", each) for each in kept[1]]
        return found + [home.count("event_log", each) for each in kept[2]]

    before = counts()
    delete(servers, *ALL_TOPICS)
    assert home.shop("topics", "create").returncode == 0
    fill(servers)

    for name in SERVICES:
        done = home.shop("run", name)
        assert done.returncode == 1, name
        assert "was deleted and made anew, or the broker lost its data" in done.stderr
        way_out = "an empty database" if name == "recorder" else f"`shop positions accept {name}`"
        assert way_out in " ".join(done.stderr.split()), done.stderr
        assert "Traceback" not in done.stderr
    for command in (
        ("place", str(expected.DATA), "--limit", "1"),
        ("ask", "--customer", "00042", "--amount", "1.00"),
        ("dead-letters", "list"),
    ):
        done = home.shop(*command)
        assert done.returncode == 1, command
        assert "made anew" in done.stderr, done.stderr
    assert counts() == before, "nothing was done"
    done = home.shop("status")
    said = " ".join(done.stdout.split())
    assert done.returncode == 1
    for name in (*SERVICES, "dead letters"):
        assert f"{name}: topic " in said, said

    for name in (*SERVICES, "dead-letters"):
        done = home.shop("positions", "accept", name)
        assert done.returncode == (1 if name == "recorder" else 0), done.stderr
        assert ("made anew, and read from its beginning" in done.stdout) == (name != "recorder")
    with running(home, "payment"):
        wait_for(
            lambda: home.count("payment", "account_events") == before[0] + PLACED,
            "the orders of the new topic are decided",
        )
    assert home.shop("dead-letters", "list").returncode == 0


def test_a_topic_made_anew_under_a_running_service_ends_it(home: Home) -> None:
    with running(home, "payment"):
        done = home.shop("place", str(expected.DATA), "--limit", str(PLACED))
        assert done.returncode == 0, done.stderr
        wait_for(lambda: home.count("payment", "account_events") == PLACED, "decisions")
    servers = servers_of(home)
    process = home.start("run", "payment", stdout=subprocess.DEVNULL)
    try:
        started = "workers WHERE seen_at > started_at"
        wait_for(lambda: home.count("payment", started), "it runs")
        make_anew(servers, ORDERS, 4)
        fill(servers)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == EXIT_FOREIGN, err
    assert "made anew" in err
    assert "Traceback" not in err
    assert home.count("payment", "account_events") == PLACED


def test_settings_that_can_lose_records_are_refused_and_mended(home: Home) -> None:
    with running(home):
        servers = servers_of(home)
        set_in_force(servers, ORDERS, "cleanup.policy", "compact")
        set_in_force(servers, "orders.dead-letter", "retention.ms", "3600000")
        for command in (("topics", "create"), ("run", "payment"), ("status",)):
            done = home.shop(*command)
            told = " ".join((done.stderr + done.stdout).split())
            assert done.returncode == 1, command
            assert "topic orders has cleanup.policy=compact (not delete)" in told, told
            assert "topic orders.dead-letter has retention.ms=3600000" in told, told
            assert "`shop topics create --mend`" in told
        done = home.shop("topics", "create", "--mend")
        assert done.returncode == 0, done.stderr
        assert "mended orders, orders.dead-letter" in done.stdout
        assert home.shop("status").returncode == 0


def test_a_new_service_says_that_the_beginning_was_deleted(home: Home) -> None:
    with running(home):
        done = home.shop("place", str(expected.DATA), "--limit", str(PLACED))
        assert done.returncode == 0, done.stderr
        shorten(servers_of(home), ORDERS, 2)
        for name in ("payment", "recorder"):
            done = home.shop("run", name)
            assert done.returncode == 1
            assert "begins at offset 2" in done.stderr
            assert f"`shop positions accept {name}`" in " ".join(done.stderr.split())
            assert home.shop("positions", "accept", name).returncode == 0
    with running(home, "payment", "recorder"):
        wait_for(lambda: home.count("payment", "account_events") == PLACED - 2, "the rest")
