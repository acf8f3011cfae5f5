"""A PgBouncer in front of a Postgres server."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.conftest import MISSING_FAILS
from tests.contract.server import PostgresServer
from tests.ports import free_port
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


def program() -> str:
    """Where PgBouncer is; without it the test is skipped, and in CI that is a failure."""
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        reason = "there is no pgbouncer here to be the pooler; .ci/install-pgbouncer brings it"
        if os.environ.get(MISSING_FAILS):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


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
            [program(), str(config)],
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
