"""Group commit: every future is done in the end, whatever becomes of the database or the thread."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

import pytest
from sqlalchemy import Connection

from domain.errors import StoreError
from event_log import database as databases
from event_log.database import Database
from event_log.group_commit import GroupCommit
from event_log.inbox import PositionRow, advance, next_offsets
from tests.contract.conftest import Places
from tests.contract.test_database import short_waits
from tests.integration.pipes import NOW
from tests.waiting import wait_for
from transport.topics import TopicPartition

__all__ = ["short_waits"]


@pytest.fixture
def database(short_waits: None, places: Places) -> Iterator[Database]:
    made = Database(places.of("one"), [PositionRow])
    yield made
    made.close()


@pytest.fixture
def other(database: Database) -> Iterator[Database]:
    made = Database(database.place, [PositionRow])
    yield made
    made.close()


def keep(connection: Connection, items: Sequence[int]) -> None:
    for item in items:
        if item < 0:
            raise SystemExit
        advance(connection, {TopicPartition("orders", item): 1}, NOW)


def kept(database: Database) -> int:
    with database.reading() as connection:
        return len(next_offsets(connection))


def test_where_its_thread_has_ended_all_that_waits_and_all_that_comes_is_refused(
    database: Database, other: Database
) -> None:
    ended: list[BaseException] = []
    commits: GroupCommit[int] = GroupCommit(database, keep, ended=ended.append)
    assert commits.submit(0).result(30) is None
    with other.transaction():
        waiting = [commits.submit(item) for item in (1, -1, 2)]
    waiting += [commits.submit(item) for item in (3, 4)]
    refused = [each for each in waiting if each.exception(30) is not None]
    assert refused
    wait_for(lambda: commits.is_over, "the thread's end")
    for future in (*refused, commits.submit(5)):
        with pytest.raises(StoreError, match=r"thread group-commit of .* has ended: SystemExit"):
            future.result(30)
    assert [type(each) for each in ended] == [SystemExit]
    assert kept(database) == 1 + len(waiting) - len(refused)
    commits.close()


def test_who_can_not_be_told_of_a_commit_ends_nothing(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise ArithmeticError

    commits: GroupCommit[int] = GroupCommit(database, keep, broken)
    for item in range(2):
        assert commits.submit(item).result(30) is None
    commits.close()
    assert kept(database) == 2
    assert "a commit could not be told of" in caplog.text


def test_closing_carries_out_what_waits_and_refuses_the_rest(database: Database) -> None:
    commits: GroupCommit[int] = GroupCommit(database, keep)
    waiting = [commits.submit(item) for item in range(50)]
    commits.close()
    assert [each.result(0) for each in waiting] == [None] * 50
    with pytest.raises(StoreError, match="was closed"):
        commits.submit(51).result(0)
    assert kept(database) == 50


def test_closing_ends_though_the_database_stays_locked(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "RETRY_FOR_SECONDS", 0.2)
    monkeypatch.setattr("event_log.group_commit.MOST_AT_ONCE", 1)
    commits: GroupCommit[int] = GroupCommit(database, keep)
    tried: list[int] = []
    once = database.in_transaction

    def count(work: Callable[[Connection], None]) -> None:
        tried.append(1)
        once(work)

    monkeypatch.setattr(database, "in_transaction", count)
    waiting: list[Future[None]] = []
    with other.transaction():
        waiting += [commits.submit(item) for item in range(20)]
        commits.close()
        assert len(tried) <= 3, "of those that wait, one is tried"
        assert all(isinstance(each.exception(0), StoreError) for each in waiting)
