"""What only SQLite has: files that are none of its own, and its pragmas."""

from pathlib import Path

import pytest

from domain.errors import StoreError
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
