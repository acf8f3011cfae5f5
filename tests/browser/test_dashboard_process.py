"""`shop dashboard` as a process: where it listens, and that it leaves nothing behind."""

import os
import signal
import socket
import subprocess
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.browser.conftest import COMMAND, running_dashboard

ROOT = Path(__file__).parents[2]
EVERYWHERE = "0.0.0.0"  # noqa: S104 where it is refused, or asked for


def refused(home: Path, *options: str, **environment: str) -> str:
    done = subprocess.run(
        [*COMMAND, *options],
        env={**os.environ, "SHOP_HOME": str(home), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def listening(address: str = "127.0.0.1") -> socket.socket:
    return socket.create_server((address, 0))


@pytest.mark.parametrize(
    ("number", "options", "address"),
    [
        (signal.SIGTERM, (), "127.0.0.1"),
        (signal.SIGINT, ("--address", EVERYWHERE, "--without-login"), EVERYWHERE),
        (signal.SIGHUP, ("--address", "localhost"), "127.0.0.1"),
    ],
)
def test_it_listens_where_it_was_asked_and_a_signal_ends_it_and_its_server(
    tmp_path, number, options, address
) -> None:
    with running_dashboard(tmp_path, *options) as dashboard:
        server = dashboard.server()
        addresses = {
            each.laddr.ip
            for each in server.net_connections("inet")
            if each.status == psutil.CONN_LISTEN
        }
        assert addresses == {address}
        if "localhost" in options:
            assert dashboard.url.startswith("http://localhost:")
        dashboard.process.send_signal(number)
        assert dashboard.process.wait(60) == 0
        assert not server.is_running()


def test_its_server_does_not_outlive_it_when_it_is_killed(tmp_path) -> None:
    with running_dashboard(tmp_path) as dashboard:
        server = dashboard.server()
        dashboard.process.kill()
        dashboard.process.wait(60)
        _, alive = psutil.wait_procs([server], timeout=60)
        # Where nobody reaps orphans, one that has ended stays in the list of processes.
        alive = [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
        for each in alive:
            each.kill()
        assert not alive


def test_when_its_server_dies_it_says_so_and_fails(tmp_path, capfd) -> None:
    with running_dashboard(tmp_path) as dashboard:
        dashboard.server().kill()
        assert dashboard.process.wait(60) == 1
    said = capfd.readouterr().err
    assert "ended by itself with exit code -9" in said
    assert "Traceback" not in said


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(tmp_path) -> None:
    with listening() as other:
        port = other.getsockname()[1]
        assert f"port {port} is taken" in refused(tmp_path, "--port", str(port))
        assert f"port {port} is taken" in refused(tmp_path, SHOP_DASHBOARD_PORT=str(port))


def test_without_a_port_the_next_free_one_is_taken(tmp_path) -> None:
    looking = {"looks_for_port": True}
    with (
        running_dashboard(tmp_path, **looking) as first,
        running_dashboard(tmp_path, **looking) as second,
    ):
        assert first.url != second.url
        for each in (first, second):
            asked = HTTPConnection(urlsplit(each.url).netloc, timeout=5)
            asked.request("GET", "/_stcore/health")
            assert asked.getresponse().status == 200
            asked.close()


def test_an_address_of_another_machine_is_an_error(tmp_path) -> None:
    said = refused(tmp_path, "--address", "192.0.2.1", "--without-login")
    assert "can't be listened on" in said


def test_without_a_login_it_listens_on_this_machine_only(tmp_path) -> None:
    said = refused(tmp_path, "--address", EVERYWHERE)
    assert "other machines could look without a login: set SHOP_OIDC_METADATA_URL" in said
    assert "--without-login only where nobody else gets to" in said


def test_half_a_login_is_refused(tmp_path) -> None:
    hushed = {"SHOP_OIDC_CLIENT_SECRET": "hush-hush"}
    said = refused(tmp_path, SHOP_OIDC_CLIENT_ID="dashboard", **hushed)
    assert (
        "set SHOP_OIDC_METADATA_URL, SHOP_OIDC_COOKIE_SECRET, SHOP_OIDC_REDIRECT_URI, "
        "SHOP_OIDC_ALLOWED, too"
    ) in said
    assert "hush-hush" not in said


def test_a_currency_without_accounts_is_an_error(tmp_path) -> None:
    assert "currency 'XXX'" in refused(tmp_path, SHOP_CURRENCY="XXX")
