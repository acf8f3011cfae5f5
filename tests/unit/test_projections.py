"""Projections: rows as computed apart, however the log is split, and as their checks say."""

import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, and_, select

from cli.place import read_purchases
from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    Event,
    NewOrder,
    OrderShipped,
    Reason,
)
from domain.errors import StoreError
from domain.money import Money
from event_log.database import Database, table_of
from event_log.log import last_position
from reporting import projector
from reporting.agreement import MovedOn, disagreements
from reporting.projection import Projection, Told
from reporting.projections import all_projections
from reporting.projector import catch_up, live, open_projections, places, read_told
from services.batch import handle_batch
from services.recorder import RecorderService
from tests import expected
from tests.integration.pipes import Shop
from transport.records import Record, outgoing

ORDERS = 400
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EACH = pytest.mark.parametrize("projection", all_projections().values(), ids=lambda each: each.name)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    shop = Shop(folder)
    shop.place(read_purchases(expected.DATA, "USD")[0][:ORDERS])
    shop.run()
    shop.recorder.database.close()
    return folder


@pytest.fixture
def databases(recorded: Path, tmp_path: Path) -> tuple[Database, Database]:
    """A log of real orders, and projections that are up to it."""
    copytree(recorded, tmp_path / "shop")
    log = RecorderService(tmp_path / "shop" / "event_log.sqlite").database
    projections = open_projections(tmp_path / "shop" / "report.sqlite")
    catch_up(log, projections)
    return log, projections


def rows(projections: Database, projection: Projection) -> list[tuple[Any, ...]]:
    with projections.reading() as connection:
        found = connection.execute(select(table_of(projection.table)))
        return sorted(map(tuple, found), key=str)


def named(name: str) -> Projection:
    return all_projections()[name]


