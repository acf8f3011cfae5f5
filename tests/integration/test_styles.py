"""Three ways of talking, one business: the same orders, the same answers, the same report."""

import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from cli.asking import desk
from cli.composition import order_service, publisher
from cli.place import read_purchases
from cli.settings import Settings
from cli.settled import wait_until_settled
from event_log.outbox import Relay
from request_reply.outcomes import Accepted, Declined
from tests import expected
from tests.conftest import Home
from tests.integration.asker import start_asker
from tests.integration.test_pipeline import header, records
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

OUTAGE_SECONDS = 20
"""The outage itself, and no waiting for something."""

FULL = bool(os.environ.get("FULL"))
"""Set where there is no hurry, as in ``FULL=1 make test-full``."""

KILLS = 100 if FULL else 30
AT_ONCE = 80
"""Orders that a requester asks for in one life."""


@contextmanager
def running(home: Home, *services: str) -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    """Services as processes on the home's broker, with topics."""
    home.servers()
    assert home.shop("topics", "create").returncode == 0
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    made = {name: home.start("run", name, **quiet) for name in services}
    try:
        yield made
    finally:
        for process in made.values():
            process.terminate()
        for process in made.values():
            process.wait(60)


def settings_of(home: Home) -> Settings:
    return Settings(home=home.path, bootstrap_servers=servers_of(home))


def servers_of(home: Home) -> str:
    return home.servers()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("style", "count"),
    [("sync", 69_659 if FULL else 3000), ("async", 69_659 if FULL else 6000)],
)
def test_orders_asked_for_give_the_report_that_orders_published_give(
    home: Home, style: str, count: int
) -> None:
    """`test_pipeline` has the same for all orders by events."""
    home.settings |= {"STYLE": style, "ORDERS": str(count)}
    done = home.shop("demo", timeout=800)
    assert done.returncode == 0, done.stderr
    orders = expected.purchases(count)
    decided = expected.outcomes(orders)
    wanted = expected.report(orders, decided)
    found = home.report()
    assert (found["months"], found["totals"]) == (wanted["months"], wanted["totals"])
    assert home.recorded() == home.decisions() == decided
    accepted = Counter(order.order_id for order in orders if decided[order.order_id] == "accepted")
    sent = records(servers_of(home), "warehouse.requests")
    assert Counter(header(message, "ce_correlationid") for message in sent) == accepted
    told = records(servers_of(home), "reporting.requests")
    assert Counter(header(message, "ce_correlationid") for message in told) == Counter(
        list(decided)
    )
    assert records(servers_of(home), "authorizations") == []


def test_a_third_of_the_customers_each_way_and_some_orders_both_ways(home: Home) -> None:
    """Responder and payment service share the payment database, and run at once."""
    purchases = expected.purchases(3000)
    orders = read_purchases(expected.DATA, "USD")[0][:3000]
    # Of customers, not of orders: an account's answers depend on the order of what is asked.
    ways = [[o for o in orders if int(o.customer_id) % 3 == way] for way in range(3)]
    waited_for = [o for o in ways[1] if int(o.customer_id) % 4 == 0]
    ways[1] = [o for o in ways[1] if int(o.customer_id) % 4 != 0]
    with running(home, "order", "payment", "responder", "warehouse", "recorder"):
        settings = settings_of(home)
        servers = settings.bootstrap_servers
        assert servers is not None
        order = order_service(settings)
        with desk(settings) as made, ThreadPoolExecutor(2) as threads:
            futures = [made.requester.submit(each, 60) for each in [*ways[0], *ways[1]]]
            blocking = threads.submit(
                lambda: [made.requester.authorize(each, 60) for each in waited_for]
            )
            order.place(ways[2], datetime.now(UTC))
            Relay(order.database, publisher(servers)).drain()
            answers = [future.result(120) for future in futures] + blocking.result(120)
            assert {type(answer) for answer in answers} <= {Accepted, Declined}
            wait_until_settled(settings, servers)
            both = [made.requester.authorize(each, 60) for each in ways[2][:100]]
            assert {type(answer) for answer in both} <= {Accepted, Declined}
        order.place(ways[0][:100], datetime.now(UTC))
        Relay(order.database, publisher(servers)).drain()
        wait_until_settled(settings, servers)
        wanted = expected.report(purchases, expected.outcomes(purchases))
        assert home.report()["totals"] == wanted["totals"]
        assert home.recorded() == home.decisions() == expected.outcomes(purchases)
        sent = [header(m, "ce_correlationid") for m in records(servers, "warehouse.requests")]
        assert len(sent) == len(set(sent)) == wanted["totals"]["accepted"]["orders"]


@pytest.mark.timeout(900)
def test_a_requester_killed_again_and_again_settles_and_charges_every_order_once(
    home: Home,
) -> None:
    """Each time with requests in flight; now and then the responder is killed as well."""
    chance = random.Random(5)
    with running(home, "order", "responder", "warehouse", "recorder") as services:
        settings = settings_of(home)
        kills = first = 0
        while kills < KILLS:
            process, asking = start_asker(settings, first, AT_ONCE)
            try:
                assert asking.wait(60)
                decided = home.count("payment", "account_events")
                more = chance.randrange(AT_ONCE)
                wait_for(
                    lambda process=process, more=decided + more: (  # type: ignore[misc]
                        not process.is_alive() or home.count("payment", "account_events") >= more
                    ),
                    f"{more} more decisions, or the end",
                )
                if kills % 10 == 0:
                    services["responder"].kill()
                    services["responder"].wait()
            finally:
                process.kill()
                process.join()
            kills += home.count("order", "requests WHERE state = 'pending'") > 0
            if services["responder"].poll() is not None:
                quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                services["responder"] = home.start("run", "responder", **quiet)
            first = home.count("order", "requests")
        orders = first + AT_ONCE
        done = home.shop(*("place", str(expected.DATA), "--limit", str(orders), "--style", "async"))
        assert done.returncode == 0, done.stderr
        assert settings.bootstrap_servers is not None
        wait_until_settled(settings, settings.bootstrap_servers)
    purchases = expected.purchases(orders)
    decided = expected.outcomes(purchases)
    assert home.recorded() == home.decisions() == decided
    assert home.report()["totals"] == expected.report(purchases, decided)["totals"]
    assert home.count("order", "requests WHERE state IN ('answered', 'late')") == orders


def test_a_broker_that_is_gone_for_a_while_in_mid_flight_loses_and_doubles_nothing(
    home: Home,
) -> None:
    orders = 1500
    command = ("place", str(expected.DATA), "--limit", str(orders), "--style", "async")
    with running(home, "order", "responder", "warehouse", "recorder"):
        asking = home.start(*command)
        wait_for(lambda: home.count("payment", "account_events") > 200, "decisions")
        assert home.shop("broker", "stop").returncode == 0
        time.sleep(OUTAGE_SECONDS)
        assert home.shop("broker", "start").returncode == 0
        _, err = asking.communicate(timeout=200)
        assert asking.returncode == 0, err
        settings = settings_of(home)
        assert settings.bootstrap_servers is not None
        wait_until_settled(settings, settings.bootstrap_servers)
    purchases = expected.purchases(orders)
    wanted = expected.report(purchases, expected.outcomes(purchases))
    assert home.report()["totals"] == wanted["totals"]
    assert home.count("payment", "account_events") == orders
    assert home.count("order", "requests WHERE state = 'pending'") == 0
