"""The Revenue page as someone sees it in a browser."""

from collections import defaultdict
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from tests import expected
from tests.browser.conftest import SCREENSHOTS
from tests.browser.small_log import SmallLog
from tests.expected import REASONS, Purchase

OUTCOMES = ("accepted", *REASONS)

SCROLL = """table => {
    const scrolls = at => /auto|scroll/.test(getComputedStyle(at).overflowY)
        && at.scrollHeight > at.clientHeight;
    const found = [];
    for (let at = table; at; at = at.parentElement) if (scrolls(at)) found.push(at);
    found.forEach((at, i) => at.scrollTop = 90 - 20 * i);
    return found;
}"""
"""Scrolls the table in its container and the page a bit, and gives both."""

DARK, LIGHT = "rgb(20, 23, 28)", "rgb(255, 255, 255)"


def amount(cents: int) -> str:
    return f"{Decimal(cents) / 100:,.2f}"


def lines_of(orders: list[Purchase], by: str) -> list[list[str]]:
    """The table's lines and its total, computed from the purchase file alone."""
    decided = expected.outcomes(orders)
    sums: dict[str, dict[str, list[int]]] = defaultdict(
        lambda: {name: [0, 0] for name in (*OUTCOMES, "all")}
    )
    for order in orders:
        day = f"{order.date[:4]}-{order.date[4:6]}-{order.date[6:]}"
        for name in (day if by == "Day" else day[:7], "Total"):
            for outcome in (decided[order.order_id], "all"):
                sums[name][outcome][0] += 1
                sums[name][outcome][1] += order.cents
    return [
        [name, *(text for n, cents in sums[name].values() for text in (f"{n:,}", amount(cents)))]
        for name in sorted(sums)
    ]


