"""What the Revenue page shows, from a report to text, with no page."""

import re
import sqlite3
from contextlib import closing

import pytest

from reporting.dashboard.looking import Seen, look
from reporting.dashboard.revenue import COLOURS
from reporting.dashboard.revenue_rows import (
    OUTCOMES,
    bars,
    headline,
    label,
    minor_units_in_one,
    share,
    table,
)
from reporting.dashboard.tables import DARK_BACKGROUND, LIGHT_BACKGROUND, as_html, legend
from reporting.projector import ProjectedRow, open_projections
from reporting.report import REASONS, Period, Report
from reporting.revenue import Revenue, RevenueRow, Sum

NOTHING = dict.fromkeys(REASONS, Sum())


def made(*days, currency="USD", position=7):
    """A report of the given days, one month, with totals added up here."""

    def added(name, periods):
        return Period(
            name,
            _sum(each.accepted for each in periods),
            {reason: _sum(each.declined[reason] for each in periods) for reason in REASONS},
        )

    months = [added("1997-01", days)] if days else []
    return Report(currency, position, tuple(days), tuple(months), added("total", days))


def _sum(sums):
    orders, cents = zip(*sums, strict=True) if (sums := list(sums)) else ([], [])
    return Sum(sum(orders), sum(cents))


TWO_DAYS = (
    Period("1997-01-01", Sum(1200, 123_456_789), {**NOTHING, "no_funds": Sum(3, 5)}),
    Period("1997-01-02", Sum(34, 210), {**NOTHING, "account_closed": Sum(1, 1_000_00)}),
)


def test_the_headline_has_every_cent_and_its_counterpart():
    assert vars(headline(made(*TWO_DAYS))) == {
        "accepted_amount": "1,234,569.99",
        "of_amount": "of 1,235,570.04 ordered",
        "accepted_orders": "1,234",
        "of_orders": "of 1,238 orders",
        "declined_amount": "1,000.05",
        "declined_orders": "4 orders",
        "share_of_orders": "99.7 %",
        "share_of_amount": "99.9 % of the amount",
    }


def test_amounts_beyond_what_a_float_can_hold_are_exact():
    cents = 2**63 - 1
    found = made(Period("1997-01-01", Sum(1, cents), NOTHING))
    assert headline(found).accepted_amount == "92,233,720,368,547,758.07"
    assert table(found, "Day").total.cells[0] == ("1", "92,233,720,368,547,758.07")


def test_a_currency_without_minor_units_has_no_decimals():
    found = made(Period("1997-01-01", Sum(1, 1234), NOTHING), currency="JPY")
    assert headline(found).accepted_amount == "1,234"
    assert minor_units_in_one("JPY") == 1
    assert minor_units_in_one("USD") == 100


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "–"),
        (0, 3, "0.0 %"),
        (3, 3, "100.0 %"),
        (2, 3, "66.7 %"),
        (1, 800, "0.1 %"),
        (9_999, 10_000, "99.9 %"),
        (1, 1_000_000, "0.1 %"),
    ],
)
def test_a_share_is_all_or_nothing_only_when_it_is(part, whole, text):
    assert share(part, whole) == text


def test_the_table_has_a_line_for_each_period_and_a_total():
    by_day = table(made(*TWO_DAYS), "Day")
    assert by_day.columns == (
        "Accepted",
        "No funds",
        "Billing address incorrect",
        "Account closed",
        "All orders",
    )
    assert [line.name for line in by_day.lines] == ["1997-01-01", "1997-01-02"]
    assert by_day.lines[0].cells == (
        ("1,200", "1,234,567.89"),
        ("3", "0.05"),
        ("0", "0.00"),
        ("0", "0.00"),
        ("1,203", "1,234,567.94"),
    )
    by_month = table(made(*TWO_DAYS), "Month")
    assert [line.name for line in by_month.lines] == ["1997-01"]
    assert by_month.lines[0].cells == by_month.total.cells == by_day.total.cells


def test_the_chart_has_a_piece_for_what_is_there_in_whole_cents():
    pieces = bars(made(*TWO_DAYS), "Day")
    assert [(each.period, each.outcome, each.cents) for each in pieces] == [
        ("1997-01-01", "Accepted", 123_456_789),
        ("1997-01-01", "No funds", 5),
        ("1997-01-02", "Accepted", 210),
        ("1997-01-02", "Account closed", 100_000),
    ]
    assert pieces[0].amount == "1,234,567.89 USD"
    assert pieces[0].orders == "1,200"
    assert sum(each.cents for each in bars(made(*TWO_DAYS), "Month")) == 123_557_004


