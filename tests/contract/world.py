"""A shop whose orders are all at their end, on either database: to be looked at, and to be changed.

It is made once for each kind of database, and each test has a copy.
"""

import itertools
import pickle
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from shutil import copytree
from typing import Any

from sqlalchemy import Connection, text

from cli.place import read_purchases
from cli.prove import databases_of
from cli.settings import Settings
from event_log.database import Place, table_of
from event_log.log import GENESIS, EventRow
from event_log.sqlite import SqliteFile
from reporting.projector import catch_up, open_projections
from reporting.proof import Head, Part, PartName
from reporting.proof_rows import link
from reporting.proof_run import Proof
from reporting.read_only import ReadOnlyDatabase
from tests import expected
from tests.conftest import ODD_NAME, Home
from tests.contract.server import PostgresServer
from tests.integration.pipes import Shop, Topics
from tests.unit.test_proof_world import MemoryTopics

ORDERS_PLACED = 120
NAMES = ("event_log", "order", "payment", "warehouse", "report", "proofs", "dead_letters")
COLUMNS = [column.name for column in table_of(EventRow).columns]
_numbers = itertools.count(1)


@dataclass
class World:
    """Databases as the project's settings name them, and what Kafka had."""

    kind: str
    home: Home
    topics: Topics = field(default_factory=Topics)

    @cached_property
    def settings(self) -> Settings:
        url = self.home.settings.get("SHOP_DATABASE_URL")
        password = self.home.settings.get("SHOP_DATABASE_PASSWORD")
        return Settings(home=self.home.path, database_url=url, database_password=password)

    @property
    def database(self) -> str:
        """The name of the Postgres database."""
        return self.home.settings["SHOP_DATABASE_URL"].rpartition("/")[2]

    @property
    def name(self) -> str:
        """The role that looks at the Postgres database."""
        return self.home.settings["SHOP_DATABASE_URL"].removeprefix("postgresql://").split("@")[0]

    def of(self, name: str) -> Place:
        return self.settings.database(name)

    def prove(self, *, offline: bool = False, settled: bool = False) -> dict[str, Part]:
        return self.proved(offline=offline, settled=settled)[1]

    def proved(
        self, *, offline: bool = False, settled: bool = False
    ) -> tuple[Head, dict[str, Part]]:
        with closing(Proof(databases_of(self.settings), settled=settled)) as proof:
            if not offline:
                proof.ask(MemoryTopics(self.topics))
            return proof.head, {
                name.value: proof.run(name, lambda done, total: None) for name in PartName
            }

    @contextmanager
    def changing(self, name: str = "event_log") -> Iterator[Connection]:
        """A transaction of somebody who may do everything, past the log's triggers."""
        place = self.of(name)
        engine = (SqliteFile(place) if isinstance(place, Path) else place).connect()
        with engine.begin() as connection:
            if name == "event_log":
                without_triggers(connection)
            yield connection
        engine.dispose()

    def change(self, name: str, statement: str, **values: object) -> None:
        with self.changing(name) as connection:
            connection.execute(text(statement), values)

    def rows(self, name: str, query: str, **values: object) -> list[tuple[Any, ...]]:
        with ReadOnlyDatabase(self.of(name)).reading() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]

    def row_of(self, kind: str) -> dict[str, Any]:
        """A row of a type, from the middle of the log."""
        query = "SELECT * FROM event_log WHERE type = :type ORDER BY position"
        found = self.rows("event_log", query, type=f"shop.{kind}")
        return dict(zip(COLUMNS, found[len(found) // 2], strict=True))

    def close(self) -> None:
        """Let go of the connections that looks have made."""
        for name in NAMES:
            ReadOnlyDatabase(self.of(name)).close()


def without_triggers(connection: Connection) -> Connection:
    """Let somebody change the log, in this transaction and after it."""
    statements = (
        (
            "DROP TRIGGER IF EXISTS event_log_no_update",
            "DROP TRIGGER IF EXISTS event_log_no_delete",
        )
        if connection.dialect.name == "sqlite"
        else ("ALTER TABLE event_log DISABLE TRIGGER event_log_append_only",)
    )
    for statement in statements:
        connection.exec_driver_sql(statement)
    return connection


def empty(kind: str, folder: Path, server: PostgresServer | None) -> World:
    """A world without any database."""
    if server is None:
        return World(kind, Home(folder / ODD_NAME))
    database = f"world_{next(_numbers)}"
    server.create(database)
    return World(kind, Home(folder / ODD_NAME, server.settings(database)))


def settled(world: World) -> World:
    """The world, with orders that are all at their end."""
    shop = Shop(world.of)
    shop.place(read_purchases(expected.DATA, "USD")[0][:ORDERS_PLACED])
    shop.run()
    projections = open_projections(world.of("report"))
    catch_up(shop.recorder.database, projections)
    for database in (*(service.database for service in shop.services), projections):
        database.close()
    world.topics = shop.topics
    return world


def copied(world: World, folder: Path, server: PostgresServer | None) -> World:
    """A world like another one, to be changed."""
    topics = pickle.loads(pickle.dumps(world.topics))  # noqa: S301 our own
    if server is None:
        copytree(world.home.path, folder / ODD_NAME)
        return World(world.kind, Home(folder / ODD_NAME), topics)
    world.close()
    database = f"world_{next(_numbers)}"
    server.create(database, world.database)
    return World(world.kind, Home(folder / ODD_NAME, server.settings(database)), topics)


def hash_again(connection: Connection) -> None:
    """Forge the chain: number and hash the rows anew."""
    before = GENESIS
    rows = connection.execute(text("SELECT * FROM event_log ORDER BY position")).all()
    for position, row in enumerate(rows, 1):
        before = link(before, (position, *row[1:]))
        connection.execute(
            text("UPDATE event_log SET position = :position, hash = :hash WHERE position = :was"),
            {"position": position, "hash": before, "was": row[0]},
        )


def place_of(row: dict[str, Any]) -> str:
    return f"{row['topic']}[{row['partition']}]@{row['offset']}"
