"""A stack whose databases are in Postgres, a server with a standby at times; what befalls it."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from cli.composition import order_service
from cli.settings import Settings
from reporting.read_only import ReadOnlyDatabase
from tests.conftest import Home
from tests.contract.pair import Pair
from tests.faults.scenarios import Outcome, Scenario, Size
from tests.faults.stack import SERVICES, Stack, lock, stack


class PostgresHome(Home):
    """A home that looks into Postgres for what is in its databases."""

    @property
    def known_settings(self) -> Settings:
        return Settings(
            home=self.path,
            bootstrap_servers=self.settings.get("KAFKA_BOOTSTRAP_SERVERS"),
            database_url=self.settings["SHOP_DATABASE_URL"],
            database_password=self.settings["SHOP_DATABASE_PASSWORD"],
        )

    def count(self, database: str, what: str) -> int:
        try:
            return int(self.rows(database, f"SELECT count(*) FROM {what}")[0][0])  # noqa: S608
        except DBAPIError:
            return 0

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        with ReadOnlyDatabase(self.known_settings.database(database)).reading() as connection:
            return [tuple(row) for row in connection.execute(text(query))]


@contextmanager
def stack_on_postgres(folder: Path, seed: int) -> Iterator[Stack]:
    """A fresh stack on a broker and a Postgres server of its own."""
    # Not in pytest's own folder, which is root's alone: Postgres runs as somebody else.
    servers = Path(mkdtemp(prefix="postgres-pair-"))
    servers.chmod(0o755)
    pair = Pair(servers)
    settings = {"SHOP_DATABASE_URL": pair.url, "SHOP_DATABASE_PASSWORD": pair.primary.password}
    try:
        home = PostgresHome(folder / "home", settings)
        with stack(folder, seed, home=home) as made:
            made.postgres = pair
            yield made
    finally:
        pair.close()
        rmtree(servers)


def away(made: Stack, size: Size) -> Outcome:
    """The server is stopped, away for a while, and started again."""
    server = _pair(made).primary

    def befalls() -> None:
        server.stop()
        _pass(made, size.seconds)
        server.start()

    return _befalls_while_all_wait(made, size, befalls)


def terminated(made: Stack, size: Size) -> Outcome:
    """All connections are ended by an administrator."""
    return _befalls_while_all_wait(made, size, _pair(made).primary.terminate)


def locked_out(made: Stack, size: Size) -> Outcome:
    """Somebody holds a schema's write lock for longer than any statement may take."""
    pair = _pair(made)
    pair.primary.run("ALTER ROLE shop SET statement_timeout = '1s'")
    pair.primary.terminate()
    services = itertools.cycle(("payment", "event_log", "warehouse"))

    def befalls() -> None:
        lock(made.settings.database(next(services)), size.seconds, made.services.ensure)

    try:
        return _befalls_while_all_wait(made, size, befalls)
    finally:
        pair.primary.run("ALTER ROLE shop RESET statement_timeout")


def failed_over(made: Stack, size: Size) -> Outcome:
    """The server crashes, and a standby takes over that has all that was committed."""
    pair = _pair(made)

    def befalls() -> None:
        pair.fail_over(pair.standby(synchronous=True))

    return _befalls_while_all_wait(made, size, befalls)


def tail_lost(made: Stack, size: Size) -> Outcome:
    """A standby takes over that lacks the last of it: refused by position, then taken as a restore.

    What was placed meanwhile is placed again, as after a restore.
    """
    pair, recovered = _pair(made), 0.0
    for _ in range(size.faults):
        start = made.placed
        standby = pair.standby(synchronous=False)
        with made.flow(size.orders // size.faults, size.per_second):
            made.progress("recorder", "the start")
            pair.cut(standby)
            for name in SERVICES:
                made.progress(name, "what is lost")
            before = len(made.services.ends)
            pair.fail_over(standby)
            began = time.monotonic()
            made.progress("recorder", "the failover")
            recovered = max(recovered, time.monotonic() - began)
        service = order_service(made.settings)
        service.place(made.orders[start : made.placed], datetime.now(UTC))
        service.database.close()
        made.settle()
        assert len(made.services.ends) > before, "nobody noticed"
    logs = "".join(file.read_text() for file in made.services.logs.glob("*.log"))
    assert "and this process had committed" in logs
    assert "Traceback" not in logs
    return Outcome(size.faults, recovered)


ON_POSTGRES: dict[str, Scenario] = {
    "Postgres away": away,
    "Postgres' connections ended": terminated,
    "Postgres locked": locked_out,
    "Postgres failed over": failed_over,
    "Postgres failed over, tail lost": tail_lost,
}


def _befalls_while_all_wait(made: Stack, size: Size, befalls: Callable[[], None]) -> Outcome:
    """It happens again and again while orders flow; no service may end for it."""
    ends, recovered = len(made.services.ends), 0.0
    with made.flow(size.orders, size.per_second):
        for _ in range(size.faults):
            made.progress("recorder", "the start")
            befalls()
            began = time.monotonic()
            made.progress("recorder", "it")
            recovered = max(recovered, time.monotonic() - began)
    made.settle()
    assert made.services.ends[ends:] == [], "a service ended that could wait"
    return Outcome(size.faults, recovered)


def _pass(made: Stack, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        made.services.ensure()
        time.sleep(0.1)


def _pair(made: Stack) -> Pair:
    assert made.postgres is not None
    return made.postgres
