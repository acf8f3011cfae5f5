"""An nginx in front of a dashboard, with the very lines that the documentation has for it."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from tests.programs import program
from tests.waiting import wait_for

BASE_PATH = "/shop/finance"
DOCUMENTED = "127.0.0.1:8501"
"""Where the dashboard is in the documentation."""

_CONFIG = """
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    log_format asked "$status $request_uri";
    access_log {folder}/access.log asked;
    {shared}
    server {{
        listen 127.0.0.1:{port};
        {locations}
        # Somebody else's.
        location / {{ return 404 "not the dashboard"; }}
    }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx: its port, and the folder that its log is in."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        """Where people find the dashboard."""
        return f"http://127.0.0.1:{self.port}{BASE_PATH}"

    def asked(self) -> list[tuple[int, str]]:
        """What was answered, and what had been asked for, of requests that are at their end."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return [(int(line[:3]), line[4:]) for line in lines]


def documented() -> list[str]:
    """The configuration that docs/operations.md has: what is shared, and what is the server's."""
    text = (ROOT / "docs" / "operations.md").read_text()
    return re.findall(r"^```nginx\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def nginx() -> str:
    """Where nginx is."""
    return program("nginx", "there is no nginx here to be the proxy; .ci/install-nginx brings it")


@contextmanager
def running_nginx(folder: Path, port: int, dashboard: int) -> Iterator[Nginx]:
    """Run it at a port, with the dashboard at another one."""
    shared, locations = documented()
    assert DOCUMENTED in locations
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder,
            port=port,
            shared=shared,
            locations=locations.replace(DOCUMENTED, f"127.0.0.1:{dashboard}"),
        )
    )
    # As root it would give its workers to a user who may not enter the folder.
    user = ["user root;"] if os.geteuid() == 0 else []
    command = [nginx(), "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
    process = subprocess.Popen([*command, "-g", " ".join(["daemon off;", *user])])
    made = Nginx(port, folder)
    try:
        wait_for(lambda: (folder / "pid").exists() or process.poll() is not None, "nginx", 60)
        assert process.poll() is None, (folder / "error.log").read_text()
        yield made
    finally:
        process.terminate()
        process.wait(15)
