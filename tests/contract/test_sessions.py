"""Sessions of Postgres: each sets what it relies on, and a lock that was lost repeats, no more."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy.exc import DataError, DBAPIError, InternalError, OperationalError
from typer.testing import CliRunner, Result

from cli.main import app
from domain.errors import StoreError
from event_log.database import Database
from event_log.outbox import OutboxRow, Relay, enqueue, set_aside, waiting
from event_log.postgres import PostgresSchema
from reporting.dashboard.health_looking import look_at_proof, look_how_far
from reporting.dashboard.sources import Sources
from reporting.proof import PartName
from reporting.proof_run import tells_of_the_data
from tests.contract.server import PostgresServer
from tests.contract.test_outbox import Collects, Refuses, numbered
from tests.contract.world import ORDERS_PLACED, World
from transport.records import Outgoing

UNUSUAL = {
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "DateStyle": "German",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Kathmandu",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "client_encoding": "LATIN1",
    "search_path": "pg_catalog",
    "synchronous_commit": "off",
    "lock_timeout": "1ms",
    "statement_timeout": "60ms",
    "idle_session_timeout": "60ms",
    "idle_in_transaction_session_timeout": "60ms",
    "array_nulls": "off",
    "quote_all_identifiers": "on",
    "escape_string_warning": "off",
    "transform_null_equals": "on",
}
"""Defaults that somebody may have given a server, a database or a role, and nobody here wants."""

on_postgres = pytest.mark.parametrize("settled_world", ["postgresql"], indirect=True)


def shop(world: World, *arguments: str, **settings: str) -> Result:
    """Run `shop` in this process, which is quicker."""
    environment = {**world.home.environment, **settings}
    return CliRunner().invoke(app, list(arguments), env=environment)


def said(done: Result) -> str:
    return f"{done.output}\n{done.exception!r}"


def orders_in(done: Result) -> int:
    """How many orders a report has in all."""
    assert done.exit_code == 0, said(done)
    totals = json.loads(done.stdout)["totals"]
    return int(totals["accepted"]["orders"]) + sum(
        each["orders"] for each in totals["declined"].values()
    )


def all_parts_hold(done: Result) -> bool:
    found = json.loads(done.stdout)
    return bool(found["holds"]) and len(found["parts"]) == len(PartName)


@on_postgres
def test_whatever_a_databases_defaults_are_all_works(server: PostgresServer, world: World) -> None:
    for name, value in UNUSUAL.items():
        server.run(f"ALTER DATABASE {world.database} SET {name} = '{value}'")
    place = world.of("report")
    assert isinstance(place, PostgresSchema)
    for engine in (place.connect(), place.connect(2).execution_options(**place.reading)):
        with engine.connect() as connection:
            shown = {
                name: str(connection.exec_driver_sql(f"SHOW {name}").scalar()) for name in UNUSUAL
            }
        engine.dispose()
        assert shown["lock_timeout"] in ("10s", "2s")
        assert shown["search_path"] == "report"
        assert not {name for name, value in UNUSUAL.items() if shown[name] == value} - {
            # Nothing here relies on these.
            *("default_transaction_deferrable", "IntervalStyle", "array_nulls"),
            *("quote_all_identifiers", "escape_string_warning", "transform_null_equals"),
        }
    done = shop(world, "prove", "--offline", "--json")
    assert done.exit_code == 0, said(done)
    assert all_parts_hold(done), said(done)
    done = shop(world, "replay", "--json")
    assert done.exit_code == 0, said(done)
    assert json.loads(done.stdout)["swapped"]
    done = shop(world, "report", "--json", "--as-of", datetime.now(UTC).isoformat())
    assert orders_in(done) == ORDERS_PLACED
    found = json.loads(shop(world, "status", "--json").stdout)
    assert [each for each in found["wrong"] if "broker" not in each] == []
    sources = Sources(world.of("event_log"), place, "USD", world.of("proofs"))
    assert look_how_far(sources).troubles == ()
    assert look_at_proof(sources).trouble is None


class Refused(Exception):
    def __init__(self, state: str | None = None, code: int | None = None) -> None:
        super().__init__("refused")
        if code is None:
            self.sqlstate = state
        else:
            self.sqlite_errorcode = code


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("refused")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "tells"),
    [
        *((DBAPIError("", {}, Refused(state)), True) for state in ("22P02", "22021", "42703")),
        *((DBAPIError("", {}, Refused(state)), True) for state in ("54001", "58P01", "XX001")),
        (DataError("", {}, Refused(None)), True),
        *((DBAPIError("", {}, Refused(state)), False) for state in ("0A000", "25006", "57014")),
        *((DBAPIError("", {}, Refused(state)), False) for state in ("42501", "42601", "53100")),
        *((DBAPIError("", {}, Refused(state)), False) for state in ("55P03", "40001", "25P04")),
        (OperationalError("", {}, Refused(None)), False),
        (InternalError("", {}, Refused(None)), False),
        *(
            (sqlite_error(code), True)
            for code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
        ),
        (sqlite_error(sqlite3.SQLITE_IOERR_SHORT_READ), True),
        *(
            (sqlite_error(code), False)
            for code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM)
        ),
        (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), False),
        (OperationalError("", {}, sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT)), False),
    ],
)
def test_what_fails_a_proof_is_told_from_what_keeps_it_from_being_done(
    error: DBAPIError | sqlite3.DatabaseError, tells: bool
) -> None:
    assert tells_of_the_data(error) is tells


@on_postgres
def test_a_proof_that_is_not_done_in_time_is_no_failed_one(world: World) -> None:
    # What the address says itself counts; twice, both do.
    url = world.home.settings["SHOP_DATABASE_URL"]
    address = f"{url}?options=-c%20work_mem%3D1MB&options=-c%20statement_timeout%3D1s"
    with world.changing("report") as connection:
        connection.exec_driver_sql("ALTER TABLE revenue_by_day RENAME TO quick")
        slow = "SELECT quick.* FROM quick, pg_sleep(3)"
        connection.exec_driver_sql(f"CREATE VIEW revenue_by_day AS {slow}")
    done = shop(world, "prove", "--offline", "--json", SHOP_DATABASE_URL=address)
    assert done.exit_code == 1
    assert isinstance(done.exception, StoreError), said(done)
    assert "projections can't be proved at the moment: " in str(done.exception)
    assert "statement timeout" in str(done.exception)


def relay_ends(server: PostgresServer) -> int:
    """End the sessions that hold a lock and nothing else, as a server or a network may."""
    ending = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity JOIN pg_locks USING (pid) "
        "WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(server.url(), autocommit=True) as connection:
        (count,) = connection.execute(ending).fetchone() or (0,)
    return int(count)


@pytest.mark.parametrize("refused", [(), (b"2", b"4")])
def test_two_relays_at_once_whose_lock_was_lost_repeat_and_lose_nothing(
    server: PostgresServer, refused: Sequence[bytes]
) -> None:
    place = server.place(f"lost_lock_{len(refused)}")
    database, other = Database(place, [OutboxRow]), Database(place, [OutboxRow])
    database.in_transaction(lambda connection: enqueue(connection, numbered(0, 12)))
    publisher = Collects()

    class LosesItsLock(Refuses):
        lost = 0

        def publish(self, records: Sequence[Outgoing]) -> None:
            if not self.lost:
                self.lost = relay_ends(server)
                # It publishes slowly: another one has all out before it.
                Relay(other, publisher, batch=5).drain()
            super().publish(records)

    slow = LosesItsLock(*refused)
    Relay(database, slow, batch=5).drain()
    assert slow.lost == 1
    assert publisher.published == numbered(0, 12)
    assert slow.published == [each for each in numbered(0, 5) if each.key not in refused]
    assert waiting(database) == 0
    with database.reading() as connection:
        assert set_aside(connection) == [], "what is out waits for nobody"
    database.close()
    other.close()
