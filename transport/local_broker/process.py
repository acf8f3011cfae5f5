"""The broker's process: recorded with its creation time, so that no other one is taken for it."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from transport.local_broker.interrupts import Interrupts
from transport.local_broker.whole_file import write_whole

MAIN_CLASS = "kafka.Kafka"
CLOCK_TOLERANCE = 2.0
"""Seconds by which a creation time, counted from the boot, may seem to move."""
_POLL = 0.02


class ProcessRecord:
    """The file that names the broker's process, and what can be found and ended by it."""

    def __init__(self, file: Path, properties: Path) -> None:
        """Broker processes of this home have ``properties`` as their last argument."""
        self._file = file
        self._properties = str(properties)

    def write(self, process: psutil.Process) -> None:
        """Record the broker's process."""
        record = {"pid": process.pid, "created": process.create_time()}
        write_whole(self._file, json.dumps(record))

    def clear(self) -> None:
        """Forget the process."""
        self._file.unlink(missing_ok=True)

    def find(self) -> psutil.Process | None:
        """The home's broker process, if one is alive; never a process that only has its number.

        Where no file names it (its starter was killed before it could write), it is known by its
        command line, which holds this home's own path.
        """
        recorded = self._recorded()
        if recorded is not None and self._is_broker(recorded):
            return recorded
        for process in psutil.process_iter():
            if self._is_broker(process):
                return process
        return None

    def _recorded(self) -> psutil.Process | None:
        try:
            read = json.loads(self._file.read_text(encoding="utf-8"))
            process = psutil.Process(int(read["pid"]))
            same = abs(process.create_time() - float(read["created"])) <= CLOCK_TOLERANCE
        except (OSError, ValueError, TypeError, KeyError, psutil.Error):
            return None
        return process if same else None

    def _is_broker(self, process: psutil.Process) -> bool:
        try:
            # A dead process that nobody waited for has no command line.
            arguments = process.cmdline()
        except (psutil.Error, OSError):
            return False
        return arguments[-2:] == [MAIN_CLASS, self._properties] and not has_ended(process)


def has_ended(process: psutil.Process) -> bool:
    """Whether the process is gone; one that is our child is waited for."""
    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return not process.is_running()
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
    # Where it isn't our child, its parent has yet to wait for it; it has ended all the same.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    return True


def end(process: psutil.Process, patience: float) -> bool:
    """End a process: ask it, wait ``patience`` seconds, then kill it; whether asking was enough."""
    for ask, seconds in ((process.terminate, patience), (process.kill, 10.0)):
        with contextlib.suppress(psutil.NoSuchProcess):
            ask()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if has_ended(process):
                return ask == process.terminate
            time.sleep(_POLL)
    return False


def run_to_its_end(
    command: Sequence[str], timeout: float, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program, and keep what it says.

    As `subprocess.run`, which leaves its child behind when a signal's handler raises just when the
    child was born.

    Args:
        command: the program and its arguments.
        timeout: seconds that it has.
        options: those of `subprocess.Popen`.

    Raises:
        TimeoutExpired: it took longer, and was killed.
        OSError: it can't be run.
    """
    child: subprocess.Popen[str] | None = None
    try:
        with Interrupts.held():
            child = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
            )
        out, err = child.communicate(timeout=timeout)
    except BaseException:
        with Interrupts.held():
            if child is not None:
                child.kill()
                child.communicate()
        raise
    return subprocess.CompletedProcess(command, child.returncode, out, err)
