"""A checkout of this repository, and its stack on an engine, used as its README says."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from event_log.revisions import FIRST
from tests import expected
from tests.conftest import ROOT
from tests.engine.engine import Engine
from tests.programs import missing
from tests.waiting import wait_for

CLUSTER = ("-f", "compose.yaml", "-f", "compose.cluster.yaml")
STYLES = ("events", "sync", "async")
EACH = 150
"""About how many orders each style has: whole customers, so that no style knows another's."""


def check_out(folder: Path, *options: str, commit: str = "HEAD", umask: int = 0o022) -> Path:
    """A fresh clone of what is committed, as git makes it with these options."""
    if not (ROOT / ".git").exists():
        missing("these files are no git repository, so nothing of it can be checked out")
    commands = (
        ["git", "clone", "--quiet", "--shared", "--no-checkout", *options, str(ROOT), str(folder)],
        ["git", "-C", str(folder), "checkout", "--quiet", "--detach", commit],
    )
    for command in commands:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, umask=umask, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
    return folder


def earlier_commit() -> str:
    """The first commit whose databases can be upgraded; skips the test where it isn't there."""
    baseline = f"event_log/migrations/versions/r{FIRST}_first_tables.py"
    command = ("git", "log", "-1", "--diff-filter=A", "--format=%H", "--", baseline)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or missing("this repository's history lacks the first revision")


def cut_data(tree: Path) -> dict[str, list[expected.Purchase]]:
    """Leave some purchases of the checkout's, a file for each style; what is in them, by style."""
    lines = expected.DATA.read_text(encoding="ascii").splitlines(keepends=True)
    found = {}
    for number, style in enumerate(STYLES):
        begin, end = (border(lines, 20_000 * number + more) for more in (0, EACH))
        name = expected.DATA.name if style == "events" else f"{style}.txt"
        file = tree / "data" / name
        # Kept where it was: what is said of the file's lines ends is the checkout's matter.
        file.write_text("".join(lines[begin:end]), encoding="ascii")
        found[style] = expected.purchases(data=file)
    return found


def border(lines: Sequence[str], at: int) -> int:
    """The first line from there on where another customer begins."""
    while at and lines[at].split()[0] == lines[at - 1].split()[0]:
        at += 1
    return at


def wanted(orders: Mapping[str, Sequence[expected.Purchase]]) -> dict[str, Any]:
    """What the report must say of orders, of which each style decides its own."""
    decided: dict[str, str] = {}
    for each in orders.values():
        decided |= expected.outcomes(list(each))
    every = sorted((order for each in orders.values() for order in each), key=lambda one: one.date)
    return expected.report(every, decided)


@dataclass
class Stack:
    """The stack of a checkout, by one compose file or more."""

    engine: Engine
    tree: Path
    files: tuple[str, ...] = ()

    def compose(
        self, *arguments: str, check: bool = True, seconds: float = 600, said: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Run `docker compose …` in the checkout."""
        command = ["docker", "compose", *self.files, *arguments]
        return self.engine.run(command, check=check, cwd=self.tree, seconds=seconds, said=said)

    def up(self, *options: str) -> None:
        """As README says; where it fails, what the containers said is in the failure."""
        done = self.compose("up", "--build", "--wait", *options, check=False)
        if done.returncode:
            logs = self.compose("logs", "--no-color", "--tail", "15", check=False)
            raise AssertionError(f"{done.stderr[-4000:]}\n{logs.stdout[-8000:]}")

    def down(self) -> None:
        """Forget everything."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def shop(self, *words: str, service: str = "operator") -> "subprocess.CompletedProcess[str]":
        """A command of `shop`, in a container of its own."""
        once = ("run", "--rm", "-T", "--no-deps", service)
        return self.compose(*once, "shop", *words, check=False)

    def place(self, style: str) -> None:
        """Place the orders of a style; those of events as README does."""
        more = [] if style == "events" else ["shop", "place", f"data/{style}.txt", "--style", style]
        self.compose("run", "--rm", "-T", "place", *more)

    def settle(self, orders: Mapping[str, Sequence[expected.Purchase]]) -> None:
        """Wait until the report says what it must, to the cent, and no service is behind."""
        last: dict[str, Any] = {}
        right = wanted(orders)

        def settled() -> bool:
            done = self.shop("report", "--json")
            if done.returncode:
                last["error"] = done.stderr
                return False
            last.clear()
            last.update(json.loads(done.stdout))
            return all(last[name] == right[name] for name in ("months", "totals"))

        try:
            wait_for(settled, "the report is right", 300, 0.5)
        except AssertionError as error:
            raise AssertionError(
                f"{error}: {last.get('totals', last)}\n{right['totals']}"
            ) from None

    def prove(self) -> None:
        """`shop prove --settled` must hold, once what is on its way is done."""
        said: list[str] = []

        def holds() -> bool:
            done = self.shop("prove", "--settled")
            said[:] = [done.stdout[-3000:], done.stderr[-3000:]]
            return done.returncode == 0

        try:
            wait_for(holds, "the proof holds", 180, 0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}: {said}") from None

    def containers(self) -> dict[str, str]:
        """By name, the ids of containers that run."""
        done = self.compose("ps", "--format", "json")
        rows = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        return {row["Name"]: row["ID"] for row in rows if row["State"] == "running"}

    def unhealthy(self) -> dict[str, str]:
        """By name, the health of containers that are not well, or on their way there."""
        done = self.compose("ps", "--format", "json")
        rows = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        return {row["Name"]: row["Health"] for row in rows if row["Health"] not in ("healthy", "")}

    def dashboard(self) -> str:
        """What the dashboard's address says, in the engine's network."""
        ask = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).read())"
        done = self.engine.inside(sys.executable, "-S", "-c", ask, "http://127.0.0.1:8501/")
        return done.stdout + done.stderr
