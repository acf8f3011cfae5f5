"""A container engine of a test's own: a real dockerd, in namespaces of its own.

Its network has no way out, and its data are in a folder that goes with it. Nothing of the machine's
own is touched: mounts, control groups and processes end with the namespaces.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, STDOUT
from tempfile import mkdtemp

from tests.conftest import ROOT
from tests.programs import missing, program
from tests.waiting import wait_for

TOOLS = ROOT / ".tools"
PROGRAMS = TOOLS / "engine" / "usr"
COMPOSE = TOOLS / "docker-compose"
NAMESPACES = ("--mount", "--cgroup", "--pid", "--net", "--ipc", "--uts")
UP_WITHIN_SECONDS = 60
STORES: Mapping[str, Mapping[str, object]] = {
    "classic": {},
    "containerd": {"features": {"containerd-snapshotter": True}},
}
"""What a dockerd is configured by to keep its images in the classic way, or as current ones do."""


@dataclass
class Engine:
    """A dockerd, as it was started last; it is ended by the child of what started it."""

    folder: Path
    store: str
    started: "subprocess.Popen[bytes] | None" = None
    clients: Path = field(init=False)
    """The configuration of its command line, which finds Compose there."""

    def __post_init__(self) -> None:
        self.clients = self.folder / "clients"
        (self.clients / "cli-plugins").mkdir(parents=True)
        # Copied, for whoever is not root may not look into this repository.
        shutil.copy(COMPOSE, self.clients / "cli-plugins")
        shutil.copy(PROGRAMS / "bin" / "docker", self.clients)
        (self.folder / "daemon.json").write_text(json.dumps(STORES[self.store]))

    @property
    def environment(self) -> dict[str, str]:
        """What its command line and those that call it are started in: nothing of the caller's."""
        path = (
            f"{self.clients}:{PROGRAMS / 'bin'}:{PROGRAMS / 'sbin'}:/usr/sbin:/usr/bin:/sbin:/bin"
        )
        socket = f"unix://{self.folder / 'docker.sock'}"
        return {
            "PATH": path,
            "HOME": str(self.clients),
            "DOCKER_HOST": socket,
            "DOCKER_CONFIG": str(self.clients),
            "BUILDKIT_PROGRESS": "plain",
            "COMPOSE_ANSI": "never",
            "COMPOSE_PROGRESS": "plain",
        }

    def start(self) -> None:
        """Start it, and wait until it can be asked; what it has to start again, it starts."""
        with (self.folder / "engine.log").open("ab") as log:
            self.started = subprocess.Popen(
                # Should this process be killed, it goes too, and with it all that it started.
                [
                    *("setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, "--fork"),
                    *("--kill-child", "--mount-proc", str(ROOT / "tests" / "engine" / "start.sh")),
                    *(str(self.folder), "--config-file", str(self.folder / "daemon.json")),
                ],
                env=self.environment,
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
            )
        wait_for(self._answers, "the engine answers", UP_WITHIN_SECONDS, 0.1)

    def _answers(self) -> bool:
        assert self.started is not None
        assert self.started.poll() is None, f"the engine ended: {self.log()[-3000:]}"
        return self.docker("version", check=False).returncode == 0

    @property
    def process(self) -> int:
        """The first process in its namespaces, by the id that it has here."""
        assert self.started is not None
        children = Path(f"/proc/{self.started.pid}/task/{self.started.pid}/children").read_text()
        (child,) = children.split()
        return int(child)

    def end(self, how: int = signal.SIGTERM) -> None:
        """End it: with SIGKILL as if the machine had lost its power, containers and all."""
        if self.started is None:
            return
        if self.started.poll() is None:
            os.kill(self.process, how)
            self.started.wait(90)
        self.started = None

    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "engine.log").read_text(errors="replace")

    def docker(
        self, *arguments: str, check: bool = True, cwd: Path = ROOT, seconds: float = 300
    ) -> "subprocess.CompletedProcess[str]":
        """Run `docker …` to its end, with both streams in one."""
        return self.run(["docker", *arguments], check=check, cwd=cwd, seconds=seconds)

    def run(
        self,
        command: Sequence[str],
        *,
        check: bool,
        cwd: Path,
        seconds: float = 300,
        said: str = "",
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command that asks this engine."""
        done = subprocess.run(
            command,
            cwd=cwd,
            env=self.environment,
            input=said,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check:
            words = " ".join(command)
            assert done.returncode == 0, (
                f"{words}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
            )
        return done

    def allow(self, user: int) -> None:
        """Let somebody who is not root ask this engine, as members of the group `docker` may."""
        self.folder.chmod(0o711)
        for path in (self.folder / "docker.sock", self.clients, *self.clients.rglob("*")):
            os.chown(path, user, user)

    def inside(self, *command: str, seconds: float = 30) -> "subprocess.CompletedProcess[str]":
        """Run a command of this machine in the engine's network, where ports are published."""
        return self.run(
            ["nsenter", "--target", str(self.process), "--net", *command],
            check=False,
            cwd=ROOT,
            seconds=seconds,
        )


@contextmanager
def engine(store: str) -> Iterator[Engine]:
    """An engine with nothing in it; at the end nothing of it is left, neither process nor mount."""
    ensure_possible()
    made = Engine(Path(mkdtemp(prefix="engine-")), store)
    try:
        made.start()
        yield made
    finally:
        made.end()
        shutil.rmtree(made.folder)


def ensure_possible() -> None:
    """Skip the test where no engine can be started: in CI that is a failure."""
    if os.getuid():
        missing("only root can start a container engine")
    if not (PROGRAMS / "sbin" / "dockerd").exists() or not COMPOSE.exists():
        missing("no container engine here; .ci/install-engine and .ci/install-compose bring it")
    if not Path("/sys/fs/cgroup/memory").exists():
        missing("the engine is started by control groups of version 1, and this machine has none")
    for name in ("iptables", "mmdebstrap", "unshare", "nsenter", "setpriv", "ip"):
        program(name, f"{name} is missing; .ci/install-engine brings it")
