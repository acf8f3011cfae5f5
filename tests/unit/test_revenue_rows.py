"""What the Revenue page shows, from a report to text, with no page."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from reporting.dashboard.looking_back import bounds
from reporting.dashboard.revenue import COLOURS
from reporting.dashboard.revenue_rows import (
    OUTCOMES,
    bars,
    changes,
    headline,
    label,
    minor_units_in_one,
    running,
    share,
    table,
)
from reporting.dashboard.tables import DARK_BACKGROUND, LIGHT_BACKGROUND, as_html, legend
from reporting.report import REASONS, Period, Report, report_of
from reporting.revenue import Revenue, Sum

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


def months(*sums):
    """A report in which each month has one day, by accepted and declined orders and cents."""
    rows = []
    for number, (accepted, declined) in enumerate(sums, 1):
        day = f"1997-{number:02}-03"
        rows.append(Revenue(day, "USD", "accepted", *accepted))
        rows.append(Revenue(day, "USD", "no_funds", *declined))
    return report_of(rows, "USD", 7)


def test_a_month_is_held_against_the_one_before():
    found = months(((4, 1000), (1, 100)), ((5, 750), (2, 100)))
    assert changes(found, "1997-01") is None
    revenue, orders, declined = changes(found, "1997-02")
    assert (revenue.value, revenue.by, revenue.good) == ("7.50", "-2.50 (-25.0 %)", True)
    assert (orders.value, orders.by, orders.good) == ("5", "+1 (+25.0 %)", True)
    assert (declined.value, declined.by, declined.good) == ("1.00", "+0.00 (+0.0 %)", None)


def test_what_was_nothing_before_has_no_per_cent():
    found = months(((0, 0), (0, 0)), ((5, 750), (1, 1)))
    assert [each.by for each in changes(found, "1997-02")] == ["+7.50", "+5", "+0.01"]


def test_running_totals_have_all_up_to_each_period():
    found = running(months(((4, 1000), (1, 100)), ((5, 750), (2, 50)), ((0, 0), (1, 1))))
    assert [month.accepted for month in found.months] == [Sum(4, 1000), Sum(9, 1750), Sum(9, 1750)]
    assert [day.declined["no_funds"] for day in found.days] == [
        Sum(1, 100),
        Sum(3, 150),
        Sum(4, 151),
    ]
    assert found.months[-1].all == found.totals.all
    assert running(made()) == made()


@pytest.mark.parametrize(
    ("long", "step"),
    [
        (timedelta(0), timedelta(seconds=1)),
        (timedelta(minutes=5, microseconds=1), timedelta(seconds=1)),
        (timedelta(days=2), timedelta(minutes=1)),
        (timedelta(days=400), timedelta(hours=1)),
    ],
)
def test_one_can_look_back_from_before_the_first_record_to_after_the_last(long, step):
    first = datetime(2026, 1, 1, 10, 0, 0, 5, tzinfo=UTC)
    found = bounds(first, first + long)
    assert found.step == step
    assert found.first < first.replace(tzinfo=None)
    assert (
        (first + long).replace(tzinfo=None)
        <= found.last
        <= (first + long).replace(tzinfo=None) + step
    )
    assert (found.last - found.first) % step == timedelta(0)
