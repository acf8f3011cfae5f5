"""Where databases are by the settings, and that no password is shown."""

import json
import os
from pathlib import Path

import pytest

from cli.settings import Settings
from domain.errors import ShopError, StoreError
from event_log.postgres import PostgresSchema
from tests.conftest import ODD_NAME, Home

PASSWORD = "s3cr3t:/@?&"  # noqa: S105 none at all


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "DATABASE_PASSWORD", "SECRETS", "HOME"):
        monkeypatch.delenv(f"SHOP_{name}", raising=False)


def test_without_an_address_each_service_has_a_file_of_the_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert settings.database("order") == tmp_path / "databases" / "order.sqlite"
    assert not settings.on_postgres


def test_with_an_address_each_service_has_a_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DATABASE_URL", "postgresql://shop_order@db:5433/shop?sslmode=require")
    place = Settings().database("order")
    assert isinstance(place, PostgresSchema)
    assert place.schema == "order"
    assert str(place) == "postgresql://shop_order@db:5433/shop (schema order)"
    assert Settings().on_postgres


@pytest.mark.parametrize("where", ["environment", "folder"])
def test_the_password_is_apart_and_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    monkeypatch.setenv("SHOP_DATABASE_URL", "postgresql://shop_order@db/shop")
    if where == "environment":
        monkeypatch.setenv("SHOP_DATABASE_PASSWORD", PASSWORD)
    else:
        (tmp_path / "shop_database_password").write_text(f"{PASSWORD}\n")
        monkeypatch.setenv("SHOP_SECRETS", str(tmp_path))
    settings = Settings()
    place = settings.database("order")
    assert isinstance(place, PostgresSchema)
    engine = place.connect()
    assert place.password == PASSWORD
    for said in (str(settings), repr(settings), str(place), repr(place), str(engine.url)):
        assert PASSWORD not in said
        assert "s3cr3t" not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://shop:s3cr3t@db/shop",
        "postgresql://shop@db/shop?password=s3cr3t",
        "postgresql://db/shop?sslpassword=s3cr3t",
    ],
)
def test_a_password_in_the_address_is_refused_and_it_is_said_where_to_put_it(url: str) -> None:
    with pytest.raises(StoreError, match=r"SHOP_DATABASE_PASSWORD.*shop_database_password") as said:
        Settings(database_url=url)
    assert "s3cr3t" not in str(said.value)


def test_a_command_that_refuses_a_password_does_not_show_it(tmp_path: Path) -> None:
    url = "postgresql://shop:s3cr3t@db/shop"
    done = Home(tmp_path / "home", {"SHOP_DATABASE_URL": url}).shop("settings", "--json")
    assert done.returncode == 1
    assert done.stderr.startswith("shop: SHOP_DATABASE_URL has a password in it")
    assert "s3cr3t" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "can't be read"),
        ("postgresql://shop:s3cr3t@host:port/", "can't be read"),
        ("mysql://shop@db/shop", "is no Postgres"),
    ],
)
def test_an_address_that_is_none_is_said_and_not_repeated(url: str, why: str) -> None:
    with pytest.raises(StoreError, match=f"^SHOP_DATABASE_URL: .*{why}") as caught:
        Settings(database_url=url)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_settings_say_that_there_is_a_password(tmp_path: Path) -> None:
    secrets = {
        "SHOP_DATABASE_URL": "postgresql://shop@db/shop",
        "SHOP_DATABASE_PASSWORD": PASSWORD,
    }
    done = Home(tmp_path / "home", secrets).shop("settings", "--json")
    assert json.loads(done.stdout)["database_password"] == "**********"  # noqa: S105
    assert "s3cr3t" not in done.stdout


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("", ""),
        ("/", ""),
        ("finance", "/finance"),
        ("/shop/finance", "/shop/finance"),
        ("shop/finance/", "/shop/finance"),
        ("/a/B-1/v1.2_x~", "/a/B-1/v1.2_x~"),
    ],
)
def test_the_dashboards_path_is_written_in_one_way(
    monkeypatch: pytest.MonkeyPatch, said: str, path: str
) -> None:
    monkeypatch.setenv("SHOP_DASHBOARD_BASE_PATH", said)
    assert Settings().dashboard_base_path == path


@pytest.mark.parametrize(
    "said",
    [
        "//evil.example",
        "/shop//finance",
        "/shop/finance//",
        "https://reports.example/shop",
        "/shop/../finance",
        "/.",
        "/shop/.hidden",
        "/shop?a=b",
        "/shop#a",
        "/shop%2ffinance",
        "/sh op",
        " /shop",
        "/shop\n",
        "\\shop",
        "/größe",
        "/_stcore/health",
    ],
)
def test_what_is_no_plain_path_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv("SHOP_DASHBOARD_BASE_PATH", said)
    with pytest.raises(ShopError, match=r"is no path such as /shop/finance: .* no \.\., no %"):
        Settings()


def test_a_command_says_so_without_a_traceback(tmp_path: Path) -> None:
    done = Home(tmp_path / "home", {"SHOP_DASHBOARD_BASE_PATH": "/a?b"}).shop("dashboard")
    assert done.returncode == 1
    assert done.stderr.startswith("shop: SHOP_DASHBOARD_BASE_PATH='/a?b' is no path")
    assert "Traceback" not in done.stderr


def test_a_home_is_named_from_the_root_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings().home == tmp_path / "var"
    assert Settings(home=Path(ODD_NAME)).home == tmp_path / ODD_NAME


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"home": os.fsdecode(b"/tmp/\xff")}, r"SHOP_HOME=b'/tmp/\\xff' is no text in UTF-8"),
        ({"home": "/x" * 221}, "is longer than 440 bytes"),
        ({"jars": os.fsdecode(b"/tmp/\xff")}, r"SHOP_JARS=b'/tmp/\\xff' is no text in UTF-8"),
        ({"jars": "/jars/a:b"}, "SHOP_JARS=/jars/a:b.* has a : in its path"),
    ],
)
def test_a_folder_that_java_or_sqlite_cannot_use_is_refused(
    values: dict[str, Path], why: str
) -> None:
    with pytest.raises(ShopError, match=why):
        Settings(**values)  # type: ignore[arg-type]


def test_settings_and_arguments_of_any_characters_are_shown_as_they_are_or_refused(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path / ODD_NAME)
    done = home.shop("settings")
    assert done.stdout.startswith(f"SHOP_HOME={home.path}\n"), done.stderr
    done = home.shop("prove", "--figure", os.fsdecode(b"\xff.csv"))
    assert done.returncode == 1
    assert done.stderr.startswith(r"shop: b'\xff.csv' on the command line is no text in UTF-8")
