"""``shop broker start|stop|status``, and the broker that other commands ask for."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from cli.composition import local_broker, named_servers
from cli.console import WITH_BAR
from cli.settings import Settings
from transport.clients import cluster_id
from transport.local_broker import KAFKA_VERSION, BrokerStatus, LocalBroker
from transport.servers import Servers

REACH_WITHIN = 10.0
"""Seconds that a broker which is there already has to answer."""
NOT_RUNNING = 3
"""``status``'s exit code where no broker runs, as service managers have it."""

broker_app = typer.Typer(
    help="The local Kafka broker, or the one that KAFKA_BOOTSTRAP_SERVERS names.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@dataclass(frozen=True)
class BrokerHandle:
    """A broker that can be used now."""

    bootstrap_servers: Servers
    started_here: bool
    """This call started it; who wants to leave things as they were then stops it."""
    _stop: Callable[[], bool]

    def stop(self) -> bool:
        """End the broker if it is the local one; whether there was one to end.

        Raises:
            BrokerError: another start or stop doesn't come to an end.
        """
        return self._stop()


def ensure_broker(settings: Settings, console: Console) -> BrokerHandle:
    """A broker that is ready: the named one, or the home's own, started if need be.

    Args:
        settings: where the home, the jars and the broker are.
        console: where the download's progress and notices go; a bar only on a terminal.

    Raises:
        BrokerError: the named broker can't be reached, or the local one can't be started.
        JarError: one of the local broker's jars can't be downloaded.
    """
    named = named_servers(settings)
    if named:
        cluster_id(named, REACH_WITHIN)
        return BrokerHandle(named, started_here=False, _stop=lambda: False)
    broker = local_broker(settings)
    status = _start(broker, console)
    assert status.bootstrap_servers is not None  # noqa: S101 - a ready broker has an address
    return BrokerHandle(status.bootstrap_servers, status.started, broker.stop)


@broker_app.command()
def start(as_json: Json = False) -> None:
    """Start the local broker and wait until a record can be written and read back."""
    settings = Settings()
    named = named_servers(settings)
    if named:
        _say_external(named, as_json=as_json)
        return
    status = _start(local_broker(settings), Console(stderr=True))
    if as_json:
        _print_json(_described(status))
    else:
        done = "is ready" if status.started else "was running already"
        typer.echo(
            f"Kafka {KAFKA_VERSION} {done} at {status.bootstrap_servers} (process {status.pid})."
        )


@broker_app.command()
def stop(as_json: Json = False) -> None:
    """Stop the local broker; its data stay."""
    settings = Settings()
    if settings.bootstrap_servers:
        said = (
            f"KAFKA_BOOTSTRAP_SERVERS names {settings.bootstrap_servers}; "
            "that broker isn't this project's to stop."
        )
        stopped = False
    else:
        stopped = local_broker(settings).stop()
        said = "Kafka was stopped." if stopped else "No broker was running."
    if as_json:
        _print_json({"stopped": stopped})
    else:
        typer.echo(said)


@broker_app.command()
def status(as_json: Json = False) -> None:
    """Say whether the broker runs and is ready; exit code 0 if it runs, 3 if not."""
    settings = Settings()
    named = named_servers(settings)
    if named:
        _say_external(named, as_json=as_json)
        return
    found = local_broker(settings).status()
    if as_json:
        _print_json(_described(found))
    elif found.running:
        state = "is ready" if found.ready else "runs, but doesn't answer (yet)"
        typer.echo(
            f"Kafka {KAFKA_VERSION} {state} at {found.bootstrap_servers} (process {found.pid}).\n"
            f"Cluster {found.cluster_id}, data in {found.data}, log in {found.log}"
        )
    else:
        typer.echo(
            f"No broker is running in {settings.home}. `shop broker start` starts Kafka "
            f"{KAFKA_VERSION} there."
        )
    if not found.running:
        raise typer.Exit(NOT_RUNNING)


def _start(broker: LocalBroker, console: Console) -> BrokerStatus:
    with _download(console) as progress:
        started = broker.start(progress)
    if started.notice:
        console.print(started.notice, style="yellow", markup=False, highlight=False)
    return started


def _say_external(servers: Servers, *, as_json: bool) -> None:
    found = cluster_id(servers, REACH_WITHIN)
    if as_json:
        _print_json(
            {
                "running": True,
                "ready": True,
                "local": False,
                "bootstrap_servers": str(servers),
                "cluster_id": found,
            }
        )
    else:
        typer.echo(
            f"The broker at {servers}, which KAFKA_BOOTSTRAP_SERVERS names, answers and "
            "is used; no local one is started."
        )


def _described(status: BrokerStatus) -> dict[str, Any]:
    return {
        "running": status.running,
        "ready": status.ready,
        "local": True,
        "bootstrap_servers": status.bootstrap_servers,
        "cluster_id": status.cluster_id,
        "pid": status.pid,
        "version": KAFKA_VERSION,
        "data": str(status.data),
        "log": str(status.log),
        "started": status.started,
        "notice": status.notice,
    }


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


class _Line:
    """A download's progress where nobody watches: one line that it began."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def start(self, total_bytes: int) -> None:
        self._console.print(_title(total_bytes), highlight=False)

    def advance(self, count: int) -> None:
        """Say nothing: a log isn't the place for a moving figure."""


class _Bar:
    """A download's progress on a terminal."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def start(self, total_bytes: int) -> None:
        # The bar appears with the download: where nothing is missing there is none.
        self._bar.start()
        self._task = self._bar.add_task(f"Kafka {KAFKA_VERSION}", total=total_bytes)

    def advance(self, count: int) -> None:
        if self._task is not None:
            self._bar.advance(self._task, count)


@contextmanager
def _download(console: Console) -> Iterator[_Line | _Bar]:
    if not console.is_terminal:
        yield _Line(console)
        return
    rest = (BarColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    bar = Progress(
        TextColumn("{task.description}"),
        DownloadColumn(),
        *(rest if console.width >= WITH_BAR else ()),
        console=console,
    )
    try:
        yield _Bar(bar)
    finally:
        bar.stop()


def _title(total_bytes: int) -> str:
    return f"Downloading Kafka {KAFKA_VERSION}: {total_bytes / 1e6:.0f} MB, once."
