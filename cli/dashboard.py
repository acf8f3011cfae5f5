"""`shop dashboard`: the pages for Finance, live, on this machine."""

import errno
import http.client
import ipaddress
import reprlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import psutil
import typer

from cli.composition import require_home
from cli.console import log_to_stderr, out
from cli.follower import Follower
from cli.login import Login, is_loopback, login_of
from cli.settings import Settings
from cli.telemetry import telling
from domain.errors import ShopError

FIRST_PORT = 8501
PORTS_TRIED = 100
ANSWERS_WITHIN_SECONDS = 60.0
STOP_WITHIN_SECONDS = 5.0
CUT_OFF_AFTER_SECONDS = 1.0
_LOOK_EVERY_SECONDS = 0.1


def dashboard(
    address: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0 lets other machines in, with a login.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The page's port; else the setting, 8501 or free."),
    ] = None,
    without_login: Annotated[
        bool,
        typer.Option("--without-login", help="Where none is set, let in whoever reaches it."),
    ] = False,
) -> None:
    """Show revenue, orders, and how all does, live, until SIGTERM or Ctrl-C.

    With SQLite it keeps the projections up to date itself; with Postgres `shop run projector` does,
    and the dashboard reads what is there.

    Raises:
        ShopError: other machines could look without a login, the login is set in part only, the
            port is taken, or the page's server ended by itself.
    """
    settings = Settings()
    require_home(settings)
    login, base_path = login_of(settings), settings.dashboard_base_path
    _refuse_an_open_door(address, login, without_login)
    wanted = port or settings.dashboard_port
    chosen = first_free(address, wanted)
    follower = None
    if not settings.on_postgres:
        # There the projector is a service of its own, and the dashboard may only read.
        follower = Follower(settings.database("event_log"), settings.database("report"))
    log_to_stderr("dashboard")
    with telling("dashboard"), _asked_to_end() as ending:
        # Begun before the follower's thread, and ended whatever happens.
        server = _serve(address, chosen)
        try:
            if follower is not None:
                follower.start()
            local = f"{page_url(address, chosen)}{base_path}"
            if _wait_until_it_answers(server, local, ending):
                page = login.page if login else local
                out.print(f"The Revenue page is at {page}", highlight=False)
                _wait_for_the_end(server, follower, ending)
        finally:
            _end(server)
            if follower is not None:
                follower.stop(CUT_OFF_AFTER_SECONDS)


def _refuse_an_open_door(address: str, login: Login | None, without_login: bool) -> None:
    if login is not None:
        return
    try:
        open_to_others = not is_loopback(address)
    except (OSError, UnicodeError) as error:
        raise _no_address(address, error) from error
    if open_to_others and not without_login:
        raise ShopError(
            f"at {address} other machines could look without a login: set SHOP_OIDC_METADATA_URL "
            "and the others that `shop settings` lists for one, or leave --address out. Give "
            "--without-login only where nobody else gets to that address: in a container whose "
            "port is published on 127.0.0.1"
        )


@contextmanager
def _asked_to_end() -> Iterator[threading.Event]:
    """An event that SIGTERM, Ctrl-C or a closed terminal sets."""
    ending = threading.Event()
    before = {}
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Whoever started this with nohup wants it to outlive the terminal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, lambda *_: ending.set())
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _serve(address: str, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli.dashboard_server", address, str(port)],
        # Never written to: that it is closed when this process ends is what the server waits for.
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        # A Ctrl-C in the terminal is for this process, which ends the server in turn.
        start_new_session=True,
    )


def _wait_until_it_answers(
    server: subprocess.Popen[bytes], page: str, ending: threading.Event
) -> bool:
    """Whether it answers; not if this process is asked to end before."""
    for _ in range(int(ANSWERS_WITHIN_SECONDS / _LOOK_EVERY_SECONDS)):
        if server.poll() is not None:
            _say_it_ended(server)
        if _answers(page) and _listens(server, urlsplit(page).port):
            return True
        if ending.wait(_LOOK_EVERY_SECONDS):
            return False
    raise ShopError(
        f"the page's server didn't answer at {page} for {ANSWERS_WITHIN_SECONDS:g} s; what it "
        "said is above"
    )


def _wait_for_the_end(
    server: subprocess.Popen[bytes], follower: Follower | None, ending: threading.Event
) -> None:
    while not ending.wait(_LOOK_EVERY_SECONDS):
        if server.poll() is not None:
            _say_it_ended(server)
        if follower is not None and not follower.is_alive():
            # A page that says it is live must not stand still.
            raise ShopError("following the event log came to an unexpected end; why is above")


def _say_it_ended(server: subprocess.Popen[bytes]) -> NoReturn:
    raise ShopError(
        f"the page's server ended by itself with exit code {server.returncode}; what it said is "
        "above. Start `shop dashboard` again"
    )


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(STOP_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    if server.stdin is not None:
        server.stdin.close()


def _answers(page: str) -> bool:
    # http.client and not urllib: a proxy that is set in the environment has no part in this.
    where = urlsplit(page)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=1)
    try:
        connection.request("GET", f"{where.path}/_stcore/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _listens(server: subprocess.Popen[bytes], port: int | None) -> bool:
    """Whether it is our server that has the port, and not one that was a moment faster."""
    try:
        connections = psutil.Process(server.pid).net_connections("inet")
    except psutil.Error:
        return server.poll() is None
    return any(
        each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections
    )


def first_free(address: str, wanted: int | None) -> int:
    """The wanted port, or the first one from 8501 on that nobody listens on.

    Raises:
        ShopError: the wanted port is taken, or all that were tried.
    """
    candidates = [wanted] if wanted else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)
    for port in candidates:
        if _is_free(address, port):
            return port
    taken = f"port {wanted} is" if wanted else f"ports {FIRST_PORT} and the next {PORTS_TRIED} are"
    raise ShopError(
        f"{taken} taken at {address}: stop what listens there, or name another with --port or "
        "SHOP_DASHBOARD_PORT"
    )


def _is_free(address: str, port: int) -> bool:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind(where)
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            return False
        raise _no_address(f"{address}:{port}", error) from error
    return True


def _no_address(address: str, error: OSError | UnicodeError) -> ShopError:
    # Python reads a name by its rules for names before the system does, and refuses some.
    why = error.strerror if isinstance(error, OSError) else "it is no host's name"
    return ShopError(f"{reprlib.repr(address)} can't be listened on: {why}")


def _host(address: str) -> str:
    """Where a browser on this machine finds what listens at `address`."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if not known.is_unspecified:
        return address
    return "127.0.0.1" if known.version == 4 else "::1"


def page_url(address: str, port: int) -> str:
    """Where a browser on this machine finds the page."""
    host = _host(address)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
