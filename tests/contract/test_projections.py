"""Projections on SQLite and on Postgres: rows as computed apart, and as their checks say."""

import itertools
import multiprocessing
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, and_, select, text

from cli.place import read_purchases
from domain.contracts import AuthorizationDeclined, Event, NewOrder, Reason
from domain.errors import StoreError
from domain.money import Money
from event_log.database import Database, Place, table_of
from event_log.log import last_position
from reporting import projector
from reporting.agreement import MovedOn, disagreements
from reporting.history import report_at
from reporting.projection import Projection
from reporting.projections import all_projections
from reporting.projections.growth import POSITIONS
from reporting.projector import catch_up, live, open_projections
from reporting.projector import places as places_of
from reporting.report import report_and_late
from reporting.told import read_told
from services.batch import handle_batch
from services.recorder import RecorderService, open_log
from tests import expected, some_events
from tests.contract.conftest import ORDERS, Places
from tests.contract.world import without_triggers
from tests.integration.pipes import NOW
from transport.records import Record, outgoing

EACH = pytest.mark.parametrize("projection", all_projections().values(), ids=lambda each: each.name)
_numbers = itertools.count(1)


@pytest.fixture
def fresh(places: Places) -> Iterator[Callable[[], Database]]:
    """Makes projections that are not there yet."""
    made: list[Database] = []

    def make() -> Database:
        made.append(open_projections(places.of(f"report_{next(_numbers)}")))
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture
def databases(recorded: Database, fresh: Callable[[], Database]) -> tuple[Database, Database]:
    """A log of real orders, and projections that are up to it."""
    projections = fresh()
    catch_up(recorded, projections)
    return recorded, projections


def records_of(events: list[Event]) -> list[Record]:
    """Events as one source publishes them, each with an id of its own."""
    made = []
    for number, event in enumerate(events):
        sent = outgoing(event, "/test", NOW)
        headers = [
            (name, b"%d" % number if name == "ce_id" else value) for name, value in sent.headers
        ]
        made.append(Record(sent.topic, 0, number, sent.key, sent.body, tuple(headers)))
    return made


def rows(projections: Database, projection: Projection) -> list[tuple[Any, ...]]:
    with projections.reading() as connection:
        found = connection.execute(select(table_of(projection.table)))
        return sorted(map(tuple, found), key=str)


def named(name: str) -> Projection:
    return all_projections()[name]


@EACH
def test_a_projection_has_a_text_key_first_and_a_check_of_the_same_columns(
    databases: tuple[Database, Database], projection: Projection
) -> None:
    columns = [column.name for column in table_of(projection.table).columns]
    keys = list(projection.key_columns)
    assert columns[: len(keys)] == keys
    assert projection.title
    for key in keys:
        assert projection.table.__annotations__[key] is str
    with databases[0].reading() as log:
        check = text(projection.check_in(log.dialect.name))
        assert list(log.execute(check, {"position": 10**9}).keys()) == columns


