"""What the tests of both databases share: each runs on SQLite and on Postgres."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest
from sqlalchemy import Connection

from cli.place import read_purchases
from event_log.database import Database, Place
from services.batch import handle_batch
from services.recorder import RecorderService
from tests import expected
from tests.contract.server import PostgresServer
from tests.integration.pipes import NOW, Shop
from transport.records import Record

ORDERS = 400
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    # Not in pytest's own folder, which is root's alone.
    folder = Path(mkdtemp(prefix="postgres-"))
    made = None
    try:
        made = PostgresServer(folder)
        yield made
    finally:
        if made is not None:
            made.stop()
        rmtree(folder)


@dataclass(frozen=True)
class Places:
    """Where a test's databases are: files in a folder of its own, or schemas."""

    kind: str
    of: Callable[[str], Place]


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    if request.param == "sqlite":
        return Places(request.param, lambda name: tmp_path / f"{name}.sqlite")
    server: PostgresServer = request.getfixturevalue("server")
    number = next(_numbers)
    return Places(request.param, lambda name: server.place(f"test_{number}_{name}"))


@pytest.fixture
def recorder(places: Places) -> Iterator[RecorderService]:
    """A recorder of an empty log."""
    made = RecorderService(places.of("event_log"))
    yield made
    made.database.close()


@pytest.fixture
def log(recorder: RecorderService) -> Database:
    """An empty log."""
    return recorder.database


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """What the first real orders came to: all events, as the recorder reads them."""
    shop = Shop(tmp_path_factory.mktemp("records"))
    shop.place(read_purchases(expected.DATA, "USD")[0][:ORDERS])
    shop.run()
    for service in shop.services:
        service.database.close()
    return [each for topic in shop.recorder.subscriptions for each in shop.topics.of(topic)]


@pytest.fixture
def recorded(recorder: RecorderService, records: list[Record]) -> Database:
    """A log of the first real orders."""
    handle_batch(recorder, records, NOW)
    return recorder.database


def without_triggers(connection: Connection) -> Connection:
    """Let somebody change the log, in this transaction and after it."""
    statements = (
        ("DROP TRIGGER event_log_no_update", "DROP TRIGGER event_log_no_delete")
        if connection.dialect.name == "sqlite"
        else ("ALTER TABLE event_log DISABLE TRIGGER event_log_append_only",)
    )
    for statement in statements:
        connection.exec_driver_sql(statement)
    return connection
