"""Migrating SQLite files: alone, after a copy, wholly or not at all; and `shop migrate` itself."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cli.databases import OPENED
from domain.errors import StoreError
from event_log.migrations import files
from event_log.migrations.files import look_at_file
from event_log.migrations.migrated import Migrated
from event_log.revisions import CURRENT
from services.batch import handle_batch
from services.recorder import RecorderService, open_log
from tests.conftest import Home
from tests.contract.next_version import NextVersion
from tests.integration.pipes import NOW
from transport.records import Record


@pytest.fixture
def log(tmp_path: Path, records: list[Record]) -> Path:
    """An event log of this version."""
    recorder = RecorderService(tmp_path / "databases" / "event_log.sqlite")
    handle_batch(recorder, records[:100], NOW)
    recorder.database.close()
    return recorder.database.path


@pytest.fixture
def next_here(next_version: NextVersion, log: Path) -> Iterator[NextVersion]:
    """This process is of the next version; the log is not."""
    with next_version.here():
        yield next_version


def migrate(log: Path) -> Migrated:
    return files.migrate_file(log, "event_log", open_log)


def content(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def copies(file: Path) -> list[Path]:
    return [
        each for each in file.parent.iterdir() if each.name.startswith(f"{file.name}.{CURRENT}")
    ]


def test_the_copy_is_the_database_as_it_was(log: Path, next_here: NextVersion) -> None:
    before = content(log)
    done = migrate(log)
    assert (done.found, done.done) == (CURRENT, True)
    assert done.copy is not None
    assert content(done.copy) == before
    assert content(log) != before
    open_log(log).close()
    # Put back, it is what it was.
    shutil.copy(done.copy, log)
    assert look_at_file(log, "event_log").found == CURRENT


def test_a_file_that_is_up_to_date_is_left_alone_even_in_use(
    log: Path, next_here: NextVersion
) -> None:
    migrate(log)
    with open_log(log).reading():
        again = migrate(log)
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


def test_who_opens_a_file_while_it_is_migrated_waits_and_finds_it_done(
    log: Path, monkeypatch: pytest.MonkeyPatch, next_here: NextVersion
) -> None:
    opening: list[subprocess.Popen[str]] = []
    upgrade = files.upgrade

    def with_somebody(*arguments: object) -> None:
        program = (
            "import sys; from pathlib import Path; from services.recorder import open_log\n"
            "print('begins', flush=True); open_log(Path(sys.argv[1])); print('open')"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(log)],
            env={**os.environ, **next_here.environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        opening.append(process)
        upgrade(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "upgrade", with_somebody)
    migrate(log)
    (process,) = opening
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "open\n")


def test_a_disk_without_room_for_the_copy_leaves_it_as_it_was(
    log: Path, monkeypatch: pytest.MonkeyPatch, next_here: NextVersion
) -> None:
    before = content(log)
    monkeypatch.setattr(files, "_name_of_copy", lambda file, found: file.parent / "none" / "copy")
    with pytest.raises(StoreError, match=r"can't be copied to .*, and is not migrated"):
        migrate(log)
    assert content(log) == before


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.sqlite"
    text.write_text("this is a text of some length, and certainly no database at all\n" * 20)
    with pytest.raises(StoreError, match=r"can't be read: file is not a database"):
        migrate(text)


def test_an_empty_file_gets_all_tables(tmp_path: Path) -> None:
    file = tmp_path / "event_log.sqlite"
    file.touch()
    done = migrate(file)
    assert (done.found, done.done, done.copy) == (None, True, None)
    assert look_at_file(file, "event_log").is_current
    assert "event_log" in "".join(content(file))


@pytest.fixture
def made(tmp_path: Path, log: Path) -> dict[str, Path]:
    """All databases of this version, in a home."""
    databases = {name: log.with_name(f"{name}.sqlite") for name in OPENED}
    for name, file in databases.items():
        OPENED[name](file).close()
    return databases


@pytest.fixture
def home(tmp_path: Path, next_version: NextVersion) -> Home:
    """That home, with the next version."""
    return Home(tmp_path, dict(next_version.environment))


def test_the_command_makes_nothing_that_nobody_has_opened(tmp_path: Path) -> None:
    empty = Home(tmp_path).shop("migrate", "--check")
    assert (empty.returncode, empty.stdout) == (
        0,
        f"no database is in {tmp_path} yet: each is made by what opens it first\n",
    )


def test_the_command_says_what_it_would_do_and_does_it_once(
    made: dict[str, Path], home: Home, next_version: NextVersion
) -> None:
    before = {name: content(file) for name, file in made.items()}
    refused = home.shop("report")
    assert refused.returncode == 1
    assert "run `shop migrate`" in refused.stderr

    check = home.shop("migrate", "--check")
    assert check.returncode == 1
    assert f"order: would be brought from {CURRENT} to {next_version.after}" in check.stdout
    assert {name: content(file) for name, file in made.items()} == before

    # One that is in use is left alone, and holds up no other.
    with held(made["event_log"]):
        done = home.shop("migrate")
    assert done.returncode == 1
    assert "event_log.sqlite is open in another process: stop the services" in done.stderr
    assert f"order: brought from {CURRENT} to {next_version.after}" in done.stdout
    assert (content(made["event_log"]), copies(made["event_log"])) == (before["event_log"], [])

    # Two at once: one waits, and finds it done.
    both = [home.start("migrate", "--json") for _ in range(2)]
    told = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    migrated = [each for said in told for each in said["databases"] if each["done"]]
    assert [each["copy"] for each in migrated] == list(map(str, copies(made["event_log"])))
    assert {name: [content(copy) for copy in copies(file)] for name, file in made.items()} == {
        name: [content_before] for name, content_before in before.items()
    }

    again = json.loads(home.shop("migrate", "--check", "--json").stdout)
    assert again["up_to_date"]
    assert home.shop("report").returncode == 0
