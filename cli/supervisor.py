"""Keeps processes running, and leaves none behind."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from domain.errors import ShopError
from transport.local_broker.interrupts import Interrupts
from transport.private_files import UMASK, keep_others_out, make_folder, private

_log = logging.getLogger(__name__)

STOP_WITHIN_SECONDS = 20.0
"""How long a process may take to end after SIGTERM before it is killed."""

CRASH_LOOPS = ((5, 60.0), (10, 1800.0))
"""So many ends within so many seconds are no accident any more.

The second is for a process that ends each time a watchdog (90 s) or a locked database (60 s) has
had it long enough.
"""


@dataclass
class _Child:
    name: str
    arguments: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    ended_at: list[float] = field(default_factory=list)
    start_at: float = 0.0


class Supervisor:
    """Starts `shop` commands as processes of their own, and starts them again when they fail."""

    def __init__(self, logs: Path, environment: Mapping[str, str], interrupts: Interrupts) -> None:
        """Write each process's output to a file in the folder `logs`."""
        self._logs = logs
        self._environment = {**os.environ, **environment}
        self._interrupts = interrupts
        self._children: list[_Child] = []
        make_folder(logs)

    def start(self, name: str, *arguments: str) -> None:
        """Run ``shop`` with `arguments` under `name`."""
        child = _Child(name, arguments, self._logs / f"{name}.log")
        self._children.append(child)
        self._launch(child)

    def check(self) -> None:
        """Start again what has ended, with a growing pause.

        Raises:
            ShopError: a process ends again and again; the message has its last lines.
        """
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                code = child.process.returncode
                child.process = None
                child.ended_at.append(now)
                loop = crash_loop(child.ended_at, now)
                if loop is not None:
                    raise ShopError(
                        f"{child.name} ended {loop[0]} times within {loop[1]:g} s, last with exit "
                        f"code {code}. Its log is {child.log}:\n{_last_lines(child.log)}"
                    )
                pause = pause_before_start(child.ended_at, now)
                child.start_at = now + pause
                _log.warning(
                    "%s ended with exit code %s; starting it again in %.1f s (log: %s)",
                    *(child.name, code, pause, child.log),
                )
            if child.process is None and now >= child.start_at:
                self._launch(child)

    def stop(self) -> None:
        """End all processes: ask them together, wait, and kill what is left."""
        with self._interrupts.held():
            running = [child.process for child in self._children if child.process is not None]
            for process in running:
                process.terminate()
            deadline = time.monotonic() + STOP_WITHIN_SECONDS
            for process in running:
                try:
                    process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            self._children.clear()

    def _launch(self, child: _Child) -> None:
        # Held: an interruption between a process's birth and our knowing of it would lose it.
        with self._interrupts.held(), open(child.log, "ab", opener=private) as log:
            keep_others_out(child.log)
            child.process = subprocess.Popen(
                [sys.executable, "-m", "cli.start", *child.arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C in the terminal is for us; we end the others in turn.
                start_new_session=True,
                umask=UMASK,
            )


def crash_loop(ended_at: Sequence[float], now: float) -> tuple[int, float] | None:
    """How many ends within how many seconds make a crash loop; `None` if there is none.

    Args:
        ended_at: when the process ended, each time (seconds of the clock of `now`).
        now: this moment.
    """
    for most, seconds in CRASH_LOOPS:
        ends = sum(now - at < seconds for at in ended_at)
        if ends >= most:
            return ends, seconds
    return None


def pause_before_start(ended_at: Sequence[float], now: float) -> float:
    """Seconds to wait before a process is started again: twice as many after each recent end.

    What ends only now and then has waited long enough itself.
    """
    ends = sum(now - at < CRASH_LOOPS[0][1] for at in ended_at)
    return 0.5 * 2.0 ** max(0, ends - 1)


def _last_lines(file: Path) -> str:
    return "\n".join(file.read_text(errors="replace").splitlines()[-15:])