def test_pieces_lie_on_one_another_in_the_order_of_the_legend():
    ranks = {each.outcome: each.rank for each in bars(made(*TWO_DAYS), "Month")}
    assert ranks == {"Accepted": 0, "No funds": 1, "Account closed": 3}


def test_the_table_as_html_says_what_each_line_is_and_escapes():
    html = as_html(table(made(*TWO_DAYS, currency="USD"), "Day"))
    assert html.count('<th scope="row">') == 3
    assert '<tfoot><tr><th scope="row">Total</th>' in html
    assert "1,234,567.89" in html
    odd = Period("<b>", Sum(1, 1), NOTHING)
    assert "<b>" not in as_html(table(made(odd), "Day"))


def test_the_legend_names_every_outcome():
    html = legend(map(label, OUTCOMES), COLOURS)
    assert all(label(outcome) in html for outcome in OUTCOMES)
    assert all(colour in html for colour in COLOURS)


@pytest.mark.parametrize("background", [LIGHT_BACKGROUND, DARK_BACKGROUND])
def test_colours_stand_out_from_the_background(background):
    # WCAG 2: graphics need a contrast of 3 to 1.
    for colour in COLOURS:
        light, dark = sorted((_luminance(colour), _luminance(background)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, colour


def _luminance(colour):
    parts = [int(part, 16) / 255 for part in re.findall("[0-9a-f]{2}", colour)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _project(path, position, cents):
    projections = open_projections(path)
    with projections.transaction() as connection:
        before = connection.exec_driver_sql("SELECT orders, cents FROM revenue_by_day").first()
        orders, already = before or (0, 0)
        connection.execute(
            RevenueRow.__table__.insert().prefix_with("OR REPLACE"),
            Revenue("1997-01-01", "USD", "accepted", orders + 1, already + cents)._asdict(),
        )
        connection.execute(
            ProjectedRow.__table__.insert().prefix_with("OR REPLACE"),
            {"projection": "revenue", "position": position, "hash": bytes(32)},
        )
    projections.close()


def test_looking_makes_no_file(tmp_path):
    seen = look(tmp_path / "home" / "report.sqlite", "USD", Seen())
    assert seen == Seen()
    assert list(tmp_path.iterdir()) == []


def test_looking_at_a_file_without_tables_is_no_trouble_and_makes_none(tmp_path):
    path = tmp_path / "report.sqlite"
    path.touch()
    assert look(path, "USD", Seen()) == Seen()
    assert path.stat().st_size == 0


def test_the_report_is_read_again_only_when_the_position_moved(tmp_path):
    path = tmp_path / "report.sqlite"
    _project(path, 3, 100)
    first = look(path, "USD", Seen())
    assert first.report is not None
    assert first.report.totals.accepted == Sum(1, 100)
    assert look(path, "USD", first) is first
    _project(path, 4, 1)
    second = look(path, "USD", first)
    assert second.report.position == 4
    assert second.report.totals.accepted == Sum(2, 101)


def test_while_the_file_is_away_the_last_report_stays(tmp_path):
    path, away = tmp_path / "report.sqlite", tmp_path / "away.sqlite"
    _project(path, 3, 100)
    first = look(path, "USD", Seen())
    path.rename(away)
    gone = look(path, "USD", first)
    assert gone.report is first.report
    assert "not there any more" in gone.trouble
    away.rename(path)
    assert look(path, "USD", gone) == first


def test_another_file_at_the_same_position_is_noticed(tmp_path):
    path = tmp_path / "report.sqlite"
    _project(path, 3, 100)
    first = look(path, "USD", Seen())
    other = tmp_path / "other.sqlite"
    _project(other, 3, 200)
    other.rename(path)
    assert look(path, "USD", first).report.totals.accepted == Sum(1, 200)


def test_while_the_file_is_locked_the_last_report_stays(tmp_path):
    path = tmp_path / "report.sqlite"
    _project(path, 3, 100)
    first = look(path, "USD", Seen())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        locked = look(path, "USD", first)
    assert locked.report is first.report
    assert "locked" in locked.trouble
    assert look(path, "USD", locked) == first


def test_what_is_no_database_is_said(tmp_path):
    path = tmp_path / "report.sqlite"
    path.write_bytes(b"no database" * 1000)
    assert "not a database" in look(path, "USD", Seen()).trouble