def test_rows_are_those_computed_apart(databases: tuple[Database, Database]) -> None:
    log, projections = databases
    orders = expected.purchases(ORDERS)
    decided = expected.outcomes(orders)
    revenue: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    declines: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    late: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    by_customer: dict[int, list[expected.Purchase]] = defaultdict(list)
    for order in orders:
        outcome = decided[order.order_id]
        day = f"{order.month}-{order.date[6:]}"
        cells = [revenue[day, outcome]]
        if outcome != "accepted":
            cells.append(declines[order.month, outcome])
        for cell in cells:
            cell[0] += 1
            cell[1] += order.cents
        by_customer[order.customer].append(order)
        late["2026-01-01", order.month, outcome][0] += 1
        late["2026-01-01", order.month, outcome][1] += order.cents
    assert declines, "no order was declined: the test would miss half"
    assert rows(projections, named("revenue")) == sorted(
        ((day, "USD", outcome, *cell) for (day, outcome), cell in revenue.items()), key=str
    )
    assert rows(projections, named("declines")) == sorted(
        ((month, "USD", reason, *cell) for (month, reason), cell in declines.items()), key=str
    )
    assert rows(projections, named("late")) == sorted(
        ((month, "USD", day, outcome, *cell) for (day, month, outcome), cell in late.items()),
        key=str,
    )
    customers = []
    for customer, theirs in by_customer.items():
        bought = [each for each in theirs if decided[each.order_id] == "accepted"]
        days = sorted(f"{e.month}-{e.date[6:]}T00:00:00.000000Z" for e in bought) or [None]
        cents = sum(each.cents for each in bought)
        again = max(0, len(bought) - 1)
        customers.append((f"{customer:05}", "USD", days[0], len(theirs), again, cents, days[-1]))
    assert any(row[4] for row in customers), "nobody bought twice"
    assert rows(projections, named("customers")) == sorted(customers, key=str)
    with log.reading() as connection:
        steps = {
            (order_id, kind): (position, when)
            for order_id, kind, position, when in connection.exec_driver_sql(
                "SELECT correlation_id, type, position, published_time FROM event_log"
            )
        }
    stories = []
    for order in orders:
        outcome, order_id = decided[order.order_id], order.order_id
        declined = outcome != "accepted"
        kind = "shop.AuthorizationDeclined" if declined else "shop.AuthorizationAccepted"
        shipped = (None, None) if declined else steps[order_id, "shop.OrderShipped"]
        stories.append(
            (
                *(order_id, "declined" if declined else "shipped", outcome if declined else None),
                *(order.cents, "USD", f"{order.customer:05}"),
                f"{order.month}-{order.date[6:]}T00:00:00.000000Z",
                *steps[order_id, "shop.NewOrder"],
                *steps[order_id, kind],
                *shipped,
            )
        )
    assert rows(projections, named("stories")) == sorted(stories, key=str)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    events=some_events.events(),
    sizes=st.lists(st.integers(1, 9), min_size=1),
    hours=st.lists(st.integers(0, 24 * 130), min_size=3),
)
def test_step_by_step_or_from_scratch_rows_are_what_their_checks_say(
    places: Places, events: list[Event], sizes: list[int], hours: list[int]
) -> None:
    """Events are recorded in the months in which orders are placed, or before or after."""
    number = next(_numbers)
    recorder = RecorderService(places.of(f"log_{number}"))
    log = recorder.database
    grown, scratch = (open_projections(places.of(f"{name}_{number}")) for name in ("grown", "new"))
    size = itertools.cycle(sizes)
    with pytest.MonkeyPatch.context() as patch:
        for at, record in enumerate(records_of(events)):
            since = timedelta(hours=hours[at % len(hours)])
            handle_batch(recorder, [record], datetime(1996, 12, 1, tzinfo=UTC) + since)
            if at % sizes[0] == 0:
                patch.setattr(projector, "BATCH", next(size))
                assert catch_up(log, grown) == at + 1
        assert catch_up(log, grown) == catch_up(log, scratch) == last_position(log) == len(events)
    told = read_told(log, 0, 1000)
    for projection in all_projections().values():
        assert disagreements(log, grown, projection, len(events)) == []
        found = rows(grown, projection)
        assert found == rows(scratch, projection)
        assert found == sorted(map(tuple, projection.fold(told).values()), key=str)
    for database in (log, grown, scratch):
        database.close()


@pytest.mark.parametrize("places", ["sqlite", "postgresql", "in order of words"], indirect=True)
def test_keys_are_compared_byte_by_byte_and_bodies_are_read_however_they_are_written(
    recorder: RecorderService, fresh: Callable[[], Database]
) -> None:
    """No two of these are in the same order in a language and in bytes, and JSON has escapes."""
    names = ["b", "B", "a-c", "ab", "a b", "\u00e9", "z", "_", "\U0001f4d6", "e\u0301", "Z", "%"]
    events: list[Event] = []
    for name in names:
        said = (name, "00007", NOW, Money(5, "USD"), 1)
        address = f'\0 \\u0000 \\\0 {name}"\0'
        events += [NewOrder(*said, address), AuthorizationDeclined(*said, Reason.NO_FUNDS)]
    handle_batch(recorder, records_of(events), NOW)
    projections, log = fresh(), recorder.database
    assert catch_up(log, projections) == len(events)
    for projection in all_projections().values():
        assert disagreements(log, projections, projection) == []
    with projections.transaction() as connection:
        connection.exec_driver_sql("UPDATE order_stories SET cents = 6")
    found = disagreements(log, projections, named("stories"), most=100)
    assert [each.key for each in found] == [(name,) for name in sorted(names)]
    assert {tuple(each.by.items()) for each in found} == {(("cents", 1),)}


def _take_in(log: Place, projections: Place, start: Any) -> None:
    projector.BATCH = 7
    opened = open_log(log), open_projections(projections)
    start.wait(60)
    catch_up(*opened)


