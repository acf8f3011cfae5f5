"""A PgBouncer in front of a Postgres server."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.contract.server import PostgresServer
from tests.ports import free_port
from tests.programs import program
from tests.waiting import wait_for

_CONFIG = """
[databases]
* = host={server.folder} port={server.port} user=shop
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
{more}
"""


def pgbouncer() -> str:
    """Where PgBouncer is."""
    return program(
        "pgbouncer", "there is no pgbouncer here to be the pooler; .ci/install-pgbouncer brings it"
    )


@contextmanager
def pooler(server: PostgresServer, folder: Path, mode: str, more: str = "") -> Iterator[str]:
    """Run one; gives the address of the server's database by it."""
    port = free_port()
    if server._user:
        # It refuses to run as root, too.
        shutil.chown(folder, server._user["user"], server._user["group"])
    config = folder / "pgbouncer.ini"
    config.write_text(_CONFIG.format(server=server, port=port, mode=mode, more=more))
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [pgbouncer(), str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            **server._user,
        )
    url = f"postgresql://shop@127.0.0.1:{port}/postgres"

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            return False
        return True

    try:
        wait_for(answers, "PgBouncer starts")
        yield url
    finally:
        process.terminate()
        process.wait(30)
