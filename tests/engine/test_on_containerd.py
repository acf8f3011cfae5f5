"""A newcomer's way on the store of images that current engines have, and what may happen to it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import expected
from tests.engine.bases import make_bases
from tests.engine.documented import documented
from tests.engine.engine import engine
from tests.engine.stack import Stack, check_out, cut_data
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

USER = 1000
Orders = dict[str, list[expected.Purchase]]


@pytest.fixture(scope="module")
def checked_out() -> Iterator[tuple[Stack, Orders]]:
    with engine("containerd") as made:
        tree = check_out(made.folder / "tree")
        orders = cut_data(tree)
        make_bases(made, [tree])
        yield Stack(made, tree), orders


@pytest.fixture(scope="module")
def orders(checked_out: tuple[Stack, Orders]) -> Orders:
    return checked_out[1]


@pytest.fixture(scope="module")
def stack(checked_out: tuple[Stack, Orders]) -> Stack:
    """The stack, started from nothing as README says."""
    stack, _ = checked_out
    stack.up()
    return stack


def test_orders_of_each_style_are_reported_to_the_cent(stack: Stack, orders: Orders) -> None:
    before = stack.containers()
    assert "<title>" in stack.dashboard()
    for style in orders:
        stack.place(style)
    stack.settle(orders)
    stack.prove()
    assert stack.containers() == before


def test_a_second_start_makes_no_container_anew(stack: Stack) -> None:
    """Without a build: in this store each build says when it was, and so is a new image."""
    before = stack.containers()
    stack.compose("up", "--wait")
    assert stack.containers() == before


def test_each_codec_is_known_to_the_broker(stack: Stack) -> None:
    script = Path(__file__).with_name("codecs.py").read_text(encoding="utf-8")
    done = stack.compose("run", "--rm", "--no-deps", "-T", "access", "python", "-", said=script)
    assert "each codec" in done.stdout


def test_nothing_leaves_the_engines_network(stack: Stack) -> None:
    """There is no device in it that leads anywhere but to its containers, and no route."""
    devices = stack.engine.inside("ip", "-details", "-oneline", "link", "show", "up").stdout
    assert len(devices.splitlines()) > 10
    for device in devices.splitlines():
        assert any(kind in device for kind in ("LOOPBACK", " bridge ", " veth ")), device
    assert "default" not in stack.engine.inside("ip", "route").stdout
    for asked in ("192.0.2.1", "198.51.100.1"):
        assert stack.engine.inside("ip", "route", "get", asked).returncode != 0


def test_an_engine_that_dies_loses_nothing_and_goes_on(stack: Stack, orders: Orders) -> None:
    file = stack.tree / "data" / "more.txt"
    lines = expected.DATA.read_text(encoding="ascii").splitlines(keepends=True)
    file.write_text("".join(lines[-600:]), encoding="ascii")
    orders = {**orders, "more": expected.purchases(data=file)}
    mount = ("--volume", f"{file}:/more.txt:ro")
    placing = ("shop", "place", "/more.txt")
    before = recorded(stack)
    placer = stack.compose("run", "--detach", *mount, "place", *placing, "--rate", "30").stdout
    wait_for(lambda: recorded(stack) > before, "some of them are recorded", 60, 0.2)
    assert placer.strip() in stack.engine.docker("ps", "--no-trunc", "--quiet").stdout
    stack.engine.end(signal.SIGKILL)
    stack.engine.start()
    # Nothing is told to start: the engine does it, and the services find each other again.
    wait_for(lambda: not stack.unhealthy(), "all are well", 300, 1)
    stack.compose("run", "--rm", "-T", *mount, "place", *placing)
    stack.settle(orders)
    stack.prove()
    assert "<title>" in stack.dashboard()


def recorded(stack: Stack) -> int:
    """How many orders are in the log, decided, by asking the database itself."""
    count = "SELECT count(*) FROM event_log.event_log WHERE type LIKE 'shop.Authorization%'"
    login = 'PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")" psql -U shop_admin -d shop -Atc "$0"'
    return int(stack.compose("exec", "-T", "postgres", "bash", "-c", login, count).stdout)


def test_each_documented_command_does_as_it_says(stack: Stack) -> None:
    """In the order of the documentation, by somebody who may ask the engine and isn't root."""
    stack.engine.allow(USER)
    for path in (stack.tree, *stack.tree.rglob("*")):
        os.chown(path, USER, USER, follow_symlinks=False)
    (stack.tree / "client_secret").write_text("a secret", encoding="ascii")
    commands = documented(stack.tree)
    assert len(commands) > 20
    for command in commands:
        # What looks at the stack is said to be asked until all is well.
        seconds = 180 if " operator shop " in command else 0
        wait_for(lambda given=command: succeeds(stack, given), command, seconds, 1)
    assert (stack.tree / "revenue.csv").stat().st_uid == USER
    assert stack.compose("ps", "--all", "--quiet").stdout == ""
    assert stack.engine.docker("volume", "ls", "--quiet").stdout == ""


def succeeds(stack: Stack, command: str) -> bool:
    as_user = ("setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups")
    done = stack.engine.run([*as_user, "bash", "-c", command], check=False, cwd=stack.tree)
    if done.returncode:
        print(f"$ {command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.returncode == 0
