"""What an export is written to: new files, files that are there, and what isn't any."""

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from cli.export import refuse_to_write, write_whole
from domain.errors import ShopError
from tests.conftest import ODD_NAME


def written(file: Path, *, over: bool = True) -> bytes:
    refuse_to_write(file, over=over)
    write_whole(file, b"after")
    return file.read_bytes()


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A file that is there, in a folder of its own."""
    folder = tmp_path / "there"
    folder.mkdir()
    file = folder / "a.csv"
    file.write_bytes(b"what was before, and is longer")
    return file


def test_a_link_is_followed_and_stays(tmp_path: Path, there: Path) -> None:
    link = tmp_path / "link.csv"
    link.symlink_to(Path("there") / "a.csv")
    with pytest.raises(ShopError, match=r"link\.csv is there already"):
        written(link, over=False)
    assert written(link) == there.read_bytes() == b"after"
    assert link.is_symlink()
    there.unlink()
    # One that leads to nothing yet makes what it leads to.
    assert written(link, over=False) == there.read_bytes() == b"after"
    assert link.is_symlink()
    assert list(there.parent.iterdir()) == [there]


def test_links_that_lead_to_one_another_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.symlink_to(two)
    two.symlink_to(one)
    for work in (lambda: refuse_to_write(one, over=True), lambda: write_whole(one, b"after")):
        with pytest.raises(ShopError, match=r"one\.csv can't be written: Too many levels"):
            work()
    assert one.is_symlink()
    assert two.is_symlink()


@pytest.mark.parametrize("name", ["n" * 251, "é" * 125, ODD_NAME])
def test_a_name_may_be_as_long_and_as_odd_as_the_file_system_takes(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / f"{name}.csv"
    assert written(file, over=False) == b"after"
    assert list(tmp_path.iterdir()) == [file]


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShopError, match=r"can't be written: File name too long"):
        refuse_to_write(tmp_path / ("n" * 256), over=False)


def test_a_file_keeps_its_rights_and_its_owner(there: Path) -> None:
    there.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(there, 1234, 1235)
    before = there.stat()
    assert written(there) == b"after"
    now = there.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_file_that_may_not_be_written_is_not_replaced_either(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def refused(path: Path, mode: str = "r", *others: int) -> object:
        # For root, who runs tests, no right is missing.
        if path == there and mode != "rb":
            raise PermissionError(13, "Permission denied")
        return real(path, mode, *others)

    monkeypatch.setattr(Path, "open", refused)
    before = there.stat()
    with pytest.raises(ShopError, match="can't be written: Permission denied"):
        written(there)
    assert there.stat() == before


@contextmanager
def mounted(file: Path, over: Path, options: str) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    subprocess.run(["mount", "--bind", str(file), str(over)], check=True)
    try:
        subprocess.run(["mount", "-o", f"remount,bind,{options}", str(over)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(over)], check=True)


def test_a_file_that_is_a_mount_is_written_where_it_is(tmp_path: Path, there: Path) -> None:
    over = tmp_path / "mount.csv"
    over.touch()
    with mounted(there, over, "rw"):
        assert written(over) == b"after"
        assert there.read_bytes() == b"after"
    assert over.read_bytes() == b""
    assert sorted(tmp_path.iterdir()) == [over, there.parent]
    with mounted(there, over, "ro"), pytest.raises(ShopError, match="Read-only file system"):
        written(over)
    assert there.read_bytes() == b"after"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    refuse_to_write(pipe, over=False)
    writer = Thread(target=write_whole, args=(pipe, b"after" * 100_000))
    writer.start()
    assert pipe.read_bytes() == b"after" * 100_000
    writer.join(10)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_written_to_or_says_that_it_is_full(tmp_path: Path) -> None:
    for device in ("null", "full"):
        (tmp_path / f"{device}.csv").symlink_to(f"/dev/{device}")
    assert written(tmp_path / "null.csv", over=False) == b""
    with pytest.raises(ShopError, match=r"full\.csv can't be written: No space left on device"):
        written(tmp_path / "full.csv", over=False)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShopError, match="is a folder: name a file in it"):
        refuse_to_write(tmp_path, over=True)
