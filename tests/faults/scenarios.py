"""What goes wrong, and how often; each scenario ends with all that was placed settled."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import NewPartitions  # type: ignore[attr-defined]
from sqlalchemy import text

from event_log.database import Database
from tests.faults.changes import DEATHS
from tests.faults.foreign import ForeignShop, large_records
from tests.faults.restores import put_back
from tests.faults.stack import SERVICES, Stack, lock
from tests.waiting import wait_for
from transport.clients import admin_client
from transport.topics import AUTHORIZATIONS, ORDERS, WAREHOUSE_REQUESTS

MOST_MEMORY_BYTES = 384 * 1024 * 1024
"""What compose.yaml gives a service."""

ZOMBIE_SECONDS = 14
"""Longer than the session timeout of a worker, 10 s."""


@dataclass(frozen=True)
class Size:
    """How long a scenario goes on: `faults` of its kind, over `orders` orders."""

    faults: int
    orders: int
    per_second: float = 150
    seconds: float = 12
    """How long a lock is held, or a disk is full."""
    rounds: int = 1
    """How often it is done, with all checks after each."""


@dataclass(frozen=True)
class Outcome:
    """What was done, and how long it took until something was recorded again, at most."""

    faults: int
    recovered: float


Scenario = Callable[[Stack, Size], Outcome]


def kills(made: Stack, size: Size) -> Outcome:
    """SIGKILL of a random service at a random moment."""
    done = 0
    while done < size.faults:
        with made.flow(size.orders, size.per_second) as over:
            while done < size.faults and not over.is_set():
                made.services.kill(made.chance.choice(SERVICES))
                done += 1
                over.wait(made.chance.random() * 1.2)
    return Outcome(done, made.settle())


def deaths(made: Stack, size: Size) -> Outcome:
    """Each service dies by itself at the moments that matter most."""
    for death in DEATHS:
        made.services.change([death])
        with made.flow(size.orders // len(DEATHS), size.per_second) as over:
            while not over.is_set():
                made.services.ensure()
                over.wait(0.1)
    made.services.change([])
    faults = sum(code == -signal.SIGKILL for _, code in made.services.ends)
    return Outcome(faults, made.settle())


def zombies(made: Stack, size: Size) -> Outcome:
    """SIGSTOP until another process has taken the partitions over, then SIGCONT."""
    recovered = 0.0
    names = [SERVICES[(1 + number) % len(SERVICES)] for number in range(size.faults)]
    for name in names:
        with made.flow(size.orders // size.faults, size.per_second):
            made.services.start(name, f"{name}-2")
            made.services.pause(name)
            began = time.monotonic()
            recovered = max(recovered, made.progress(name, "its pause"))
            time.sleep(max(0.0, ZOMBIE_SECONDS - (time.monotonic() - began)))
            made.services.resume(name)
        made.settle()
        made.services.stop(f"{name}-2")
    return Outcome(len(names), recovered)


def broker_kills(made: Stack, size: Size) -> Outcome:
    """The broker is killed by SIGKILL, and started again."""
    return _kills_beneath(made, size, made.broker_dies, "the broker's death")


def database_kills(made: Stack, size: Size) -> Outcome:
    """The database's server is ended on the spot, and started again."""
    assert made.database_dies is not None
    return _kills_beneath(made, size, made.database_dies, "the database's death")


def _kills_beneath(made: Stack, size: Size, dies: Callable[[], None], what: str) -> Outcome:
    """What all services stand on dies, again and again while orders flow."""
    recovered = 0.0
    with made.flow(size.orders, size.per_second):
        for _ in range(size.faults):
            made.progress("recorder", "the start")
            began = time.monotonic()
            dies()
            made.progress("recorder", what)
            recovered = max(recovered, time.monotonic() - began)
    made.settle()
    return Outcome(size.faults, recovered)


def rebalances(made: Stack, size: Size) -> Outcome:
    """Workers are added and taken away."""
    done = 0
    with made.flow(size.orders, size.per_second) as over:
        while done < size.faults and not over.is_set():
            name = made.chance.choice(SERVICES)
            more = f"{name}-more"
            if more in made.services.running:
                made.services.stop(more)
            else:
                made.services.start(name, more)
            done += 1
            over.wait(made.chance.uniform(0.5, 3))
    recovered = made.settle()
    for name in [each for each in made.services.running if each.endswith("-more")]:
        made.services.stop(name)
    return Outcome(done, recovered)


def more_partitions(made: Stack, size: Size) -> Outcome:
    """Partitions are added while nothing is under way; the workers are started again."""
    admin = admin_client(made.servers)
    topics = (ORDERS, AUTHORIZATIONS, WAREHOUSE_REQUESTS)
    known = admin.list_topics(timeout=30).topics
    count = len(known[ORDERS].partitions) + 2
    for answer in admin.create_partitions([NewPartitions(name, count) for name in topics]).values():
        answer.result(30)
    made.services.change([])
    with made.flow(size.orders, size.per_second):
        pass
    return Outcome(1, made.settle())


