"""Folders and files of a home: their owner's alone, whatever the umask."""

import os
import stat
from contextlib import suppress
from pathlib import Path

FOLDER = 0o700
FILE = 0o600
UMASK = 0o077
"""For processes of the home that make files by themselves."""

_OTHERS = 0o077


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing; what is there already stays as it is.

    Raises:
        OSError: it can't be made, or is something else.
    """
    try:
        folder.mkdir(FOLDER, exist_ok=True)
    except FileNotFoundError:
        make_folder(folder.parent)
        folder.mkdir(FOLDER, exist_ok=True)


def make_file(file: Path) -> None:
    """Make an empty file where none is, and keep others out of one of ours that is there.

    What can't be made or changed is left to whoever opens it, who can say why.
    """
    try:
        # Without opening it: a file that is closed again loses the locks of those in this process
        # who have it open, and so SQLite's.
        os.mknod(file, stat.S_IFREG | FILE)
    except FileExistsError:
        pass
    except OSError:
        # Not every system lets everybody do that.
        with suppress(OSError):
            file.touch(FILE, exist_ok=False)
    keep_others_out(file)


def keep_others_out(file: Path) -> None:
    """Take the rights of others from a file that is there, if it is ours."""
    with suppress(OSError):
        found = file.stat()
        if found.st_uid == os.geteuid() and found.st_mode & _OTHERS:
            file.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)


def private(path: str, flags: int) -> int:
    """An opener for `open` that makes a file for its owner alone."""
    return os.open(path, flags, FILE)
