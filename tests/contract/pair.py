"""A Postgres server and its standby, under one address: whichever of them takes writes is meant."""

import signal
from pathlib import Path
from shutil import rmtree

from event_log.postgres import PostgresSchema
from tests.contract.server import PostgresServer
from tests.ports import free_ports
from tests.waiting import wait_for


class Pair:
    """Two ports, on one of which there is a server, and on the other at times its standby."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = free_ports(2)
        self._made: list[PostgresServer] = []
        self.primary = self._server(self._ports[0])

    @property
    def url(self) -> str:
        """The address of both, as docs/operations.md has it."""
        hosts = "&".join(f"host=127.0.0.1:{port}" for port in self._ports)
        return f"postgresql://shop@/postgres?{hosts}&target_session_attrs=read-write"

    def place(self, schema: str) -> PostgresSchema:
        """A schema, wherever it is at the time."""
        return PostgresSchema(self.url.replace("shop@", f"shop:{self.primary.password}@"), schema)

    def standby(self, *, synchronous: bool) -> PostgresServer:
        """A standby that has all that was committed; or whatever it has got."""
        (port,) = {*self._ports} - {self.primary.port}
        made = self._server(port, follows=self.primary)
        if synchronous:
            self.primary.set("synchronous_standby_names", "*")
        wanted = "sync" if synchronous else "async"
        query = "SELECT sync_state FROM pg_stat_replication"
        wait_for(lambda: self.primary.found(query) == [(wanted,)], "the standby follows")
        return made

    def cut(self, standby: PostgresServer) -> None:
        """Have the standby get nothing more."""
        standby.set("primary_conninfo", "")
        query = "SELECT count(*) FROM pg_stat_wal_receiver"
        wait_for(lambda: standby.found(query) == [(0,)], "the standby is cut off")

    def fail_over(self, standby: PostgresServer) -> None:
        """The server crashes, and the standby takes over."""
        self.primary.stop(signal.SIGQUIT)
        former, self.primary = self.primary, standby
        standby.run("SELECT pg_promote()")
        query = "SELECT pg_is_in_recovery()"
        wait_for(lambda: standby.found(query) == [(False,)], "the standby takes over")
        rmtree(former.folder)

    def close(self) -> None:
        for each in self._made:
            if each.process.poll() is None:
                each.stop(signal.SIGQUIT)

    def _server(self, port: int, follows: PostgresServer | None = None) -> PostgresServer:
        folder = self._folder / str(len(self._made))
        folder.mkdir()
        self._made.append(PostgresServer(folder, port, follows))
        return self._made[-1]
