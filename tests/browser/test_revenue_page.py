"""The Revenue page: a part of the time, the month before, a month's orders, and as it was."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Locator, Page, expect

from event_log.log import last_position
from reporting.figure import stamp
from reporting.read_only import ReadOnlyDatabase
from tests import expected
from tests.browser.conftest import SCREENSHOTS, running_dashboard
from tests.browser.small_log import SmallLog
from tests.browser.test_dashboard import amount, choose, lines_of, table
from tests.expected import Purchase
from tests.waiting import wait_for

EARLY = "19970701"
"""Orders before this day are recorded some seconds before the others."""


@pytest.fixture(scope="module")
def grown(
    tmp_path_factory: pytest.TempPathFactory, few: list[Purchase]
) -> Iterator[tuple[str, ReadOnlyDatabase]]:
    """A dashboard whose log grew in two steps, at least three seconds apart."""
    home = tmp_path_factory.mktemp("grown")
    log = SmallLog(home)
    log.append(each for each in few if each.date < EARLY)
    until = datetime.now(UTC) + timedelta(seconds=3)
    wait_for(lambda: datetime.now(UTC) > until, "the second step is three seconds later")
    log.append(each for each in few if each.date >= EARLY)
    log.close()
    with running_dashboard(home) as dashboard:
        yield dashboard.url, ReadOnlyDatabase(home / "databases" / "event_log.sqlite")


@pytest.fixture
def page(grown: tuple[str, ReadOnlyDatabase], open_page: Callable[..., Page]) -> Page:
    opened = open_page(grown[0], height=1400)
    table(opened, "Month")
    return opened


def metric(page: Page, name: str, number: int = 0) -> Locator:
    return page.get_by_test_id("stMetric").filter(has_text=name).nth(number)


def enter(page: Page, name: str, day: str) -> None:
    """Type a day into a field of three parts, as a keyboard does."""
    field = page.get_by_test_id("stDateInput").filter(has_text=name)
    field.get_by_role("spinbutton").first.click()
    page.keyboard.type(day.replace("-", ""))
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")


def test_a_part_of_the_time_has_the_figures_of_its_days_alone(page, few) -> None:
    enter(page, "From", "1997-02-10")
    enter(page, "Until", "1997-04-20")
    inside = [each for each in few if "19970210" <= each.date <= "19970420"]
    decided = expected.outcomes(few)
    accepted = sum(each.cents for each in inside if decided[each.order_id] == "accepted")
    expect(metric(page, "Accepted revenue, USD")).to_contain_text(amount(accepted))
    expect(metric(page, "Accepted orders")).to_contain_text(f"of {len(inside):,} orders")
    expect(page.get_by_role("table").locator("tbody tr")).to_have_count(3)
    names = [line[0] for line in table(page, "Month")]
    assert names == ["1997-02", "1997-03", "1997-04", "Total"]
    assert table(page, "Month")[-1][-1] == amount(sum(each.cents for each in inside))
    # It is in the address: who gets the link sees the same.
    page.reload()
    expect(metric(page, "Accepted revenue, USD")).to_contain_text(amount(accepted))


def test_the_last_month_is_held_against_the_month_before(page, few) -> None:
    lines = {line[0]: line for line in lines_of(few, "Month")}
    before, after = (
        [int(lines[month][at].replace(",", "").replace(".", "")) for at in (1, 2)]
        for month in ("1998-05", "1998-06")
    )
    expect(page.get_by_text("1998-06 against 1998-05, whole months")).to_be_visible()
    for at, name in enumerate(("Accepted orders", "Accepted revenue, USD")):
        by = after[at] - before[at]
        per_cent = (Decimal(abs(by)) * 100 / before[at]).quantize(Decimal("0.1"))
        sign = "-" if by < 0 else "+"
        written = f"{abs(by):,}" if at == 0 else amount(abs(by))
        expect(metric(page, name, 1)).to_contain_text(f"{sign}{written} ({sign}{per_cent} %)")


def test_running_totals_end_at_the_total(page, few) -> None:
    choose(page, "Running total")
    expect(page.get_by_role("radio", name="Running total")).to_be_checked()
    wanted = [line[1:] for line in lines_of(few, "Month")]
    expect(page.get_by_role("table").locator("tbody tr").last).to_contain_text(wanted[-1][-1])
    found = [line[1:] for line in table(page, "Month")]
    assert found[0] == wanted[0]
    assert found[-2] == found[-1] == wanted[-1]
    assert int(found[2][0].replace(",", "")) == sum(
        int(line[0].replace(",", "")) for line in wanted[:3]
    )


def month_lines(page: Page, month: str) -> list[list[str]]:
    shown = page.get_by_role("table", name=f"Orders of {month}")
    shown.wait_for()
    return shown.evaluate(
        "table => [...table.querySelectorAll('tbody tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )


def wanted_lines(few: list[Purchase], month: str) -> list[list[str]]:
    decided = expected.outcomes(few)
    found = []
    for outcome in ("accepted", *expected.REASONS):
        its = [o.cents for o in few if o.month == month and decided[o.order_id] == outcome]
        if its:
            name = outcome.replace("_", " ").capitalize()
            found.append([name, f"{len(its):,}", amount(sum(its))])
    its = [order.cents for order in few if order.month == month]
    return [*found, ["All orders", f"{len(its):,}", amount(sum(its))]]


def test_a_month_that_is_chosen_shows_its_orders_and_the_way_to_them(page, few) -> None:
    chosen = page.get_by_role("combobox", name="Orders of a month")
    chosen.focus()
    page.keyboard.type("1997-03")
    page.keyboard.press("Enter")
    assert month_lines(page, "1997-03") == wanted_lines(few, "1997-03")
    shown = page.get_by_role("table", name="Orders of 1997-03")
    links = shown.get_by_role("link").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert links[0] == "orders?month=1997-03&state=accepted"
    assert "orders?month=1997-03&state=declined&reason=no_funds" in links
    assert links[-1] == "orders?month=1997-03"
    # The newest of them are listed below, and the way leads to just those orders.
    shown.get_by_role("link", name="No funds").click()
    expect(page.get_by_role("heading", name="Orders", level=1)).to_be_visible()
    decided = expected.outcomes(few)
    wanted = {o.order_id for o in few if o.month == "1997-03" and decided[o.order_id] == "no_funds"}
    listed = page.get_by_role("table", name="Orders").locator("tbody th")
    expect(listed).to_have_count(len(wanted))
    assert set(listed.all_text_contents()) == wanted


def test_a_click_on_a_bar_chooses_its_month(page, few) -> None:
    chart = page.locator(".vega-embed canvas, .vega-embed svg").first
    chart.wait_for()
    expect(page.get_by_role("table", name="Orders of 1997")).to_have_count(0)
    box = chart.bounding_box()
    assert box is not None
    # The second month's bar is high; the axis takes a part of the left.
    left = 80
    at = box["x"] + left + (box["width"] - left) * 1.5 / 18
    page.mouse.click(at, box["y"] + box["height"] * 0.75)
    assert month_lines(page, "1997-02") == wanted_lines(few, "1997-02")


def test_as_it_was_it_has_what_was_recorded_by_then(grown, page, few) -> None:
    _, log = grown
    early = [each for each in few if each.date < EARLY]
    choose(page, "As it was")
    slider = page.get_by_role("slider")
    slider.focus()
    end = stamp(log, last_position(log), "USD")
    expect(page.get_by_text(f"hash {end.hash}").nth(1)).to_be_visible()
    # From the newest back, step by step, to where only the first half is known.
    total = lines_of(early, "Month")[-1][2]
    for _ in range(60):
        slider.press("ArrowLeft")
        at = slider.get_attribute("aria-valuetext")
        expect(page.get_by_text(f"As it was known at {at} UTC")).to_be_visible()
        expect(page.get_by_test_id("stApp")).to_have_attribute(
            "data-test-script-state", "notRunning"
        )
        if table(page, "Month")[-1][2] == total:
            break
    assert table(page, "Month") == lines_of(early, "Month")
    then = stamp(log, 2 * len(early), "USD")
    expect(page.get_by_text(f"hash {then.hash}")).to_be_visible()
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "revenue-as-it-was-1280-light.png")
    slider.press("Home")
    expect(page.get_by_text("No order had been decided by then")).to_be_visible()
    choose(page, "Live")
    assert table(page, "Month") == lines_of(few, "Month")


def test_months_that_came_after_their_end_are_named(page) -> None:
    # Orders of 1997 are recorded today, so all of each month came late.
    expect(page.get_by_text("Recorded only when the month was over")).to_contain_text(
        "1997-01 to 1998-06, 18 in all"
    )
