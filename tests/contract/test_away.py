"""A database that is away, locked or taken over: waited for, unless waiting is no help."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from cli.composition import until_open
from cli.place import placing, read_purchases
from domain.errors import StoreAway, StoreBehind, StoreError
from domain.house_accounts import HouseAccounts
from domain.money import Money
from event_log import database as databases
from event_log.database import Database
from event_log.inbox import PositionRow, advance, next_offsets, put
from event_log.outbox import OutboxRow, Relay, enqueue, waiting
from event_log.postgres import PostgresSchema
from request_reply.verdicts import Verdicts
from services.batch import handle_batch
from services.order import OrderService
from services.payment import PaymentService
from services.topic_lives import TopicLives
from streams.intake import Intake
from tests.contract.conftest import Places
from tests.contract.pair import Pair
from tests.contract.server import PostgresServer
from tests.contract.test_database import short_waits
from tests.contract.test_outbox import Collects, numbered
from tests.integration.pipes import NOW
from tests.waiting import wait_for
from transport.records import Record
from transport.retrying import on_retry
from transport.topics import ORDERS, TopicPartition

__all__ = ["short_waits"]
PLACE = TopicPartition(ORDERS, 0)
TABLES = [OutboxRow, PositionRow]
ACCOUNTS = HouseAccounts(Money(30_000, "USD"))


def position(connection: Connection) -> int | None:
    return next_offsets(connection).get(PLACE)


def move(database: Database, to: int) -> None:
    database.in_transaction(lambda connection: advance(connection, {PLACE: to}, NOW))


class Works:
    """What threads do at once; each ends without error."""

    def __init__(self, *works: Callable[[], object]) -> None:
        self.failed: list[BaseException] = []
        self.threads = [threading.Thread(target=self._run, args=(work,)) for work in works]
        for thread in self.threads:
            thread.start()

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 the test says it
            self.failed.append(error)

    def end(self) -> None:
        for thread in self.threads:
            thread.join(60)
        assert self.failed == []


@pytest.fixture
def tries() -> Iterator[list[str]]:
    """What was tried again so far."""
    made: list[str] = []
    on_retry.append(made.append)
    yield made
    on_retry.remove(made.append)


@pytest.fixture
def database(places: Places) -> Iterator[Database]:
    made = Database(places.of("away"), TABLES)
    yield made
    made.close()


def test_what_opens_reads_locks_and_writes_waits_for_a_server_says_so_once_and_goes_on(
    server: PostgresServer, caplog: pytest.LogCaptureFixture, tries: list[str]
) -> None:
    place = server.place("restarted")
    database, publisher = Database(place, TABLES), Collects()
    database.in_transaction(lambda connection: enqueue(connection, numbered(0, 3)))
    server.stop()
    try:
        works = Works(
            Relay(database, publisher).drain,
            partial(database.read, position),
            partial(move, database, 5),
            lambda: until_open(partial(Database, place, TABLES), "restarted").close(),
        )
        wait_for(lambda: len(tries) > 12, "each is tried again")
        assert all(thread.is_alive() for thread in works.threads)
    finally:
        server.start()
    works.end()
    assert publisher.published == numbered(0, 3)
    assert (waiting(database), database.read(position)) == (0, 5)
    said = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    for what in (f"database {place} can't be used", "restarted can't be opened"):
        assert [each.startswith(f"{what}, trying again: ") for each in said].count(True) == 1, said
        assert [each.startswith(f"{what}: over after ") for each in said].count(True) == 1, said
    assert len(said) == 4, said
    assert set(tries) == {"database"}
    database.close()


def test_a_statement_timeout_while_somebody_holds_the_lock_passes(
    server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    place = server.place("statements")
    holder = Database(place, TABLES)
    url = f"{place.url}{'&' if '?' in place.url else '?'}options=-c%20statement_timeout%3D100"
    database = Database(PostgresSchema(url, place.schema), TABLES)
    with holder.transaction():
        works = Works(partial(move, database, 5))
        wait_for(lambda: "due to statement timeout; its write lock is held by" in caplog.text, "it")
    works.end()
    assert database.read(position) == 5
    database.close()
    holder.close()


def test_connections_that_are_ended_meanwhile_end_nobody(server: PostgresServer) -> None:
    database = Database(server.place("ended"), TABLES)
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ended@%'"

    def lose_all() -> None:
        server.terminate()
        wait_for(lambda: server.found(count) == [(0,)], "no connection is left")

    with database.alone("relay"):
        lose_all()
        move(database, 5)
        lose_all()
        assert database.read(position) == 5
        lose_all()
    reads: list[int] = []

    def read(connection: Connection) -> int | None:
        reads.append(1)
        if len(reads) == 1:
            server.terminate()
        return position(connection)

    assert (database.read(read), len(reads)) == (5, 2)
    database.close()


def test_whoever_is_not_let_in_is_told_at_once(server: PostgresServer) -> None:
    wrong = "n0t-the-password"
    for url in (server.url(password=wrong), server.url(database="nowhere")):
        with pytest.raises(StoreError, match=r"authentication failed|does not exist") as caught:
            until_open(partial(Database, PostgresSchema(url, "some"), TABLES), "some")
        assert not isinstance(caught.value, StoreAway)
    database = Database(server.place("dropped"), TABLES)
    server.run("DROP SCHEMA dropped CASCADE")
    with pytest.raises(StoreError, match=r"could not be read: .*does not exist") as caught:
        database.read(position)
    assert not isinstance(caught.value, StoreAway)
    database.close()


def test_who_is_patient_waits_for_a_lock_until_it_is_to_end(
    short_waits: None,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    tries: list[str],
) -> None:
    monkeypatch.setattr(databases, "RETRY_FOR_SECONDS", 0.1)
    other, stopping = Database(database.place, TABLES), threading.Event()
    other.be_patient(stopping)
    with database.transaction():
        works, began = Works(partial(move, other, 5)), time.monotonic()
        wait_for(lambda: len(tries) > 2 and time.monotonic() - began > 0.3, "more than is usual")
        assert other.is_waited_for
    works.end()
    assert other.read(position) == 5
    assert not other.is_waited_for
    with database.transaction():
        works = Works(partial(move, other, 6))
        wait_for(lambda: other.is_waited_for, "it is waited for")
        stopping.set()
        works.threads[0].join(60)
    assert [type(each) for each in works.failed] == [StoreAway]
    other.close()


def test_who_places_is_told_what_is_wrong_and_of_no_other_process(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, file = OrderService(server.place("placing")), tmp_path / "purchases.txt"
    file.write_text("00001 19970101 1 11.77\n")
    monkeypatch.setattr(databases, "RETRY_FOR_SECONDS", 0.1)
    server.stop()
    try:
        with (
            pytest.raises(StoreAway, match=r"could not be locked for 0\.1 s: .*refused|No such"),
            placing(service, file, read_purchases(file, "USD")),
        ):
            pass
    finally:
        server.start()
    service.database.close()


class Lives:
    """Says that topics are the same; and what happens at that moment."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None

    def wait_until_same(self, _stopping: threading.Event, *, watched: bool) -> None:
        assert watched
        self.meanwhile()


