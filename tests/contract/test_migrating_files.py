"""Migrating SQLite files: alone, after a copy, wholly or not at all; and `shop migrate` itself."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from domain.errors import StoreError
from event_log.database import Database
from event_log.migrations import files
from event_log.migrations.files import look_at_file, migrate_file
from event_log.revisions import CURRENT, revision
from services.recorder import open_log
from tests import earlier
from tests.conftest import Home

VERSION = "b118d53"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An event log as an earlier version left it."""
    return earlier.as_files(VERSION, tmp_path / "databases")["event_log"]


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ALONE_WITHIN_SECONDS", 0.3)


def content(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def copies(file: Path) -> list[Path]:
    return [each for each in file.parent.iterdir() if each.name.startswith(f"{file.name}.0")]


def test_the_copy_is_the_database_as_it_was(log: Path) -> None:
    before = content(log)
    done = migrate_file(log, "event_log")
    assert (done.found, done.done) == ("0010", True)
    assert done.copy is not None
    assert content(done.copy) == before
    assert content(log) != before
    open_log(log).close()
    # Put back, it is what it was.
    shutil.copy(done.copy, log)
    assert look_at_file(log, "event_log").found == "0010"


def test_a_file_that_is_up_to_date_is_left_alone_even_in_use(log: Path) -> None:
    migrate_file(log, "event_log")
    with open_log(log).reading():
        again = migrate_file(log, "event_log")
    assert (again.is_current, again.done, again.copy) == (True, False, None)
    assert len(copies(log)) == 1


HOLDING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("SELECT count(*) FROM event_log").fetchone()
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(file: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has a file open, at rest, as any version's service has."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    try:
        yield holder
    finally:
        holder.communicate("")


def test_a_file_that_a_service_has_open_is_not_touched(log: Path, short_waits: None) -> None:
    before = content(log)
    with held(log), pytest.raises(StoreError, match="open in another process: stop the services"):
        migrate_file(log, "event_log")
    assert content(log) == before
    assert copies(log) == []
    assert migrate_file(log, "event_log").done


def test_who_opens_a_file_while_it_is_migrated_waits_and_finds_it_done(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening: list[subprocess.Popen[str]] = []
    upgrade = files.upgrade_found

    def with_somebody(*arguments: object) -> None:
        program = (
            "import sys; from pathlib import Path; from services.recorder import open_log\n"
            "print('begins', flush=True); open_log(Path(sys.argv[1])); print('open')"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(log)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        opening.append(process)
        upgrade(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "upgrade_found", with_somebody)
    migrate_file(log, "event_log")
    (process,) = opening
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "open\n")


def test_a_migration_that_fails_changes_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, upgrade = content(log), files.upgrade_found

    def failing(connection: object, *more: object) -> None:
        upgrade(connection, *more)  # type: ignore[arg-type]
        connection.exec_driver_sql("no SQL")  # type: ignore[attr-defined]

    with monkeypatch.context() as patch:
        patch.setattr(files, "upgrade_found", failing)
        with pytest.raises(
            StoreError, match=r"can't be migrated: .*it is as it was, and .* a copy"
        ):
            migrate_file(log, "event_log")
    assert content(log) == before
    assert look_at_file(log, "event_log").found == "0010"
    assert migrate_file(log, "event_log").done


def test_a_disk_without_room_for_the_copy_leaves_it_as_it_was(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(log)
    monkeypatch.setattr(files, "_name_of_copy", lambda file, found: file.parent / "none" / "copy")
    with pytest.raises(StoreError, match=r"can't be copied to .*, and is not migrated"):
        migrate_file(log, "event_log")
    assert content(log) == before


def test_what_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "order.sqlite"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE songs (id)")
    with pytest.raises(StoreError, match="has tables, but not those of order: songs"):
        migrate_file(other, "order")
    text = tmp_path / "payment.sqlite"
    text.write_text("this is a text of some length, and certainly no database at all\n" * 20)
    with pytest.raises(StoreError, match=r"can't be read: file is not a database"):
        migrate_file(text, "payment")
    with pytest.raises(StoreError, match="but not those of warehouse"):
        migrate_file(earlier.as_files(VERSION, tmp_path / "earlier")["order"], "warehouse")


def test_what_a_newer_program_made_is_refused(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.sqlite")
    with log.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    log.close()
    with pytest.raises(StoreError, match=r"knows none after .*: use the program that made it"):
        migrate_file(log.path, "event_log")


def test_an_empty_file_gets_all_tables(tmp_path: Path) -> None:
    file = tmp_path / "event_log.sqlite"
    file.touch()
    done = migrate_file(file, "event_log")
    assert (done.found, done.copy) == (None, None)
    opened = Database(file, [])
    with opened.reading() as connection:
        assert revision(connection) == CURRENT
    opened.close()


def test_an_earlier_program_refuses_what_is_migrated(log: Path) -> None:
    """It would go on with tables that it doesn't know; its number of them is in the file."""
    migrate_file(log, "event_log")
    with closing(sqlite3.connect(log)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)


def test_the_command_says_what_it_would_do_and_does_it_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    empty = home.shop("migrate", "--check")
    assert (empty.returncode, empty.stdout) == (
        0,
        "no database is there yet: each is made by what opens it first\n",
    )
    made = earlier.as_files(VERSION, tmp_path / "databases")
    before = {name: content(file) for name, file in made.items()}
    refused = home.shop("report")
    assert refused.returncode == 1
    assert "run `shop migrate`" in refused.stderr

    check = home.shop("migrate", "--check")
    assert check.returncode == 1
    assert f"order: would be brought from 0010 to {CURRENT}" in check.stdout
    assert {name: content(file) for name, file in made.items()} == before

    # Two at once: one waits.
    both = [home.start("migrate", "--json") for _ in range(2)]
    told = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    for name, file in made.items():
        (copy,) = copies(file)
        done = [
            each
            for said in told
            for each in said["databases"]
            if each["database"] == name and each["done"]
        ]
        assert [each["copy"] for each in done] == [str(copy)]
        assert content(copy) == before[name]

    assert home.shop("migrate", "--check").returncode == 0
    again = json.loads(home.shop("migrate", "--check", "--json").stdout)
    assert again["up_to_date"]
    assert home.shop("report").returncode == 0


def test_one_that_is_in_use_holds_up_no_other(tmp_path: Path) -> None:
    made = earlier.as_files(VERSION, tmp_path / "databases")
    home = Home(tmp_path)
    with held(made["event_log"]):
        done = home.shop("migrate")
    assert done.returncode == 1
    assert "event_log.sqlite is open in another process" in done.stderr
    assert f"order: brought from 0010 to {CURRENT}" in done.stdout
    assert home.shop("migrate").returncode == 0
