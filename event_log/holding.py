"""Who holds a lock: named where one waits for it, so that somebody can look at that process."""

import os
import socket
from pathlib import Path

from domain.errors import StoreHeld

HELD_FOR_SECONDS = 30.0
"""How long another process that holds a lock is waited for before it is named."""

_LOCKS = Path("/proc/locks")


def process_name() -> str:
    """This process, as ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


def still_held(purpose: str, place: object, within: float, holder: str | None) -> StoreHeld:
    """Why a lock for a purpose can't be had: someone has it, for all of `within` seconds."""
    since = f" for more than {within:g} s already" if within else ""
    by = f", by {holder}" if holder else ""
    return StoreHeld(f"another {purpose} of {place} is running{since}{by}: wait for it, or stop it")


def holder_of_byte(file: Path, byte: int) -> int | None:
    """The process that has locked a byte of a file for writing; `None` if nobody knows.

    Read from Linux' list of locks: to open the file would be the end of this process's own locks
    on it (POSIX drops them when any descriptor of the file is closed).
    """
    try:
        inode = file.stat().st_ino
        listed = _LOCKS.read_text().splitlines()
    except OSError:
        return None
    for line in listed:
        # 1: POSIX ADVISORY WRITE 9577 fe:00:8897564 120 120; who waits has an arrow before POSIX.
        _, kind, _, access, pid, where, first, last, *_ = [*line.split(), *[""] * 8]
        if (kind, access, where.rpartition(":")[2]) != ("POSIX", "WRITE", str(inode)):
            continue
        if int(first) <= byte and (last == "EOF" or byte <= int(last)):
            return int(pid)
    return None
