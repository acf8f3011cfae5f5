"""Makes databases with an earlier version's own code, and writes them down as SQL.

To be run in a checkout of that version (`git worktree add FOLDER COMMIT`), with it on the path:

    cd FOLDER && PYTHONPATH=. python …/make.py [--only report,…] [--replayed] >…/COMMIT.sql

With `--postgres ADDRESS PG_DUMP` schemas of that database are made, and written by that program.
What comes out is a shop in the middle of its work: orders that are done, decided, shipped without a
word of it, waiting in an outbox, asked for, and one whose events came before it. Beside the
databases it has what was published, as Kafka would have it.
"""

import argparse
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from domain.contracts import NewOrder
from domain.house_accounts import HouseAccounts, house_address
from domain.money import Money
from event_log.outbox import Relay
from reporting.projector import catch_up, open_projections
from services.batch import handle_batch
from services.order import OrderService
from services.payment import PaymentService
from services.recorder import RecorderService
from services.warehouse import WarehouseService
from transport.records import Outgoing, Record

NOW = datetime(1997, 4, 2, 12, tzinfo=UTC)
DATABASES = ("event_log", "order", "payment", "warehouse", "report", "dead_letters", "proofs")
PARTITIONS = 3


class Topics:
    """What was published, partitioned by key."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], list[Record]] = {}

    def publish(self, records: Sequence[Outgoing]) -> None:
        for record in records:
            partition = sum(record.key or b"") % PARTITIONS
            log = self.records.setdefault((record.topic, partition), [])
            headers = tuple(record.headers)
            log.append(Record(record.topic, partition, len(log), record.key, record.body, headers))

    def of(self, topic: str) -> list[Record]:
        return [each for (name, _), log in self.records.items() if name == topic for each in log]


def order(number: int, customer: int, cents: int) -> NewOrder:
    when = datetime(1997, 3, 30, number, tzinfo=UTC)
    amount = Money(cents, "USD")
    address = house_address(str(customer))
    return NewOrder(f"early/{number}", str(customer), when, amount, number, address)


ORDERS = [
    order(1, 1, 10_000),
    order(2, 1, 20_100),
    order(3, 97, 500),
    order(4, 2, 1_177),
    order(5, 2, 2_333),
    order(6, 3, 4_096),
]


def work(of: Callable[[str], Any], *, replayed: bool) -> Topics:
    """Half of a shop's work; `of` gives a database's place."""
    topics = Topics()
    orders, warehouse = OrderService(of("order")), WarehouseService(of("warehouse"))
    payment = PaymentService(of("payment"), HouseAccounts(Money(30_000, "USD")))
    recorder, projections = RecorderService(of("event_log")), open_projections(of("report"))

    def deliver(service: Any, topic: str) -> None:
        handle_batch(service, topics.of(topic), NOW)

    def publish(service: Any) -> None:
        Relay(service.database, topics).drain()

    orders.database.bind_to_cluster("earlier")
    orders.place(ORDERS[:4], NOW)
    publish(orders)
    # One that nobody can read, and one that was published twice.
    first = topics.of("orders")[0]
    lying = topics.records["orders", first.partition]
    for body in (b"{", first.value):
        place = "orders", first.partition, len(lying)
        lying.append(Record(*place, first.key, body, first.headers))
    deliver(payment, "orders")
    publish(payment)
    deliver(recorder, "orders")
    deliver(recorder, "authorizations")
    deliver(orders, "authorizations")
    publish(orders)
    deliver(warehouse, "warehouse.requests")
    catch_up(recorder.database, projections)
    publish(recorder)
    if replayed:
        from reporting.projections import all_projections
        from reporting.replay import replay

        replay(recorder.database, projections, list(all_projections().values()))
    # From here on all stays where it is: in an outbox, or before its turn.
    orders.place(ORDERS[4:5], NOW)
    with TemporaryDirectory() as folder:
        stranger = OrderService(Path(folder) / "order.sqlite")
        stranger.place(ORDERS[5:], NOW)
        publish(stranger)
    deliver(payment, "orders")
    publish(payment)
    deliver(orders, "authorizations")
    # What the version doesn't have yet can't be imported.
    for more in (ask, keep_letters, prove, beat):
        with suppress(ImportError):
            more(of, orders, topics)
    for database in (
        projections,
        *(each.database for each in (orders, payment, warehouse, recorder)),
    ):
        database.engine.dispose()
    return topics


def ask(of: Callable[[str], Any], orders: OrderService, topics: Topics) -> None:
    """Ask for an order, and hear nothing."""
    from services.asked import Asked, keep_asked

    asked = Asked("5f9a0e1e-0000-4000-8000-000000000001", ORDERS[0], NOW + timedelta(minutes=1))
    with orders.database.transaction() as connection:
        keep_asked(connection, [asked], NOW)


def keep_letters(of: Callable[[str], Any], orders: OrderService, topics: Topics) -> None:
    """Keep what nobody could read, and drop it."""
    from domain.letters import Action
    from services.letter_store import all_letters, keep_action
    from services.letter_store import keep_letters as keep
    from services.letters import LetterDesk
    from transport.letters import read_letter

    database = LetterDesk(of("dead_letters")).database
    with database.transaction() as connection:
        keep(connection, [read_letter(each) for each in topics.of("orders.dead-letter")])
        (letter,) = all_letters(connection)
        keep_action(connection, letter, Action.DROPPED, "it says nothing", NOW, None)
    database.engine.dispose()


def prove(of: Callable[[str], Any], orders: OrderService, topics: Topics) -> None:
    """Keep the result of a proof."""
    from event_log.database import Database, table_of
    from reporting.proofs import ProofRow

    row = {"ended_at": NOW, "position": 3, "hash": b"3", "holds": True, "parts": b"[]"}
    database = Database(of("proofs"), [ProofRow])
    with database.transaction() as connection:
        connection.execute(table_of(ProofRow).insert(), row)
    database.engine.dispose()


def beat(of: Callable[[str], Any], orders: OrderService, topics: Topics) -> None:
    """Say that the order service lives, where that is a file."""
    from services.heartbeat import Heartbeat

    if isinstance(of("order"), Path):
        Heartbeat(of("order"), "order").beat()


def write_topics(topics: Topics, file: Path) -> None:
    """Keep what was published as a database of its own."""
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE records (topic, partition, place, key, body, headers)")
        connection.executemany(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    each.topic,
                    each.partition,
                    each.offset,
                    each.key,
                    each.value,
                    json.dumps([(name, value and value.decode()) for name, value in each.headers]),
                )
                for log in topics.records.values()
                for each in log
            ),
        )


def as_sql(file: Path) -> str:
    """A SQLite file as SQL."""
    with sqlite3.connect(file) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        return "\n".join([f"PRAGMA user_version = {version};", *connection.iterdump(), ""])


def schemas_as_sql(dump: str, url: str, names: Sequence[str]) -> str:
    """Schemas of a Postgres database as SQL."""
    wanted = [f"--schema={name}" for name in names]
    done = subprocess.run(
        [dump, "--inserts", "--no-owner", *wanted, url], check=True, capture_output=True, text=True
    )
    # Comments, and psql's own commands.
    lines = [line for line in done.stdout.splitlines() if line and line[0] not in "-\\"]
    return "\n".join([*lines, ""])


def main() -> None:
    """Make the databases, and write them to standard output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join((*DATABASES, "topics")))
    parser.add_argument("--replayed", action="store_true")
    parser.add_argument("--postgres", nargs=2)
    given = parser.parse_args()
    wanted = given.only.split(",")
    with TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.sqlite" for name in (*DATABASES, "topics")}
        of: Callable[[str], Any] = files.__getitem__
        if given.postgres:
            from event_log.postgres import PostgresSchema

            of = partial(PostgresSchema, given.postgres[0])
        write_topics(work(of, replayed=given.replayed), files["topics"])
        for name, file in files.items():
            if name in wanted and file.exists():
                sys.stdout.write(f"-- {name}\n{as_sql(file)}")
        if given.postgres:
            url, dump = given.postgres
            schemas = [name for name in DATABASES if name in wanted]
            sys.stdout.write(f"-- postgres\n{schemas_as_sql(dump, url, schemas)}")


if __name__ == "__main__":
    main()
