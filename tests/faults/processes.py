"""Services as real processes that can be killed, paused and changed as often as a test likes.

A fork server imports the project once; each process is forked from it and runs what
``shop run NAME`` runs. So a life costs what connecting costs, and a thousand kills take minutes.
"""

import multiprocessing
import os
import random
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from cli.main import run
from tests.faults.changes import CHANGES

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])


@dataclass
class Service:
    """One process of a service, and with which changes it is started."""

    name: str
    service: str
    changes: tuple[str, ...]
    process: ForkServerProcess

    def alive(self) -> bool:
        return self.process.is_alive()


@dataclass
class Services:
    """The processes of a stack, by name; those that end are started again."""

    environment: Callable[[str], dict[str, str]]
    """By service, its variables."""
    logs: Path
    chance: random.Random
    running: dict[str, Service] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    ends: list[tuple[str, int | None]] = field(default_factory=list)
    """Processes that ended by themselves: which, and with which exit code."""

    def start(self, service: str, name: str = "", changes: Iterable[str] = ()) -> None:
        name = name or service
        self.logs.mkdir(parents=True, exist_ok=True)
        arguments = (service, self.environment(service), str(self.logs / f"{name}.log"))
        process = _context.Process(
            target=_run, args=(*arguments, tuple(changes), self.chance.getrandbits(32))
        )
        process.start()
        self.running[name] = Service(name, service, tuple(changes), process)

    def ensure(self) -> None:
        """Start again what has ended, as a supervisor does."""
        for name, made in list(self.running.items()):
            if not made.alive():
                self.ends.append((name, made.process.exitcode))
                self.start(made.service, name, made.changes)

    def kill(self, name: str) -> None:
        """SIGKILL, and start again."""
        made = self.running[name]
        made.process.kill()
        made.process.join()
        self.start(made.service, name, made.changes)

    def change(self, changes: Iterable[str]) -> None:
        """Start all again, with other changes."""
        before = list(self.running.values())
        self._end_all()
        for made in before:
            self.start(made.service, made.name, changes)

    def stop(self, name: str, seconds: float = 30) -> None:
        """SIGTERM, as a user would; then less politely."""
        process = self.running.pop(name).process
        process.terminate()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()

    def pause(self, name: str) -> None:
        self._signal(name, signal.SIGSTOP)
        self.paused.add(name)

    def resume(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)
        self.paused.discard(name)

    def refuse_large(self, most: int) -> None:
        """Check that no process ever had more than `most` bytes of memory."""
        for name, made in self.running.items():
            status = Path(f"/proc/{made.process.pid}/status").read_text()
            peak = int(next(line for line in status.splitlines() if "VmHWM" in line).split()[1])
            assert peak * 1024 <= most, f"{name} took {peak / 1024:.0f} MiB"

    def close(self) -> None:
        for name in list(self.paused):
            self.resume(name)
        self._end_all()

    def _end_all(self) -> None:
        for made in self.running.values():
            made.process.terminate()
        for name in list(self.running):
            self.stop(name)

    def _signal(self, name: str, number: int) -> None:
        os.kill(self.running[name].process.pid or 0, number)


def _run(
    service: str, environment: dict[str, str], log: str, changes: tuple[str, ...], seed: int
) -> None:
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for change in changes:
        CHANGES[change](random.Random(seed))
    sys.argv = ["shop", "run", service]
    run()
