"""PgBouncer before Postgres: as a session it will do, and by the transaction it is refused."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cli.composition import looked_up
from domain.errors import StoreError
from event_log.database import Database
from event_log.outbox import OutboxRow, Relay, enqueue, waiting
from event_log.postgres import PostgresSchema
from reporting.read_only import ReadOnlyDatabase
from tests.contract.conftest import open_folder
from tests.contract.pooler import pooler
from tests.contract.server import PostgresServer
from tests.contract.test_outbox import Collects, numbered


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder("pgbouncer") as made:
        yield made


def test_a_pooler_of_sessions_is_as_good_as_the_server(
    server: PostgresServer, folder: Path
) -> None:
    with pooler(server, folder, "session") as url:
        place = PostgresSchema(url, "behind_a_pooler")
        for first in (0, 5):
            # The second has sessions that others had.
            database = Database(place, [OutboxRow])
            database.in_transaction(
                lambda connection, at=first: enqueue(connection, numbered(at, 5))
            )
            with database.alone("relay"), pytest.raises(StoreError, match="another relay of"):
                Relay(database, Collects(), held_for=0).drain()
            publisher = Collects()
            assert Relay(database, publisher).drain() == 5
            assert publisher.published == numbered(first, 5)
            with ReadOnlyDatabase(place).reading() as connection:
                for name, value in (("search_path", place.schema), ("synchronous_commit", "on")):
                    assert connection.exec_driver_sql(f"SHOW {name}").scalar() == value
            assert waiting(database) == 0
            ReadOnlyDatabase(place).close()
            database.close()


@pytest.mark.parametrize(
    ("mode", "more"),
    [
        ("transaction", ""),
        # It gives a client the session that was longest without one.
        ("transaction", "server_round_robin = 1\nmin_pool_size = 3"),
        ("transaction", "default_pool_size = 1"),
    ],
)
def test_a_pooler_of_transactions_is_refused_by_name_and_left_as_it_was(
    server: PostgresServer, folder: Path, mode: str, more: str
) -> None:
    with pooler(server, folder, mode, more) as url:
        place = PostgresSchema(url, "by_transaction")
        for opened in (lambda: Database(place, []), lambda: looked_up(place, lambda _: None)):
            with pytest.raises(StoreError, match=r"PgBouncer with pool_mode=transaction.*session"):
                opened()
        with psycopg.connect(url, autocommit=True) as connection:
            # Whoever has its sessions next finds nothing of ours.
            for _ in range(4):
                assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)
            engine = server.place(place.schema).connect()
            with engine.begin() as direct:
                assert not place.is_open_elsewhere(direct)
            engine.dispose()
