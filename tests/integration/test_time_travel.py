"""Time travel: reports as they were, and what changed, beside figures computed apart."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.place import read_purchases
from domain.contracts import NewOrder
from domain.errors import MalformedRecord, ShopError
from event_log.database import Database
from event_log.log import last_position, read
from reporting import projector
from reporting.history import (
    compare,
    first_position,
    parse_moment,
    position_at,
    report_at,
)
from reporting.projector import catch_up, open_projections
from reporting.report import as_json, late_as_json, month_end
from services.batch import handle_batch
from tests import expected
from tests.conftest import Home
from tests.integration.pipes import Shop
from transport.envelope import from_headers
from transport.records import Record

# Of the first purchases, some of January and all of the days after come to the log in turn: those
# of `LATE` only in March, when their month was over.
ORDERS = 500
LATE = 12
TIMES = [datetime(1997, month, 5, 10, tzinfo=UTC) for month in (1, 2, 3, 4)]


class Told(NamedTuple):
    """An authorization of the log, read with sqlite3 and json only."""

    position: int
    recorded: str
    order_id: str
    month: str
    outcome: str
    cents: int


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A log that was recorded in four months; the first orders came in the third."""
    home = Home(tmp_path_factory.mktemp("travel") / "home", {"SHOP_CURRENCY": "USD"})
    shop = Shop(home.path / "databases")
    purchases = read_purchases(expected.DATA, "USD")[0]
    chosen = [*purchases[:ORDERS], *february(purchases)]
    shop.place(chosen)
    shop.deliver_all(shop.payment)
    shop.deliver_all(shop.order)
    shop.deliver_all(shop.warehouse)
    shop.deliver_all(shop.order)
    late = {order.order_id for order in chosen[:LATE]}
    parts = [
        chosen[LATE : ORDERS // 2],
        chosen[ORDERS // 2 : ORDERS],
        chosen[:LATE],
        february(chosen),
    ]
    assert late == {order.order_id for order in parts[2]}
    for now, part in zip(TIMES, parts, strict=True):
        wanted = {order.order_id for order in part}
        for topic in shop.recorder.subscriptions:
            records = [each for each in shop.topics.of(topic) if order_of(each) in wanted]
            handle_batch(shop.recorder, records, now)
    for service in shop.services:
        service.database.close()
    return home


def february(orders: list[NewOrder]) -> list[NewOrder]:
    return [order for order in orders if f"{order.ordered_at:%Y-%m}" == "1997-02"][:60]


def order_of(record: Record) -> str:
    return from_headers(record.headers).correlation_id


@pytest.fixture(scope="module")
def log(home: Home) -> Database:
    return Shop(home.path / "databases").recorder.database


@pytest.fixture(scope="module", params=["made from the log alone", "with whole parts"])
def grown(
    request: pytest.FixtureRequest, log: Database, tmp_path_factory: pytest.TempPathFactory
) -> Database:
    """Projections that help to look back, or have not begun: it must make no difference."""
    projections = open_projections(tmp_path_factory.mktemp("grown") / "report.sqlite")
    if request.param == "with whole parts":
        catch_up(log, projections)
    return projections


@pytest.fixture(scope="module")
def told(home: Home) -> list[Told]:
    file = home.path / "databases" / "event_log.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(
            "SELECT position, recorded_time, body FROM event_log "
            "WHERE type LIKE 'shop.Authorization%' ORDER BY position"
        ).fetchall()
    found = []
    for position, recorded, body in rows:
        said = json.loads(body)
        outcome, cents = said.get("reason", "accepted"), said["amount"]["cents"]
        month = said["ordered_at"][:7]
        found.append(Told(position, recorded, said["order_id"], month, outcome, cents))
    return found


def figures(told: list[Told], until: int) -> dict[str, Any]:
    """The months and totals of a report, computed apart by the oracle."""
    known = {each.order_id: each.outcome for each in told if each.position <= until}
    orders = [each for each in all_purchases() if each.order_id in known]
    return expected.report(orders, known)


def in_words(orders: int, cents: int) -> tuple[str, str]:
    return f"{orders:,}", f"{cents // 100:,}.{cents % 100:02}"


all_purchases = lru_cache(maxsize=1)(expected.purchases)


def test_a_report_at_any_position_is_what_the_log_said_then(
    log: Database, grown: Database, told: list[Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "BATCH", 70)
    end = last_position(log)
    for position in (0, 1, 69, 70, 71, end // 2, 999, 1000, 1001, end - 1, end):
        found = as_json(report_at(log, grown, position, "USD")[0])
        assert found["position"] == position
        wanted = figures(told, position)
        assert found["totals"] == wanted["totals"]
        assert found["months"] == wanted["months"]
    assert found["totals"]["accepted"]["orders"] > ORDERS // 2


def test_what_was_recorded_at_a_time_or_before_was_known_then(
    log: Database, told: list[Told]
) -> None:
    recorded = [each.recorded_time for each in read(log)]
    for number, now in enumerate(TIMES):
        known = sum(each <= now for each in recorded)
        assert position_at(log, now) == known
        assert position_at(log, now - timedelta(microseconds=1)) == first_position(log, now) - 1
        assert first_position(log, now) == sum(each < now for each in recorded) + 1
        assert (number == 0) == (first_position(log, now) == 1)
    assert position_at(log, datetime.now(UTC)) == last_position(log)
    with pytest.raises(ShopError, match="isn't over yet"):
        position_at(log, datetime(2100, 1, 1, tzinfo=UTC))
    assert position_at(log, datetime(1, 1, 1, tzinfo=UTC)) == 0
    assert position_at(log, 17) == first_position(log, 17) == 17
    with pytest.raises(ShopError, match="ends at position"):
        position_at(log, last_position(log) + 1)


def test_moments_are_positions_or_times_with_a_zone() -> None:
    assert parse_moment("1200", "x") == 1200
    assert parse_moment("2026-11-25T10:00Z", "x") == datetime(2026, 11, 25, 10, tzinfo=UTC)
    assert parse_moment("2026-11-25T11:00+01:00", "x") == datetime(2026, 11, 25, 10, tzinfo=UTC)
    for wrong in ("", "-1", "yesterday", "2026-11-25T10:00", "2026-11-25", "1.5", "²", "9" * 5000):
        with pytest.raises(MalformedRecord):
            parse_moment(wrong, "x")


def test_late_orders_change_a_month_that_was_over_and_are_named(
    log: Database, grown: Database, told: list[Told]
) -> None:
    before, after = position_at(log, TIMES[1]), position_at(log, TIMES[2])
    found = compare(log, grown, before, after, "USD", 1000)
    late = [
        each for each in told if each.month < each.recorded[:7] and before < each.position <= after
    ]
    assert len(late) == LATE == found.late_in_all == found.orders_in_all
    (january,) = found.months
    assert january.after.name == "1997-01"
    assert january.late == LATE
    assert (january.after.all.orders, january.after.all.cents) == (
        january.before.all.orders + LATE,
        january.before.all.cents + sum(each.cents for each in late),
    )
    assert [(each.order_id, each.outcome, each.cents, each.late) for each in found.orders] == [
        (each.order_id, each.outcome, each.cents, True) for each in late
    ]
    assert {each.recorded_at[:10] for each in found.orders} == {"1997-03-05"}


def late_months(told: list[Told], until: int) -> list[dict[str, Any]]:
    """What a report says of late orders, computed apart: sums of the log's authorizations."""
    known = [each for each in told if each.position <= until]
    found = []
    for month in sorted({each.month for each in known}):
        theirs = [each for each in known if each.month == month]
        late = [each for each in theirs if each.month < each.recorded[:7]]
        if not late:
            continue
        sums = {
            name: {
                "orders": sum(each.outcome == name for each in late),
                "cents": sum(each.cents for each in late if each.outcome == name),
            }
            for name in ("accepted", *expected.REASONS)
        }
        found.append(
            {
                "month": month,
                "accepted": sums.pop("accepted"),
                "declined": sums,
                "first_recorded": min(each.recorded for each in late)[:10],
                "last_recorded": max(each.recorded for each in late)[:10],
                "whole_month": len(late) == len(theirs),
            }
        )
    return found


def test_a_report_says_which_months_late_orders_changed_and_when(
    log: Database, grown: Database, told: list[Told]
) -> None:
    for now in TIMES:
        position = position_at(log, now)
        found, late = report_at(log, grown, position, "USD")
        assert as_json(found) == as_json(report_at(log, grown, position, "USD")[0])
        assert late_as_json(late)["late"] == late_months(told, position)
    # January was reported in time, and changed twice; all of February came in April.
    january, february = late
    assert (january.part.name, january.first, january.last, january.whole) == (
        *("1997-01", "1997-02-05", "1997-03-05"),
        False,
    )
    assert january.part.all.orders == ORDERS // 2 + LATE
    assert (february.part.name, february.whole) == ("1997-02", True)
    assert report_at(log, grown, position_at(log, TIMES[0]), "USD")[1] == ()
    assert report_at(log, grown, last_position(log), "EUR")[1] == ()


def test_a_month_ends_where_the_next_one_begins() -> None:
    assert month_end("1997-01") == datetime(1997, 2, 1, tzinfo=UTC)
    assert month_end("1997-12") == datetime(1998, 1, 1, tzinfo=UTC)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_two_positions_differ_by_the_orders_between(
    log: Database, grown: Database, told: list[Told], data: st.DataObject
) -> None:
    places = st.integers(0, last_position(log))
    one, other, most = data.draw(places), data.draw(places), data.draw(st.integers(0, 50))
    found = compare(log, grown, one, other, "USD", most)
    first, last = sorted((one, other))
    assert as_json(found.before)["months"] == figures(told, first)["months"]
    assert as_json(found.after)["months"] == figures(told, last)["months"]
    between = [each for each in told if first < each.position <= last]
    loaded = {each["month"] for each in late_months(told, last) if each["whole_month"]}
    months = {each.month for each in between}
    assert {each.part.name for each in found.loaded} == loaded & months
    # Of a month that was loaded there was no figure to change.
    late = {
        each.order_id
        for each in between
        if each.month < each.recorded[:7] and each.month not in loaded
    }
    assert (found.orders_in_all, found.late_in_all) == (len(between), len(late))
    assert len(found.orders) == min(most, len(between))
    listed = [each.order_id for each in found.orders]
    assert len({*listed} & late) == min(most, len(late))
    assert {*listed} <= {each.order_id for each in between}
    assert [month.after.name for month in found.months] == sorted({each.month for each in between})
    for month in found.months:
        theirs = [each for each in between if each.month == month.after.name]
        assert month.after.all.cents - month.before.all.cents == sum(e.cents for e in theirs)
        assert month.late == sum(each.order_id in late for each in theirs)


class TestCommand:
    """As a user meets it."""

    def test_a_report_as_of_a_time_and_at_a_position(
        self, home: Home, log: Database, told: list[Told]
    ) -> None:
        for options, position in (
            (("--as-of", "1997-02-05T10:00Z"), position_at(log, TIMES[1])),
            (("--at-position", "100"), 100),
            ((), last_position(log)),
        ):
            done = home.shop("report", *options, "--json")
            assert done.returncode == 0, done.stderr
            said = json.loads(done.stdout)
            wanted = figures(told, position)
            assert said["position"] == position
            assert said["totals"] == wanted["totals"]
            assert said["months"] == wanted["months"]
            hashed, recorded = home.rows(
                "event_log",
                "SELECT lower(hex(hash)), recorded_time FROM event_log ORDER BY position",
            )[position - 1]
            assert said["hash"] == hashed
            assert datetime.fromisoformat(said["recorded_time"]) == datetime.fromisoformat(recorded)
            assert said["late"] == late_months(told, position)
            days = json.loads(home.shop("report", *options, "--by", "day", "--json").stdout)
            assert days["totals"] == wanted["totals"]
            for_people = home.shop("report", *options).stdout
            assert f"log position {position:,}" in for_people
            assert hashed in for_people

    def test_people_are_told_what_came_late_and_how_to_see_which_orders(
        self, home: Home, log: Database, told: list[Told]
    ) -> None:
        said = home.shop("report").stdout
        january, february = late_months(told, last_position(log))
        lines = [line.split() for line in said.splitlines()]
        declined = january["declined"].values()
        assert [
            "1997-01",
            *in_words(january["accepted"]["orders"], january["accepted"]["cents"]),
            *in_words(*(sum(each[name] for each in declined) for name in ("orders", "cents"))),
            "1997-02-05",
            "1997-03-05",
        ] in lines
        assert february["whole_month"]
        assert "recorded only when the month was over, all of it: 1997-02" in said
        command = next(line for line in said.splitlines() if "--compare-to" in line)
        shown = home.shop(*command.partition(": shop ")[2].split(), "--json", "--orders", "999")
        behind = json.loads(shown.stdout)
        late = [order for order in behind["orders"] if order["month"] == "1997-01"]
        assert len(late) == ORDERS // 2 + LATE
        assert all(order["late"] for order in late)
        # Where nothing came late, nothing is said of it; nor by another line than months.
        for options in (("--as-of", "1997-01-05T10:00Z"), ("--by", "day"), ("--by", "reason")):
            assert "month was over" not in home.shop("report", *options).stdout

    def test_a_currency_that_is_none_or_that_no_order_is_in_is_refused(
        self, home: Home, told: list[Told], tmp_path: Path
    ) -> None:
        whole = f"{len(told):,} orders of "
        commands = (
            ("report",),
            ("report", "--at-position", str(told[0].position), "--json"),
            ("report", "--compare-to", "0"),
            ("export", str(tmp_path / "revenue.csv")),
        )
        for code, why in (
            ("EUR", "no order up to position"),
            ("EURO", "SHOP_CURRENCY: currency 'EURO' is no code of ISO 4217"),
        ):
            abroad = Home(home.path, {"SHOP_CURRENCY": code})
            for command in commands if code == "EUR" else commands[:1]:
                done = abroad.shop(*command)
                assert (done.returncode, done.stdout) == (1, ""), command
                assert why in done.stderr
                assert "Traceback" not in done.stderr
                if code == "EUR" and "--at-position" not in command:
                    assert whole in done.stderr
                    assert "Set SHOP_CURRENCY to USD" in done.stderr

    def test_a_comparison_for_people_and_for_scripts(
        self, home: Home, log: Database, told: list[Told]
    ) -> None:
        options = ("--as-of", "1997-03-05T10:00Z", "--compare-to", "1997-02-05T10:00Z")
        done = home.shop("report", *options, "--json", "--orders", "5")
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        before, after = position_at(log, TIMES[1]), position_at(log, TIMES[2])
        assert (said["before"]["position"], said["after"]["position"]) == (before, after)
        assert said["before"]["totals"] == figures(told, before)["totals"]
        assert said["after"]["totals"] == figures(told, after)["totals"]
        assert (said["orders_in_all"], said["late_in_all"]) == (LATE, LATE)
        assert [month["month"] for month in said["months"]] == ["1997-01"]
        assert len(said["orders"]) == 5
        assert all(order["late"] for order in said["orders"])
        people = home.shop("report", *options, "--orders", "5").stdout
        assert f"{LATE} orders, {LATE} of them late" in people
        assert f"5 of {LATE}" in people
        assert "…" not in people, "a figure was cut"
        assert said["orders"][0]["order_id"] in people
        # The order of the two makes no difference, and positions do as well.
        swapped = home.shop(
            *("report", "--at-position", str(before), "--compare-to", str(after)),
            *("--json", "--orders", "5"),
        )
        assert json.loads(swapped.stdout) == said
        now = json.loads(home.shop("report", "--compare-to", "0", "--json").stdout)
        assert now["orders_in_all"] == len(told)
        # All of February was loaded: that is said once, and none of it is late.
        assert now["loaded"] == ["1997-02"]
        assert {each["month"] for each in now["orders"] if each["late"]} == {"1997-01"}
        assert now["late_in_all"] == ORDERS // 2 + LATE
        people = home.shop("report", "--compare-to", "0").stdout
        assert "all of it: 1997-02" in people
        assert len(now["orders"]) == 50

    def test_a_past_report_holds_when_it_is_proved_later(self, home: Home, tmp_path: Path) -> None:
        file = tmp_path / "figure.json"
        file.write_text(home.shop("report", "--at-position", "333", "--json").stdout)
        done = home.shop("prove", "--figure", str(file))
        assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.parametrize(
        ("options", "code", "why"),
        [
            (("--as-of", "yesterday"), 2, "--as-of 'yesterday' is not a time"),
            (("--as-of", "2026-11-25T10:00"), 2, "names no time zone"),
            (("--as-of", "12"), 2, "--at-position"),
            (("--as-of", "2026-11-25T10:00Z", "--at-position", "1"), 2, "choose one"),
            (("--compare-to", "x"), 2, "--compare-to 'x' is not a time"),
            (("--at-position", "-1"), 2, "--at-position"),
            (("--at-position", "99999999"), 1, "ends at position"),
            (("--compare-to", "99999999"), 1, "ends at position"),
        ],
    )
    def test_what_is_no_moment_is_said_so(
        self, home: Home, options: tuple[str, ...], code: int, why: str
    ) -> None:
        done = home.shop("report", *options)
        assert done.returncode == code
        said = " ".join(done.stderr.replace("│", " ").split())
        assert why in said
        assert "Traceback" not in done.stderr