def test_what_the_package_has_is_found_by_itself() -> None:
    folder = Path(projector.__file__).parent / "projections"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {each.alone.__module__.rpartition(".")[2] for each in all_projections().values()} == (
        modules
    )
    assert set(all_projections()) >= {*("revenue", "customers", "declines", "late", "stories")}
    tables = [table_of(each.table).name for each in all_projections().values()]
    assert len(set(tables)) == len(tables)


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
    with closing(sqlite3.connect(databases[0].path)) as log:
        found = log.execute(projection.check_in("sqlite"), {"position": 10**9})
        assert [each[0] for each in found.description] == columns


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
    with closing(sqlite3.connect(log.path)) as connection:
        steps = {
            (order_id, kind): (position, when)
            for order_id, kind, position, when in connection.execute(
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


def _events() -> st.SearchStrategy[list[Event]]:
    """Events of a few orders, in any order, some lacking and some said twice, of two customers."""

    def event(kind: int, order: int, customer: int, day: int, cents: int, euro: bool) -> Event:
        when = datetime(1997, 1, 1, 23, tzinfo=UTC) + timedelta(days=day)
        said = (f"o/{order}", f"{customer}", when, Money(cents, "EUR" if euro else "USD"), 1)
        if kind == 0:
            return NewOrder(*said, "1 Street")
        if kind == 1:
            return AuthorizationAccepted(*said)
        if kind == 2:
            return AuthorizationDeclined(*said, list(Reason)[cents % 3])
        return OrderShipped(*said[:3], 1)

    numbers = [st.integers(0, most) for most in (3, 5, 2, 70, 5000)]
    return st.lists(st.builds(event, *numbers, st.booleans()), max_size=40)


def _told(events: list[Event]) -> list[Told]:
    return [
        Told(
            position,
            event,
            f"{event.ordered_at:%Y-%m-%dT%H:%M:%S.%fZ}",
            f"2026-01-01T00:00:{position:02}.000000Z",
            # In the month of some orders, and after that of others.
            f"1997-{1 + position % 4:02}-05T00:00:00.000000Z",
            bytes(32),
        )
        for position, event in enumerate(events, 1)
    ]


@EACH
@given(events=_events(), data=st.data())
def test_any_split_gives_the_same_rows(
    projection: Projection, events: list[Event], data: st.DataObject
) -> None:
    told = _told(events)
    found: dict[Any, Any] = {}
    left = told
    while left:
        size = data.draw(st.integers(1, len(left)))
        made = projection.fold(left[:size])
        touched = {key: row for key, row in found.items() if key in made}
        found |= projection.take(touched, made)
        left = left[size:]
    assert found == projection.fold(told)


@given(events=_events())
def test_an_order_is_late_when_its_month_was_over_and_is_a_part_of_the_revenue(
    events: list[Event],
) -> None:
    told = _told(events)
    wanted: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
    for each in told:
        said, recorded = each.event, datetime.fromisoformat(each.recorded_at)
        if not isinstance(said, AuthorizationAccepted | AuthorizationDeclined):
            continue
        when = said.ordered_at
        if (when.year, when.month) >= (recorded.year, recorded.month):
            continue
        outcome = getattr(said, "reason", None)
        key = (f"{when:%Y-%m}", said.amount.currency, f"{recorded:%Y-%m-%d}")
        cell = wanted[*key, outcome.value if outcome else "accepted"]
        cell[0] += 1
        cell[1] += said.amount.cents
    found = named("late").fold(told)
    assert found == {key: (*key, *cell) for key, cell in wanted.items()}


@settings(max_examples=40, deadline=None)
@given(
    events=_events(),
    size=st.integers(1, 9),
    hours=st.lists(st.integers(0, 24 * 130), min_size=3),
)
def test_any_log_agrees_with_the_checks(events: list[Event], size: int, hours: list[int]) -> None:
    """Events are recorded in the months in which orders are placed, or before or after."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(projector, "BATCH", size)
        log = RecorderService(Path(folder) / "log.sqlite")
        records = []
        for number, event in enumerate(events):
            sent = outgoing(event, "/test", NOW)
            headers = [
                (name, b"%d" % number if name == "ce_id" else value) for name, value in sent.headers
            ]
            records.append(Record(sent.topic, 0, number, sent.key, sent.body, tuple(headers)))
        for number, record in enumerate(records):
            since = timedelta(hours=hours[number % len(hours)])
            handle_batch(log, [record], datetime(1996, 12, 1, tzinfo=UTC) + since)
        assert last_position(log.database) == len(events)
        projections = open_projections(Path(folder) / "report.sqlite")
        assert catch_up(log.database, projections) == len(events)
        for projection in all_projections().values():
            assert disagreements(log.database, projections, projection, len(events)) == []
        projections.close()
        log.database.close()


def test_a_projection_added_later_is_built_while_the_others_go_on(
    databases: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
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
    handle_batch(RecorderService(log.path), records, NOW)
    monkeypatch.setattr(projector, "BATCH", 100)
    assert projector.take_in(log, projections, list(views.values()))
    with projections.reading() as connection:
        reached = {name: view.reached(connection).position for name, view in views.items()}
    assert reached == {**dict.fromkeys(views, end + 30), "stories": 100}
    assert catch_up(log, projections) == end + 30
    assert len(places(projections, views.values())) == 1
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
    databases: tuple[Database, Database], tmp_path: Path
) -> None:
    log, _ = databases
    with closing(sqlite3.connect(log.path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER event_log_no_update")
        connection.execute("DROP TRIGGER event_log_no_delete")
        connection.execute("UPDATE event_log SET body = x'7b' WHERE position = 90")
        fresh = open_projections(tmp_path / "fresh.sqlite")
        with pytest.raises(StoreError, match="position 90 of the log"):
            catch_up(log, fresh)
        connection.execute("DELETE FROM event_log WHERE position = 50")
        with pytest.raises(StoreError, match="no position 50"):
            catch_up(log, fresh)
    assert [each.position for each in read_told(log, 40, 9)] == list(range(41, 50))


def test_a_sum_beyond_a_databases_integer_is_said(tmp_path: Path) -> None:
    log = RecorderService(tmp_path / "log.sqlite")
    for number in range(2):
        most = Money(2**63 - 1, "USD")
        said = AuthorizationDeclined(f"o/{number}", "1", NOW, most, 1, Reason.NO_FUNDS)
        sent = outgoing(said, "/test", NOW)
        record = Record(sent.topic, 0, number, sent.key, sent.body, tuple(sent.headers))
        handle_batch(log, [record], NOW)
    with pytest.raises(StoreError, match="larger than a database's integer"):
        catch_up(log.database, open_projections(tmp_path / "report.sqlite"))
