"""Who may look at the dashboard, and which settings of a login are refused."""

import pytest

from cli.login import is_loopback, login_of
from cli.settings import Settings
from domain.errors import ShopError
from reporting.dashboard.visitors import visitors_of

RIGHT = {
    "oidc_metadata_url": "https://id.example/.well-known/openid-configuration",
    "oidc_client_id": "dashboard",
    "oidc_client_secret": "of the client",
    "oidc_cookie_secret": "c" * 32,
    "oidc_redirect_uri": "https://shop.example:8443/oauth2callback",
    "oidc_allowed": ("a@b.example",),
}


def test_nothing_set_is_no_login():
    assert login_of(Settings()) is None


def test_all_set_is_one_and_hides_its_secrets():
    login = login_of(Settings(**RIGHT))
    assert login is not None
    assert (login.origin, login.host) == ("https://shop.example:8443", "shop.example")
    assert "of the client" in login.secrets()["auth"].values()
    assert "of the client" not in f"{login} {Settings(**RIGHT)}"
    assert "cccc" not in f"{login} {Settings(**RIGHT)}"


def test_below_a_path_people_are_sent_back_there():
    below = {"dashboard_base_path": "/shop/finance"}
    uri = "https://shop.example/shop/finance/oauth2callback"
    login = login_of(Settings(**{**RIGHT, **below, "oidc_redirect_uri": uri}))
    assert login is not None
    assert (login.page, login.origin) == (
        "https://shop.example/shop/finance",
        "https://shop.example",
    )
    with pytest.raises(ShopError, match="/shop/finance/oauth2callback after it"):
        login_of(Settings(**{**RIGHT, **below}))


@pytest.mark.parametrize("name", RIGHT)
def test_what_lacks_is_named(name):
    settings = Settings(**{key: value for key, value in RIGHT.items() if key != name})
    with pytest.raises(ShopError, match=f"set SHOP_{name.upper()}, too"):
        login_of(settings)


def test_nobody_allowed_is_not_everybody():
    with pytest.raises(ShopError, match="everybody whom the provider knows could"):
        login_of(Settings(**{**RIGHT, "oidc_allowed": ()}))


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("oidc_metadata_url", "http://id.example/", "must begin with https://"),
        ("oidc_metadata_url", "http://127.0.0.1.evil.example/", "must begin with https://"),
        ("oidc_metadata_url", "file:///etc/passwd", "is no address"),
        ("oidc_metadata_url", "https://a:b@id.example/", "is no address"),
        ("oidc_redirect_uri", "https://shop.example:{port}/oauth2callback", "is no address"),
        ("oidc_redirect_uri", "http://shop.example/oauth2callback", "must begin with https://"),
        ("oidc_redirect_uri", "https://shop.example/", "/oauth2callback after it"),
        ("oidc_redirect_uri", "https://shop.example/x/oauth2callback", "/oauth2callback after it"),
        ("oidc_redirect_uri", "https://shop.example/oauth2callback?a=b", "/oauth2callback after"),
        ("oidc_cookie_secret", "hunter2", "has 7 characters, and must have 32"),
        ("oidc_allowed", ("*",), "'\\*' is neither"),
        ("oidc_allowed", ("a@b@c.example",), "neither an e-mail address nor a domain"),
        ("oidc_allowed", ("com",), "neither an e-mail address nor a domain"),
        ("oidc_allowed", ("",), "neither an e-mail address nor a domain"),
    ],
)
def test_what_would_let_others_in_is_refused(name, value, why):
    with pytest.raises(ShopError, match=why) as caught:
        login_of(Settings(**{**RIGHT, name: value}))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]:1/x"])
def test_on_this_machine_plain_http_will_do(url):
    assert login_of(Settings(**{**RIGHT, "oidc_metadata_url": url}))


@pytest.mark.parametrize(
    "text", ["a@b.example, c.example", '["a@b.example", "c.example"]', " a@b.example,c.example,"]
)
def test_a_list_is_json_or_has_commas(monkeypatch, text):
    monkeypatch.setenv("SHOP_OIDC_ALLOWED", text)
    assert Settings().oidc_allowed == ("a@b.example", "c.example")


ALLOWED = visitors_of(("Finance@Example.org", "@corp.example", "other.example"))


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "finance@example.org"},
        {"email": "FINANCE@EXAMPLE.ORG", "email_verified": True},
        {"email": "a@corp.example", "email_verified": "true"},
        {"email": "b@Other.Example"},
    ],
)
def test_who_may_look(claims):
    assert ALLOWED.refusal(claims) is None


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({}, "has no e-mail address"),
        ({"email": None}, "has no e-mail address"),
        ({"email": ["finance@example.org"]}, "has no e-mail address"),
        ({"email": "corp.example"}, "has no e-mail address"),
        ({"email": "@corp.example"}, "has no e-mail address"),
        ({"email": "a@b@corp.example"}, "has no e-mail address"),
        ({"email": "a b@corp.example"}, "has no e-mail address"),
        ({"email": "a@corp.example\n"}, "has no e-mail address"),
        ({"email": "other@example.org"}, "isn't among those"),
        ({"email": "a@sub.corp.example"}, "isn't among those"),
        ({"email": "a@corp.example.evil.example"}, "isn't among those"),
        ({"email": "a@notcorp.example"}, "isn't among those"),
        # A Cyrillic letter, and one that becomes an i when made small.
        ({"email": "financ\u0435@example.org"}, "isn't among those"),
        ({"email": "f\u0130nance@example.org"}, "isn't among those"),
        ({"email": "finance@example.org", "email_verified": False}, "Nobody has verified"),
        ({"email": "finance@example.org", "email_verified": "false"}, "Nobody has verified"),
        ({"email": "finance@example.org", "email_verified": None}, "Nobody has verified"),
        ({"email": "a@corp.example", "email_verified": 0}, "Nobody has verified"),
    ],
)
def test_who_may_not_look(claims, why):
    assert why in (ALLOWED.refusal(claims) or "")


def test_which_addresses_are_on_this_machine():
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    # All of a machine's addresses are more than those of its own.
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.1")))  # noqa: S104
