"""What tests share: homes of their own, and the `shop` command as a user runs it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from subprocess import DEVNULL, PIPE
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from cli.settings import Settings
from event_log.sqlite import look_into
from tests.live_topics import delete
from tests.ports import free_port
from tests.programs import MISSING_FAILS
from tests.warm import POSSIBLE, Warm
from transport.local_broker import LocalBroker
from transport.topic_lives import TopicsView
from transport.topics import ALL_TOPICS

ROOT = Path(__file__).parents[1]

# Under nohup or in the background signals are ignored, and so by all that tests start.
for _number, _usual in (
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGINT, signal.default_int_handler),
):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _usual)
ODD_NAME = "-home%20of?x=1&y#z;:,'\"`\\\\${env:HOME}{conf.name}%p[b]*:a:~Zoë\n "
"""What a file system takes: characters that addresses, shells, Java and formats read otherwise."""

LOCKED_SECONDS = 5.0
"""How long a look into a database waits for a lock."""
STARTED_ANEW = (("demo",), ("dashboard",))
"""Commands that start others: by their command lines one knows them to be the home's."""

ON_ONE_STACK = ("test_stack.py", "test_operations.py", "test_attacks.py")
"""In the order in which they may be run: what attackers leave behind, operators would look into."""
LONGEST = (
    "engine",
    "test_faults.py",
    "test_pipeline.py",
    "test_stack_faults.py",
    "stack",
    "test_styles.py",
    "test_accessibility.py",
    "test_interruptions.py",
    "test_restore.py",
    "test_foreign_topics.py",
    "test_services.py",
    "test_memory.py",
    "test_export_page.py",
    "test_cluster.py",
    "test_local_broker.py",
    "test_bad_input.py",
)
"""Files and groups that take minutes, or most of what is left without them."""


ABSENT = str(ROOT / "tests" / "absent")
"""Modules that tests, and the processes that they start, don't find."""
IN_MEMORY = "/dev/shm"  # noqa: S108 as Linux has it
IN_MEMORY_BYTES = 8 * 2**30
"""Room for whatever the tests of one run leave until its end, and more."""


def pytest_configure() -> None:
    """Keep differences short: in full, as on a CI, 70,000 orders take longer than a whole run.

    What a CI misses is a failure all the same, and no reason to skip: `MISSING_FAILS` says so.
    Temporary files are in memory where there is room: no test is about what outlives the machine.
    """
    if "TMPDIR" not in os.environ and has_room_in_memory():
        # Of this process, which has looked for a place already, and of those that it starts.
        tempfile.tempdir = os.environ["TMPDIR"] = IN_MEMORY
    sys.path.insert(0, ABSENT)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([ABSENT, before]) if before else ABSENT
    for name in ("CI", "BUILD_NUMBER"):
        if os.environ.pop(name, None):
            os.environ[MISSING_FAILS] = "1"


def has_room_in_memory() -> bool:
    """Whether there is a file system in memory for temporary files, and for programs in it."""
    try:
        found = os.statvfs(IN_MEMORY)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize > IN_MEMORY_BYTES and not found.f_flag & os.ST_NOEXEC


class ByFile(LoadScopeScheduling):
    """Shares the tests among processes by file, and by the stack that several files have."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])


def group_of(path: str) -> str:
    """Which tests are run by the same process, by the path of their file."""
    file = Path(path)
    if file.parent.name == "engine":
        # Each starts a stack, which takes all that two cores have: one after the other.
        return "engine"
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
    forked: list[Warm] = field(default_factory=list)
    """Processes that don't name the home in their command line or first environment."""

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
        anew = arguments[:1] in STARTED_ANEW or options.keys() - {"stdout", "stderr"}
        anew = anew or any(name.startswith("PYTHON") for name in self.settings)
        if POSSIBLE and not anew:
            piped = {"stdin": DEVNULL, "stdout": PIPE, "stderr": PIPE}
            process = Warm(arguments, self.environment, **{**piped, **options})
            self.forked.append(process)
            return process
        return self.start_anew(*arguments, **options)

    def start_anew(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start `shop` by its command line, where the start or the memory it takes is tested."""
        return subprocess.Popen(
            [sys.executable, "-m", "cli.start", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=DEVNULL,
            text=True,
            **{"stdout": PIPE, "stderr": PIPE, **options},
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

    def broker(self) -> LocalBroker:
        """The home's own broker, to be started and stopped without a process for it."""
        return LocalBroker(self.path, Settings().jars)

    def servers(self) -> str:
        """Where its broker is; the home's own is started where it doesn't run."""
        named = self.settings.get("KAFKA_BOOTSTRAP_SERVERS")
        found = named or self.broker().start().bootstrap_servers
        assert found
        return found

    def processes(self) -> list[str]:
        """The command lines of all processes that belong to this home."""
        self.forked = [each for each in self.forked if each.poll() is None]
        found = [f"{each.pid}: shop {' '.join(map(str, each.args))}" for each in self.forked]
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
    made.broker().stop()
    assert made.processes() == []


@pytest.fixture(scope="module")
def module_home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    """A home that the tests of a module share; it is kept where one of them failed."""
    made = Home(tmp_path_factory.mktemp("shared") / ODD_NAME)
    failed = request.session.testsfailed
    yield made
    made.broker().stop()
    assert made.processes() == []
    if request.session.testsfailed == failed:
        rmtree(made.path, ignore_errors=True)


@pytest.fixture
def home_on_shared_broker(module_home: Home, tmp_path: Path) -> Iterator[Home]:
    """A fresh home on the broker of a module, where no topic is any more."""
    servers = module_home.servers()
    if there := TopicsView(servers).there(ALL_TOPICS):
        delete(servers, *there)
    made = Home(tmp_path / ODD_NAME, {"KAFKA_BOOTSTRAP_SERVERS": servers})
    yield made
    assert made.processes() == []
