"""Addresses of Postgres databases: in parts, as libpq reads them."""

import traceback

import pytest

from domain.errors import StoreError
from event_log.addresses import has_password, parts_of, shown
from event_log.sessions import parameters_of


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql://", {}),
        ("postgres://shop@db/shop", {"user": "shop", "host": "db", "dbname": "shop"}),
        ("postgresql://[::1]:5433/a", {"host": "::1", "port": "5433", "dbname": "a"}),
        (
            "postgresql://one:5432,two:5433,three/a?target_session_attrs=any",
            {
                "host": "one,two,three",
                "port": "5432,5433,",
                "dbname": "a",
                "target_session_attrs": "any",
            },
        ),
        (
            "postgresql:///a?host=one:5432&port=1&host=two&host=/run/x&host=three:5433",
            {"host": "one,two,/run/x,three", "port": "5432,,,5433", "dbname": "a"},
        ),
        (
            "postgresql://role%40x:p%3Fw%25@db/a%2Fb%3Fc?application_name=x%26y",
            {
                "user": "role@x",
                "password": "p?w%",
                "host": "db",
                "dbname": "a/b?c",
                "application_name": "x&y",
            },
        ),
        ("postgresql:///a?host=/run/x%20y", {"dbname": "a", "host": "/run/x y"}),
        (
            "postgresql://db?options=-c%20work_mem%3D8MB&sslmode=require&options=-c%20jit%3Doff",
            {"host": "db", "sslmode": "require", "options": "-c work_mem=8MB -c jit=off"},
        ),
        (
            "postgresql://u:a?options=x@db/a?options=-c%20jit%3Doff",
            {
                "user": "u",
                "password": "a?options=x",
                "host": "db",
                "dbname": "a",
                "options": "-c jit=off",
            },
        ),
    ],
)
def test_an_address_is_what_libpq_reads_in_it(url: str, parts: dict[str, str]) -> None:
    assert parts_of(url) == parts


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql://shop:pw@db:5433/shop?sslkey=/key", "postgresql://shop@db:5433/shop"),
        ("postgresql://shop@one:1,two:2/a", "postgresql://shop@one:1,two:2/a"),
        ("postgresql://one,two:2/a", "postgresql://one,two:2/a"),
        ("postgresql:///a?host=one,two&port=7", "postgresql://one:7,two:7/a"),
        ("postgresql://[::1]:5433/a%2Fb", "postgresql://[::1]:5433/a%2Fb"),
        ("postgresql:///a?hostaddr=10.0.0.1", "postgresql://10.0.0.1/a"),
        ("postgresql://r@/a?host=/run/x&port=7", "postgresql://r@/a?host=/run/x&port=7"),
    ],
)
def test_people_see_where_it_is_and_nothing_secret(url: str, text: str) -> None:
    assert shown(parts_of(url)) == text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "db",
        "host=db dbname=shop",
        "postgresql:/db",
        "postgresql://shop:s3cr%t@db/shop",
        "postgresql://shop:s3cr3t@db:five/shop",
        "postgresql://shop:s3cr3t@db/shop?nonsense=1",
        "postgresql://shop:s3cr3t@db/shop?sslmode",
    ],
)
def test_what_cant_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(StoreError, match="can't be read: it is postgresql://role@host") as caught:
        parts_of(url)
    assert "s3cr" not in "".join(traceback.format_exception(caught.value))


def test_what_is_said_twice_is_refused_by_name() -> None:
    with pytest.raises(StoreError, match="says sslmode twice"):
        parts_of("postgresql://db/shop?sslmode=verify-full&sslmode=disable")


@pytest.mark.parametrize("url", ["postgresql://a:b@c", "postgresql://a@c?sslpassword=b"])
def test_a_password_is_found_wherever_it_is(url: str) -> None:
    assert has_password(url)
    assert not has_password("postgresql://password@db/password?passfile=/x&sslmode=require")


def test_of_several_hosts_the_primary_is_wanted_unless_the_address_says_otherwise() -> None:
    def wanted(url: str) -> str | None:
        found: str | None = parameters_of(parts_of(url), "me").get("target_session_attrs")
        return found

    assert wanted("postgresql://one/a") is None
    assert wanted("postgresql://one,two/a") == "primary"
    assert wanted("postgresql://one,two/a?target_session_attrs=any") == "any"