def table(page: Page, by: str) -> list[list[str]]:
    shown = page.get_by_role("table", name=f"Revenue by {by.lower()}")
    shown.wait_for()
    return shown.evaluate(
        "table => [...table.querySelectorAll('tbody tr, tfoot tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )


def total(page: Page, by: str = "Month"):
    return page.get_by_role("table", name=f"Revenue by {by.lower()}").locator("tfoot")


def choose(page: Page, by: str) -> None:
    page.get_by_role("radio", name=by, exact=True).click()


def test_figures_are_those_of_the_file_to_the_cent(settled, open_page, few) -> None:
    page = open_page(settled)
    assert table(page, "Month") == lines_of(few, "Month")
    assert len(lines_of(few, "Month")) == 18 + 1
    choose(page, "Day")
    assert table(page, "Day") == lines_of(few, "Day")


def test_the_headline_agrees_with_the_file(settled, open_page, few) -> None:
    page = open_page(settled)
    _, *figures = lines_of(few, "Month")[-1]
    orders, amounts = figures[::2], figures[1::2]
    accepted = int(orders[0].replace(",", ""))
    everything = int(orders[-1].replace(",", ""))
    declined = Decimal(amounts[-1].replace(",", "")) - Decimal(amounts[0].replace(",", ""))
    share = (Decimal(accepted) * 100 / everything).quantize(Decimal("0.1"))
    for name, value, beside in (
        ("Accepted revenue, USD", amounts[0], f"of {amounts[-1]} ordered"),
        ("Accepted orders", orders[0], f"of {orders[-1]} orders"),
        ("Declined, USD", f"{declined:,}", f"{everything - accepted:,} orders"),
        ("Share of orders accepted", f"{share} %", "of the amount"),
    ):
        metric = page.get_by_test_id("stMetric").filter(has_text=name).first
        expect(metric.get_by_test_id("stMetricValue")).to_have_text(value)
        expect(metric).to_contain_text(beside)
    # An order and its answer are an event each.
    expect(page.get_by_text(f"up to position {2 * len(few):,} of the event log")).to_be_visible()


def test_before_the_first_order_it_says_what_to_do_and_then_goes_live(
    tmp_path, start_dashboard, open_page, few
) -> None:
    dashboard = start_dashboard(tmp_path)
    page = open_page(dashboard.url, height=700)
    expect(page.get_by_text("No order has been decided yet")).to_be_visible()
    expect(page.get_by_text("make demo")).to_be_visible()
    assert not list(tmp_path.rglob("*")), "looking at nothing made something"

    page.evaluate("window.neverReloaded = true")
    log = SmallLog(tmp_path)
    early = [each for each in few if each.date < "19970701"]
    log.append(early)
    expect(total(page)).to_contain_text(lines_of(early, "Month")[-1][2])
    expect(page.get_by_text("No order has been decided yet")).to_have_count(0)

    choose(page, "Day")
    assert table(page, "Day") == lines_of(early, "Day")
    scrolled = page.get_by_role("table", name="Revenue by day").evaluate_handle(SCROLL)
    log.append(few[len(early) :])
    log.close()
    expect(total(page, "Day")).to_contain_text(lines_of(few, "Day")[-1][2])
    assert table(page, "Day") == lines_of(few, "Day")
    assert scrolled.evaluate("all => all.map(at => at.isConnected && at.scrollTop)") == [90, 70]
    expect(page.get_by_role("radio", name="Day", exact=True)).to_be_checked()
    assert page.evaluate("window.neverReloaded")


def test_databases_that_go_away_are_told_of_and_come_back(
    tmp_path, start_dashboard, open_page, few
) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    log = SmallLog(home)
    log.append(few[:300])
    dashboard = start_dashboard(home)
    page = open_page(dashboard.url)
    shown = lines_of(few[:300], "Month")[-1][2]
    expect(total(page)).to_contain_text(shown)

    (home / "databases").rename(away)
    expect(page.get_by_text("can't be read at the moment")).to_be_visible()
    expect(page.get_by_text("Not live")).to_be_visible()
    expect(total(page)).to_contain_text(shown)

    away.rename(home / "databases")
    expect(page.get_by_text("can't be read at the moment")).to_have_count(0)
    log.append(few[300:400])
    log.close()
    expect(total(page)).to_contain_text(lines_of(few[:400], "Month")[-1][2])


def test_projections_deleted_under_it_are_made_anew(
    tmp_path, start_dashboard, open_page, few
) -> None:
    log = SmallLog(tmp_path)
    log.append(few[:300])
    dashboard = start_dashboard(tmp_path)
    page = open_page(dashboard.url)
    expect(total(page)).to_contain_text(lines_of(few[:300], "Month")[-1][2])
    for file in (tmp_path / "databases").glob("report.sqlite*"):
        file.unlink()
    log.append(few[300:400])
    log.close()
    expect(total(page)).to_contain_text(lines_of(few[:400], "Month")[-1][2])


@pytest.mark.parametrize(
    ("width", "height", "scheme", "by"),
    # Each with each of another kind.
    [
        (1280, 1400, "light", "Month"),
        (1280, 1400, "dark", "Day"),
        (390, 1500, "light", "Day"),
        (390, 1500, "dark", "Month"),
    ],
)
def test_it_fits_and_follows_the_readers_colours(
    settled, open_page, width, height, scheme, by
) -> None:
    page = open_page(settled, width, height, scheme)
    choose(page, by)
    table(page, by)
    page.locator(".vega-embed canvas, .vega-embed svg").wait_for()
    page.wait_for_function("document.fonts.status == 'loaded'")
    expect(page.get_by_test_id("stApp")).to_have_css(
        "background-color", DARK if scheme == "dark" else LIGHT
    )
    expect(total(page, by).locator("th")).to_have_css(
        "background-color", DARK if scheme == "dark" else LIGHT
    )
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"revenue-{by.lower()}-{width}-{scheme}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for metric in page.get_by_test_id("stMetricValue").all():
        assert metric.evaluate(
            "node => [node, ...node.querySelectorAll('*')]"
            ".every(each => each.scrollWidth <= each.clientWidth + 1)"
        ), "a figure is cut off"


def test_the_page_asks_this_host_only(settled, open_page) -> None:
    page = open_page(settled)
    table(page, "Month")
    # Fonts and scripts that come late; then the fixture looks at all that was asked.
    page.wait_for_load_state("networkidle")
