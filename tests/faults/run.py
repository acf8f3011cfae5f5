"""A scenario from start to verdict."""

import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

from tests.conftest import Home
from tests.faults.changes import MUTATIONS
from tests.faults.cluster import cluster
from tests.faults.made_anew import made_anew
from tests.faults.on_postgres import ON_POSTGRES
from tests.faults.scenarios import SCENARIOS, Outcome, Size
from tests.faults.stack import Stack, services, stack
from tests.waiting import wait_for
from transport.topics import AUTHORIZATIONS, ORDERS

SHORT = {
    "kills": Size(30, 900),
    "deaths at chosen moments": Size(0, 1200),
    "zombies": Size(1, 900, 60),
    "broker killed": Size(3, 1500, 60),
    "rebalances": Size(6, 1500),
    "partitions added": Size(1, 600, 300),
    "database locked": Size(1, 900, 80, seconds=12),
    "disk full": Size(1, 900, 80, seconds=8),
    "clock back and ahead": Size(1, 600, 300),
    "slow database": Size(1, 600, 300),
    "everything three times": Size(1, 600, 300),
    "offsets reset": Size(4, 800, 300),
    "foreign transactions": Size(0, 1200),
    "restored": Size(4, 1600, 150),
    "1 MB records": Size(50, 300, 100),
}
SHORT_ON_POSTGRES = {
    "Postgres away": Size(1, 400, 40, seconds=8),
    "Postgres' connections ended": Size(3, 400, 80),
    "Postgres locked": Size(1, 300, 40, seconds=6),
    "Postgres failed over": Size(1, 600, 30),
    "Postgres failed over, tail lost": Size(1, 600, 30),
}
LONG_ON_POSTGRES = {
    "Postgres away": Size(5, 5000, 40, seconds=15),
    "Postgres' connections ended": Size(40, 4000, 40),
    "Postgres locked": Size(3, 6000, 30, seconds=65),
    "Postgres failed over": Size(5, 5000, 40),
    "Postgres failed over, tail lost": Size(3, 3000, 40),
}
ON_STACK = {
    "kills": Size(30, 600),
    "deaths at chosen moments": Size(0, 400),
    "broker killed": Size(1, 500, 60),
    "database killed": Size(2, 500, 60),
    "rebalances": Size(4, 500),
    "database locked": Size(1, 400, 80, seconds=6),
    "everything three times": Size(1, 200, 300),
    "offsets reset": Size(2, 300, 300),
}
"""On Postgres, with passwords and rights; its disk is the server's matter."""
LONG = {
    "kills": Size(100, 3000, 45, rounds=10),
    "deaths at chosen moments": Size(0, 3000),
    "zombies": Size(4, 2400, 40),
    "broker killed": Size(10, 6000, 40),
    "rebalances": Size(40, 5000, 60),
    "partitions added": Size(1, 600, 300),
    "database locked": Size(3, 4000, 40, seconds=30),
    "disk full": Size(3, 4000, 40, seconds=30),
    "clock back and ahead": Size(1, 2000, 300),
    "slow database": Size(1, 2000, 300),
    "everything three times": Size(1, 2000, 300),
    "offsets reset": Size(4, 800, 300),
    "foreign transactions": Size(0, 3000, rounds=5),
    "restored": Size(4, 2400, 100, rounds=3),
    "1 MB records": Size(400, 1000, 50),
}


@dataclass
class Row:
    """What came of a scenario: figures, and by check what was wrong."""

    scenario: str
    faults: int = 0
    orders: int = 0
    lost: int = 0
    doubled: int = 0
    recovered: float = 0.0
    """Seconds from the last fault until something was recorded, or all was settled."""
    seconds: float = 0.0
    restarts: int = 0
    """Processes that ended without being killed by the scenario."""
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def add(self, other: "Row") -> None:
        """Take in what came of another round."""
        for name in ("faults", "orders", "lost", "doubled", "seconds", "restarts"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.recovered = max(self.recovered, other.recovered)
        self.wrong |= other.wrong

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def measure(name: str, made: Stack, size: Size) -> Row:
    """Run a scenario on a stack, and all checks after each of its rounds."""
    row = Row(name)
    for _ in range(size.rounds):
        began, before, ends = time.monotonic(), made.placed, len(made.services.ends)
        outcome = (SCENARIOS | ON_POSTGRES)[name](made, size)
        row.add(verdict(name, made, outcome, began, before, ends))
    return row


def verdict(name: str, made: Stack, outcome: Outcome, began: float, before: int, ends: int) -> Row:
    """The figures of what was done, and what the checks say."""
    world = made.world()
    found = made.home.recorded_times()
    return Row(
        name,
        outcome.faults,
        made.placed - before,
        lost=sum(order not in found for order in world.outcomes),
        doubled=sum(times > 1 for times in found.values()),
        recovered=outcome.recovered,
        seconds=time.monotonic() - began,
        restarts=len(made.services.ends) - ends,
        wrong=made.wrong(),
    )


def leader_killed(seed: int, faults: int, orders: int, per_second: float) -> Row:
    """Three brokers, three copies of everything; the leader of a partition is killed under load."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        home = Home(Path(folder) / "home")
        with cluster(Path(folder) / "cluster") as nodes:
            home.settings |= {"KAFKA_BOOTSTRAP_SERVERS": nodes.servers, "SHOP_REPLICATION": "3"}
            made_topics = home.shop("topics", "create")
            assert made_topics.returncode == 0, made_topics.stderr
            with services(home, nodes.servers, seed) as made:
                recovered = 0.0
                with made.flow(orders, per_second):
                    for number in range(faults):
                        made.progress("payment", "the start")
                        topic = (ORDERS, AUTHORIZATIONS)[number % 2]
                        node = nodes.leader(topic, number % 4)
                        nodes.kill(node)
                        recovered = max(recovered, made.progress("payment", "the leader's death"))
                        nodes.start(node)
                        wait_for(nodes.whole, "all copies", 120)
                made.settle()
                return verdict("leader killed", made, Outcome(faults, recovered), began, 0, 0)


def topic_made_anew(seed: int, orders: int) -> Row:
    """A topic deleted and made anew under load; no service may do anything with its records."""
    began = time.monotonic()
    outcome, wrong = made_anew(seed, orders)
    return Row(
        "topic made anew",
        outcome.faults,
        orders,
        recovered=outcome.recovered,
        seconds=time.monotonic() - began,
        wrong={"nothing done": wrong} if wrong else {},
    )


def mutation(name: str, seed: int, orders: int = 900) -> Row:
    """All services made wrong in one way, and killed meanwhile; some check must find it."""
    began = time.monotonic()
    assert name in MUTATIONS
    with ExitStack() as context:
        if name == "random-ids":
            # Orders are placed from here.
            random_id = patch("transport.records.message_id_of", lambda _contract: str(uuid4()))
            context.enter_context(random_id)
        folder = context.enter_context(tempfile.TemporaryDirectory())
        made = context.enter_context(stack(Path(folder), seed, [name]))
        made.patience = 15
        try:
            scenario = "foreign transactions" if name == "uncommitted" else "kills"
            outcome = SCENARIOS[scenario](made, Size(12, orders))
        except Exception as error:  # noqa: BLE001 that it doesn't settle is a finding too
            row = Row(name, 12, made.placed, seconds=time.monotonic() - began)
            row.wrong = {"settles": [str(error).splitlines()[0]]} | made.wrong()
            return row
        return verdict(name, made, outcome, began, 0, 0)
