"""How people log in to the dashboard, by the settings."""

import ipaddress
import socket
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from cli.settings import Settings
from domain.errors import ShopError
from reporting.dashboard.visitors import Visitors, visitors_of

CALLBACK = "/oauth2callback"
"""Where Streamlit expects those whom the provider sends back, below the dashboard's own path."""

COOKIE_SECRET_CHARACTERS = 32
"""A shorter secret than this is refused: who guesses it can be whomever he likes."""

_NEEDED = (
    "oidc_metadata_url",
    "oidc_client_id",
    "oidc_client_secret",
    "oidc_cookie_secret",
    "oidc_redirect_uri",
    "oidc_allowed",
)


@dataclass(frozen=True)
class Login:
    """An OpenID provider, what it knows the dashboard as, and who may look.

    Attributes:
        metadata_url: where the provider's discovery document is.
        client_id: what it knows the dashboard as.
        client_secret: the dashboard's password there.
        cookie_secret: what logins in a browser are signed by.
        redirect_uri: where people are sent back to.
        visitors: who may look.
        seconds: how long a login is good for.
    """

    metadata_url: str
    client_id: str
    client_secret: SecretStr
    cookie_secret: SecretStr
    redirect_uri: str
    visitors: Visitors
    seconds: float

    @property
    def origin(self) -> str:
        """The dashboard's address for people: scheme, host, and the port where it is given."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def host(self) -> str:
        """The host in that address."""
        return urlsplit(self.redirect_uri).hostname or ""

    @property
    def page(self) -> str:
        """Where people find the first page."""
        return self.redirect_uri.removesuffix(CALLBACK)

    def secrets(self) -> dict[str, Any]:
        """What Streamlit's ``st.login`` reads in ``st.secrets``."""
        return {
            "auth": {
                "redirect_uri": self.redirect_uri,
                "cookie_secret": self.cookie_secret.get_secret_value(),
                "client_id": self.client_id,
                "client_secret": self.client_secret.get_secret_value(),
                "server_metadata_url": self.metadata_url,
            }
        }


def login_of(settings: Settings) -> Login | None:
    """How people log in; `None` where nothing is set about it.

    Raises:
        ShopError: something lacks, or is set in a way that would let others in.
    """
    url, client_id = settings.oidc_metadata_url, settings.oidc_client_id
    client_secret, cookie_secret = settings.oidc_client_secret, settings.oidc_cookie_secret
    redirect_uri, allowed = settings.oidc_redirect_uri, settings.oidc_allowed
    if not (url and client_id and client_secret and cookie_secret and redirect_uri and allowed):
        _refuse_half(settings)
        return None
    _safe("SHOP_OIDC_METADATA_URL", url)
    callback = f"{settings.dashboard_base_path}{CALLBACK}"
    if _safe("SHOP_OIDC_REDIRECT_URI", redirect_uri)[2:] != (callback, "", ""):
        raise ShopError(
            f"SHOP_OIDC_REDIRECT_URI={redirect_uri} must be the dashboard's address for people, "
            f"and {callback} after it"
        )
    if len(cookie_secret) < COOKIE_SECRET_CHARACTERS:
        raise ShopError(
            f"SHOP_OIDC_COOKIE_SECRET has {len(cookie_secret)} characters, and must have "
            f"{COOKIE_SECRET_CHARACTERS} at least: who guesses it is let in as whomever he likes. "
            "`openssl rand -hex 32` makes one"
        )
    try:
        visitors = visitors_of(allowed)
    except ShopError as error:
        raise ShopError(f"SHOP_OIDC_ALLOWED: {error}") from error
    seconds = settings.oidc_hours * 3600
    return Login(url, client_id, client_secret, cookie_secret, redirect_uri, visitors, seconds)


@lru_cache(maxsize=1)
def visitors() -> Visitors | None:
    """Who must have logged in to look, by the settings of this process; `None` for anybody."""
    login = login_of(Settings())
    return login.visitors if login else None


def is_loopback(address: str) -> bool:
    """Whether what listens at an address, or at all that a name stands for, is on this machine.

    Raises:
        OSError: nobody knows the name.
    """
    found = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return all(ipaddress.ip_address(each[4][0]).is_loopback for each in found)


def _refuse_half(settings: Settings) -> None:
    lacks = [name for name in _NEEDED if not getattr(settings, name)]
    if len(lacks) == len(_NEEDED):
        return
    names = ", ".join(f"SHOP_{name.upper()}" for name in lacks)
    why = ""
    if "oidc_allowed" in lacks:
        why = ". If nobody said who may look, everybody whom the provider knows could"
    raise ShopError(f"people can't log in to the dashboard yet: set {names}, too{why}")


def _safe(name: str, url: str) -> SplitResult:
    """The parts of an address that nobody on the way can change: https, or on this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ShopError(f"{name}={url} is no address: {error}") from error
    if host is None or parts.username is not None or parts.scheme not in ("http", "https"):
        raise ShopError(f"{name}={url} is no address such as https://example.com{CALLBACK}")
    if parts.scheme == "http" and not _is_here(host):
        raise ShopError(f"{name}={url} must begin with https://, for it is on another machine")
    return parts


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
