"""What the dashboard's server refuses before Streamlit sees it.

Streamlit checks less than a server for a team needs: it serves a download to whoever has its
address, looks at the Host header of WebSockets only, takes every page on this machine for its own,
and lets a login be good for a month.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import (
    TOKENS_COOKIE_NAME,
    USER_COOKIE_NAME,
)

from cli.login import Login

_CORE, _MEDIA = "/_stcore/", "/media/"
_CORE_OF_PAGES = frozenset({"health", "host-config", "stream"})
_HEADERS = {
    # Nobody shows these pages inside his own, to have people click what they don't see.
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'self'; object-src 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
_POLICY_VIOLATION = 1008


class Visit(NamedTuple):
    """A login that is good: what the provider said, and when it ends (Unix time)."""

    claims: Mapping[str, Any]
    ends_at: float


class Guard:
    """Lets through what the pages ask for, and nothing else.

    Refused are: hosts that the dashboard isn't called by (a foreign name that was pointed here),
    paths that aren't below its own, requests that another site's page makes, bodies, other methods
    than GET and HEAD, and those of Streamlit's own paths that no page uses. Where people log in,
    files for download are for those who may look, and a login ends when its time is over.
    """

    def __init__(
        self, app: ASGIApp, hosts: frozenset[str], login: Login | None, base_path: str
    ) -> None:
        """Guard `app`, which is called by `hosts`, and is below `base_path` there."""
        self._app, self._hosts, self._login, self._base_path = app, hosts, login, base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        visit = self._visit(asked.cookies)
        answer = self._answer(asked, visit)
        if answer is not None:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            else:
                await answer(scope, receive, self._hardened(scope, send))
            return
        if self._login is not None and visit is None:
            scope = _without_login(scope)
        if scope["type"] == "http":
            await self._app(scope, receive, self._hardened(scope, send))
        else:
            await self._until_login_ends(visit, scope, receive, send)

    def _answer(self, asked: HTTPConnection, visit: Visit | None) -> Response | None:
        """What is said before Streamlit is asked: a refusal, or where the first page is."""
        refused = self._refused(asked, visit)
        if refused is not None:
            return PlainTextResponse(f"{refused.phrase}\n", refused, {"Connection": "close"})
        if self._below(asked.scope):
            return None
        # Links on the first page go from the slash at its end. Which scheme and which host people
        # use, only the proxy knows.
        query = f"?{asked.url.query}" if asked.url.query else ""
        return RedirectResponse(f"{self._base_path}/{query}", HTTPStatus.TEMPORARY_REDIRECT)

    def _refused(self, asked: HTTPConnection, visit: Visit | None) -> HTTPStatus | None:
        """Why a request is refused; `None` if it isn't."""
        host, origin = asked.headers.get("host", ""), asked.headers.get("origin")
        path = self._below(asked.scope)
        if _name(host) not in self._hosts:
            return HTTPStatus.MISDIRECTED_REQUEST
        if path is None:
            return HTTPStatus.NOT_FOUND
        if origin is not None and not self._is_own(origin, host):
            return HTTPStatus.FORBIDDEN
        if asked.scope.get("method", "GET") not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED
        if asked.headers.get("content-length", "0") != "0" or "transfer-encoding" in asked.headers:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        if path.startswith(_CORE) and path.removeprefix(_CORE) not in _CORE_OF_PAGES:
            return HTTPStatus.NOT_FOUND
        if path.startswith(_MEDIA) and not self._may_look(visit):
            return HTTPStatus.FORBIDDEN
        return None

    def _below(self, scope: Scope) -> str | None:
        """What comes after the dashboard's own path; `None` for what isn't below that."""
        path: str = scope["path"]
        is_below = f"{path}/".startswith(f"{self._base_path}/")
        return path.removeprefix(self._base_path) if is_below else None

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether it is the dashboard's own page that asks."""
        if self._login is not None and origin == self._login.origin:
            return True
        return origin in (f"http://{host}", f"https://{host}")

    def _may_look(self, visit: Visit | None) -> bool:
        if self._login is None:
            return True
        return visit is not None and self._login.visitors.refusal(visit.claims) is None

    def _visit(self, cookies: Mapping[str, str]) -> Visit | None:
        """The login of whoever asks, if its time isn't over."""
        login = self._login
        if login is None:
            return None
        secret = login.cookie_secret.get_secret_value()

        def signed(name: str) -> bytes | None:
            # Latin-1 has a character for each byte that a header may have.
            return decode_signed_value(secret, name, cookies.get(name, "").encode("latin-1"))

        found = get_cookie_with_chunks(signed, USER_COOKIE_NAME)
        claims: dict[str, Any] = json.loads(found) if found else {}
        if claims.get("is_logged_in") is not True or claims.get("origin") != login.origin:
            return None
        visit = Visit(claims, float(claims["iat"]) + login.seconds)
        return visit if visit.ends_at > time.time() else None

    async def _until_login_ends(
        self, visit: Visit | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            async with asyncio.timeout(visit.ends_at - time.time() if visit else None):
                await self._app(scope, receive, send)
        except TimeoutError:
            # The page asks again, and is given nothing but the button to log in.
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    def _hardened(self, scope: Scope, send: Send) -> Send:
        """Sends an answer with what keeps browsers from being used against their people."""
        secure = self._login is not None and self._login.origin.startswith("https:")

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                if (self._below(scope) or "").startswith(_MEDIA):
                    headers["Cache-Control"] = "no-store"
                if secure:
                    message["headers"] = [_with_secure(each) for each in message["headers"]]
            await send(message)

        return sent


def _name(host: str) -> str:
    """The name in a Host header, without port; empty if it is none."""
    try:
        parts = urlsplit(f"//{host}")
        is_one = parts.netloc == host and parts.username is None
        return (parts.hostname or "").rstrip(".") if is_one else ""
    except ValueError:
        return ""


def _without_login(scope: Scope) -> Scope:
    """The same request without the cookies of a login that isn't good any more."""
    kept = []
    for name, value in scope["headers"]:
        if name == b"cookie":
            cookies = [part.strip() for part in value.split(b";")]
            value = b"; ".join(each for each in cookies if not _is_login(each))
        kept.append((name, value))
    return {**scope, "headers": kept}


def _is_login(cookie: bytes) -> bool:
    name = cookie.partition(b"=")[0].decode("latin-1")
    return name.startswith((USER_COOKIE_NAME, TOKENS_COOKIE_NAME))


def _with_secure(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = header
    if name.lower() == b"set-cookie" and b"; secure" not in value.lower():
        return name, value + b"; Secure"
    return header
