"""Looks into databases that others make: nothing is made, changed or held up, on either of them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from event_log.database import Database, table_of
from event_log.holding import process_name
from event_log.inbox import PositionRow, advance, next_offsets
from event_log.log import EventRow, last_position
from event_log.postgres import PostgresSchema
from reporting.dashboard.looking import Seen, look
from reporting.dashboard.orders_asked import Asked, asked_for
from reporting.dashboard.orders_found import find, query, story_of
from reporting.dashboard.orders_looking import look_at, look_for
from reporting.dashboard.sources import Sources
from reporting.projections import all_projections
from reporting.projector import open_projections
from reporting.read_only import ReadOnlyDatabase, has_tables, look_up
from services.heartbeat import Heartbeat, HeartbeatRow, beating, beats
from tests.contract.conftest import Places
from tests.contract.server import PostgresServer
from tests.contract.world import World
from tests.integration.pipes import NOW
from tests.unit import test_orders_found as orders
from tests.waiting import wait_for
from transport.topics import TopicPartition

PLACE = TopicPartition("orders", 0)


def move(database: Database, to: int) -> None:
    database.in_transaction(lambda connection: advance(connection, {PLACE: to}, NOW))


def test_where_nothing_is_nothing_is_found_and_nothing_made(places: Places, tmp_path: Path) -> None:
    place = places.of("nothing")
    assert ReadOnlyDatabase(place).identity() is None
    assert look_up(place, next_offsets, PositionRow) is None
    assert not Heartbeat(place, "order").beat()
    assert ReadOnlyDatabase(place).identity() is None
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_the_tables_is_none_yet(places: Places) -> None:
    Database(places.of("one"), [PositionRow]).close()
    assert look_up(places.of("one"), next_offsets, PositionRow) == {}
    assert look_up(places.of("one"), next_offsets, PositionRow, EventRow) is None


def test_what_others_write_is_seen_by_the_next_look_as_one_state(places: Places) -> None:
    database = Database(places.of("one"), [PositionRow])
    looked = ReadOnlyDatabase(database.place)
    for to in (5, 6):
        move(database, to)
        assert look_up(database.place, next_offsets, PositionRow) == {PLACE: to}
    with looked.reading() as connection:
        assert next_offsets(connection) == {PLACE: 6}
        move(database, 7)
        assert next_offsets(connection) == {PLACE: 6}
    database.close()


def test_a_look_writes_nothing_however_it_is_asked(places: Places) -> None:
    database = Database(places.of("one"), [PositionRow])
    looked = ReadOnlyDatabase(database.place)
    move(database, 5)
    for opened in (looked.reading, looked.transaction):
        with pytest.raises(DBAPIError), opened() as connection:
            advance(connection, {PLACE: 9}, NOW)
    assert look_up(database.place, next_offsets, PositionRow) == {PLACE: 5}
    database.close()


def test_a_view_is_as_good_as_a_table(places: Places) -> None:
    database = Database(places.of("one"), [PositionRow])
    with database.transaction() as connection:
        connection.exec_driver_sql("CREATE VIEW event_log AS SELECT 1 AS position")
    with ReadOnlyDatabase(database.place).reading() as connection:
        assert has_tables(connection, EventRow, PositionRow)
    database.close()


def test_a_database_that_was_made_anew_is_another_one(places: Places, tmp_path: Path) -> None:
    place = places.of("one")
    Database(place, [PositionRow]).close()
    looked = ReadOnlyDatabase(place)
    first = looked.identity()
    assert first == looked.identity() is not None
    if isinstance(place, PostgresSchema):
        owner = Database(places.of("two"), [])
        with owner.transaction() as connection:
            connection.exec_driver_sql(f'DROP SCHEMA "{place.schema}" CASCADE')
        owner.close()
    else:
        # Its number must not be given to the next one.
        place.rename(tmp_path / "away.sqlite")
    assert looked.identity() is None
    Database(place, [PositionRow]).close()
    assert looked.identity() not in (first, None)


def test_a_table_that_is_held_is_waited_for_only_a_moment(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reporting.read_only.LOCKED_SECONDS", 0.05)
    database = Database(places.of("one"), [PositionRow])
    with database.transaction() as connection:
        if places.kind == "sqlite":
            connection.exec_driver_sql("CREATE TABLE another (id)")
        else:
            connection.exec_driver_sql("LOCK TABLE positions IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(DBAPIError, match="lock timeout"):
                look_up(database.place, next_offsets, PositionRow)
    assert look_up(database.place, next_offsets, PositionRow) == {}
    database.close()


def alive(database: Database, service: str = "order") -> list[str]:
    with database.reading() as connection:
        return [each.process for each in beats(connection, service)]


class TestHeartbeat:
    """A process says that it lives, in its service's own database."""

    def test_it_is_written_kept_up_and_removed(self, places: Places) -> None:
        database = Database(places.of("order"), [HeartbeatRow])
        heartbeat = Heartbeat(database.place, "order", every=0.01)
        assert heartbeat.beat()
        with database.reading() as connection:
            (first,) = beats(connection, "order")
        heartbeat.start()

        def seen_again() -> bool:
            with database.reading() as connection:
                (now,) = beats(connection, "order")
            return now.started_at == first.started_at and now.seen_at > first.seen_at

        wait_for(seen_again, "a second heartbeat")
        heartbeat.stop()
        assert alive(database) == []
        database.close()

    @pytest.mark.parametrize(("end", "left"), [(SystemExit(143), 0), (ArithmeticError(), 1)])
    def test_who_was_asked_to_end_is_not_missed(
        self, places: Places, end: BaseException, left: int
    ) -> None:
        database = Database(places.of("order"), [HeartbeatRow])

        def run() -> None:
            with beating(database.place, "order"):
                wait_for(lambda: alive(database), "a heartbeat")
                raise end

        with pytest.raises(type(end)):
            run()
        assert alive(database) == [process_name()] * left
        database.close()

    def test_a_service_at_work_and_its_heartbeat_hold_one_another_up_for_a_moment_at_most(
        self, places: Places, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file has one writer. In Postgres neither waits for the other."""
        monkeypatch.setattr("services.heartbeat.LOCKED_SECONDS", 0.05)
        database = Database(places.of("order"), [HeartbeatRow, PositionRow])
        heartbeat = Heartbeat(database.place, "order")
        with database.transaction() as connection:
            advance(connection, {PLACE: 5}, NOW)
            assert heartbeat.beat() is (places.kind == "postgresql")
        assert heartbeat.beat()
        with database.transaction() as connection:
            # Somebody has the row itself.
            connection.execute(table_of(HeartbeatRow).update().values(service="order"))
            assert not heartbeat.beat()
        assert heartbeat.beat()
        database.close()

    def test_it_leaves_no_connection_behind(self, server: PostgresServer) -> None:
        database = Database(server.place("heartbeats"), [HeartbeatRow])
        heartbeat = Heartbeat(database.place, "order")

        def connections() -> int:
            with database.reading() as connection:
                count = "SELECT count(*) FROM pg_stat_activity WHERE usename IS NOT NULL"
                return int(connection.exec_driver_sql(count).scalar() or 0)

        before = connections()
        for _ in range(3):
            assert heartbeat.beat()
        wait_for(lambda: connections() == before, "connections end")
        database.close()


@pytest.fixture
def sources(world: World) -> Sources:
    return Sources(world.of("event_log"), world.of("report"), "USD", world.of("proofs"))


class TestPages:
    """What the pages take from log and projections."""

    def test_the_report_is_read_again_only_when_there_is_something_new(
        self, world: World, sources: Sources
    ) -> None:
        first = look(sources, Seen())
        assert first.report is not None
        assert first.stamp is not None
        assert first.stamp.position == first.report.position
        assert look(sources, first) is first
        world.change("report", "UPDATE projected SET position = position + 1")
        second = look(sources, first)
        assert second.report is not None
        assert second.report.position == first.report.position + 1
        # The log has no such position.
        assert (second.stamp, second.trouble) == (None, None)

    def test_before_the_first_order_there_is_no_trouble(self, empty_world: World) -> None:
        place = empty_world.of("report")
        found = Sources(place, place, "USD", place)
        assert look(found, Seen()) == Seen()
        assert look_for(found, Asked("USD")).empty
        assert look_at(found, "CDNOW_master/00001/19970101/1/11.77").empty

    def test_orders_are_found_and_told_step_by_step(self, world: World, sources: Sources) -> None:
        row = world.row_of("OrderShipped")
        told = look_at(sources, row["correlation_id"])
        assert told.trouble is told.log_trouble is None
        assert told.story is not None
        assert (told.story.state, told.story.shipped_position) == ("shipped", row["position"])
        assert {each.correlation_id for each in told.events} == {row["correlation_id"]}
        assert len(told.events) == 3
        found = look_for(sources, Asked("USD", customer=told.story.customer_id)).found
        assert found is not None
        assert row["correlation_id"] in {each.order_id for each in found.stories}

    @pytest.mark.parametrize("typed", ["no\0such", "'; DROP TABLE order_stories; --", "%", "é"])
    def test_whatever_is_typed_finds_nothing_and_is_no_trouble(
        self, sources: Sources, typed: str
    ) -> None:
        assert look_at(sources, typed).trouble is None
        assert look_at(sources, typed).story is None
        asked, wrong = asked_for({"customer": typed}, "USD")
        assert wrong == []
        found = look_for(sources, asked)
        assert found.trouble is None
        assert found.found is not None
        assert found.found.stories == ()


@pytest.fixture
def stories(places: Places) -> Database:
    projections = open_projections(places.of("report"))
    table = table_of(all_projections()["stories"].table)
    with projections.transaction() as connection:
        connection.execute(table.insert(), [each._asdict() for each in orders.STORIES])
    return projections


@pytest.mark.parametrize("few", [5, 2000])
def test_all_orders_that_are_asked_for_are_found_in_order(
    stories: Database, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    with stories.reading() as connection:
        orders.test_all_that_is_asked_for_is_found_in_order(connection, monkeypatch, few)
        assert story_of(connection, "o/0017") == orders.STORIES[17]
    stories.close()


def test_a_search_ends_with_its_page(stories: Database) -> None:
    """In Postgres the planner chooses: what it must not do is read and sort the whole table."""
    with stories.transaction() as connection:
        connection.exec_driver_sql("ANALYZE")
    with stories.reading() as connection:
        for address in ("", "state=declined", "month=1998-03", "customer=00007"):
            statement, values = query(
                orders.asked(address), few=False, dialect=connection.dialect.name
            )
            assert "ix_order_stories" in plan_of(connection, statement, values), address
            assert find(connection, orders.asked(address)).stories
    stories.close()


def plan_of(connection: Connection, statement: str, values: dict[str, object]) -> str:
    how = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    return "\n".join(str(row) for row in connection.execute(text(f"{how} {statement}"), values))


def test_time_of_looking_is_no_time_of_the_log(world: World) -> None:
    log = ReadOnlyDatabase(world.of("event_log"))
    with log.reading() as connection:
        row = connection.execute(select(table_of(EventRow).c.recorded_time).limit(1)).scalar_one()
    assert row == datetime(2026, 1, 1, tzinfo=UTC)
    assert last_position(log) > 0
