"""What someone tries on the dashboard's server, and what he meets: by real requests."""

import http.client
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.browser.conftest import running_dashboard
from tests.browser.small_log import SmallLog
from tests.browser.test_dashboard import lines_of, total
from tests.expected import Purchase

MEGABYTE = 1_000_000
TOO_LARGE = {1009, 1006}
"""Its close frame may be lost: what was sent after it resets the connection."""
STREAM = "/_stcore/stream"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
FOREIGN = ["http://evil.example", "http://127.0.0.1:9", "http://localhost", "null"]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, few: list[Purchase]) -> Iterator[str]:
    """Where the dashboard is that all of this is tried on."""
    home = tmp_path_factory.mktemp("attacked")
    log = SmallLog(home)
    log.append(few)
    log.close()
    with running_dashboard(home) as dashboard:
        yield dashboard.url


@pytest.fixture(autouse=True)
def _still_answers(attacked: str) -> Iterator[None]:
    yield
    assert ask(attacked, "/_stcore/health").status == 200


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    url: str,
    path: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """One request, with its path and headers as they are given."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    given = headers or {}
    try:
        connection.putrequest(method, path, skip_host="Host" in given)
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders()
        # It may be refused before it is read.
        with suppress(OSError):
            connection.send(body)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8501", "a@127.0.0.1", ""]
)
def test_a_foreign_name_that_was_pointed_here_is_refused(attacked, host) -> None:
    for path in ("/", "/orders", "/_stcore/health", "/media/a.csv"):
        assert ask(attacked, path, headers={"Host": host}).status == 421
    assert ask(attacked, STREAM, headers={**UPGRADE, "Host": host}).status == 403


@pytest.mark.parametrize("origin", FOREIGN)
def test_another_sites_page_gets_neither_a_stream_nor_an_answer(attacked, origin) -> None:
    assert ask(attacked, STREAM, headers={**UPGRADE, "Origin": origin}).status == 403
    for method in ("GET", "POST", "OPTIONS"):
        answer = ask(attacked, "/", method, {"Origin": origin})
        assert answer.status == 403
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    own = {**UPGRADE, "Origin": attacked}
    assert ask(attacked, STREAM, headers=own).status == 101


def test_no_other_site_shows_the_pages_inside_its_own(attacked) -> None:
    for path in ("/", "/orders", "/nothing", "/media/a.csv"):
        headers = ask(attacked, path).headers
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/_stcore/upload_file/a/b", "/media/a.csv"])
def test_nothing_can_be_sent_or_deleted(attacked, method, path) -> None:
    assert ask(attacked, path, method).status == 405


def test_bodies_are_refused_before_they_are_read(attacked) -> None:
    large = {"Content-Length": str(10_000 * MEGABYTE)}
    assert ask(attacked, "/", "GET", large, b"x" * MEGABYTE).status == 413
    assert ask(attacked, "/", "POST", large, b"x" * MEGABYTE).status == 405
    chunked = {"Transfer-Encoding": "chunked"}
    assert ask(attacked, "/", "GET", chunked, b"ffffffff\r\n" + b"x" * MEGABYTE).status == 413


def test_headers_without_end_are_cut_off(attacked) -> None:
    for path, headers in (("/", {"X-Long": "x" * MEGABYTE}), ("/?" + "x" * MEGABYTE, {})):
        # What is sent after the refusal may reset the connection before the answer is read.
        with suppress(ConnectionError, http.client.HTTPException):
            assert ask(attacked, path, headers=headers).status == 400


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        (b"\0" * (12 * MEGABYTE), TOO_LARGE),
        (b"\0" * (3 * MEGABYTE // 2), TOO_LARGE),
        (b"no protobuf", {1002}),
        (BackMsg(debug_shutdown_runtime=True).SerializeToString(), None),
    ],
    ids=["12 MB", "1.5 MB", "garbage", "asked to shut down"],
)
def test_a_stream_that_is_abused_ends_and_the_server_lives(attacked, sent, codes) -> None:
    address = f"ws{attacked.removeprefix('http')}{STREAM}"
    with connect(address, origin=attacked, subprotocols=["streamlit"], proxy=None) as stream:
        if codes is None:
            stream.send(sent)
            # Another message is answered still.
            stream.send(BackMsg(rerun_script={"query_string": ""}).SerializeToString())
            assert stream.recv(timeout=30)
            return
        with suppress(ConnectionClosed):
            stream.send(sent)
            for _ in range(1000):
                stream.recv(timeout=30)
        assert stream.close_code in codes


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/media/../../../../etc/passwd",
        "/media/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/media/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/media//etc/passwd",
        "/static/../../../../../etc/passwd",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/static/..%5c..%5cetc%5cpasswd",
        "/app/static/../dashboard_page.py",
        "/component/x/../../../../etc/passwd",
        "/_stcore/bidi-components/x/../../../etc/passwd",
        "//etc/passwd",
        "/%00/etc/passwd",
        "/cli/settings.py",
        "/orders/../../pyproject.toml",
    ],
)
def test_no_path_leads_to_a_file_of_this_machine(attacked, path) -> None:
    answer = ask(attacked, path)
    assert b"root:" not in answer.body
    # A path that no page has is answered with the page's frame, which says so.
    assert answer.status in (400, 404) or b"<!doctype html>" in answer.body.lower()


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/metrics",
        "/_stcore/agent/openapi.json",
        "/_stcore/agent/interact",
        "/_stcore/agent/mcp",
        "/_stcore/script-health-check",
        "/_stcore/upload_file/a/b",
    ],
)
def test_what_no_page_uses_is_not_there(attacked, path) -> None:
    assert ask(attacked, path).status == 404


def test_a_name_of_an_export_is_never_the_readers_own(attacked, open_page, few) -> None:
    page = open_page(
        f"{attacked}/export?export-format=../../../etc/passwd&export-by=%0d%0aX:1"
        "&export-from=../../1997-01-01&export-until=<script>"
    )
    ready = page.get_by_role("button", name="Download revenue")
    with page.expect_download() as begun:
        ready.click()
    first, last = (few[at].date for at in (0, -1))
    days = "-to-".join(f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in (first, last))
    assert begun.value.suggested_filename == f"revenue-{days}-at-{2 * len(few)}.csv"


def test_after_all_that_the_page_shows_what_it_should(attacked, open_page, few) -> None:
    expect(total(open_page(attacked))).to_contain_text(lines_of(few, "Month")[-1][2])
