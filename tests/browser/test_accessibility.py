"""Every page and state of the dashboard, for people who see little or have no mouse.

One dashboard is first empty, then has data, then loses its databases; each page is opened once, and
looked at in both widths and schemes.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from services.letter_store import keep_letters
from services.letters import LetterDesk
from services.recorder import open_log
from tests.browser.axe import findings, sideways, with_the_tab_key
from tests.browser.conftest import Dashboard, running_dashboard
from tests.browser.small_log import SmallLog
from tests.browser.test_health_page import letter
from tests.by_hand import accepted, put_unreadable
from tests.expected import Purchase

PATHS = ("", "/orders", "/health", "/export")

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
    """More than a table shows whole, of two months, and few enough for axe-core to be quick."""
    log = SmallLog(home)
    log.append([*few[:30], *few[-30:]], ship=True)
    log.close()
    desk = LetterDesk(home / "databases" / "dead_letters.sqlite")
    with desk.database.transaction() as connection:
        keep_letters(connection, [letter(number) for number in range(8)])
    desk.database.close()
    return empty


def shown(page: Page, *texts: str) -> None:
    for text in texts:
        expect(page.get_by_text(text).first).to_be_visible()


def choose(page: Page, name: str, option: str) -> None:
    page.get_by_role("combobox", name=name).focus()
    page.keyboard.type(option)
    page.keyboard.press("Enter")


def accessible(page: Page) -> None:
    assert findings(page) == []
    assert sideways(page) <= 0


def test_pages_without_an_order(empty: Dashboard, open_page: Open) -> None:
    for path, said in zip(PATHS, ("decided", "placed", "event", "decided"), strict=True):
        page = open_page(empty.url + path)
        shown(page, f"has been {said} yet" if said != "event" else "has no event yet")
        accessible(page)
        page.close()


def test_revenue(filled: Dashboard, open_page: Open) -> None:
    page = open_page(filled.url)
    choose(page, "Orders of a month", "1997-01")
    shown(page, "The newest")
    page.locator(".vega-embed svg").first.wait_for()
    accessible(page)
    page.goto(f"{filled.url}/?by=Day&sums=Running+total")
    page.get_by_role("radio", name="As it was").click()
    shown(page, "As it was known at")
    page.get_by_role("table", name="Revenue by day").wait_for()
    accessible(page)
