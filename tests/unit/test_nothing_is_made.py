"""Commands that only read, in a folder where no home is."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from domain.errors import StoreError
from event_log.sqlite import SqliteFile

READING = [
    "report",
    "report --by day --json",
    "report --as-of 2026-11-25T10:00Z",
    "report --at-position 1 --compare-to 2",
    "export revenue.csv",
    "prove",
    "prove --offline --part chain",
    "replay",
    "replay revenue",
    "replay --to copy",
    "requests",
    "dead-letters list",
    "dead-letters show orders/2/17",
    "positions accept order",
    "dashboard",
]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which nothing is, and nothing says where the home is."""
    for name in ("SHOP_HOME", "SHOP_DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("broker", ["none", "named"])
@pytest.mark.parametrize("command", READING)
def test_what_reads_makes_nothing_and_says_where_it_looked(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, command: str, broker: str
) -> None:
    if broker == "named":
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    done = CliRunner().invoke(app, command.split())
    assert isinstance(done.exception, StoreError)
    assert str(elsewhere / "var") in str(done.exception)
    assert "set SHOP_HOME" in str(done.exception)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("broker status", 3),
        ("migrate --check", 0),
        ("status", 1),
        ("status --json", 1),
        ("status --service order", 1),
    ],
)
def test_where_nothing_is_to_be_done_it_is_said_where(
    elsewhere: Path, command: str, code: int
) -> None:
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == code
    assert str(elsewhere / "var") in done.output
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("command", ["report", "requests", "prove --offline"])
def test_a_home_without_the_database_is_no_empty_one(elsewhere: Path, command: str) -> None:
    databases = elsewhere / "var" / "databases"
    databases.mkdir(parents=True)
    for name in ("event_log", "order"):
        # As they are for a moment, before who makes them has given them their tables.
        engine = SqliteFile(databases / f"{name}.sqlite").connect()
        engine.connect().close()
        engine.dispose()
    done = CliRunner().invoke(app, command.split())
    assert isinstance(done.exception, StoreError)
    assert "there is no " in str(done.exception)
    assert str(databases) in str(done.exception)
    assert not (databases / "report.sqlite").exists()
