"""A home that can only be read: on a mount, or a copy of one whose services were running."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import copytree

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.main import app
from domain.errors import StoreError
from event_log.database import Database
from tests.contract.world import NAMES, World, copied, empty, settled

# A mount is read-only for root, too.
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")

MOMENT = "2999-01-01T00:00Z"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A home whose services have stopped; not to be changed."""
    return settled(empty("sqlite", tmp_path_factory.mktemp("made"), None))


@pytest.fixture
def home(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which the commands are for."""
    path = copied(made, tmp_path, None).home.path
    for name in ("SHOP_DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHOP_HOME", str(path))
    return path


@pytest.fixture
def at_work(home: Path) -> Iterator[None]:
    """Somebody has its databases open, and what was written last is beside them."""
    with ExitStack() as stack:
        for name in NAMES[:5]:
            database = Database(home / "databases" / f"{name}.sqlite", [])
            stack.callback(database.close)
            stack.enter_context(database.reading()).exec_driver_sql("SELECT * FROM sqlite_schema")
            with database.transaction() as connection:
                connection.exec_driver_sql("INSERT INTO cluster VALUES ('new')")
        yield


@pytest.fixture
def read_only(home: Path) -> Iterator[None]:
    """Nothing in it can be written any more."""
    subprocess.run(["mount", "--bind", str(home), str(home)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(home)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


def shop(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def right(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as patched:
        patched.setenv("SHOP_HOME", str(copytree(made.home.path, tmp_path / "other")))
        return shop("report", "--json").stdout


@pytest.mark.parametrize("state", ["stopped", "at work", "copied at work"])
def test_report_export_and_proof_work(
    request: pytest.FixtureRequest,
    made: World,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
) -> None:
    if state != "stopped":
        request.getfixturevalue("at_work")
    if state == "copied at work":
        # With all that SQLite has beside the databases, and nobody who has them open.
        copy = copytree(home, tmp_path / "copy")
        home.rename(tmp_path / "away")
        copy.rename(home)
    request.getfixturevalue("read_only")
    found = shop("report", "--json")
    assert (found.exit_code, found.stdout) == (0, right(made, tmp_path, monkeypatch))
    assert shop("report", "--at-position", "100", "--compare-to", "120").exit_code == 0
    proved = shop("prove", "--offline")
    assert proved.exit_code == 0, proved.output
    assert "this result is not kept" in proved.stderr
    assert "can't be written here" in proved.stderr
    file = tmp_path / "revenue.csv"
    assert shop("export", str(file)).exit_code == 0
    assert shop("prove", "--figure", str(file)).exit_code == 0


def test_what_the_projections_have_not_taken_in_is_said(
    home: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    report = Database(home / "databases" / "report.sqlite", [])
    with report.transaction() as connection:
        connection.exec_driver_sql("UPDATE projected SET position = position - 7")
    report.close()
    request.getfixturevalue("read_only")
    assert shop("report").exit_code == 0
    assert "the projections are 7 events behind the log" in caplog.text
    assert "set SHOP_HOME to that copy" in caplog.text


def test_where_there_are_no_projections_it_is_said_what_to_do(
    home: Path, request: pytest.FixtureRequest
) -> None:
    (home / "databases" / "report.sqlite").unlink()
    request.getfixturevalue("read_only")
    said = str(shop("report").exception)
    assert "are in no projections at" in said
    assert "set SHOP_HOME to that copy" in said


@pytest.mark.usefixtures("read_only")
def test_what_waits_for_writers_or_writes_is_refused_by_name(home: Path) -> None:
    log = home / "databases" / "event_log.sqlite"
    for command in (("report", "--as-of", MOMENT), ("replay",)):
        done = shop(*command)
        assert isinstance(done.exception, StoreError), done.output
        assert "can't be written here, only read" in str(done.exception)
    with pytest.raises(StoreError, match="can't be written here, only read"):
        Database(log, [])


@pytest.mark.usefixtures("at_work")
def test_a_copy_without_what_sqlite_needs_is_said_to_need_another_place(
    home: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copytree(home, tmp_path / "copy")
    for file in (copy / "databases").glob("*-shm"):
        file.unlink()
    home.rename(tmp_path / "away")
    copytree(copy, home)
    request.getfixturevalue("read_only")
    for command in ("report", "prove"):
        said = str(shop(command).exception)
        assert "event_log.sqlite-wal has changes" in said
        assert "set SHOP_HOME to that copy" in said
    # What it says to do works.
    monkeypatch.setenv("SHOP_HOME", str(copy))
    assert shop("report").exit_code == 0
    assert shop("prove", "--offline").exit_code == 0
