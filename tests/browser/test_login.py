"""Who sees the dashboard where people log in by an OpenID provider, in a real browser."""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from cli.login import CALLBACK
from reporting.dashboard.pages import PAGES
from tests.browser.conftest import SCREENSHOTS, Dashboard, running_dashboard
from tests.browser.provider import CLIENT_ID, Provider, running_provider
from tests.browser.small_log import SmallLog
from tests.browser.test_dashboard import lines_of, total
from tests.browser.test_dashboard_process import listening
from tests.expected import Purchase

HOURS = 12
PATHS = [f"/{each.path}".rstrip("/") for each in PAGES]
FINANCE = {"email": "Finance@example.org", "email_verified": True}
COLLEAGUE = {"email": "anybody@corp.example", "email_verified": "true"}
STRANGER = {"email": "somebody@example.org", "email_verified": True}
UNVERIFIED = {**FINANCE, "email_verified": False}
MAY_NOT = "isn't among those who may look at this dashboard."


class Guarded(NamedTuple):
    """A dashboard with a login, its provider, and the secrets that nobody may see."""

    dashboard: Dashboard
    provider: Provider
    secrets: tuple[str, ...]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, few: list[Purchase]) -> Iterator[Guarded]:
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("secrets")
    log = SmallLog(home)
    log.append(few)
    log.close()
    with listening() as free:
        port = free.getsockname()[1]
    redirect_uri = f"http://127.0.0.1:{port}{CALLBACK}"
    with running_provider(redirect_uri) as provider:
        cookie_secret = secrets.token_hex(32)
        (folder / "shop_oidc_client_secret").write_text(provider.client_secret)
        (folder / "shop_oidc_cookie_secret").write_text(cookie_secret)
        environment = {
            "SHOP_SECRETS": str(folder),
            "SHOP_OIDC_METADATA_URL": f"{provider.url}/.well-known/openid-configuration",
            "SHOP_OIDC_CLIENT_ID": CLIENT_ID,
            "SHOP_OIDC_REDIRECT_URI": redirect_uri,
            "SHOP_OIDC_ALLOWED": "finance@example.org, corp.example",
            "SHOP_OIDC_HOURS": str(HOURS),
        }
        with running_dashboard(home, "--port", str(port), **environment) as dashboard:
            yield Guarded(dashboard, provider, (provider.client_secret, cookie_secret))


@pytest.fixture
def at(guarded: Guarded, open_page: Callable[..., Page]) -> Callable[[str], Page]:
    """Opens a path of the dashboard in a browser of its own."""
    return lambda path="": open_page(f"{guarded.dashboard.url}{path}")


def button(page: Page, name: str):
    return page.get_by_role("button", name=name, exact=True)


def log_in(page: Page) -> None:
    # To the provider, back, and to the first page: one navigation, for all are redirections.
    with page.expect_navigation(url=lambda url: urlsplit(url).path == "/"):
        button(page, "Log in").click()


def log_out(page: Page) -> None:
    with page.expect_navigation(url=lambda url: urlsplit(url).path == "/"):
        button(page, "Log out").click()


def shows_only(page: Page, *texts: str) -> None:
    """All that can be read on the page, menus included."""
    for text in texts:
        expect(page.get_by_text(text).first).to_be_visible()
    # While the script runs, the page says that it does.
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    read = page.locator("body").inner_text().replace("Skip to main content", "")
    assert [line for line in read.splitlines() if line] == list(texts)


def shows_the_revenue(page: Page, few: list[Purchase]) -> None:
    expect(total(page)).to_contain_text(lines_of(few, "Month")[-1][2])


def test_without_a_login_there_is_a_button_and_nothing_else(at, guarded) -> None:
    page = at()
    for path in PATHS:
        page.goto(f"{guarded.dashboard.url}{path}")
        shows_only(page, "Log in")


def test_who_may_look_sees_the_figures_until_he_logs_out(at, guarded, few) -> None:
    guarded.provider.log_in(COLLEAGUE)
    page = at()
    log_in(page)
    shows_the_revenue(page, few)
    expect(page.get_by_text(f"Logged in as {COLLEAGUE['email']}")).to_be_visible()
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "login-allowed.png", full_page=True)
    page.get_by_role("link", name="Orders").click()
    expect(page.get_by_role("heading", name="Orders")).to_be_visible()
    log_out(page)
    shows_only(page, "Log in")
    page.goto(f"{guarded.dashboard.url}/orders")
    shows_only(page, "Log in")


