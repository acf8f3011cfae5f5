"""The fault harness's short form on the stack: nothing lost, nothing twice."""

import os
import random
import secrets
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from cli.composition import bootstrap_servers
from tests.faults.processes import Services
from tests.faults.run import ON_STACK, measure
from tests.faults.stack import SERVICES, Stack
from tests.stack.composed import Composed
from tests.stack.home import StackHome

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEED = int(os.environ.get("FAULTS_SEED") or secrets.randbelow(2**31))


@pytest.fixture(scope="module")
def made() -> Iterator[Stack]:
    """A stack whose event-driven services can be killed and changed as often as a test likes."""
    folder = Path(mkdtemp(prefix="stack-faults-"))
    folder.chmod(0o755)
    composed = Composed(folder)
    chance = random.Random(SEED)
    services = Services(composed.environment, folder / "logs", chance)

    def dies(name: str) -> None:
        composed.kill(name)
        composed.wait_until_healthy(name)

    try:
        composed.up(without=(*SERVICES, "responder", "dashboard"))
        home = StackHome(composed)
        for name in SERVICES:
            services.start(name)
        yield Stack(
            home,
            bootstrap_servers(home.known_settings),
            services,
            chance,
            lambda: dies("kafka"),
            lambda: dies("postgres"),
        )
    finally:
        services.close()
        composed.close()
        rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("name", ON_STACK)
def test_nothing_is_lost_and_nothing_twice(made: Stack, name: str) -> None:
    row = measure(name, made, ON_STACK[name])
    assert row.wrong == {}, f"FAULTS_SEED={SEED}"
    assert (row.lost, row.doubled) == (0, 0)
