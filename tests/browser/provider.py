"""A small OpenID provider: discovery, authorization code with PKCE, RS256 tokens, key set, log-out.

It is strict where a provider must be, and lies where a test says so.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID = "dashboard"


class Provider:
    """Logs in whoever is its `person`, without asking him anything.

    Attributes:
        person: claims about him.
        lies: claims that are put into tokens instead of the true ones.
        forged: whether tokens are signed by a key that isn't in the key set.
    """

    def __init__(self, url: str, redirect_uri: str) -> None:
        self.url, self.redirect_uri = url, redirect_uri
        self.client_secret = secrets.token_hex(16)
        self.person: dict[str, Any] = {}
        self.lies: dict[str, Any] = {}
        self.forged = False
        self._key, self._other_key = (
            RSAKey.generate_key(2048, {"kid": "1", "use": "sig"}) for _ in range(2)
        )
        self._codes: dict[str, dict[str, str]] = {}

    def log_in(self, person: dict[str, Any], lies: dict[str, Any] | None = None) -> None:
        """Log in this person from now on."""
        self.person, self.lies, self.forged = person, lies or {}, False

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "end_session_endpoint": f"{self.url}/end",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def keys(self) -> dict[str, Any]:
        return {"keys": [self._key.as_dict(private=False)]}

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the person is sent back to."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["redirect_uri"] == self.redirect_uri
        assert {"openid", "email"} <= set(asked["scope"].split())
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        return f"{self.redirect_uri}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, asked: dict[str, str], authorization: str) -> dict[str, Any]:
        """An id token for a code, which is good once."""
        name_and_secret = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        assert name_and_secret == f"{CLIENT_ID}:{self.client_secret}"
        assert asked["grant_type"] == "authorization_code"
        assert asked["redirect_uri"] == self.redirect_uri
        before = self._codes.pop(asked["code"])
        digest = hashlib.sha256(asked["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == before["code_challenge"]
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "1",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 600,
            "nonce": before["nonce"],
            **self.person,
            **self.lies,
        }
        key = self._other_key if self.forged else self._key
        return {
            "access_token": secrets.token_urlsafe(),
            "token_type": "Bearer",
            "id_token": jwt.encode({"alg": "RS256", "kid": "1"}, claims, key),
        }


class _Answers(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/.well-known/openid-configuration":
            self._say(self.provider.metadata)
        elif url.path == "/keys":
            self._say(self.provider.keys())
        elif url.path == "/authorize":
            self._send_on(self.provider.authorize(asked))
        elif url.path == "/end":
            assert asked["post_logout_redirect_uri"] == self.provider.redirect_uri
            self._send_on(asked["post_logout_redirect_uri"])
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        assert self.path == "/token"
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        self._say(self.provider.token(asked, self.headers["Authorization"]))

    def _say(self, what: dict[str, Any]) -> None:
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_on(self, url: str) -> None:
        self.send_response(302)
        self.send_header("Location", url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the library's name
        pass


@contextmanager
def running_provider(redirect_uri: str) -> Iterator[Provider]:
    """A provider that knows one dashboard, at an address of its own on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    provider = Provider(f"http://127.0.0.1:{server.server_port}", redirect_uri)
    server.RequestHandlerClass = type("Answers", (_Answers,), {"provider": provider})
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