@pytest.mark.parametrize("moment", ["between two batches", "in the midst of one"])
def test_a_database_that_was_put_back_under_a_worker_is_refused_by_position(
    places: Places, records: list[Record], moment: str
) -> None:
    """Went it on, what was lost would be skipped: what comes next is behind it."""
    service, lives = PaymentService(places.of("payment"), ACCOUNTS), Lives()
    stopping = threading.Event()
    # Where it asked a broker for what is missing, there is none: it would not wait for it.
    stopping.set()
    intake = Intake(
        service, "127.0.0.1:1", 500, cast(TopicLives, lives), lambda: None, stopping, 1.0
    )
    mine = [each for each in records if (each.topic, each.partition) == (ORDERS, 0)]
    some, more = mine[:10], mine[10:20]
    intake.take(some)

    def put_back() -> None:
        work: Any = partial(put, offsets={PLACE: some[5].offset}, now=NOW)
        service.database.in_transaction(work)

    if moment == "between two batches":
        put_back()
    else:
        lives.meanwhile = put_back
    with pytest.raises(StoreBehind, match=r"stands at offset \d+ of orders\[0\], and this process"):
        intake.take(more)
    assert service.database.read(position) == some[5].offset
    # Started again it goes on from there.
    handle_batch(service, mine[some[5].offset :], NOW)
    assert service.database.read(position) == mine[-1].offset + 1
    with pytest.raises(StoreBehind):
        Verdicts(service, lambda: NOW).on([], {PLACE: mine[-1].offset + 2})
    service.database.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    folder = Path(mkdtemp(prefix="postgres-pair-"))
    folder.chmod(0o755)
    made = Pair(folder)
    yield made
    made.close()
    rmtree(folder)


def test_a_standby_that_takes_over_is_waited_for(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(pair.place("failover"), TABLES)
    standby = pair.standby(synchronous=True)
    # By an address of one host, as behind a name that is another one's by now: it takes no writes.
    at_standby = Database(PostgresSchema(standby.url(), "failover"), TABLES)
    move(database, 5)
    works = Works(partial(move, at_standby, 6))
    wait_for(lambda: "trying again" in caplog.text, "it takes no writes")
    pair.fail_over(standby)
    works.end()
    move(database, 7)
    assert database.read(position) == 7
    for each in (database, at_standby):
        each.close()
