"""A hot standby as the address: who reads is answered, and who would write is told where he is."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from domain.errors import ShopError
from event_log.database import Database
from event_log.outbox import OutboxRow, enqueue
from event_log.postgres import PostgresSchema
from reporting.dashboard.health_looking import look_at_proof, look_how_far
from reporting.dashboard.sources import Sources
from reporting.read_only import ReadOnlyDatabase
from tests.conftest import Home
from tests.contract.conftest import open_folder
from tests.contract.server import PostgresServer
from tests.contract.test_outbox import numbered
from tests.contract.test_sessions import all_parts_hold, orders_in, said, shop
from tests.contract.world import ORDERS_PLACED, World
from tests.waiting import wait_for

on_postgres = pytest.mark.parametrize("settled_world", ["postgresql"], indirect=True)


class Standby(PostgresServer):
    """A server that repeats what another one does, and can be read meanwhile."""

    def __init__(self, folder: Path, primary: PostgresServer) -> None:
        self._primary = primary
        super().__init__(folder, follows=primary)

    def catch_up(self) -> None:
        """Wait until it has all that the other one has by now."""
        ((end,),) = self._primary.found("SELECT pg_current_wal_lsn()")
        reached = f"SELECT pg_last_wal_replay_lsn() >= '{end}'"
        wait_for(lambda: self.found(reached) == [(True,)], "the standby catches up")


@pytest.fixture(scope="module")
def standby(server: PostgresServer) -> Iterator[Standby]:
    with open_folder("standby") as folder:
        made = Standby(folder, server)
        # Until then it is there, and can't be read yet.
        wait_for(lambda: can_be_read(made), "the standby can be read")
        yield made
        made.stop()


def can_be_read(server: PostgresServer) -> bool:
    try:
        return bool(server.found("SELECT 1"))
    except psycopg.OperationalError:
        return False


@pytest.fixture
def there(world: World, standby: Standby) -> Iterator[World]:
    """The world as the standby has it, with a proof that was kept before."""
    assert shop(world, "prove", "--offline").exit_code == 0
    standby.catch_up()
    made = World(world.kind, Home(world.home.path, standby.settings(world.database)), world.topics)
    yield made
    made.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("event_log.database.RETRY_FOR_SECONDS", 0.01)


@on_postgres
@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_who_reads_is_answered(
    server: PostgresServer, standby: Standby, there: World, isolation: str, tmp_path: Path
) -> None:
    database = there.database
    server.run(f"ALTER DATABASE {database} SET default_transaction_isolation = '{isolation}'")
    standby.catch_up()
    assert orders_in(shop(there, "report", "--json")) == ORDERS_PLACED
    assert orders_in(shop(there, "report", "--json", "--as-of", "2025-12-31T00:00Z")) == 0
    done = shop(there, "export", str(tmp_path / "report.csv"))
    assert done.exit_code == 0, said(done)
    done = shop(there, "prove", "--offline", "--json")
    assert done.exit_code == 0, said(done)
    assert all_parts_hold(done)
    assert "this result is not kept: " in done.stderr
    assert "its server is a standby" in done.stderr.replace("\n", " ")
    found = json.loads(shop(there, "status", "--json").stdout)
    assert [each for each in found["wrong"] if "broker" not in each] == []
    assert found["log_position"] == found["report_position"] > ORDERS_PLACED
    # It has read the log, and comes to where it would publish.
    done = shop(there, "replay", "--to", "elsewhere")
    assert "no broker runs" in said(done)
    place = there.of("event_log")
    sources = Sources(place, there.of("report"), "USD", there.of("proofs"))
    assert look_how_far(sources).troubles == ()
    proof = look_at_proof(sources)
    assert (proof.trouble, proof.same) == (None, True)
    assert proof.proved is not None


@on_postgres
def test_who_writes_is_told_that_it_is_a_standby(impatient: None, there: World) -> None:
    done = shop(there, "replay")
    assert done.exit_code == 1
    assert "its server is a standby" in said(done)
    database = Database(there.of("order"), [OutboxRow])

    def session() -> int:
        with database.reading() as connection:
            return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())

    before = session()
    with pytest.raises(Exception, match="its server is a standby") as caught:
        database.in_transaction(lambda connection: enqueue(connection, numbered(0, 1)))
    assert database.backend.is_passing(caught.value.__cause__ or caught.value)
    assert session() != before, "by another connection it may be another server"
    database.close()


@on_postgres
def test_what_was_known_at_a_moment_is_not_answered_from_what_may_not_be_all(there: World) -> None:
    done = shop(there, "report", "--as-of", "2026-06-01T00:00Z")
    assert isinstance(done.exception, ShopError), said(done)
    assert "is a standby's, which may not have all yet" in str(done.exception)


def test_of_several_hosts_the_primary_is_found_and_a_standby_by_who_asks_for_it(
    server: PostgresServer, standby: Standby
) -> None:
    hosts = f"127.0.0.1:1,127.0.0.1:{standby.port},127.0.0.1:{server.port}"
    address = f"postgresql://shop@{hosts}/postgres"
    place = PostgresSchema(address, "of_several", server.password)
    assert str(place) == f"{address} (schema of_several)"
    database = Database(place, [OutboxRow])
    database.in_transaction(lambda connection: enqueue(connection, numbered(0, 1)))
    database.close()
    standby.catch_up()
    for more, is_standby in (("", False), ("?target_session_attrs=standby", True)):
        looked = ReadOnlyDatabase(PostgresSchema(address + more, "of_several", server.password))
        with looked.reading() as connection:
            assert connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar() is is_standby
            assert connection.exec_driver_sql("SELECT count(*) FROM outbox").scalar() == 1
        looked.close()
