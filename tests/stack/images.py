"""What the images of compose.yaml bring, taken from what this machine has."""

import os
import pwd
import re
import shlex
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from cli.settings import Settings
from tests.contract.server import program
from tests.ports import free_ports
from transport.local_broker.jars import fetch_jars
from transport.local_broker.java import Jvm, java_executable

PORTS = ("5432", "8501", "9092", "9093")
"""Those that services listen on; a host and such a port are 127.0.0.1 and a port of its own."""


class Place:
    """Where containers' host names, ports and paths are on this machine."""

    def __init__(self, folder: Path, hosts: Iterable[str]) -> None:
        """Give each of the services `hosts` a port of its own for each of theirs."""
        self.kafka_programs = folder / "kafka"
        wanted = [(host, port) for host in hosts for port in PORTS]
        self._ports = dict(zip(wanted, map(str, free_ports(len(wanted))), strict=True))
        self._aliases: dict[str, str] = {}

    def alias(self, host: str, alias: str) -> None:
        """Let a service be found by another name too."""
        self._aliases.setdefault(alias, host)

    def port(self, host: str, port: str) -> str:
        """Where a service listens that says it is at `port`."""
        return self._ports[self._aliases.get(host, host), port]

    def localized(self, text: str, host: str, mounts: Mapping[str, str]) -> str:
        """A text of service `host` with what is meant in a container put as it is here."""
        paths = {"/opt/kafka/bin": str(self.kafka_programs), **mounts}
        hosts = sorted({*self._aliases, *(name for name, _ in self._ports)}, reverse=True)
        ports = "|".join(PORTS)
        known = [
            *(rf"(?<![\w/]){re.escape(each)}(?![\w.-])" for each in sorted(paths, reverse=True)),
            rf"(?P<host>\b(?:{'|'.join(hosts)}))(?::(?P<at>{ports})\b|(?<=@postgres)(?=/))",
            rf"\b(?P<own>{ports})\b",
        ]

        def put(found: re.Match[str]) -> str:
            if found["host"]:
                return f"127.0.0.1:{self.port(found['host'], found['at'] or '5432')}"
            return self.port(host, found["own"]) if found["own"] else paths[found[0]]

        return re.sub("|".join(known), put, text)


class Image:
    """A program that is here as it is in the container."""

    stop: ClassVar[int] = signal.SIGTERM
    kill: ClassVar[int] = signal.SIGKILL
    variables: ClassVar[Mapping[str, str]] = {}
    user: ClassVar[Mapping[str, Any]] = {}
    files: ClassVar[str] = ""
    """The folder of what it has at /etc/shop."""

    def __init__(self, composed: Any, name: str) -> None:
        self.composed = composed
        self.name = name

    def command(self, words: Sequence[str]) -> Sequence[str]:
        return words


class Kafka(Image):
    """Kafka's own start scripts, over the project's jars."""

    files = "deploy/kafka"

    def command(self, words: Sequence[str]) -> Sequence[str]:
        folder = self.composed.place.kafka_programs
        if not folder.exists():
            folder.mkdir()
            jars = Settings().jars
            jvm = Jvm(java_executable(), fetch_jars(jars), jars)
            for script, main in (
                ("kafka-storage.sh", "kafka.tools.StorageTool"),
                ("kafka-server-start.sh", "kafka.Kafka"),
            ):
                java, *rest = map(shlex.quote, jvm.command(main))
                file = folder / script
                file.write_text(f'#!/bin/sh\nexec {java} $KAFKA_LOG4J_OPTS {" ".join(rest)} "$@"\n')
                file.chmod(0o755)
        return words


class Postgres(Image):
    """Debian's server; its data are made at the first start, as the image does it."""

    # It ends the connections and then itself, as the image says.
    stop = signal.SIGINT
    # To itself and all that it started, without writing anything: as if the machine went away.
    kill = signal.SIGQUIT

    @property
    def user(self) -> Mapping[str, Any]:  # type: ignore[override]
        if os.getuid():
            return {}
        nobody = pwd.getpwnam("nobody")
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    @property
    def variables(self) -> Mapping[str, str]:  # type: ignore[override]
        return {"PGPORT": self.composed.place.port(self.name, "5432")}

    def command(self, words: Sequence[str]) -> Sequence[str]:
        if words[0] != "postgres":
            return [program(words[0]), *words[1:]]
        data = self._folder / "data"
        if not data.exists():
            self._make(data)
        return [
            *(
                program("postgres"),
                "-D",
                str(data),
                "-p",
                self.composed.place.port(self.name, "5432"),
            ),
            *("-k", str(self._folder), "-c", "listen_addresses=127.0.0.1", *words[1:]),
        ]

    @property
    def _folder(self) -> Path:
        return Path(self.composed.mounts(self.name)["/var/lib/postgresql"])

    def _make(self, data: Path) -> None:
        said = self.composed.services[self.name]["environment"]
        mounts = self.composed.mounts(self.name)
        password = self._folder / "password"
        secret = self.composed.place.localized(said["POSTGRES_PASSWORD_FILE"], self.name, mounts)
        password.write_text(Path(secret).read_text())
        if self.user:
            for path in (self._folder, password):
                os.chown(path, self.user["user"], self.user["group"])
        self._run(
            *(program("initdb"), "--pgdata", str(data), "--username", said["POSTGRES_USER"]),
            *("--pwfile", str(password), *shlex.split(said["POSTGRES_INITDB_ARGS"])),
            *("--locale", "C.UTF-8", "--no-sync"),
        )
        password.unlink()
        create = f'CREATE DATABASE "{said["POSTGRES_DB"]}"'
        self._run(program("postgres"), "--single", "-D", str(data), "postgres", said=create)

    def _run(self, *command: str, said: str = "") -> None:
        done = subprocess.run(
            command,
            input=said,
            capture_output=True,
            text=True,
            cwd=self._folder,
            check=False,
            **self.user,
        )
        assert done.returncode == 0, done.stdout + done.stderr


IMAGES: Mapping[str, type[Image]] = {
    "order-to-revenue": Image,
    "order-to-revenue-kafka": Kafka,
    "postgres": Postgres,
}