def locked(made: Stack, size: Size) -> Outcome:
    """Another process holds a service's write lock."""
    databases = ("payment", "event_log", "order")[: size.faults]
    with made.flow(size.orders, size.per_second):
        for name in databases:
            lock(made.settings.database(name), size.seconds, made.services.ensure)
    return Outcome(len(databases), made.settle())


def full_disk(made: Stack, size: Size) -> Outcome:
    """The disk under the databases is full for a while: a small one, mounted for the scenario."""
    databases = made.home.path / "databases"
    filler = databases / "filler"
    for name in SERVICES:
        made.services.stop(name)
    with _small_disk(databases, "400m"):
        for name in SERVICES:
            made.services.start(name)
        with made.flow(size.orders, size.per_second):
            for _ in range(size.faults):
                made.progress("recorder", "the start")
                _fill(filler)
                end = time.monotonic() + size.seconds
                while time.monotonic() < end:
                    made.services.ensure()
                    time.sleep(0.1)
                filler.unlink()
        recovered = made.settle()
        for name in SERVICES:
            made.services.stop(name)
    for name in SERVICES:
        made.services.start(name)
    made.settle()
    return Outcome(size.faults, recovered)


def changed(*changes: str) -> Scenario:
    """All services run with these changes."""

    def scenario(made: Stack, size: Size) -> Outcome:
        made.services.change(changes)
        with made.flow(size.orders, size.per_second):
            pass
        recovered = made.settle()
        made.services.change([])
        return Outcome(1, recovered)

    scenario.__doc__ = f"All services with {' and '.join(changes)}."
    return scenario


def offsets_reset(made: Stack, size: Size) -> Outcome:
    """The offsets of one service's group are set to zero, and once its own positions as well."""
    for number, name in enumerate(SERVICES[: size.faults]):
        made.services.stop(name)
        _reset_group(made, f"shop-{name}")
        if number % 2:
            _forget_positions(made, name)
        made.services.start(name)
        with made.flow(size.orders // size.faults, size.per_second):
            pass
        made.settle()
    return Outcome(size.faults, made.settle())


def foreign_transactions(made: Stack, size: Size) -> Outcome:
    """Somebody else publishes orders by transactions, and commits or aborts them at random.

    A service is killed now and then, so that what was rolled back is also met at a start.
    """
    shop = ForeignShop(made.servers, made.chance, first=len(made.foreign))
    with made.flow(size.orders, size.per_second) as over, shop.open():
        while not over.wait(3):
            made.services.kill(made.chance.choice(SERVICES))
    made.foreign += shop.committed
    assert shop.committed
    assert shop.rolled_back
    return Outcome(shop.transactions, made.settle())


def restored(made: Stack, size: Size) -> Outcome:
    """Each service's database is put back to a copy of earlier, with orders on their way."""
    names = SERVICES[: size.faults]
    each = size.orders // len(names)
    return Outcome(len(names), max(put_back(made, name, each, size.per_second) for name in names))


def large(made: Stack, size: Size) -> Outcome:
    """Records of 1 MB that are none, in the topics of events and messages, as fast as they go."""
    with made.flow(size.orders, size.per_second):
        for topic, letters in large_records(made.servers, size.faults, made.chance).items():
            made.letters[topic] = made.letters.get(topic, 0) + letters
        recovered = made.settle_letters()
    made.services.refuse_large(MOST_MEMORY_BYTES)
    return Outcome(3 * size.faults, max(recovered, made.settle()))


SCENARIOS: dict[str, Scenario] = {
    "kills": kills,
    "deaths at chosen moments": deaths,
    "zombies": zombies,
    "broker killed": broker_kills,
    "database killed": database_kills,
    "rebalances": rebalances,
    "partitions added": more_partitions,
    "database locked": locked,
    "disk full": full_disk,
    "clock back and ahead": changed("wild-clock"),
    "slow database": changed("slow-database"),
    "everything three times": changed("thrice"),
    "offsets reset": offsets_reset,
    "foreign transactions": foreign_transactions,
    "restored": restored,
    "1 MB records": large,
}


def _reset_group(made: Stack, group: str) -> None:
    admin = admin_client(made.servers)

    def gone() -> bool:
        (answer,) = admin.describe_consumer_groups([group]).values()
        return not answer.result(30).members

    wait_for(gone, f"group {group} without members")
    (answer,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    known = answer.result(30).topic_partitions
    zero = [KafkaTopicPartition(each.topic, each.partition, 0) for each in known]
    if zero:
        reset = ConsumerGroupTopicPartitions(group, zero)
        for each in admin.alter_consumer_group_offsets([reset]).values():
            each.result(30)


def _forget_positions(made: Stack, name: str) -> None:
    place = made.settings.database("event_log" if name == "recorder" else name)
    with contextlib.closing(Database(place, [])) as database:
        database.in_transaction(
            lambda connection: connection.execute(text("DELETE FROM positions"))
        )


@contextlib.contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own at `folder`, which holds what the folder held; back at the end."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", str(folder)], check=True)
        yield
        subprocess.run(["cp", "-a", f"{folder}/.", str(aside)], check=True)
    finally:
        # Lazily: this process may still have a connection that nobody uses any more.
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()
        aside.rename(folder)


def _fill(file: Path) -> None:
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(size))
