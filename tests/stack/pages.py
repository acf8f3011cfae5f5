"""Attacks on the dashboard: by what it shows, and by what it is asked."""

import http.client
import shutil
from uuid import uuid4

from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import CHROMIUM_FLAGS
from tests.stack.attacks import Ground, attack
from tests.stack.forgeries import new_order, ordered, publish, recorded

HTML = "<img src=x onerror=document.title='taken'>"


def address_of(ground: Ground) -> str:
    return f"127.0.0.1:{ground.composed.place.port('dashboard', '8501')}"


def status_of(ground: Ground, method: str, path: str, **said: str) -> int:
    """What the dashboard answers; headers are given with _ for -."""
    connection = http.client.HTTPConnection(address_of(ground), timeout=30)
    try:
        headers = {name.replace("_", "-"): value for name, value in said.items()}
        connection.request(method, path, headers=headers)
        return connection.getresponse().status
    except ConnectionError:
        # It hangs up on what is too long before it has read it.
        return http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    finally:
        connection.close()


@attack("HTML and script in an order's fields", "the page's escaping: it is a text")
def _html(ground: Ground) -> None:
    order = new_order(order_id=f"{HTML}{uuid4()}", customer_id="00004")
    publish(ground, ordered(order))
    recorded(ground, order.order_id, 2)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS
        )
        page = browser.new_page()
        page.goto(f"http://{address_of(ground)}/orders?customer=00004")
        expect(page.get_by_text(order.order_id).first).to_be_visible(timeout=60_000)
        assert page.title() != "taken"
        browser.close()


@attack("another site's page opens the dashboard's socket", "the guard: Origin is another one")
def _origin(ground: Ground) -> None:
    said = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert status_of(ground, "GET", "/_stcore/stream", **said, Origin="http://evil.example") == 403


@attack("a name that was made to point at the dashboard", "the guard: Host is another one")
def _host(ground: Ground) -> None:
    assert status_of(ground, "GET", "/", Host="evil.example") == 421


@attack("a path out of the dashboard's files", "no such file is served")
def _path(ground: Ground) -> None:
    for path in ("/media/../../etc/passwd", "/static/..%2f..%2f..%2fetc%2fpasswd", "//etc/passwd"):
        connection = http.client.HTTPConnection(address_of(ground), timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert b"root:" not in answer.read(), path
        connection.close()


@attack("a request of 300 MB to the dashboard", "the guard: requests have no body")
def _large(ground: Ground) -> None:
    size = str(300 * 1024 * 1024)
    assert status_of(ground, "PUT", "/_stcore/upload_file/a/b", Content_Length=size) in (405, 413)