def test_who_may_not_look_reads_why_on_every_page_and_nothing_else(at, guarded) -> None:
    page = at()
    guarded.provider.log_in(STRANGER)
    log_in(page)
    for path in PATHS:
        page.goto(f"{guarded.dashboard.url}{path}")
        shows_only(page, f"{STRANGER['email']} {MAY_NOT}", "Log out")
    for person, sentence in (
        ({"email": "<b>x</b>@evil.example"}, f"<b>x</b>@evil.example {MAY_NOT}"),
        (
            UNVERIFIED,
            f"Nobody has verified yet that {FINANCE['email']} is yours: do so where you log in.",
        ),
    ):
        log_out(page)
        guarded.provider.log_in(person)
        log_in(page)
        shows_only(page, sentence, "Log out")


def test_a_forged_token_lets_nobody_in(at, guarded) -> None:
    page = at()
    for lies in (
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"nonce": "of another login"},
        {"exp": 1},
        None,
    ):
        guarded.provider.log_in(FINANCE, lies)
        guarded.provider.forged = lies is None
        log_in(page)
        shows_only(page, "Log in")


def test_a_login_that_is_too_old_is_none(at, guarded) -> None:
    guarded.provider.log_in(FINANCE, {"iat": int(time.time()) - HOURS * 3600 - 1})
    page = at()
    log_in(page)
    shows_only(page, "Log in")


def test_a_login_ends_while_the_page_is_looked_at(browser, guarded, few) -> None:
    # Not by `at`: on a connection that ends a page complains, as it should.
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(guarded.dashboard.url)
        guarded.provider.log_in(FINANCE, {"iat": int(time.time()) - HOURS * 3600 + 15})
        log_in(page)
        shows_the_revenue(page, few)
        expect(button(page, "Log in")).to_be_visible()
        shows_only(page, "Log in")


def login_cookies(context: BrowserContext) -> list[dict[str, Any]]:
    return [each for each in context.cookies() if each["name"].startswith("_streamlit_user")]


def test_a_cookie_that_was_changed_is_none(at, guarded, few) -> None:
    guarded.provider.log_in(STRANGER)
    page = at()
    log_in(page)
    shows_only(page, f"{STRANGER['email']} {MAY_NOT}", "Log out")
    (mine,) = (c for c in login_cookies(page.context) if c["name"] == "_streamlit_user")
    assert mine["httpOnly"]
    assert mine["sameSite"] == "Lax"
    value = mine["value"]
    changed = [
        value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1 :]
        for at in (len(value) // 2, len(value) - 2)  # What is said, and its signature.
    ]
    for value in (*changed, signed_by_another(FINANCE, guarded)):
        page.context.add_cookies([{**mine, "value": value}])
        page.reload()
        expect(button(page, "Log in")).to_be_visible()
        shows_only(page, "Log in")


def signed_by_another(person: dict[str, Any], guarded: Guarded) -> str:

    said = {**person, "iat": int(time.time()), "is_logged_in": True, "provider": "default"}
    said["origin"] = guarded.dashboard.url
    return create_signed_value("0" * 64, "_streamlit_user", json.dumps(said)).decode()


def test_a_download_is_for_those_who_may_look(at, guarded, few) -> None:
    guarded.provider.log_in(FINANCE)
    page = at("/export")
    log_in(page)
    page.goto(f"{guarded.dashboard.url}/export")
    ready = page.get_by_role("button", name=re.compile("^Download revenue"))
    with (
        page.expect_request(re.compile(r"//[^/]+/media/")) as asked,
        page.expect_download() as begun,
    ):
        ready.click()
    assert few[0].date[:4] in Path(begun.value.path()).read_text()
    url = asked.value.url
    cookies = {"Cookie": "; ".join(f"{c['name']}={c['value']}" for c in page.context.cookies())}
    assert fetch(url, cookies) == 200
    # Its address is a digest of its content: who has it from somewhere still may not look.
    assert fetch(url, {}) == 403
    guarded.provider.log_in(STRANGER)
    other = at()
    log_in(other)
    theirs = "; ".join(f"{c['name']}={c['value']}" for c in other.context.cookies())
    assert fetch(url, {"Cookie": theirs}) == 403


def fetch(url: str, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", parts.path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_no_process_and_no_file_shows_a_secret(guarded) -> None:
    command = psutil.Process(guarded.dashboard.process.pid)
    for process in (command, guarded.dashboard.server()):
        shown = " ".join([*process.cmdline(), *process.environ().values()])
        assert not [each for each in guarded.secrets if each in shown]
        assert not [each.path for each in process.open_files() if each.path.endswith(".toml")]
