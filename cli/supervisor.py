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

_log = logging.getLogger(__name__)

STOP_WITHIN_SECONDS = 20.0
"""How long a process may take to end after SIGTERM before it is killed."""

CRASH_LOOP = 5
"""So many ends within `CRASH_LOOP_SECONDS` are no accident any more."""

CRASH_LOOP_SECONDS = 60.0


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
        logs.mkdir(parents=True, exist_ok=True)

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
                recent = [at for at in child.ended_at if now - at < CRASH_LOOP_SECONDS]
                if len(recent) >= CRASH_LOOP:
                    raise ShopError(
                        f"{child.name} ended {len(recent)} times within "
                        f"{CRASH_LOOP_SECONDS:g} s, last with exit code {code}. Its log is "
                        f"{child.log}:\n{_last_lines(child.log)}"
                    )
                pause = 0.5 * 2 ** (len(recent) - 1)
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
        with self._interrupts.held(), child.log.open("ab") as log:
            child.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *child.arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C in the terminal is for us; we end the others in turn.
                start_new_session=True,
            )


def _last_lines(file: Path, count: int = 15) -> str:
    return "\n".join(file.read_text(errors="replace").splitlines()[-count:])
