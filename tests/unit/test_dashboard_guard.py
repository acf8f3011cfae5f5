"""What the dashboard's guard does where people log in from other machines, behind a proxy."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import SecretStr
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from cli.dashboard_guard import Guard
from cli.dashboard_server import RULES, hosts
from cli.login import Login
from reporting.dashboard.visitors import visitors_of

SECRET = "s" * 32
PUBLIC = "https://shop.example"
LOGIN = Login(
    metadata_url="https://id.example/.well-known/openid-configuration",
    client_id="dashboard",
    client_secret=SecretStr("c"),
    cookie_secret=SecretStr(SECRET),
    redirect_uri=f"{PUBLIC}/oauth2callback",
    visitors=visitors_of(("finance@example.org",)),
    seconds=3600,
)
FINANCE = {"email": "finance@example.org", "is_logged_in": True, "origin": PUBLIC}


class Answered(NamedTuple):
    """A status, the headers, and the cookies that came through; `None` if nothing did."""

    status: int
    headers: list[tuple[str, str]]
    cookies: str | None


def ask(
    path: str = "/", method: str = "GET", base_path: str = "", query: str = "", **headers: str
) -> Answered:
    """What the guard does with a request, in front of an application that sets a cookie."""
    seen: list[str] = []
    sent: list[dict[str, Any]] = []

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        seen.append(dict(scope["headers"]).get(b"cookie", b"").decode())
        cookie = (b"set-cookie", b"_streamlit_user=x; HttpOnly; Path=/; SameSite=lax")
        await send({"type": "http.response.start", "status": 200, "headers": [cookie]})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"host": "shop.example", **headers}
    scope = {
        "type": "http",
        "path": path,
        "method": method,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "query_string": query.encode(),
    }
    guard = Guard(application, hosts(EVERYWHERE, LOGIN), LOGIN, base_path)
    asyncio.run(guard(scope, receive, send))
    found = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    return Answered(sent[0]["status"], found, seen[0] if seen else None)


def cookie(claims: dict[str, Any], *, age: float = 0, secret: str = SECRET) -> str:
    text = json.dumps({"iat": int(time.time() - age), **claims})
    return "_streamlit_user=" + create_signed_value(secret, "_streamlit_user", text).decode()


@pytest.mark.parametrize("host", ["shop.example", "SHOP.example:443", "127.0.0.1:8501", "[::1]:1"])
def test_it_answers_to_its_own_names(host):
    assert ask(host=host).status == 200


EVERYWHERE = "0.0.0.0"  # noqa: S104 what it listens at, and no name of it


@pytest.mark.parametrize("host", ["other.example", EVERYWHERE, "shop.example.evil.example", ""])
def test_it_answers_to_no_other(host):
    assert ask(host=host)[::2] == (421, None)


def test_a_proxy_may_change_the_host_but_the_page_must_be_its_own():
    assert ask(host="127.0.0.1:8501", origin=PUBLIC).status == 200
    for origin in ("http://shop.example", "https://shop.example:8443", "https://evil.example"):
        assert ask(host="127.0.0.1:8501", origin=origin)[::2] == (403, None)


BELOW = "/shop/finance"


def test_below_a_path_there_is_nothing_beside_it():
    for path in ("/shop/finance/", "/shop/finance/orders", "/shop/finance/_stcore/health"):
        assert ask(path, base_path=BELOW).status == 200
    for path in ("/", "/orders", "/_stcore/health", "/shop", "/shop/financed", "/shop/Finance/"):
        assert ask(path, base_path=BELOW)[::2] == (404, None)


def test_below_a_path_the_same_is_refused():
    assert ask(f"{BELOW}/", base_path=BELOW, host="evil.example").status == 421
    assert ask(f"{BELOW}/_stcore/metrics", base_path=BELOW)[::2] == (404, None)
    assert ask(f"{BELOW}/media/a.csv", base_path=BELOW)[::2] == (403, None)
    good = ask(f"{BELOW}/media/a.csv", base_path=BELOW, cookie=cookie(FINANCE))
    assert good.status == 200
    assert ("cache-control", "no-store") in good.headers


def test_the_path_itself_leads_to_the_slash_at_its_end_whatever_the_host_is():
    answer = ask(BELOW, base_path=BELOW, query="a=b%20c")
    assert answer[::2] == (307, None)
    assert ("location", "/shop/finance/?a=b%20c") in answer.headers


def test_cookies_are_for_https_only():
    (set_cookie,) = [value for name, value in ask().headers if name == "set-cookie"]
    assert set_cookie.endswith("; Secure")


def test_a_good_login_comes_through_and_sees_downloads():
    good = cookie(FINANCE)
    assert ask("/media/a.csv", cookie=good)[::2] == (200, good)
    assert ("cache-control", "no-store") in ask("/media/a.csv", cookie=good).headers


def test_so_does_one_in_several_cookies():
    text = json.dumps({**FINANCE, "iat": int(time.time())})
    parts = {"_streamlit_user": "chunks-2"}
    parts |= {"_streamlit_user_1": text[:40], "_streamlit_user_2": text[40:]}
    given = "; ".join(
        f"{name}={create_signed_value(SECRET, name, value).decode()}"
        for name, value in parts.items()
    )
    assert ask("/media/a.csv", cookie=given)[::2] == (200, given)


def wrong() -> Iterable[tuple[str, str]]:
    yield "too old", cookie(FINANCE, age=3601)
    yield "signed by another", cookie(FINANCE, secret="t" * 32)
    yield "of another dashboard", cookie({**FINANCE, "origin": "https://other.example"})
    yield "no login", cookie({**FINANCE, "is_logged_in": "yes"})
    yield "nothing", "_streamlit_user=; _streamlit_user_1=x"
    yield "another name", cookie(FINANCE).replace("_streamlit_user=", "_streamlit_user_tokens=")


@pytest.mark.parametrize("given", [each[1] for each in wrong()], ids=[each[0] for each in wrong()])
def test_a_login_that_is_not_good_goes_no_further(given):
    assert ask("/", cookie=f"a=1; {given}; _streamlit_xsrf=2")[::2] == (
        200,
        "a=1; _streamlit_xsrf=2",
    )
    assert ask("/media/a.csv", cookie=given)[::2] == (403, None)


def test_downloads_are_for_nobody_who_may_not_look():
    stranger = cookie({**FINANCE, "email": "stranger@example.org"})
    assert ask("/media/a.csv", cookie=stranger)[::2] == (403, None)
    assert ask("/media/a.csv")[::2] == (403, None)


def test_what_is_settled_for_streamlit_is_not_changed_from_elsewhere(tmp_path):
    settled = {
        "server.enableCORS": True,
        "server.corsAllowedOrigins": [],
        "server.enableXsrfProtection": True,
        "server.enableAgentApi": False,
        "server.trustedUserHeaders": {},
        "server.maxWidgetStateSize": 1,
        "secrets.files": [],
    }
    assert settled.keys() <= RULES.keys()
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text(
        "[server]\nenableXsrfProtection = false\nmaxWidgetStateSize = 200\n"
    )
    # As Streamlit's `App.run` does with what it is given.
    read = (
        "import json; from streamlit import config; from streamlit.web import bootstrap;"
        "from cli.dashboard_server import RULES; bootstrap.load_config_options(dict(RULES));"
        f"print(json.dumps({{name: config.get_option(name) for name in {list(settled)}}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", read],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": f"{Path(__file__).parents[2]}:{os.environ['PYTHONPATH']}",
            "STREAMLIT_SERVER_ENABLE_CORS": "false",
            "STREAMLIT_SERVER_CORS_ALLOWED_ORIGINS": "https://evil.example",
            "STREAMLIT_SERVER_ENABLE_AGENT_API": "true",
            "STREAMLIT_SERVER_TRUSTED_USER_HEADERS": '{"X-Email": "email"}',
            "STREAMLIT_SECRETS_FILES": "evil.toml",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == settled
