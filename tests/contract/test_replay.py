"""Replay on SQLite and on Postgres: beside the live rows, swapped in at once, or not at all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import Connection, func, inspect, select, table

from domain.errors import StoreError
from event_log.database import Database, table_of
from event_log.log import last_position
from reporting import projector
from reporting import replay as replaying
from reporting.agreement import disagreements
from reporting.projections import all_projections
from reporting.projector import catch_up, live, open_projections
from reporting.replay import READING, ReplayRefused, replay, shadow
from reporting.report import report
from services.batch import handle_batch
from services.recorder import RecorderService
from tests import expected
from tests.contract.conftest import ORDERS, Places
from tests.contract.world import without_triggers
from tests.integration.pipes import NOW
from transport.records import Record

SMALL_BATCH = 40
Tables = dict[str, list[tuple[Any, ...]]]


@dataclass
class Replaying:
    """A log of real orders, and projections that are up to it and marked."""

    log: Database
    projections: Database

    def tables(self, connection: Connection | None = None) -> Tables:
        """All rows of the live projections."""
        if connection is None:
            with self.projections.reading() as fresh:
                return self.tables(fresh)
        return {
            name: sorted(map(tuple, connection.execute(select(table_of(each.table)))), key=str)
            for name, each in all_projections().items()
        }

    def mark(self) -> None:
        """Put a row into each live table that no log makes."""
        before = self.tables()
        with self.projections.transaction() as connection:
            for name, rows in before.items():
                table = table_of(all_projections()[name].table)
                marked = ("marked", *rows[0][1:])
                columns = [column.name for column in table.columns]
                connection.execute(table.insert(), dict(zip(columns, marked, strict=True)))

    def marked(self) -> set[str]:
        return {name for name, rows in self.tables().items() if rows[-1][0] == "marked"}

    def shadows(self) -> list[str]:
        """The tables of a replay that has rows; in Postgres they are there without one too."""
        with self.projections.reading() as connection:
            names = inspect(connection).get_table_names()
            return [
                name
                for name in names
                if name.endswith("_replay")
                and connection.scalar(select(func.count()).select_from(table(name)))
            ]

    def indexes(self) -> set[tuple[str, tuple[str | None, ...]]]:
        with self.projections.reading() as connection:
            looked = inspect(connection)
            return {
                (name, tuple(index["column_names"]))
                for name in looked.get_table_names()
                for index in looked.get_indexes(name)
            }


@pytest.fixture
def place(
    places: Places, recorded: Database, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Replaying]:
    monkeypatch.setattr(projector, "BATCH", SMALL_BATCH)
    projections = open_projections(places.of("report"))
    catch_up(recorded, projections)
    yield Replaying(recorded, projections)
    projections.close()


def made() -> Callable[[str, int, int], bool]:
    """Tells, once, when all rows are made and none is checked yet."""
    seen: list[int] = []

    def once(what: str, done: int, total: int) -> bool:
        if what != READING or done < total or seen:
            return False
        seen.append(done)
        return True

    return once


def everything() -> list[Any]:
    return list(all_projections().values())


def test_what_is_replayed_is_what_was_live_to_the_cent(place: Replaying) -> None:
    before, indexes = place.tables(), place.indexes()
    assert ("order_stories", ("cents",)) in indexes
    for _ in range(2):
        place.mark()
        assert place.marked() == set(all_projections())
        done = replay(place.log, place.projections, everything())
        assert (done.position, done.resumed_at) == (last_position(place.log), 0)
        assert place.tables() == before
        assert place.shadows() == []
        assert place.indexes() == indexes
    orders = expected.purchases(ORDERS)
    wanted = expected.report(orders, expected.outcomes(orders))["totals"]
    assert report(place.projections, "USD").totals.accepted._asdict() == wanted["accepted"]
    open_projections(place.projections.place).close()
    assert catch_up(place.log, place.projections) == last_position(place.log)


def test_whoever_reads_during_the_swap_sees_what_was_before_it(place: Replaying) -> None:
    """Rows that came after his first look are none of his, be they in another table."""
    before = place.tables()
    place.mark()
    marked = place.tables()
    with place.projections.reading() as connection:
        reached = projector.position(connection)
        done = replay(place.log, place.projections, everything())
        assert projector.position(connection) == reached
        assert place.tables(connection) == marked
    assert done.position == reached
    assert place.tables() == before


def test_a_swap_that_fails_halfway_changes_nothing(
    place: Replaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.mark()
    before = place.tables()
    calls = []

    def failing(projection: Any) -> Any:
        calls.append(projection)
        # The first calls look whose log it is.
        if len(calls) == 2 * len(all_projections()) - 1:
            raise ArithmeticError
        return live(projection)

    with monkeypatch.context() as patch:
        patch.setattr(replaying, "live", failing)
        with pytest.raises(ArithmeticError):
            replay(place.log, place.projections, everything())
    assert len(calls) > len(all_projections()) + 1, "no table was swapped before it failed"
    assert place.tables() == before
    assert len(place.shadows()) == len(all_projections())
    assert replay(place.log, place.projections, everything()).resumed_at > 0
    assert place.marked() == set()


class Stop(Exception):
    """What a test stops a replay by."""


def test_what_was_stopped_is_gone_on_with(place: Replaying) -> None:
    before, end = place.tables(), last_position(place.log)
    place.mark()

    def stop(what: str, done: int, total: int) -> None:
        if what == READING and done >= end // 2:
            raise Stop

    with pytest.raises(Stop):
        replay(place.log, place.projections, everything(), stop)
    assert place.marked() == set(all_projections())
    done = replay(place.log, place.projections, everything())
    assert end // 2 <= done.resumed_at < end == done.position
    assert place.tables() == before


def test_what_comes_during_the_replay_and_just_before_the_swap_is_in_it(
    place: Replaying,
    recorder: RecorderService,
    records: list[Record],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coming, made_once = iter(range(1, 9)), made()

    def more() -> None:
        number = next(coming)
        headers = [
            [(n, b"%d/%d" % (number, at) if n == "ce_id" else v) for n, v in record.headers]
            for at, record in enumerate(records[:50])
        ]
        again = [
            replace(record, offset=10_000 * number + record.offset, headers=tuple(said))
            for record, said in zip(records, headers, strict=False)
        ]
        handle_batch(recorder, again, NOW)

    def progress(what: str, done: int, total: int) -> None:
        if made_once(what, done, total):
            more()
            catch_up(place.log, place.projections)

    def swap_late(*arguments: Any) -> int:
        more()
        return swap(*arguments)

    swap = replaying._swap
    monkeypatch.setattr(replaying, "_swap", swap_late)
    end = last_position(place.log)
    done = replay(place.log, place.projections, everything(), progress)
    assert done.position == last_position(place.log) == end + 100
    for projection in everything():
        assert disagreements(place.log, place.projections, projection, done.position) == []


@pytest.mark.parametrize("name", list(all_projections()))
def test_tampered_rows_are_not_swapped_in(place: Replaying, name: str) -> None:
    before = place.tables()
    view = shadow(all_projections()[name])
    cents = "accepted_cents" if name == "customers" else "cents"
    more, made_once = {cents: view.table.c[cents] + 1}, made()

    def tamper(what: str, done: int, total: int) -> None:
        if made_once(what, done, total):
            place.projections.in_transaction(
                lambda connection: connection.execute(view.table.update().values(more))
            )

    with pytest.raises(ReplayRefused, match=f"the live ones stay. {name}: ") as caught:
        replay(place.log, place.projections, everything(), tamper)
    assert list(caught.value.found) == [name]
    assert caught.value.found[name][0].by == {cents: 1}
    assert place.tables() == before
    # What came of it is no good to go on from.
    assert replay(place.log, place.projections, everything()).resumed_at == 0
    assert place.tables() == before


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE event_log SET source = 'forged' WHERE position = 70", "position 70"),
        ("UPDATE event_log SET hash = body WHERE position = 71", "position 71"),
        ("UPDATE event_log SET position = 0 WHERE position = 1", "position 0"),
    ],
)
def test_a_tampered_log_is_not_swapped_in(place: Replaying, statement: str, where: str) -> None:
    """Fold and check agree on it: only the hash chain tells."""
    place.mark()
    made_once = made()

    def tamper(what: str, done: int, total: int) -> None:
        if made_once(what, done, total):
            with place.log.transaction() as connection:
                without_triggers(connection).exec_driver_sql(statement)

    with pytest.raises(ReplayRefused, match=f"fails at {where}: "):
        replay(place.log, place.projections, everything(), tamper)
    assert place.marked() == set(all_projections())


def test_a_log_that_lost_a_row_is_not_swapped_in(place: Replaying) -> None:
    place.mark()
    made_once = made()

    def lose(what: str, done: int, total: int) -> None:
        if made_once(what, done, total):
            with place.log.transaction() as connection:
                last = f"DELETE FROM event_log WHERE position >= {last_position(place.log)}"  # noqa: S608
                without_triggers(connection).exec_driver_sql(last)

    with pytest.raises((ReplayRefused, StoreError)):
        replay(place.log, place.projections, everything(), lose)
    assert place.marked() == set(all_projections())


def test_two_at_once_are_one_too_many(place: Replaying) -> None:
    def progress(what: str, done: int, total: int) -> None:
        with pytest.raises(StoreError, match="another replay of"):
            replay(place.log, place.projections, everything())

    replay(place.log, place.projections, everything(), progress)
