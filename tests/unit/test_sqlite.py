"""What only SQLite has: files that are none of its own, and its pragmas."""

from pathlib import Path

import pytest
from sqlalchemy import select

from domain.errors import StoreError
from event_log.database import ClusterRow, Database, table_of
from reporting.read_only import ReadOnlyDatabase
from services.recorder import open_log


def test_what_is_no_database_is_refused_with_its_path(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite"
    file.write_text("this is a text of some length, and certainly no database at all\n" * 20)
    with pytest.raises(StoreError, match=f"{file}.*not a database"):
        open_log(file)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be made"):
        open_log(tmp_path / "file" / "log.sqlite")


def test_durability_is_as_decided(tmp_path: Path) -> None:
    database = open_log(tmp_path / "log.sqlite")
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


@pytest.mark.parametrize(
    ("one", "other"), [("x y", "x%20y"), ("run?1", "run?2"), ("a#b", "a#c"), ("a", "a\n")]
)
def test_neighbours_of_like_names_are_two(tmp_path: Path, one: str, other: str) -> None:
    for name in (one, other):
        database = Database(tmp_path / name / "a.sqlite", [])
        database.bind_to_cluster(name)
        database.close()
    for name in (one, other):
        assert [each.name for each in (tmp_path / name).iterdir()] == ["a.sqlite"]
        with ReadOnlyDatabase(tmp_path / name / "a.sqlite").reading() as connection:
            assert connection.scalar(select(table_of(ClusterRow))) == name
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([one, other])
