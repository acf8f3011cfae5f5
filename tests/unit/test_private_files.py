import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from services.recorder import RecorderService
from tests.conftest import ROOT
from transport.local_broker.whole_file import write_whole
from transport.private_files import keep_others_out, make_file, make_folder

WRITES = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from services.recorder import RecorderService
os.umask(int(sys.argv[2], 8))
database = RecorderService(Path(sys.argv[1])).database
database.bind_to_cluster("a")
with database.alone("replay"):
    for file in Path(sys.argv[1]).parent.iterdir():
        print(file.name, oct(file.stat().st_mode & 0o777))
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o022, 0o000, 0o077])
class TestWhateverTheUmask:
    def test_a_database_and_all_beside_it_is_its_owners_alone(
        self, tmp_path: Path, mask: int
    ) -> None:
        file = tmp_path / "home" / "databases" / "log.sqlite"
        done = subprocess.run(
            [sys.executable, "-c", WRITES, str(file), f"{mask:o}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        names = ("log.sqlite", "log.sqlite-shm", "log.sqlite-wal", "log.sqlite.replay")
        assert sorted(done.stdout.splitlines()) == [f"{name} 0o600" for name in names]
        assert mode(file.parent) == mode(file.parent.parent) == 0o700
        assert mode(tmp_path) != 0o600

    def test_small_files_are_unless_they_are_shared(self, tmp_path: Path, mask: int) -> None:
        with umask(mask):
            write_whole(tmp_path / "own", "text")
            write_whole(tmp_path / "shared", "text", shared=True)
        assert mode(tmp_path / "own") == 0o600
        assert mode(tmp_path / "shared") == 0o666 & ~mask


def test_files_of_an_earlier_run_are_closed_to_others_and_their_folder_is_left(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "databases"
    folder.mkdir()
    folder.chmod(0o755)
    file = folder / "log.sqlite"
    with umask(0o022), closing(sqlite3.connect(file)) as kept:
        kept.execute("PRAGMA journal_mode = WAL")
        kept.execute("CREATE TABLE made (a)")
        kept.execute("DROP TABLE made")
        kept.commit()
        beside = [Path(f"{file}{end}") for end in ("", "-wal", "-shm")]
        assert [mode(each) for each in beside] == [0o644] * 3
        RecorderService(file).database.close()
        assert [mode(each) for each in beside] == [0o600] * 3
    assert mode(folder) == 0o755


def test_what_cannot_be_made_or_changed_is_left_to_who_opens_it(tmp_path: Path) -> None:
    make_file(tmp_path / "none" / "file")
    keep_others_out(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
    make_file(tmp_path / "file")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")


def test_a_file_is_never_opened_to_be_made_or_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To close it again would take the locks of whoever has it open in this process."""
    monkeypatch.setattr(os, "open", None)
    make_file(tmp_path / "file")
    make_file(tmp_path / "file")
    assert mode(tmp_path / "file") == 0o600
