"""The dashboard below a path of a proxy's: nginx, set as docs/operations.md says, and a browser."""

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from cli.login import CALLBACK
from reporting.dashboard import pages
from tests.browser.conftest import Dashboard, running_dashboard
from tests.browser.nginx import BASE_PATH, Nginx, running_nginx
from tests.browser.provider import CLIENT_ID, running_provider
from tests.browser.small_log import SmallLog
from tests.browser.test_dashboard import lines_of, total
from tests.browser.test_dashboard_attacks import UPGRADE, ask
from tests.browser.test_export_page import button as export_button
from tests.browser.test_export_page import download, found_in, wanted
from tests.browser.test_login import FINANCE, STRANGER, button, login_cookies
from tests.expected import Purchase
from tests.ports import free_ports

PAGES = {f"/{each.path}": each.title for each in pages.PAGES}


class Behind(NamedTuple):
    """A dashboard, and the nginx in front of it."""

    dashboard: Dashboard
    nginx: Nginx


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, few: list[Purchase]) -> Path:
    made = tmp_path_factory.mktemp("home")
    log = SmallLog(made)
    log.append(few)
    log.close()
    return made


@pytest.fixture(scope="module")
def behind(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    port, own = free_ports(2)
    # As a person may write it.
    settings = {"SHOP_DASHBOARD_PORT": str(own), "SHOP_DASHBOARD_BASE_PATH": f"{BASE_PATH[1:]}/"}
    with (
        running_nginx(tmp_path_factory.mktemp("nginx"), port, own) as nginx,
        running_dashboard(home, **settings) as dashboard,
    ):
        yield Behind(dashboard, nginx)
        outside = {
            (status, path)
            for status, path in nginx.asked()
            if not path.startswith(f"{BASE_PATH}/") and path not in (BASE_PATH, *ALONGSIDE)
        }
        assert outside == set(), "all that pages ask for is below the path"


ALONGSIDE = ("/", "/orders", "/_stcore/health", "/shop/financed/", "/media/a.csv")


def shows(page: Page, path: str) -> None:
    """The page of this path is shown, at its address below the proxy's path."""
    expect(page.get_by_role("heading", name=PAGES[path], exact=True).first).to_be_visible()
    assert urlsplit(page.url).path == f"{BASE_PATH}{path}"


def test_it_says_where_it_is(behind: Behind) -> None:
    assert urlsplit(behind.dashboard.url).path == BASE_PATH


@pytest.mark.parametrize("path", PAGES)
def test_each_page_opens_by_its_address(
    behind: Behind, open_page: Callable[..., Page], path: str
) -> None:
    shows(open_page(f"{behind.nginx.url}{path}"), path)


def test_without_the_slash_at_its_end_the_first_page_is_found_and_its_links_work(
    behind: Behind, open_page: Callable[..., Page], few: list[Purchase]
) -> None:
    page = open_page(behind.nginx.url)
    shows(page, "/")
    expect(total(page)).to_contain_text(lines_of(few, "Month")[-1][2])
    direct = ask(behind.dashboard.url, f"{BASE_PATH}?a=b")
    assert (direct.status, direct.headers["location"]) == (307, f"{BASE_PATH}/?a=b")


def test_the_menu_and_all_links_stay_below_it(
    behind: Behind, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{behind.nginx.url}/")
    for path in ("/orders", "/health", "/export", "/"):
        page.get_by_role("link", name=PAGES[path], exact=True).click()
        shows(page, path)
    # From a figure to its orders, to the story of one, to all of its customer's.
    page.get_by_role("combobox", name="Orders of a month").focus()
    page.keyboard.type("1997-03")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="No funds").click()
    shows(page, "/orders")
    page.get_by_role("table", name="Orders").get_by_role("link").first.click()
    page.get_by_role("link", name=re.compile(r"^\d{5}$")).click()
    expect(page.get_by_role("table", name="Orders")).to_be_visible()
    assert urlsplit(page.url).path == f"{BASE_PATH}/orders"
    assert urlsplit(page.url).query.startswith("customer=")


def test_a_download_comes_through_to_the_cent(
    behind: Behind, open_page: Callable[..., Page], few: list[Purchase], tmp_path: Path
) -> None:
    page = open_page(f"{behind.nginx.url}/export")
    export_button(page).first.wait_for()
    days = sorted(wanted(few, "day").keys() - {"total"})
    path = download(page, tmp_path, f"revenue-{days[0]}-to-{days[-1]}-at-{2 * len(few)}.csv")
    found, right = found_in(path, "month"), wanted(few, "month")
    assert found.keys() == right.keys() - {"total"}
    for month, cells in found.items():
        assert cells == {outcome: right[month][outcome] for outcome in cells}
    assert any(path.startswith(f"{BASE_PATH}/media/") for _, path in behind.nginx.asked())


def test_what_is_not_below_it_is_not_found(behind: Behind) -> None:
    for path in ALONGSIDE:
        assert ask(behind.dashboard.url, path).status == 404, path
        assert ask(behind.nginx.url, path).status == 404, path
    assert ask(behind.dashboard.url, f"{BASE_PATH}/_stcore/health").status == 200


def test_the_guard_stands_behind_the_proxy_too(behind: Behind) -> None:
    stream, own = f"{BASE_PATH}/_stcore/stream", f"http://127.0.0.1:{behind.nginx.port}"
    assert ask(behind.nginx.url, stream, headers={**UPGRADE, "Origin": own}).status == 101
    evil = "http://evil.example"
    for headers in (
        {**UPGRADE, "Origin": evil},
        {**UPGRADE, "Origin": evil, "X-Forwarded-Host": "evil.example"},
        {
            **UPGRADE,
            "Origin": own,
            "Host": "evil.example",
            "X-Forwarded-Host": urlsplit(own).netloc,
        },
    ):
        assert ask(behind.nginx.url, stream, headers=headers).status == 403
    said = {"Host": "evil.example", "X-Forwarded-Host": "127.0.0.1"}
    for path in ("/", "/_stcore/health"):
        assert ask(behind.nginx.url, f"{BASE_PATH}{path}", headers=said).status == 421
    for path, status in (
        ("/_stcore/metrics", 404),
        ("/_stcore/upload_file/a/b", 404),
        ("/x/../_stcore/metrics", 400),
    ):
        assert ask(behind.nginx.url, f"{BASE_PATH}{path}").status == status


def test_people_log_in_below_it(
    home: Path,
    tmp_path: Path,
    open_page: Callable[..., Page],
    few: list[Purchase],
) -> None:
    port, own = free_ports(2)
    redirect_uri = f"http://127.0.0.1:{port}{BASE_PATH}{CALLBACK}"
    with (
        running_nginx(tmp_path, port, own) as nginx,
        running_provider(redirect_uri) as provider,
        running_dashboard(
            home,
            SHOP_DASHBOARD_PORT=str(own),
            SHOP_DASHBOARD_BASE_PATH=BASE_PATH,
            SHOP_OIDC_METADATA_URL=f"{provider.url}/.well-known/openid-configuration",
            SHOP_OIDC_CLIENT_ID=CLIENT_ID,
            SHOP_OIDC_CLIENT_SECRET=provider.client_secret,
            SHOP_OIDC_COOKIE_SECRET=secrets.token_hex(32),
            SHOP_OIDC_REDIRECT_URI=redirect_uri,
            SHOP_OIDC_ALLOWED=FINANCE["email"],
        ) as dashboard,
    ):
        assert dashboard.url == nginx.url
        page = open_page(f"{nginx.url}/")
        for person in (FINANCE, STRANGER):
            provider.log_in(person)
            with page.expect_navigation(url=f"{nginx.url}/"):
                button(page, "Log in").click()
            if person is FINANCE:
                expect(total(page)).to_contain_text(lines_of(few, "Month")[-1][2])
            else:
                expect(page.get_by_text("isn't among those who may look")).to_be_visible()
            assert {each["path"] for each in login_cookies(page.context)} == {BASE_PATH}
            with page.expect_navigation(url=f"{nginx.url}/"):
                button(page, "Log out").click()
            assert login_cookies(page.context) == []
        page.context.close()
