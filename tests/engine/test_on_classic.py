"""The classic store of images: an upgrade from an earlier commit, odd checkouts, three brokers."""

import json
from collections.abc import Iterator

import pytest

from tests import expected
from tests.engine.bases import make_bases
from tests.engine.engine import Engine, engine
from tests.engine.stack import CLUSTER, Stack, check_out, cut_data, earlier_commit
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

Orders = dict[str, list[expected.Purchase]]


@pytest.fixture(scope="module")
def made() -> Iterator[Engine]:
    with engine("classic") as made:
        trees = [
            check_out(made.folder / "earlier", commit=earlier_commit()),
            # As where nobody else may read what one makes, and as on a system with other line ends.
            check_out(made.folder / "today", umask=0o077),
            check_out(made.folder / "crlf", "--config", "core.autocrlf=true"),
        ]
        for tree in trees:
            cut_data(tree)
        make_bases(made, trees)
        yield made


@pytest.fixture(scope="module")
def orders(made: Engine) -> Orders:
    return cut_data(made.folder / "today")


@pytest.fixture(scope="module")
def stack(made: Engine, orders: Orders) -> Stack:
    """An earlier commit's stack with orders in it, upgraded in place to today's."""
    earlier = Stack(made, made.folder / "earlier")
    # One image for all, whatever that commit's file says of who builds it.
    earlier.compose("build", "secrets")
    earlier.compose("up", "--no-build", "--detach")
    earlier.compose("run", "--rm", "-T", "--no-deps", "place")
    earlier.settle({"events": orders["events"]})
    stack = Stack(made, made.folder / "today")
    stack.up()
    return stack


def test_after_an_upgrade_what_was_recorded_is_there_and_it_goes_on(
    stack: Stack, orders: Orders
) -> None:
    assert oct((stack.tree / "deploy" / "kafka" / "start.sh").stat().st_mode)[-2:] == "00"
    assert "<title>" in stack.dashboard()
    stack.settle({"events": orders["events"]})
    before = stack.containers()
    for style in orders:
        stack.place(style)
    stack.settle(orders)
    stack.prove()
    stack.up()
    assert stack.containers() == before


def test_several_of_a_service_share_its_work(stack: Stack, orders: Orders) -> None:
    stack.up("--scale", "payment=4")
    payments = [name for name in stack.containers() if "-payment-" in name]
    assert len(payments) == 4
    stack.settle(orders)
    stack.prove()


def test_one_of_three_brokers_dies(stack: Stack, orders: Orders) -> None:
    """On a stack made anew from a checkout with other line ends."""
    stack.down()
    cluster = Stack(stack.engine, stack.engine.folder / "crlf", CLUSTER)
    cluster.up()
    cluster.place("events")
    cluster.compose("kill", "kafka-2")
    for style in ("sync", "async"):
        cluster.place(style)
    cluster.settle(orders)
    cluster.prove()
    cluster.up()
    wait_for(lambda: not cluster.unhealthy(), "all are well", 120, 1)
    cluster.down()
    left = cluster.engine.docker("volume", "ls", "--format", "json").stdout
    assert [json.loads(line)["Name"] for line in left.splitlines()] == []
