"""Every page and state of the dashboard, for people who see little or have no mouse.

One dashboard is first empty, then has data, then loses its databases; each page is opened once, and
looked at in both widths and in the dark.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from services.letter_store import keep_letters
from services.letters import LetterDesk
from services.recorder import open_log
from tests.browser.axe import WIDTHS, by_tab_key, findings, sideways
from tests.browser.conftest import Dashboard, running_dashboard
from tests.browser.small_log import SmallLog
from tests.browser.test_health_page import letter
from tests.by_hand import accepted, put_unreadable
from tests.expected import Purchase

PATHS = ("", "/orders", "/health", "/export")
LAST_ON = {
    "": "Recorded only when the month was over",
    "/orders": "50 orders shown",
    "/health": "In the order of their keys",
    "/export": "Whether it still is",
}
"""What each page has near its end, so that the rest is there too."""
SAID_WHEN_EMPTY = ("decided yet", "placed yet", "no event yet", "decided yet")

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("accessible")


@pytest.fixture(scope="module")
def empty(home: Path) -> Iterator[Dashboard]:
    with running_dashboard(home) as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def filled(home: Path, empty: Dashboard, few: list[Purchase]) -> Dashboard:
    """More lines than a table shows whole, and few enough for axe-core to be quick."""
    log = SmallLog(home)
    log.append([*few[:30], *few[-30:]], ship=True)
    log.close()
    desk = LetterDesk(home / "databases" / "dead_letters.sqlite")
    with desk.database.transaction() as connection:
        keep_letters(connection, [letter(number) for number in range(8)])
    desk.database.close()
    return empty


def say(page: Page, *texts: str | re.Pattern[str]) -> None:
    for text in texts:
        expect(page.get_by_text(text).first).to_be_visible()


def choose(page: Page, name: str, option: str) -> None:
    page.get_by_role("combobox", name=name).focus()
    page.keyboard.type(option)
    page.keyboard.press("Enter")


def is_accessible(page: Page) -> None:
    assert findings(page) == []
    assert sideways(page) <= 0


def test_without_an_order(empty: Dashboard, open_page: Open, home: Path) -> None:
    for path, said in zip(PATHS, SAID_WHEN_EMPTY, strict=True):
        page = open_page(empty.url + path)
        say(page, said)
        is_accessible(page)
        page.close()
    assert not list(home.rglob("*")), "looking at nothing made something"


def test_revenue(filled: Dashboard, open_page: Open) -> None:
    page = open_page(filled.url)
    choose(page, "Orders of a month", "1997-01")
    say(page, "The newest 30 of them")
    page.locator(".vega-embed svg").first.wait_for()
    is_accessible(page)
    page.goto(f"{filled.url}/?by=Day&sums=Running+total")
    page.get_by_role("radio", name="As it was").click()
    say(page, "As it was known at")
    page.get_by_role("table", name="Revenue by day").wait_for()
    is_accessible(page)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "50 orders shown"),
        ("?month=1997-99&least=x", "is no month"),
        ("?customer=99999", "No order is like that"),
        ("?order=x", "There is no such order"),
    ],
)
def test_orders(filled: Dashboard, open_page: Open, address: str, said: str) -> None:
    page = open_page(f"{filled.url}/orders{address}")
    say(page, said)
    is_accessible(page)


def test_an_orders_story(filled: Dashboard, open_page: Open, few: list[Purchase]) -> None:
    page = open_page(f"{filled.url}/orders?order={few[0].order_id}")
    page.locator("summary").first.click()
    say(page, "Causation id")
    is_accessible(page)


def test_health(filled: Dashboard, open_page: Open) -> None:
    page = open_page(f"{filled.url}/health")
    choose(page, "Look into a letter", "orders/2/7")
    say(page, "shop dead-letters send orders/2/7")
    page.get_by_role("button", name="Run the proof").press("Enter")
    say(page, "The log has not moved on since.")
    page.get_by_text("What is proved").click()
    page.get_by_role("table", name="What is proved").wait_for()
    is_accessible(page)


def test_export_and_the_page_that_it_makes(filled: Dashboard, open_page: Open) -> None:
    page = open_page(f"{filled.url}/export")
    page.get_by_role("radio", name="Page").click()
    ready = page.get_by_role("button", name=re.compile(r"^Download revenue.*\.html$"))
    ready.wait_for()
    is_accessible(page)
    with page.expect_download() as begun:
        ready.click()
    page.set_content(begun.value.path().read_text())
    page.get_by_role("table", name="Revenue by month").wait_for()
    assert findings(page) == []


def test_a_list_that_is_open(filled: Dashboard, open_page: Open) -> None:
    page = open_page(f"{filled.url}/orders", width=WIDTHS[-1])
    say(page, "50 orders shown")
    page.get_by_role("combobox", name="State").press("ArrowDown")
    page.get_by_role("option", name="Accepted").first.wait_for()
    assert findings(page) == []


# In a narrow window the menu, which all pages have, and the tables are others.
@pytest.mark.parametrize(
    ("path", "width"), [*((path, WIDTHS[0]) for path in PATHS), ("", WIDTHS[-1])]
)
def test_the_tab_key(filled: Dashboard, open_page: Open, path: str, width: int) -> None:
    page = open_page(filled.url + path, width=width)
    page.get_by_text(LAST_ON[path]).first.wait_for()
    controls, reached, unmarked = by_tab_key(page)
    assert reached == controls
    assert unmarked == []


def test_databases_that_are_away(filled: Dashboard, open_page: Open, home: Path) -> None:
    log = open_log(home / "databases" / "event_log.sqlite")
    put_unreadable(log, accepted("x", "1997-01-07", 99))
    log.close()
    away = home / "away"
    # One after the other: several at once are slow to see it.
    for path in PATHS:
        page = open_page(filled.url + path)
        say(page, LAST_ON[path] if path else "The report stops before position")
        (home / "databases").rename(away)
        try:
            say(page, re.compile("(is|are) not there any more"))
            is_accessible(page)
            page.close()
        finally:
            away.rename(home / "databases")
