"""What the tests of both databases share: each runs on SQLite and on Postgres."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from cli.place import read_purchases
from event_log.access.applying import bring_about_access
from event_log.database import Database, Place
from event_log.postgres import PostgresSchema
from reporting.read_only import ReadOnlyDatabase
from services.batch import handle_batch
from services.recorder import RecorderService
from tests import expected
from tests.contract.next_version import NextVersion
from tests.contract.server import PostgresServer, ServerInOrderOfWords
from tests.contract.stack import Stack, new_stack
from tests.contract.world import World, copied, empty, settled
from tests.integration.pipes import NOW, Shop
from transport.records import Record

ORDERS = 400
_numbers = itertools.count(1)


@contextmanager
def open_folder(prefix: str) -> Iterator[Path]:
    """A folder that may be somebody else's: pytest's own is the user's alone."""
    folder = Path(mkdtemp(prefix=f"{prefix}-"))
    try:
        yield folder
    finally:
        rmtree(folder)


@contextmanager
def _running(kind: type[PostgresServer]) -> Iterator[PostgresServer]:
    with open_folder("postgres") as folder:
        made = kind(folder)
        yield made
        made.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with _running(PostgresServer) as made:
        yield made


@pytest.fixture(scope="session")
def server_in_order_of_words() -> Iterator[PostgresServer]:
    with _running(ServerInOrderOfWords) as made:
        yield made


@dataclass(frozen=True)
class Places:
    """Where a test's databases are: files in a folder of its own, or schemas."""

    kind: str
    of: Callable[[str], Place]


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    """Places where there is nothing yet."""
    if request.param == "sqlite":
        return Places(request.param, lambda name: tmp_path / f"{name}.sqlite")
    name = "server" if request.param == "postgresql" else "server_in_order_of_words"
    server: PostgresServer = request.getfixturevalue(name)
    number = next(_numbers)

    def of(name: str) -> PostgresSchema:
        place = server.place(f"test_{number}_{name}")
        # What was looked at stays connected, and a server takes few connections.
        request.addfinalizer(ReadOnlyDatabase(place).close)
        return place

    return Places(request.param, of)


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


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def settled_world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> World:
    """A shop whose orders are all at their end; not to be changed, and looked at by copies."""
    return settled(empty(request.param, tmp_path_factory.mktemp("settled"), _server_of(request)))


@pytest.fixture
def world(request: pytest.FixtureRequest, settled_world: World, tmp_path: Path) -> Iterator[World]:
    """A shop whose orders are all at their end."""
    made = copied(settled_world, tmp_path, _server_of(request, settled_world.kind))
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world in which nobody has made anything."""
    made = empty(request.param, tmp_path, _server_of(request))
    yield made
    made.close()


def _server_of(request: pytest.FixtureRequest, kind: str | None = None) -> PostgresServer | None:
    if (kind or request.param) == "sqlite":
        return None
    server: PostgresServer = request.getfixturevalue("server")
    return server


@pytest.fixture
def next_version(tmp_path_factory: pytest.TempPathFactory) -> NextVersion:
    """A version after this one."""
    return NextVersion(tmp_path_factory.mktemp("next"))


@pytest.fixture
def empty_stack(server: PostgresServer, tmp_path: Path) -> Stack:
    """A database in which nothing is yet."""
    return new_stack(server, tmp_path)


@pytest.fixture(scope="session")
def template(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A database with all schemas, and rights in them; not to be connected to."""
    made = new_stack(server, tmp_path_factory.mktemp("template"))
    assert made.done()
    return made


@pytest.fixture
def stack(server: PostgresServer, template: Stack, tmp_path: Path) -> Stack:
    """A database with all schemas, roles and rights."""
    made = new_stack(server, tmp_path, template.database)
    # What is the database's own, and the passwords.
    owner = PostgresSchema(server.url(database=made.database), "public")
    assert bring_about_access(owner, made.passwords)
    return made
