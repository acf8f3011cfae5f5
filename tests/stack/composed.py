"""The services of compose.yaml as processes of this machine.

Each is started by its own command, in its own environment, once what it depends on is as far as
the file says, and is up when its own health check says so. What containers bring is put in their
place: host names become 127.0.0.1 and a free port, and each mount a folder. Kafka and Postgres run
from what this machine has of them, with the configuration that the file gives them.
"""

import graphlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import yaml

from tests.conftest import ROOT
from tests.stack.images import IMAGES, Place
from tests.waiting import wait_for
from tests.warm import POSSIBLE, Warm

PROGRAMS = {"shop": [sys.executable, "-m", "cli.start"], "python": [sys.executable]}
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
"""What compose takes from the environment of its caller, or else from the file."""
UP_WITHIN_SECONDS = 120
ENDS_WITHIN_SECONDS = 40


@dataclass
class Composed:
    """The project of a compose file; what it starts is in `folder`, and ended by `close`."""

    folder: Path
    config: dict[str, Any] = field(default_factory=lambda: one_file())
    more: dict[str, str] = field(default_factory=dict)
    """Variables beside those of the file, for all services."""
    running: dict[str, list["subprocess.Popen[str]"]] = field(default_factory=dict)
    _mounts: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.services: dict[str, dict[str, Any]] = self.config["services"]
        self.place = Place(self.folder, self.services)
        for name, service in self.services.items():
            networks = service.get("networks", {})
            if isinstance(networks, dict):
                for network in networks.values():
                    for alias in (network or {}).get("aliases", ()):
                        self.place.alias(name, alias)

    def up(self, without: Iterable[str] = ()) -> None:
        """Start all that no profile is asked for, in order, and wait until all are healthy."""
        wanted = {
            name: service for name, service in self.services.items() if not service.get("profiles")
        }
        depends = {name: set(service.get("depends_on", ())) for name, service in wanted.items()}
        for name in graphlib.TopologicalSorter(depends).static_order():
            if name not in without:
                self.start(name)
        for name in wanted:
            if name not in without and "healthcheck" in self.services[name]:
                self.wait_until_healthy(name)

    def start(self, name: str) -> None:
        """Start a service once what it depends on is far enough; a one-shot is run to its end."""
        for other, how in self.services[name].get("depends_on", {}).items():
            self._wait_for(other, how["condition"])
        if self.services[name]["restart"] == "no":
            done = self.run(name)
            assert done.returncode == 0, f"{name}: {done.stdout}\n{done.stderr}"
            self.running[name] = []
            return
        log = (self.folder / "logs" / f"{name}.log").open("ab")
        with log:
            process = self._started(self.command(name), name, stdout=log, stderr=log)
        self.running.setdefault(name, []).append(process)

    def run(
        self, name: str, command: Sequence[str] | None = None, seconds: float = 280
    ) -> "subprocess.CompletedProcess[str]":
        """`docker compose run NAME [COMMAND]`."""
        words = self._localized(name, command) if command else self.command(name)
        with self._started(words, name, stdout=PIPE, stderr=PIPE) as process:
            try:
                out, err = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def wait_until_healthy(self, name: str) -> None:
        """Run a service's health check until it says that it is up."""
        last: list[str] = []

        def healthy() -> bool:
            self.ensure_alive(name)
            done = self.check_health(name)
            last[:] = [done.stdout + done.stderr]
            return done.returncode == 0

        try:
            wait_for(healthy, f"{name} is healthy", UP_WITHIN_SECONDS, 0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}\n{self.log(name)[-3000:]}") from None

    def check_health(self, name: str) -> "subprocess.CompletedProcess[str]":
        """A service's own health check, once."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD", "each health check is a command without a shell"
        return self.run(name, command, 60)

    def ensure_alive(self, name: str) -> None:
        for process in self.running[name]:
            assert process.poll() is None, f"{name} ended: {self.log(name)[-3000:]}"

    def ensure_all_alive(self) -> None:
        for name in self.running:
            self.ensure_alive(name)

    def scale(self, name: str, count: int) -> None:
        """Have so many processes of a service; those that are too many get SIGTERM."""
        while len(self.running[name]) < count:
            self.start(name)
        for process in self.running[name][count:]:
            process.terminate()
            process.wait(ENDS_WITHIN_SECONDS)
        del self.running[name][count:]

    def kill(self, name: str) -> None:
        """End a process of a service on the spot, and start it again, as its policy says."""
        process = self.running[name].pop()
        process.send_signal(self._image(name).kill)
        process.wait()
        self.start(name)

    def environment(self, name: str) -> dict[str, str]:
        """A service's variables, and of this process's only what any program needs."""
        base = {
            key: value
            for key, value in os.environ.items()
            if key in ("PATH", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
        }
        said = {
            key: self._text(name, str(value))
            for key, value in self.services[name].get("environment", {}).items()
            # Without a value it is what compose finds in the caller's environment: `more` here.
            if value is not None
        }
        return {**base, "PYTHONUNBUFFERED": "1", **said, **self.more, **self._image(name).variables}

    def command(self, name: str) -> list[str]:
        """What a service is started by."""
        service = self.services[name]
        words = [*(service.get("entrypoint") or ()), *(service.get("command") or ())]
        return self._image(name).command(self._localized(name, words))

    def log(self, name: str) -> str:
        """All that a service wrote."""
        file = self.folder / "logs" / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def secrets(self, principal: str) -> Path:
        """The folder of a principal's secrets."""
        return self.folder / "volumes" / "secrets" / "principals" / principal

    def stop(self, name: str) -> list[int]:
        """SIGTERM to a service's processes; their exit codes."""
        self._ask_to_end(name)
        codes = []
        for process in self.running.pop(name, []):
            try:
                codes.append(process.wait(ENDS_WITHIN_SECONDS))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append(process.wait())
        return codes

    def close(self) -> None:
        """Stop all, those that others depend on last."""
        needed = {"kafka", "postgres"}
        for name in self.running.keys() - needed:
            self._ask_to_end(name)
        for name in sorted(self.running, key=needed.__contains__):
            self.stop(name)

    def _started(self, words: list[str], name: str, **streams: Any) -> "subprocess.Popen[str]":
        shop = PROGRAMS["shop"]
        if POSSIBLE and words[: len(shop)] == shop:
            streams = {"stdin": DEVNULL, **streams}
            return Warm(words[len(shop) :], self.environment(name), **streams)
        return subprocess.Popen(
            words,
            cwd=ROOT,
            env=self.environment(name),
            stdin=DEVNULL,
            text=True,
            **streams,
            **self._user(name),
        )

    def _ask_to_end(self, name: str) -> None:
        for process in self.running.get(name, []):
            process.send_signal(self._image(name).stop)

    def _wait_for(self, name: str, condition: str) -> None:
        assert name in self.running, f"{name} was not started"
        if condition == "service_healthy":
            self.wait_until_healthy(name)
        else:
            # A one-shot was run to its end when it was started.
            assert condition == "service_completed_successfully", condition
            assert self.services[name]["restart"] == "no"

    def _image(self, name: str) -> Any:
        image = self.services[name]["image"].partition(":")[0]
        return IMAGES[image](self, name)

    def _user(self, name: str) -> Mapping[str, Any]:
        user: Mapping[str, Any] = self._image(name).user
        return user

    def _localized(self, name: str, words: Sequence[str]) -> list[str]:
        program, *arguments = (self._text(name, word) for word in words)
        return [*PROGRAMS.get(program, [program]), *arguments]

    def _text(self, name: str, text: str) -> str:
        plain = VARIABLE.sub(lambda found: self.more.get(found[1], found[2]), text)
        return self.place.localized(plain.replace("$$", "$"), name, self.mounts(name))

    def mounts(self, name: str) -> dict[str, str]:
        """By path in the container, the folder that stands for it; made when first asked for."""
        if name not in self._mounts:
            self._mounts[name] = self._make_mounts(name)
        return self._mounts[name]

    def _make_mounts(self, name: str) -> dict[str, str]:
        found = {"/tmp": self.folder / "tmp" / name}  # noqa: S108 the container's
        for mount in self.services[name].get("volumes", ()):
            source = self.folder / "volumes" / mount["source"]
            found[mount["target"]] = source / mount.get("volume", {}).get("subpath", "")
            # Below it nothing is made: no engine would, and a service would not start.
            source.mkdir(parents=True, exist_ok=True)
        found["/tmp"].mkdir(parents=True, exist_ok=True)  # noqa: S108
        (self.folder / "logs").mkdir(exist_ok=True)
        known = {target: str(path) for target, path in found.items()}
        if self._image(name).files:
            known["/etc/shop"] = str(self._files(name, known))
        return known

    def _files(self, name: str, mounts: Mapping[str, str]) -> Path:
        """The files that an image of ours has at /etc/shop, as they must be on this machine."""
        target = self.folder / "files" / name
        target.mkdir(parents=True)
        source = ROOT / self._image(name).files
        for file in sorted({*source.iterdir()} - {source / "Dockerfile"}):
            text = self.place.localized(file.read_text(), name, mounts)
            (target / file.name).write_text(text)
        return target


def one_file() -> dict[str, Any]:
    """What compose.yaml says by itself."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found
