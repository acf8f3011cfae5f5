"""Databases: one writer at a time, one state to a reader, and what may pass is waited for."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from domain.errors import ForeignCluster, StoreError
from event_log import database as databases
from event_log.database import Database, table_of
from event_log.inbox import PositionRow, advance, next_offsets
from tests.contract.conftest import Places
from tests.integration.pipes import NOW
from tests.waiting import wait_for
from transport.topics import TopicPartition

PLACE = TopicPartition("orders", 0)
_positions = table_of(PositionRow)


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is waited for a moment only, and then again."""
    monkeypatch.setattr("event_log.sqlite.BUSY_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr("event_log.postgres.LOCK_TIMEOUT_SECONDS", 0.05)


@pytest.fixture
def database(places: Places) -> Iterator[Database]:
    made = Database(places.of("one"), [PositionRow])
    yield made
    made.close()


@pytest.fixture
def other(database: Database) -> Iterator[Database]:
    """The same database, opened once more."""
    made = Database(database.place, [PositionRow])
    yield made
    made.close()


def count(connection: Connection) -> int:
    return int(connection.scalar(select(func.count()).select_from(_positions)) or 0)


def test_a_transaction_holds_the_lock_from_its_first_moment_and_others_try_again(
    short_waits: None, database: Database, other: Database, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []

    def work() -> None:
        done.append(other.in_transaction(count))

    with database.transaction() as connection:
        thread = threading.Thread(target=work)
        thread.start()
        wait_for(lambda: "trying again" in caplog.text, "it is tried again")
        assert done == []
        advance(connection, {PLACE: 5}, NOW)
    thread.join(60)
    assert done == [1], "it sees what it waited for"
    assert str(database) in caplog.text


def test_a_lock_that_is_never_given_back_is_said(
    short_waits: None, database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "RETRY_FOR_SECONDS", 0.3)
    with database.transaction(), pytest.raises(StoreError, match=r"not be written for 0\.3 s: ."):
        other.in_transaction(count)
    assert other.in_transaction(count) == 0


def test_a_reader_sees_one_state_and_writes_nothing(database: Database, other: Database) -> None:
    with database.reading() as connection:
        assert count(connection) == 0
        other.in_transaction(lambda writing: advance(writing, {PLACE: 5}, NOW))
        assert count(connection) == 0
    with database.reading() as connection:
        assert count(connection) == 1
    with database.reading() as connection, suppress(DBAPIError):
        advance(connection, {TopicPartition("orders", 1): 5}, NOW)
    with database.reading() as connection:
        assert count(connection) == 1


def test_a_reader_holds_no_writer_up(database: Database, other: Database) -> None:
    with database.reading() as connection:
        count(connection)
        other.in_transaction(lambda writing: advance(writing, {PLACE: 5}, NOW))
    with database.transaction(), other.reading() as connection:
        assert count(connection) == 1


def test_an_error_of_the_work_is_not_tried_again_and_changes_nothing(database: Database) -> None:
    calls = []

    def work(connection: Connection) -> None:
        calls.append(1)
        advance(connection, {PLACE: 5}, NOW)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        database.in_transaction(work)
    with database.reading() as connection:
        assert (calls, count(connection)) == ([1], 0)


def test_positions_move_on_and_never_back(database: Database) -> None:
    for offset in (5, 9, 7, 5):
        database.in_transaction(lambda connection, to=offset: advance(connection, {PLACE: to}, NOW))
    with database.reading() as connection:
        assert next_offsets(connection) == {PLACE: 9}


def test_a_database_belongs_to_one_kafka_cluster(database: Database, other: Database) -> None:
    database.bind_to_cluster("one")
    other.bind_to_cluster("one")
    with pytest.raises(ForeignCluster, match="cluster one, and this is two"):
        other.bind_to_cluster("two")


def test_many_may_open_it_at_once(places: Places) -> None:
    start, failures = threading.Barrier(5), []

    def work() -> None:
        try:
            start.wait(60)
            Database(places.of("many"), [PositionRow]).close()
        except BaseException as error:  # noqa: BLE001 the test says it
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


HOLDING = """
import sys
from pathlib import Path
from event_log.database import Database
from event_log.postgres import PostgresSchema
with Database(eval(sys.argv[1]), []).alone("relay", within=60):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_for_a_purpose_is_one_holders_and_ends_with_its_process(
    places: Places, database: Database
) -> None:
    place = repr(database.place)
    if places.kind == "postgresql":
        place = f"PostgresSchema({database.place.url!r}, {database.place.schema!r})"  # type: ignore[union-attr]
    else:
        place = f"Path({str(database.path)!r})"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDING, place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    taken = threading.Event()

    def take() -> None:
        with database.alone("relay", within=60):
            taken.set()

    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(StoreError, match=r"another relay of .* is running"),
            database.alone("relay"),
        ):
            pass
        with database.alone("replay"):
            pass
        # It is no lock of the writers'.
        assert database.in_transaction(count) == 0
        waiter = threading.Thread(target=take)
        waiter.start()
        assert not taken.is_set()
    finally:
        holder.kill()
        holder.wait()
        for pipe in (holder.stdin, holder.stdout):
            assert pipe is not None
            pipe.close()
    assert taken.wait(60)
    waiter.join(60)
    with database.alone("relay"):
        pass
