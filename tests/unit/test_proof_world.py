"""A world to prove: the real services over topics in memory, all orders at their end."""

import atexit
import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp
from typing import Any

import pytest

from cli.place import read_purchases
from event_log.database import table_of
from event_log.log import GENESIS, EventRow
from reporting.projector import catch_up, open_projections
from reporting.proof import Failure, Part, PartName
from reporting.proof_rows import link
from reporting.proof_run import Databases, Proof
from reporting.proof_topics import Span
from tests import expected
from tests.integration.pipes import Shop, Topics
from transport.codec import decode
from transport.records import Record
from transport.topics import TopicPartition

COLUMNS = [column.name for column in table_of(EventRow).columns]
ORDERS_PLACED = 150


@dataclass
class MemoryTopics:
    """Topics in memory as a proof reads them.

    `low` is what retention has left, and `markers` how many offsets at an end hold no record.
    """

    topics: Topics
    low: dict[TopicPartition, int] = field(default_factory=dict)
    markers: dict[TopicPartition, int] = field(default_factory=dict)

    def spans(self, topics: Any) -> dict[TopicPartition, Span]:
        wanted = set(topics)
        places = sorted(place for place in self.topics.records if place[0] in wanted)
        return {TopicPartition(*place): self.span(TopicPartition(*place)) for place in places}

    def span(self, place: TopicPartition) -> Span:
        records = self.topics.records[place]
        end = records[-1].offset + 1 if records else 0
        return Span(self.low.get(place, 0), end + self.markers.get(place, 0))

    def records(self, place: TopicPartition, span: Span) -> Iterator[list[Record]]:
        records = [r for r in self.topics.records[place] if span.low <= r.offset < span.end]
        for start in range(0, len(records), 7):
            yield records[start : start + 7]


@dataclass
class World:
    """A shop whose orders are all at their end, with its projections."""

    folder: Path
    shop: Shop
    kafka: MemoryTopics

    @property
    def databases(self) -> Databases:
        return Databases(
            *(self.folder / f"{name}.sqlite" for name in ("event_log", "report", "order"))
        )

    def prove(self, *, offline: bool = False, settled: bool = False) -> dict[str, Part]:
        with closing(Proof(self.databases, settled=settled)) as proof:
            if not offline:
                proof.ask(self.kafka)
            return {name.value: proof.run(name, lambda done, total: None) for name in PartName}

    def tamper(self, database: str = "event_log") -> "closing[sqlite3.Connection]":
        connection = sqlite3.connect(self.folder / f"{database}.sqlite", isolation_level=None)
        for verb in ("update", "delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS event_log_no_{verb}")
        return closing(connection)


@lru_cache(maxsize=1)
def _settled() -> Path:
    """Where the databases of a shop are whose orders are all at their end; made once."""
    folder = Path(mkdtemp(prefix="settled-"))
    atexit.register(rmtree, folder)
    shop = Shop(folder)
    shop.place(read_purchases(expected.DATA, "USD")[0][:ORDERS_PLACED])
    shop.run()
    projections = open_projections(folder / "report.sqlite")
    catch_up(shop.recorder.database, projections)
    for database in (*(service.database for service in shop.services), projections):
        database.close()
    (folder / "topics").write_bytes(pickle.dumps(shop.topics.records))
    return folder


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder = tmp_path / "world"
    copytree(_settled(), folder)
    shop = Shop(folder)
    shop.topics.records = pickle.loads((folder / "topics").read_bytes())  # noqa: S301 our own
    return World(folder, shop, MemoryTopics(shop.topics))


def failing(parts: dict[str, Part]) -> set[str]:
    return {name for name, part in parts.items() if part.holds is False}


def failure(part: Part) -> Failure:
    assert part.finding is not None
    assert part.finding.failure is not None, f"{part.name} holds"
    return part.finding.failure


def where(part: Part) -> str:
    return failure(part).where


def what(part: Part) -> str:
    return failure(part).what


def by(part: Part) -> dict[str, int]:
    return dict(failure(part).by)


def notes(part: Part) -> str:
    assert part.finding is not None
    return "\n".join(part.finding.notes)


def checked(part: Part) -> dict[str, Any]:
    assert part.finding is not None
    return dict(part.finding.checked)


def row_of(connection: sqlite3.Connection, kind: str) -> dict[str, Any]:
    """A row of a type, from the middle of the log."""
    rows = connection.execute(
        "SELECT * FROM event_log WHERE type = ? ORDER BY position", (f"shop.{kind}",)
    ).fetchall()
    return dict(zip(COLUMNS, rows[len(rows) // 2], strict=True))


def put(connection: sqlite3.Connection, row: dict[str, Any]) -> None:
    listed = ", ".join(f'"{name}"' for name in COLUMNS)
    marks = ", ".join("?" * len(COLUMNS))
    connection.execute(
        f"INSERT OR REPLACE INTO event_log ({listed}) VALUES ({marks})",  # noqa: S608
        [row[name] for name in COLUMNS],
    )


def hash_again(connection: sqlite3.Connection) -> None:
    """Forge the chain: number and hash the rows anew."""
    rows = connection.execute("SELECT * FROM event_log ORDER BY position").fetchall()
    connection.execute("DELETE FROM event_log")
    before = GENESIS
    for position, row in enumerate(rows, 1):
        before = link(before, (position, *row[1:]))
        put(connection, dict(zip(COLUMNS, (position, *row[1:-1], before), strict=True)))


def another_amount(row: dict[str, Any]) -> dict[str, Any]:
    cents = decode(f"{row['type']}.v1", row["body"]).amount.cents  # type: ignore[union-attr]
    changed = row["body"].replace(b'"cents":%d' % cents, b'"cents":%d' % (cents + 500))
    return {**row, "body": changed}


def place_of(row: dict[str, Any]) -> str:
    return f"{row['topic']}[{row['partition']}]@{row['offset']}"


def test_what_nobody_touched_holds_and_everything_is_counted(world: World) -> None:
    parts = world.prove(settled=True)
    assert failing(parts) == set()
    log = world.shop.recorder.database
    with log.reading() as connection:
        events = connection.exec_driver_sql("SELECT count(*) FROM event_log").scalar()
    wanted = expected.purchases(ORDERS_PLACED)
    decided = expected.outcomes(wanted)
    accepted = sum(outcome == "accepted" for outcome in decided.values())
    assert accepted < len(decided), "no order was declined: the test would miss half"
    assert checked(parts["chain"]) == {"positions": events}
    offsets = checked(parts["offsets"])
    assert offsets["offsets"] == offsets["recorded"] == events
    assert checked(parts["orders"])["currencies"]["USD"]["placed"] == {
        "orders": ORDERS_PLACED,
        "cents": sum(order.cents for order in wanted),
    }
    assert checked(parts["orders"])["order_service"] == {"orders": ORDERS_PLACED}
    shipments = checked(parts["shipments"])
    assert (shipments["accepted"], shipments["shipped"], shipments["under_way"]) == (
        accepted,
        accepted,
        0,
    )
