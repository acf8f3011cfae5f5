"""Waiting for a process that was stopped: bounded, by name, and over as soon as it goes on."""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

import event_log.database
import event_log.postgres
import event_log.sqlite
import transport.retrying
from domain.errors import StoreError
from event_log.database import Database, Place
from event_log.inbox import PositionRow, advance, next_offsets
from event_log.outbox import OutboxRow, Relay, enqueue, waiting
from event_log.postgres import PostgresSchema
from streams.relaying import RelayThread
from tests.contract.conftest import Places
from tests.contract.server import PostgresServer
from tests.contract.test_outbox import Collects, numbered
from tests.waiting import wait_for
from transport.topics import TopicPartition

PLACE = TopicPartition("orders", 0)

CHILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import event_log.postgres
from event_log.database import Database
from event_log.inbox import PositionRow, advance
from event_log.outbox import OutboxRow
from event_log.postgres import PostgresSchema
from transport.topics import TopicPartition

database = Database(eval(sys.argv[1]), [OutboxRow, PositionRow])
held = []

def hold():
    print("held", flush=True)
    held.append(sys.stdin.readline())

def work(connection):
    # The first time it waits; what it does again it does at once.
    held or hold()
    advance(connection, {TopicPartition("orders", 0): 7}, datetime.now(UTC))

"""
RELAYS = CHILD + "with database.alone('relay'):\n    hold()\n"
WRITES = CHILD + "database.in_transaction(work)\nprint('written', flush=True)\n"
WRITES_AND_IS_ENDED = "import event_log.postgres as p\np.IDLE_IN_TRANSACTION_SECONDS = 1\n" + WRITES


@contextmanager
def stopped(place: Place, what: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that was stopped in the midst of it; it goes on, and is ended, at the end."""
    text = f"Path({str(place)!r})"
    if isinstance(place, PostgresSchema):
        text = f"PostgresSchema({place.url!r}, {place.schema!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", what, text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        os.kill(process.pid, signal.SIGSTOP)
        yield process
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that take seconds here, and a minute elsewhere."""
    monkeypatch.setattr(event_log.database, "RETRY_FOR_SECONDS", 1)
    monkeypatch.setattr(transport.retrying, "SAID_AGAIN_SECONDS", 0)
    monkeypatch.setattr(event_log.postgres, "LOCK_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(event_log.sqlite, "BUSY_TIMEOUT_SECONDS", 1)


@pytest.fixture
def database(impatient: None, places: Places) -> Iterator[Database]:
    made = Database(places.of("outbox"), [OutboxRow, PositionRow])
    yield made
    made.close()


def position(connection: Connection) -> int | None:
    return next_offsets(connection).get(PLACE)


def writing(offset: int) -> Callable[[Connection], None]:
    return lambda connection: advance(connection, {PLACE: offset}, datetime.now(UTC))


def test_a_stopped_relay_is_named_again_and_again_and_its_peer_goes_on_when_it_ends(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.in_transaction(lambda connection: enqueue(connection, numbered(0, 5)))
    publisher = Collects()
    thread = RelayThread(Relay(database, publisher, held_for=0.2), "order")

    def said() -> list[str]:
        return [
            each.getMessage()
            for each in caplog.records
            if "another relay of" in each.msg % each.args
        ]

    with caplog.at_level(logging.WARNING), stopped(database.place, RELAYS) as holder:
        thread.start()
        wait_for(lambda: len(said()) > 1, "it is said, and said again")
        assert all(f"{socket.gethostname()}:{holder.pid}" in each for each in said())
        assert publisher.published == []
        assert waiting(database) == 5
    wait_for(lambda: waiting(database) == 0, "the peer publishes")
    thread.stop()
    assert publisher.published == numbered(0, 5)


def test_who_waits_for_a_stopped_writer_is_told_who_that_is(database: Database) -> None:
    with stopped(database.place, WRITES) as holder:
        with pytest.raises(StoreError, match="could not be written for 1 s") as caught:
            database.in_transaction(writing(3))
        assert f"process {holder.pid}" in str(caught.value) or (
            f"{socket.gethostname()}:{holder.pid}" in str(caught.value)
        )
        with database.reading() as connection:
            assert position(connection) is None
        # It goes on, and what it had begun is kept.
        os.kill(holder.pid, signal.SIGCONT)
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "written\n"
    with database.reading() as connection:
        assert position(connection) == 7


def test_postgres_ends_a_transaction_that_stands_still_and_its_process_does_it_again(
    server: PostgresServer,
) -> None:
    place = server.place("stands_still")
    database = Database(place, [OutboxRow, PositionRow])
    with stopped(place, WRITES_AND_IS_ENDED) as holder:
        database.in_transaction(writing(3))
        with database.reading() as connection:
            assert position(connection) == 3
        os.kill(holder.pid, signal.SIGCONT)
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "written\n", "its transaction is tried again"
    with database.reading() as connection:
        assert position(connection) == 7
    database.close()


def test_a_connection_whose_other_end_vanished_is_given_up_by_both_ends(
    server: PostgresServer,
) -> None:
    database = Database(PostgresSchema(server.url(), "vanished"), [PositionRow])
    with database.reading() as connection:
        shown = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("tcp_keepalives_idle", "tcp_user_timeout")
        }
        assert shown == {"tcp_keepalives_idle": "10", "tcp_user_timeout": "30000"}
        driver = connection.connection.driver_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.pgconn.socket)) as client:
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
            assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
    database.close()
