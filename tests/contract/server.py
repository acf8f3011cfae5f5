"""A Postgres server of the tests' own: Debian's, in a temporary folder, ended by its pid."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg

from event_log.postgres import PostgresSchema
from tests.ports import free_port
from tests.waiting import wait_for

INSTALL = (
    "the tests of both databases need Postgres' own programs: install Debian's package postgresql "
    "(`.ci/install-postgres` does), or put initdb and postgres on the PATH"
)


def program(name: str, folders: Iterable[Path] | None = None) -> str:
    """Where a program of Postgres is: on the PATH, or where Debian puts the newest."""
    if folders is None:
        folders = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(folders, key=lambda folder: float(folder.parent.name), reverse=True)
    where = [os.environ.get("PATH", os.defpath), *map(str, newest)]
    found = shutil.which(name, path=os.pathsep.join(where))
    assert found, INSTALL
    return found


def nobody_of(folder: Path) -> dict[str, Any]:
    """As whom a program runs that refuses to be root, and has a folder: options of `subprocess`."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


class PostgresServer:
    """A server on a socket in its folder and on 127.0.0.1, where the password is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password = secrets.token_hex(8)
        self.port = free_port()
        self._user = nobody_of(folder)
        self._fill()
        self.start()

    def _fill(self) -> None:
        folder = self.folder
        password = folder / "password"
        password.write_text(self.password)
        password.chmod(0o644)
        done = subprocess.run(
            [
                *(program("initdb"), "--pgdata", str(folder / "data"), "--username", "shop"),
                *("--auth-local", "trust", "--auth-host", "scram-sha-256", "--pwfile", password),
                # A language's order of words is not the order of bytes, which the project means.
                *("--encoding", "UTF8", "--locale", "C.UTF-8"),
                *("--locale-provider", "icu", "--icu-locale", "en-US", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            **self._user,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(program("postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)),
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
        return len(lines) > 7 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    def stop(self) -> None:
        """End it, and the connections to it."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

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


class Standby(PostgresServer):
    """A server that repeats what another one does, and can be read meanwhile."""

    def __init__(self, folder: Path, primary: PostgresServer) -> None:
        self._primary = primary
        super().__init__(folder)
        self.password = primary.password

    def _fill(self) -> None:
        done = subprocess.run(
            [
                *(program("pg_basebackup"), "--pgdata", str(self.folder / "data")),
                *("--host", str(self._primary.folder), "--port", str(self._primary.port)),
                *("--username", "shop", "--write-recovery-conf", "--checkpoint", "fast"),
                "--no-sync",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            **self._user,
        )
        assert done.returncode == 0, done.stderr

    def catch_up(self) -> None:
        """Wait until it has all that the other one has by now."""
        with psycopg.connect(self._primary.url(), autocommit=True) as connection:
            (end,) = connection.execute("SELECT pg_current_wal_lsn()").fetchone() or (None,)
        with psycopg.connect(self.url(), autocommit=True) as connection:

            def is_there() -> bool:
                said = connection.execute(
                    "SELECT pg_last_wal_replay_lsn() >= CAST(%s AS pg_lsn)", (end,)
                )
                return said.fetchone() == (True,)

            wait_for(is_there, "the standby catches up")
