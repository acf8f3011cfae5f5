"""A service's database put back to a copy of earlier, as an operator does with a backup."""

import sqlite3
import time
from pathlib import Path

from tests.faults.stack import Stack
from tests.waiting import wait_for


def put_back(made: Stack, service: str, orders: int, per_second: float) -> float:
    """Copy a service's database while orders flow, and put the copy back in its place later.

    What the order service has committed and not published yet would be lost by that, as by any
    restore: so it is waited for.

    Returns:
        Seconds from the new start until the service has handled more.
    """
    name = "event_log" if service == "recorder" else service
    file = made.home.path / "databases" / f"{name}.sqlite"
    copy = made.home.path / f"{name}.copy"
    with made.flow(orders // 2, per_second):
        made.progress(service, "the start")
        _copy(file, copy)
        made.progress(service, "the copy")
    wait_for(lambda: not made.home.count(name, "outbox WHERE NOT published"), "an empty outbox")
    made.services.stop(service)
    _remove(file)
    copy.rename(file)
    if service == "recorder":
        # They are made from the log, and have read further than it goes now.
        _remove(file.with_name("projections.sqlite"))
    began = time.monotonic()
    made.services.start(service)
    with made.flow(orders - orders // 2, per_second):
        made.progress(service, "its restore")
        recovered = time.monotonic() - began
    made.settle()
    return recovered


def _copy(file: Path, to: Path) -> None:
    with sqlite3.connect(file) as source, sqlite3.connect(to) as target:
        source.backup(target)
    source.close()
    target.close()


def _remove(file: Path) -> None:
    for each in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
        each.unlink(missing_ok=True)
