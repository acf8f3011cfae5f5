"""What tests share: homes of their own, and the `shop` command as a user runs it."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from cli.settings import Settings
from event_log.sqlite import look_into
from tests.ports import free_port

ROOT = Path(__file__).parents[1]
MISSING_FAILS = "TESTS_MISSING_FAILS"
"""The variable that is set where a program that isn't there is a failure."""

ODD_NAME = "-home%20of?x=1&y#z;:,'\"`\\\\${env:HOME}{conf.name}%p[b]*:a:~Zoë\n "
"""What a file system takes: characters that addresses, shells, Java and formats read otherwise."""

LOCKED_SECONDS = 5.0
"""How long a look into a database waits for a lock."""

ON_ONE_STACK = ("test_stack.py", "test_operations.py", "test_attacks.py")
"""In the order in which they may be run: what attackers leave behind, operators would look into."""
LONGEST = (
    "stack",
    "test_faults.py",
    "test_styles.py",
    "test_restore.py",
    "test_stack_faults.py",
    "test_foreign_topics.py",
    "test_services.py",
    "test_memory.py",
    "test_export_page.py",
    "test_cluster.py",
)
"""Files and groups that take minutes."""


def pytest_configure() -> None:
    """Keep differences short: in full, as on a CI, 70,000 orders take longer than a whole run.

    What a CI misses is a failure all the same, and no reason to skip: `MISSING_FAILS` says so.
    """
    for name in ("CI", "BUILD_NUMBER"):
        if os.environ.pop(name, None):
            os.environ[MISSING_FAILS] = "1"


class ByFile(LoadScopeScheduling):
    """Shares the tests among processes by file, and by the stack that several files have."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])


def group_of(path: str) -> str:
    """Which tests are run by the same process, by the path of their file."""
    file = Path(path)
    # The faults have a stack of their own.
    return "stack" if file.name in ON_ONE_STACK else file.name


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Have them shared so."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that at the end nobody waits for one process alone."""
    long = {name: rank for rank, name in enumerate(LONGEST)}
    turns = {name: turn for turn, name in enumerate(ON_ONE_STACK)}
    items.sort(
        key=lambda item: (
            long.get(group_of(str(item.path)), len(long)),
            turns.get(item.path.name, 0),
        )
    )


@dataclass
class Home:
    """A `SHOP_HOME` with settings of its own, and its `shop` command."""

    path: Path
    settings: dict[str, str] = field(default_factory=dict)
    dashboard_port: int = field(default_factory=free_port)
    """Two dashboards that look for one at the same moment would take the same one."""

    @property
    def environment(self) -> dict[str, str]:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SHOP_", "KAFKA_", "OTEL_")) or name == "SHOP_JARS"
        }
        port = str(self.dashboard_port)
        own = {"SHOP_HOME": str(self.path), "SHOP_DASHBOARD_PORT": port}
        return {**clean, **own, **self.settings}

    @property
    def known_settings(self) -> Settings:
        """The settings by which a test reads and writes what is in it."""
        servers = self.settings.get("KAFKA_BOOTSTRAP_SERVERS")
        return Settings(home=self.path, bootstrap_servers=servers)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start `shop` without waiting for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "cli.start", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def shop(self, *arguments: str, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        """Run `shop` to its end."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, err = process.communicate(timeout=60)
            raise AssertionError(f"shop {arguments} took over {timeout} s:\n{out}\n{err}") from None
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def report(self) -> dict[str, Any]:
        """What `shop report --json` prints."""
        done = self.shop("report", "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def count(self, database: str, what: str) -> int:
        """How many rows of `what`, a table and perhaps a condition; 0 before it is there."""
        file = self.path / "databases" / f"{database}.sqlite"
        try:
            with closing(look_into(file, LOCKED_SECONDS)) as connection:
                query = f"SELECT count(*) FROM {what}"  # noqa: S608 the tests' own words
                return int(connection.execute(query).fetchone()[0])
        except sqlite3.Error:
            return 0

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """What a query finds in a service's database."""
        file = self.path / "databases" / f"{database}.sqlite"
        with closing(look_into(file, LOCKED_SECONDS)) as connection:
            return connection.execute(query).fetchall()

    def decisions(self) -> dict[str, str]:
        """By order id, accepted or the reason why not, from the accounts of the payment service."""
        return _outcomes(self.rows("payment", "SELECT body FROM account_events"))

    def recorded(self) -> dict[str, str]:
        """By order id, accepted or the reason why not, from the event log; one event an order."""
        query = "SELECT body FROM event_log WHERE type LIKE 'shop.Authorization%'"
        return _outcomes(self.rows("event_log", query))

    def recorded_times(self) -> dict[str, int]:
        """By order id, how many authorizations the event log has of it."""
        query = (
            "SELECT correlation_id, count(*) FROM event_log "
            "WHERE type LIKE 'shop.Authorization%' GROUP BY correlation_id"
        )
        return dict(self.rows("event_log", query))

    def processes(self) -> list[str]:
        """The command lines of all processes that belong to this home."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                environment = (folder / "environ").read_bytes()
            except (OSError, UnicodeDecodeError):
                continue
            if str(self.path) in command or f"SHOP_HOME={self.path}\0".encode() in environment:
                found.append(f"{folder.name}: {command}")
        return found


def _outcomes(rows: list[tuple[Any, ...]]) -> dict[str, str]:
    found = [json.loads(body) for (body,) in rows]
    outcomes = {each["order_id"]: each.get("reason", "accepted") for each in found}
    assert len(outcomes) == len(rows), "an order was decided twice"
    return outcomes


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A fresh home; whatever still runs in it is stopped at the end."""
    made = Home(tmp_path / ODD_NAME)
    yield made
    made.shop("broker", "stop")
    assert made.processes() == []


@pytest.fixture(scope="module")
def module_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home that the tests of a module share."""
    made = Home(tmp_path_factory.mktemp("shared") / ODD_NAME)
    yield made
    made.shop("broker", "stop")
    assert made.processes() == []
