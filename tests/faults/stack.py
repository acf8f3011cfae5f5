"""A shop under load: broker, services, and orders that flow while something goes wrong."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cli.composition import order_service
from cli.place import read_purchases
from cli.settings import Settings
from cli.settled import wait_until_settled
from domain.contracts import NewOrder
from event_log.database import Database, Place
from tests import expected
from tests.conftest import Home
from tests.contract.pair import Pair
from tests.faults.checks import World, all_wrong, letters_of
from tests.faults.foreign import Purchase
from tests.faults.processes import Services
from tests.waiting import wait_for
from transport.servers import Servers

SERVICES = ("order", "payment", "warehouse", "recorder")
CHUNK = 20
AGAIN = 0.05
"""How likely orders are placed once more."""


@dataclass
class Stack:
    """One home with all its services, and the orders that were placed so far."""

    home: Home
    servers: Servers
    services: Services
    chance: random.Random
    broker_dies: Callable[[], None]
    """Kills the broker, and starts it again."""
    database_dies: Callable[[], None] | None = None
    """Kills the database's server, and starts it again, where there is one."""
    postgres: Pair | None = None
    """The databases' server and its standby, where they are the test's own."""
    placed: int = 0
    foreign: list[Purchase] = field(default_factory=list)
    """Orders that somebody else has published."""
    letters: dict[str, int] = field(default_factory=dict)
    """By topic, how many dead letters its records must have."""
    patience: float = 150
    """Seconds without any progress after which waiting for the end is given up."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set while no orders are being placed."""
    orders: Sequence[NewOrder] = field(
        default_factory=lambda: read_purchases(expected.DATA, "USD")[0]
    )

    @property
    def settings(self) -> Settings:
        return self.home.known_settings

    def handled(self, service: str) -> int:
        """How many records a service has handled, by its positions."""
        database = "event_log" if service == "recorder" else service
        return self.home.count(database, "positions") and int(
            self.home.rows(database, "SELECT sum(next_offset) FROM positions")[0][0]
        )

    @contextmanager
    def flow(self, count: int, per_second: float) -> Iterator[threading.Event]:
        """Place `count` more orders during a block, some of them twice; all are, at its end.

        The orders go to the order service's database; its own relay publishes them.
        """
        over = self.over = threading.Event()
        failed: list[BaseException] = []

        def place() -> None:
            service = order_service(self.settings)
            try:
                for start in range(self.placed, self.placed + count, CHUNK):
                    end = min(start + CHUNK, self.placed + count)
                    service.place(self.orders[start:end], datetime.now(UTC))
                    if start and self.chance.random() < AGAIN:
                        before = self.chance.randrange(start)
                        service.place(self.orders[before : before + 5], datetime.now(UTC))
                    time.sleep(CHUNK / per_second)
            except BaseException as error:  # noqa: BLE001 it is raised where the block ends
                failed.append(error)
            finally:
                service.database.close()
                over.set()

        thread = threading.Thread(target=place)
        thread.start()
        try:
            yield over
        finally:
            thread.join()
        if failed:
            raise failed[0]
        self.placed += count

    def settle(self) -> float:
        """Wait until every order is at its end and the report has it; how many seconds it took."""
        began = time.monotonic()
        wait_until_settled(
            self.settings, self.servers, check=self.services.ensure, stalled_after=self.patience
        )
        return time.monotonic() - began

    def progress(self, service: str, what: str, seconds: float = 120) -> float:
        """Wait until a service has handled more, or nothing more comes; how many seconds."""
        began, before = time.monotonic(), self.handled(service)

        def more() -> bool:
            self.services.ensure()
            return self.handled(service) > before or self.over.is_set()

        wait_for(more, f"progress of {service} after {what}", seconds)
        return time.monotonic() - began

    def settle_letters(self) -> float:
        """Wait until every record that must be refused is a dead letter; how many seconds."""
        began = time.monotonic()

        def done() -> bool:
            self.services.ensure()
            return all(
                len(letters_of(self.servers, topic)) >= count
                for topic, count in self.letters.items()
            )

        wait_for(done, "all dead letters", 240, every=1)
        return time.monotonic() - began

    def world(self) -> World:
        """What the checks look at."""
        placed = [*expected.purchases(self.placed), *self.foreign]
        return World(self.home, self.servers, placed, self.letters)

    def wrong(self) -> dict[str, list[str]]:
        """By check, what is wrong."""
        return all_wrong(self.world())


@contextmanager
def stack(
    folder: Path, seed: int, changes: Sequence[str] = (), home: Home | None = None
) -> Iterator[Stack]:
    """A fresh stack on a broker of its own; nothing of it is left at the end."""
    home = home or Home(folder / "home")
    servers = start_broker(home)
    try:
        assert home.shop("topics", "create").returncode == 0
        with services(home, servers, seed, changes) as made:
            yield made
    finally:
        home.shop("broker", "stop")


@contextmanager
def services(home: Home, servers: str, seed: int, changes: Sequence[str] = ()) -> Iterator[Stack]:
    """All services of a home, on a broker that runs and has the topics."""
    chance = random.Random(seed)
    environment = {**home.environment, "KAFKA_BOOTSTRAP_SERVERS": servers}
    made = Services(lambda _service: environment, home.path / "logs", chance)

    def broker_dies() -> None:
        status = home.shop("broker", "status", "--json")
        os.kill(int(json.loads(status.stdout)["pid"]), signal.SIGKILL)
        assert start_broker(home) == servers

    try:
        for name in SERVICES:
            made.start(name, changes=changes)
        yield Stack(home, servers, made, chance, broker_dies)
    finally:
        made.close()


def start_broker(home: Home) -> str:
    """Start a home's own broker; where it is."""
    done = home.shop("broker", "start")
    assert done.returncode == 0, done.stderr
    return next(word for word in done.stdout.split() if word.startswith("127.0.0.1:"))


def lock(database: Place, seconds: float, tick: Callable[[], None]) -> None:
    """Hold a database's write lock for so long, from another connection."""
    held = Database(database, [])
    try:
        with held.transaction():
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                tick()
                time.sleep(0.1)
    finally:
        held.close()
