"""When the watchdog ends a process, and when it must not; and that a heartbeat holds nobody up."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import AccessDenied, BrokerError, ForeignTopic, NotLetIn
from domain.progress import Standing
from domain.status import Beat
from event_log.database import Database, table_of
from event_log.holding import process_name
from event_log.inbox import PositionRow, advance
from services.heartbeat import Heartbeat, HeartbeatRow, beats
from services.topic_lives import EXIT_FOREIGN
from services.watchdog import EXIT_DENIED, Watchdog, watched
from tests.waiting import wait_for
from transport.topics import ORDERS, TopicPartition

AT = TopicPartition(ORDERS, 2)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Cluster:
    """A cluster whose partition ends where a test says."""

    end: int | None = 10
    readable: bool = True
    asked: int = 0
    counted: list[int] = field(default_factory=list)

    def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        assert list(topics) == [ORDERS]
        if self.end is None:
            raise BrokerError("the broker is away")
        return {AT: self.end}

    def standings(
        self, ends: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, Standing]:
        self.asked += 1
        self.counted.append(len(ends))
        records = None if self.readable else 0
        return {
            place: Standing(end, positions.get(place, 0), records) for place, end in ends.items()
        }

    def waits_since(self, place: TopicPartition, standing: Standing) -> datetime | None:
        raise AssertionError("a watchdog has its own clock")


@dataclass
class Watched:
    database: Database
    cluster: Cluster
    ended: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        end = self.ended.append
        self.dog = Watchdog("order", self.database, [ORDERS], self.cluster, 90, end)

    def look(self, *moments: float) -> bool:
        """Look at these moments; whether it has ended the process."""
        for moment in moments:
            self.dog.look(moment)
        return bool(self.ended)

    def move(self, offset: int) -> None:
        self.database.in_transaction(lambda connection: advance(connection, {AT: offset}, NOW))


def every_5(start: int, end: int) -> range:
    return range(start, end + 1, 5)


def test_a_service_that_waits_for_its_database_is_not_stuck(database: Database) -> None:
    waits = True
    made = Watched(database, Cluster())
    made.dog = Watchdog(
        "order", database, [ORDERS], made.cluster, 90, made.ended.append, waits=lambda: waits
    )
    assert not made.look(*every_5(0, 600))
    waits = False
    assert not made.look(*every_5(605, 690))
    assert made.look(*every_5(695, 900))


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "order.sqlite", [PositionRow, HeartbeatRow])


@pytest.fixture
def under_watch(database: Database) -> Watched:
    return Watched(database, Cluster())


def test_it_ends_a_process_that_is_stuck_and_says_where(
    under_watch: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    under_watch.move(4)
    assert not under_watch.look(*every_5(0, 85))
    assert under_watch.look(*every_5(90, 140))
    assert "order is stuck and ends with exit code 71" in caplog.text
    assert "orders[2] stands at 4 of 10 since 20" in caplog.text


@pytest.mark.parametrize(
    "why", [AccessDenied("User:order may not READ topic orders"), NotLetIn("another password")]
)
def test_it_ends_a_process_that_is_not_allowed_to_work_any_more_and_says_why(
    under_watch: Watched, caplog: pytest.LogCaptureFixture, why: BrokerError
) -> None:
    allowed = [True, True, False]

    def require() -> None:
        if not allowed.pop(0):
            raise why

    under_watch.dog.require(require)
    assert not under_watch.look(0, 5)
    assert under_watch.look(10)
    assert under_watch.ended == [EXIT_DENIED]
    assert f"order ends, and nothing is lost: {why}" in caplog.text


def test_it_ends_a_process_whose_topic_was_made_anew_and_says_so(
    under_watch: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    why = ForeignTopic("topic orders was made anew")

    def require() -> None:
        raise why

    under_watch.dog.require(lambda: None, require)
    assert under_watch.look(5)
    assert under_watch.ended == [EXIT_FOREIGN]
    assert f"order ends, and acknowledges nothing: {why}" in caplog.text


def test_a_service_that_never_handled_anything_is_watched_too(under_watch: Watched) -> None:
    assert under_watch.look(*every_5(0, 140))


def test_one_that_moves_is_left_alone(under_watch: Watched) -> None:
    for number in range(9):
        under_watch.move(number)
        assert not under_watch.look(*every_5(60 * number, 60 * number + 55))


def test_while_the_broker_is_away_there_is_no_verdict_and_time_starts_anew(
    under_watch: Watched,
) -> None:
    assert not under_watch.look(*every_5(0, 80))
    under_watch.cluster.end = None
    assert not under_watch.look(*every_5(85, 500))
    under_watch.cluster.end = 10
    assert not under_watch.look(*every_5(505, 590))
    assert under_watch.look(*every_5(595, 645))


def test_the_log_says_once_for_each_time_that_the_broker_is_away(
    under_watch: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    for end in (None, None, None, 10, None, None):
        under_watch.cluster.end = end
        under_watch.look(0)
    said = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert said == ["order: not known whether it gets on: the broker is away"] * 2


def test_a_database_that_cannot_be_read_is_no_verdict(under_watch: Watched) -> None:
    with closing(sqlite3.connect(under_watch.database.path)) as other:
        other.execute("DROP TABLE positions")
        other.commit()
        assert not under_watch.look(*every_5(0, 300))


def test_an_end_that_no_record_is_behind_is_not_stuck(under_watch: Watched) -> None:
    """After a transaction the last offsets are Kafka's own marks."""
    under_watch.cluster.readable = False
    assert not under_watch.look(*every_5(0, 500))
    assert under_watch.cluster.asked