def test_two_processes_at_once_take_each_event_in_once(
    recorded: Database, fresh: Callable[[], Database]
) -> None:
    projections = fresh()
    new = multiprocessing.get_context("spawn")
    start = new.Barrier(2)
    processes = [
        new.Process(target=_take_in, args=(recorded.place, projections.place, start))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    views = [live(each) for each in all_projections().values()]
    assert {place.position for place in places_of(projections, views)} == {last_position(recorded)}
    for projection in all_projections().values():
        assert disagreements(recorded, projections, projection) == []


def test_looking_back_gives_what_the_report_was(
    recorder: RecorderService, records: list[Record], fresh: Callable[[], Database]
) -> None:
    projections, log = fresh(), recorder.database
    seen = {}
    for first in range(0, len(records), 300):
        handle_batch(recorder, records[first : first + 300], NOW)
        position = catch_up(log, projections)
        seen[position] = report_and_late(projections, "USD")
    assert max(seen) > POSITIONS, "no part of the log is whole"
    for position, found in seen.items():
        assert report_at(log, projections, position, "USD") == found


def test_projections_refuse_a_log_that_they_were_not_made_from(
    places: Places, databases: tuple[Database, Database], records: list[Record]
) -> None:
    log, projections = databases
    assert catch_up(log, projections) == len(records)
    other = RecorderService(places.of("other"))
    with pytest.raises(StoreError, match="made from another log"):
        catch_up(other.database, projections)
    handle_batch(other, [*records[1:], records[0]], NOW)
    assert last_position(other.database) == len(records)
    with pytest.raises(StoreError, match="made from another log") as caught:
        catch_up(other.database, projections)
    for database in (projections, other.database):
        assert str(database) in str(caught.value)
    other.database.close()


def test_a_projection_added_later_is_built_while_the_others_go_on(
    databases: tuple[Database, Database],
    recorder: RecorderService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, projections = databases
    wanted = {name: rows(projections, each) for name, each in all_projections().items()}
    end = last_position(log)
    views = {name: live(each) for name, each in all_projections().items()}
    with projections.transaction() as connection:
        for name, view in views.items():
            if name == "stories":
                connection.execute(view.table.delete())
                connection.exec_driver_sql("DELETE FROM projected WHERE projection = 'stories'")
    records = []
    for number, order in enumerate(read_purchases(expected.DATA, "USD")[0][:30], 10_000):
        sent = outgoing(with_other_id(order), "/test", NOW)
        records.append(Record(sent.topic, 0, number, sent.key, sent.body, tuple(sent.headers)))
    handle_batch(recorder, records, NOW)
    monkeypatch.setattr(projector, "BATCH", 100)
    assert projector.take_in(log, projections, list(views.values()))
    with projections.reading() as connection:
        reached = {name: view.reached(connection).position for name, view in views.items()}
    assert reached == {**dict.fromkeys(views, end + 30), "stories": 100}
    assert catch_up(log, projections) == end + 30
    assert len(places_of(projections, views.values())) == 1
    found = rows(projections, named("stories"))
    assert [row for row in found if not row[0].startswith("new/")] == wanted["stories"]
    assert Counter(row[1] for row in found if row[0].startswith("new/")) == {"placed": 30}


def with_other_id(order: NewOrder) -> NewOrder:
    fields = {name: getattr(order, name) for name in order.__struct_fields__}
    return NewOrder(**{**fields, "order_id": f"new/{order.order_id}"})


@EACH
def test_each_row_that_somebody_changed_is_named_and_by_how_much(
    databases: tuple[Database, Database], projection: Projection
) -> None:
    log, projections = databases
    position = last_position(log)
    assert disagreements(log, projections, projection, position) == []
    table = table_of(projection.table)
    before = rows(projections, projection)
    numeric = "cents" if "cents" in table.columns else "accepted_cents"
    keys, names = projection.key_columns, [column.name for column in table.columns]
    changed, gone = before[2], before[0]
    forged = ("~", *before[1][1:])

    def where(row: tuple[Any, ...]) -> ColumnElement[bool]:
        return and_(*(table.c[key] == value for key, value in zip(keys, row, strict=False)))

    with projections.transaction() as connection:
        more = {numeric: table.c[numeric] + 7}
        connection.execute(table.update().where(where(changed)).values(more))
        connection.execute(table.delete().where(where(gone)))
        connection.execute(table.insert(), dict(zip(names, forged, strict=True)))
    found = disagreements(log, projections, projection, position)
    wanted = sorted([changed, gone, forged], key=lambda row: row[: len(keys)])
    assert [each.key for each in found] == [row[: len(keys)] for row in wanted]
    by_key = {each.key: each for each in found}
    assert by_key[changed[: len(keys)]].by == {numeric: 7}
    assert numeric in str(by_key[changed[: len(keys)]])
    missing, extra = by_key[gone[: len(keys)]], by_key[forged[: len(keys)]]
    assert missing.found is None
    assert missing.by[numeric] == -gone[names.index(numeric)]
    assert extra.wanted is None
    assert extra.found == dict(zip(names, forged, strict=True))
    assert len(disagreements(log, projections, projection, position, most=2)) == 2


def test_a_comparison_at_another_position_is_none(databases: tuple[Database, Database]) -> None:
    log, projections = databases
    with pytest.raises(MovedOn, match="not at 17"):
        disagreements(log, projections, named("revenue"), 17)
    assert disagreements(log, projections, named("revenue")) == []


def test_a_missing_position_and_a_broken_body_are_said_and_never_passed_over(
    recorded: Database, fresh: Callable[[], Database]
) -> None:
    projections = fresh()
    with recorded.transaction() as connection:
        change = without_triggers(connection).exec_driver_sql
        broken = {"sqlite": "x'7b'", "postgresql": "'\\x7b'"}[connection.dialect.name]
        change(f"UPDATE event_log SET body = {broken} WHERE position = 90")  # noqa: S608
    with pytest.raises(StoreError, match="position 90 of the log"):
        catch_up(recorded, projections)
    with recorded.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM event_log WHERE position = 50")
    again = fresh()
    with pytest.raises(StoreError, match="no position 50"):
        catch_up(recorded, again)
    assert [each.position for each in read_told(recorded, 40, 9)] == list(range(41, 50))
