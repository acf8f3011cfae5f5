"""What only Postgres has: a server that goes away, passwords, schemas."""

import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import (
    DBAPIError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)

from domain.errors import StoreError
from event_log.database import Database
from event_log.inbox import PositionRow, advance, next_offsets
from event_log.postgres import PostgresSchema
from tests.contract.server import PostgresServer
from tests.integration.pipes import NOW
from tests.waiting import wait_for
from transport.topics import TopicPartition

PLACE = TopicPartition("orders", 0)


@pytest.fixture
def database(server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Database]:
    made = Database(server.place(f"only_{abs(hash(request.node.name))}"), [PositionRow])
    yield made
    made.close()


def move(database: Database, to: int) -> None:
    database.in_transaction(lambda connection: advance(connection, {PLACE: to}, NOW))


def moved(database: Database) -> int:
    with database.reading() as connection:
        return next_offsets(connection).get(PLACE, 0)


def test_a_server_that_was_restarted_between_two_transactions_is_used_again(
    server: PostgresServer, database: Database
) -> None:
    move(database, 5)
    server.stop()
    server.start()
    move(database, 6)
    server.stop()
    server.start()
    assert moved(database) == 6
    server.stop()
    server.start()
    with database.alone("relay"):
        assert moved(database) == 6


def test_a_server_that_is_away_is_waited_for(
    server: PostgresServer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    move(database, 5)
    server.stop()
    try:
        thread = threading.Thread(target=move, args=(database, 6))
        thread.start()
        wait_for(lambda: "trying again" in caplog.text, "it is tried again")
    finally:
        server.start()
    thread.join(60)
    assert moved(database) == 6


def test_work_whose_connection_is_lost_is_done_again_as_a_whole(database: Database) -> None:
    calls = []

    def work(connection: Connection) -> None:
        calls.append(1)
        advance(connection, {PLACE: 5}, NOW)
        if len(calls) == 1:
            connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    database.in_transaction(work)
    assert (len(calls), moved(database)) == (2, 5)


def test_more_connections_than_the_server_takes_are_waited_for(
    server: PostgresServer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    held = []
    database.close()
    try:
        with suppress(psycopg.OperationalError):
            while True:
                held.append(psycopg.connect(server.place("any").url))
        thread = threading.Thread(target=move, args=(database, 5))
        thread.start()
        wait_for(lambda: "too many clients" in caplog.text, "it is tried again")
    finally:
        for connection in held:
            connection.close()
    thread.join(60)
    assert moved(database) == 5


class Refused(Exception):
    def __init__(self, state: str | None) -> None:
        super().__init__("refused")
        self.sqlstate = state


@pytest.mark.parametrize(
    ("state", "kind", "passing"),
    [
        ("40001", OperationalError, True),
        ("40P01", OperationalError, True),
        ("55P03", OperationalError, True),
        ("53100", OperationalError, True),
        ("53300", OperationalError, True),
        ("57P01", OperationalError, True),
        ("57P03", OperationalError, True),
        ("08006", OperationalError, True),
        ("08P01", OperationalError, True),
        ("0A000", NotSupportedError, True),
        ("25006", InternalError, True),
        ("25P03", InternalError, True),
        ("25P04", InternalError, True),
        ("40003", OperationalError, True),
        ("57014", OperationalError, True),
        ("57P05", OperationalError, True),
        (None, OperationalError, True),
        (None, InternalError, False),
        ("28P01", OperationalError, False),
        ("3D000", OperationalError, False),
        ("57P04", OperationalError, False),
        ("42501", ProgrammingError, False),
        ("23505", DBAPIError, False),
        ("22003", DBAPIError, False),
        ("42P01", DBAPIError, False),
    ],
)
def test_what_may_pass_is_told_from_what_stays(
    state: str | None, kind: type[DBAPIError], passing: bool
) -> None:
    place = PostgresSchema("postgresql://nowhere/none", "some")
    assert place.is_passing(kind("SELECT 1", {}, Refused(state))) is passing
    assert not place.is_passing(ArithmeticError())


AWAY = "connection to server failed: Connection refused"
WRONG = "connection to server failed: FATAL:  password authentication failed"
SEVERAL = "Multiple connection attempts failed. All failures were:"


@pytest.mark.parametrize(
    ("said", "passing"),
    [
        (AWAY, True),
        (f"{WRONG}\n{SEVERAL}\n- host: {AWAY}\n- host: {WRONG}", True),
        (f"{WRONG}\n{SEVERAL}\n- host: {WRONG}\n- host: {WRONG}", False),
        (WRONG, False),
        ("connection failed: FATAL:  sorry, too many clients already", True),
        ("connection failed: FATAL:  the database system is starting up", True),
        ('connection failed: FATAL:  database "shop" does not exist', False),
        ("failed to resolve host 'postgres': Name or service not known", True),
    ],
)
def test_of_several_servers_one_that_may_let_in_is_enough(said: str, passing: bool) -> None:
    place = PostgresSchema("postgresql://nowhere/none", "some")
    assert place.is_passing(OperationalError("", {}, psycopg.OperationalError(said))) is passing


def test_durability_is_as_decided(database: Database) -> None:
    for opened in (database.transaction, database.reading):
        with opened() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_the_addresss_own_options_are_kept_but_not_those_that_matter(
    server: PostgresServer,
) -> None:
    place = server.place("options")
    more = "&options=-c%20synchronous_commit%3Doff%20-c%20application_name%3Dsomebody"
    database = Database(PostgresSchema(place.url + more, "options"), [PositionRow])
    with database.reading() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        assert connection.exec_driver_sql("SHOW application_name").scalar() == "somebody"
    database.close()


def test_services_in_schemas_of_one_database_see_and_wait_for_no_other(
    server: PostgresServer, database: Database
) -> None:
    other = Database(server.place("order"), [PositionRow])
    move(database, 5)
    with database.transaction():
        move(other, 7)
    assert (moved(database), moved(other)) == (5, 7)
    other.close()


def test_no_message_has_a_password(server: PostgresServer) -> None:
    right, wrong = server.password, "n0t-the-password"
    named = "postgresql://shop@127.0.0.1"
    for url, why in (
        (server.url(database="nowhere"), f'{named}.*"nowhere" does not exist'),
        (server.url(password=wrong), f"{named}.*password authentication failed"),
        (server.url().replace(str(server.port), "1"), f"{named}.*refused"),
        (f"{server.url()}&x=\n".replace("postgresql:", "mysql:"), "is no Postgres"),
        (f"postgresql://shop:{right}@host:port/", "address of a Postgres database can't be read"),
    ):
        with pytest.raises(StoreError, match=f"(?s){why}") as caught:
            Database(PostgresSchema(url, "some"), [])
        said = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert right not in said
        assert wrong not in said
    place = PostgresSchema(server.url() + "?sslpassword=hidden", "some")
    for said in (str(place), repr(place), str(Database(place, []))):
        assert right not in said
        assert "hidden" not in said


@pytest.mark.parametrize("name", ["", "Order", "a-b", 'a"b', "1a", "a" * 64, "a,b"])
def test_a_schemas_name_is_a_plain_one(name: str) -> None:
    with pytest.raises(StoreError, match="is no name for a schema"):
        PostgresSchema("postgresql://nowhere/none", name)


def test_a_database_in_another_encoding_is_refused(server: PostgresServer) -> None:
    opened = Database(server.place("encodings"), [])
    create = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    with opened.engine.connect().execution_options(
        isolation_level="AUTOCOMMIT", reading=True
    ) as connection:
        connection.exec_driver_sql(create)
    with pytest.raises(StoreError, match="encoded in LATIN1: it must be in UTF8"):
        Database(PostgresSchema(server.url(database="latin"), "some"), [])
    opened.close()
