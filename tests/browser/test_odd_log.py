"""Pages over a log with far dates, huge amounts and an event that can't be read: all is shown."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from services.recorder import open_log
from tests.browser.conftest import Dashboard, running_dashboard
from tests.by_hand import accepted, declined, put, put_unreadable

LARGEST = 2**63 - 1


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    home: Path = tmp_path_factory.mktemp("odd")
    log = open_log(home / "databases" / "event_log.sqlite")
    put(
        log,
        [
            accepted("a", "1997-01-05", 1000),
            accepted("b", "9999-12-31", 2500),
            declined("c", "0001-01-01", LARGEST),
            declined("d", "1997-03-05", LARGEST),
        ],
    )
    put_unreadable(log, accepted("x", "1997-01-07", 99))
    put(log, [accepted("e", "1997-01-05", 1)])
    log.close()
    with running_dashboard(home) as dashboard:
        yield dashboard


def test_revenue_has_five_months_and_says_what_stops_it(
    running: Dashboard, open_page: Callable[..., Page]
) -> None:
    page = open_page(running.url)
    shown = page.get_by_role("table", name="Revenue by month")
    shown.wait_for()
    names = shown.evaluate("table => [...table.tBodies[0].rows].map(row => row.cells[0].innerText)")
    assert names == ["0001-01", "1997-01", "1997-02", "1997-03", "9999-12"]
    expect(shown.locator("tfoot")).to_contain_text("184,467,440,737,095,516.14")
    expect(page.get_by_text("No order is of 0001-02 to 1996-12")).to_be_visible()
    expect(page.get_by_text("The report stops before position 5")).to_be_visible()
    page.get_by_text("Day", exact=True).click()
    expect(page.get_by_role("table", name="Revenue by day").locator("tbody tr")).to_have_count(4)


def test_orders_of_the_last_month_and_the_export_are_there(
    running: Dashboard, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page(f"{running.url}/orders?month=9999-12")
    expect(page.get_by_role("table", name="Orders").locator("tbody tr")).to_have_count(1)
    page = open_page(f"{running.url}/export")
    ready = page.get_by_role("button", name="Download revenue-0001-01-01-to-9999-12-31-at-4.csv")
    with page.expect_download() as begun:
        ready.click()
    begun.value.save_as(tmp_path / "file.csv")
    assert len((tmp_path / "file.csv").read_text().splitlines()) == 4 + 1 + 5