def test_a_process_that_was_stopped_itself_has_no_verdict(under_watch: Watched) -> None:
    assert not under_watch.look(0, 5, 3600)


def test_workers_do_not_all_end_at_once(database: Database) -> None:
    limits = {Watchdog("order", database, [ORDERS], Cluster(), 90)._limit for _ in range(20)}
    assert len(limits) == 20
    assert all(90 <= limit <= 135 for limit in limits)


def test_a_heartbeat_is_written_kept_up_and_removed(database: Database) -> None:
    heartbeat = Heartbeat(database.path, "order", every=0.01)
    assert heartbeat.beat()
    with database.reading() as connection:
        (first,) = beats(connection, "order")
        assert beats(connection, "payment") == []
    assert first.process == process_name()
    assert heartbeat.beat()
    with database.reading() as connection:
        (second,) = beats(connection, "order")
    assert second.started_at == first.started_at
    assert second.seen_at > first.seen_at
    heartbeat.start()
    heartbeat.stop()
    with database.reading() as connection:
        assert beats(connection, "order") == []


def test_after_an_end_that_was_no_clean_stop_the_row_stays(database: Database) -> None:
    heartbeat = Heartbeat(database.path, "order")
    heartbeat.start()
    heartbeat.stop(clean=False)
    with database.reading() as connection:
        assert len(beats(connection, "order")) == 1


def test_a_locked_database_only_leaves_a_heartbeat_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.heartbeat.LOCKED_SECONDS", 0.05)
    heartbeat = Heartbeat(database.path, "order")
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not heartbeat.beat()
        other.execute("ROLLBACK")
    assert heartbeat.beat()


def test_a_heartbeat_makes_no_database(tmp_path: Path) -> None:
    assert not Heartbeat(tmp_path / "gone.sqlite", "order").beat()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("died", "left"),
    [
        ([], []),
        (["a"], []),
        (["a", "b"], ["b"]),
    ],
)
def test_who_stops_cleanly_takes_one_that_it_had_replaced_along(
    database: Database, died: list[str], left: list[str]
) -> None:
    long_ago = datetime.now(UTC) - timedelta(minutes=10)
    rows = [
        {"service": "order", "process": name, "started_at": long_ago, "seen_at": long_ago}
        for name in died
    ]
    other = {**rows[0], "service": "payment", "process": "other"} if rows else None
    if other:
        _insert(database, *rows, other)
    heartbeat = Heartbeat(database.path, "order")
    heartbeat.start()
    wait_for(lambda: len(_beats(database)) > len(died), "a heartbeat")
    heartbeat.stop()
    assert [beat.process for beat in _beats(database)] == left
    with database.reading() as connection:
        assert len(beats(connection, "payment")) == bool(other)


def test_rows_of_days_ago_are_forgotten(database: Database) -> None:
    old = datetime.now(UTC) - timedelta(days=2)
    recent = datetime.now(UTC) - timedelta(hours=23)
    for name, at in (("old", old), ("recent", recent)):
        _insert(database, {"service": "order", "process": name, "started_at": at, "seen_at": at})
    assert Heartbeat(database.path, "order").beat()
    with database.reading() as connection:
        assert [each.process for each in beats(connection, "order")] == ["recent", process_name()]


@pytest.mark.parametrize(
    ("end", "missed"),
    [
        (None, False),
        (SystemExit(0), False),
        (KeyboardInterrupt(), False),
        (SystemExit(143), False),
        (SystemExit(1), True),
        (SystemExit("a reason"), True),
        (BrokerError("away"), True),
    ],
)
def test_who_was_asked_to_end_is_not_missed(
    database: Database, end: BaseException | None, missed: bool
) -> None:
    def run() -> None:
        with watched("order", database, [ORDERS], "127.0.0.1:9", 90):
            wait_for(lambda: _beats(database), "a heartbeat")
            if end is not None:
                raise end

    if end is None:
        run()
    else:
        with pytest.raises(type(end)):
            run()
    assert bool(_beats(database)) is missed


def _insert(database: Database, *rows: dict[str, object]) -> None:
    table = table_of(HeartbeatRow)
    database.in_transaction(lambda connection: connection.execute(table.insert(), list(rows)))


def _beats(database: Database) -> list[Beat]:
    with database.reading() as connection:
        return beats(connection, "order")


def test_records_are_counted_only_where_it_stands_still(under_watch: Watched) -> None:
    """Counting reads them: six partitions with thousands each, every five seconds."""
    under_watch.look(0)
    for moment in (5, 10):
        under_watch.move(moment)
        under_watch.look(moment)
    under_watch.look(15)
    assert under_watch.cluster.counted == [1, 0, 0, 1]
