"""Installed from the wheel, away from the tree: every command, and the dashboard's pages."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from typer.main import get_command

from cli.main import app
from reporting.dashboard.pages import PAGES
from tests import expected
from tests.conftest import Home
from tests.unit.test_structure import ROOMS
from tests.waiting import wait_for
from tests.wheel import NAME, wheel_from_sdist

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ORDERS = 300

HELP = f"""
import json, sys
from {NAME} import run
every, rooms = map(json.loads, sys.argv[1:])
for words in every:
    sys.argv = ["shop", *words, "--help"]
    try:
        run()
    except SystemExit as end:
        assert not end.code, words
loaded = [m.__file__ for name, m in sys.modules.items() if name.partition(".")[0] in rooms]
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of an environment that has the wheel, and sees nothing of the tree.

    Others have packages by the names of our folders there, and so has whoever starts a command.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=False)
    programs = folder / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "--quiet"]
    wheel = str(wheel_from_sdist(folder))
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True)
    (packages,) = (folder / "venv").glob("lib/python3*/site-packages")
    # What is required. A folder that is named so isn't asked what else should be on the path: of
    # the tree, which is there by such a file, nothing is seen.
    (packages / "required.pth").write_text(sysconfig.get_path("platlib") + "\n")
    for name in ROOMS:
        for place in (packages, elsewhere(programs)):
            place.mkdir(exist_ok=True)
            (place / f"{name}.py").write_text("raise SystemExit('this is another package')\n")
    return programs


def elsewhere(programs: Path) -> Path:
    """Where the commands are started."""
    return programs.parents[1] / "elsewhere"


@pytest.fixture
def environment(installed: Path, home: Home) -> dict[str, str]:
    own = {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}", "ORDERS": str(ORDERS)}
    clean = {name: value for name, value in home.environment.items() if name != "PYTHONPATH"}
    return {**clean, **own, "TERM": "xterm", "COLUMNS": "100"}


@pytest.fixture
def run(installed: Path, environment: dict[str, str]) -> Callable[..., str]:
    def run(*command: str) -> str:
        done = subprocess.run(
            [str(installed / command[0]), *command[1:]],
            cwd=elsewhere(installed),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr}"
        return done.stdout

    return run


def commands(of: object, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = getattr(of, "commands", {})
    return [words, *(each for name in below for each in commands(below[name], (*words, name)))]


def test_each_command_says_what_it_does_from_the_installed_files(installed, run) -> None:
    every = commands(get_command(app))
    assert len(every) > 25
    said = run("python", "-c", HELP, json.dumps(every), json.dumps(ROOMS))
    for words in every:
        assert f"Usage: {' '.join(('shop', *words))} " in said
    loaded = json.loads(said.splitlines()[-1])
    assert len(loaded) > 100
    assert {Path(file).is_relative_to(installed.parent) for file in loaded} == {True}
    assert "Usage: python -m order_to_revenue " in run("python", "-m", NAME, "--help")


def test_the_demo_its_pages_and_the_commands_beside_it(
    installed, home, environment, run, open_page: Callable[..., Page], tmp_path
) -> None:
    ours, theirs = pty.openpty()
    demo = subprocess.Popen(
        [str(installed / "shop"), "demo"],
        cwd=elsewhere(installed),
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        url = address(ours)
        orders = expected.purchases(ORDERS)
        report = expected.report(orders, expected.outcomes(orders))
        assert json.loads(run("shop", "report", "--json"))["totals"] == report["totals"]
        assert "holds" in run("shop", "prove")
        figure = tmp_path / "figure.csv"
        run("shop", "export", str(figure))
        run("shop", "prove", "--figure", str(figure))
        run("shop", "export", str(tmp_path / "figure.html"))
        run("shop", "status")
        run("shop", "dead-letters", "list")
        run("shop", "replay")
        page = open_page(url)
        for each in PAGES:
            page.goto(f"{url}/{each.path}")
            expect(page.get_by_role("heading", level=1, name=each.title)).to_be_visible()
            state = page.get_by_test_id("stApp")
            expect(state).to_have_attribute("data-test-script-state", "notRunning")
            expect(page.get_by_test_id("stException")).to_have_count(0)
        page.close()
    finally:
        demo.send_signal(signal.SIGINT)
        ended = demo.wait(60)
        os.close(ours)
    assert ended == 0


def address(terminal: int) -> str:
    """Where the demo says that its dashboard is, once it has said all."""
    shown = b""

    def found() -> re.Match[bytes] | None:
        nonlocal shown
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            raise AssertionError(f"the demo ended: {shown.decode()}") from None
        return re.search(rb"The dashboard is at .*?(http://127\.0\.0\.1:\d+)", shown)

    return wait_for(found, "the dashboard's address", 240)[1].decode()
