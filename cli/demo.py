"""`shop demo`: everything, from an empty folder to a report that is right to the cent."""

import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from rich.console import Console

from cli.asking import Style, ask_all
from cli.broker import ensure_broker
from cli.composition import PROJECTOR, open_report, until_open
from cli.console import err, out
from cli.dashboard import first_free, page_url
from cli.place import Placed, place
from cli.report import By, table
from cli.settings import Settings
from cli.settled import wait_until_settled
from cli.supervisor import Supervisor
from reporting.report import in_its_currency, report
from transport.local_broker.interrupts import Interrupts
from transport.topics import create_topics

LOOPBACK = "127.0.0.1"

PURCHASES = Path(__file__).parent.parent / "data" / "CDNOW_master.txt"
"""The real purchases that the demo places."""


def demo(
    settings: Settings,
    file: Path,
    style: Style,
    limit: int | None,
    payments: int,
    *,
    stay: bool,
    data_set: str | None = None,
) -> Placed:
    """Run the main job: broker, topics, services, dashboard, all orders, and the report.

    Args:
        settings: the settings.
        file: the purchase file.
        style: how the order service talks to the payment service.
        limit: only so many orders, the first in date order.
        payments: how many payment processes to run at once.
        stay: whether to go on until interrupted, once the report is printed.
        data_set: the name its purchases are placed under; without it, the file's own.

    Raises:
        ShopError: something can't be done; all that was started is stopped.
    """
    with Interrupts() as interrupts:
        broker = ensure_broker(settings, err)
        supervisor = Supervisor(
            settings.home / "logs",
            {"KAFKA_BOOTSTRAP_SERVERS": str(broker.bootstrap_servers)},
            interrupts,
        )
        try:
            named = str(broker.bootstrap_servers)
            settings = settings.model_copy(update={"bootstrap_servers": named})
            create_topics(
                broker.bootstrap_servers,
                settings.partitions,
                settings.replication,
                settings.retention_days,
            )
            _start_services(supervisor, style, payments, projector=settings.on_postgres)
            port = first_free(LOOPBACK, settings.dashboard_port)
            supervisor.start("dashboard", "dashboard", "--port", str(port))
            began = time.monotonic()
            if style is Style.EVENTS:
                placed = place(settings, file, limit, check=supervisor.check, data_set=data_set)
            else:
                placed = ask_all(settings, file, style, limit, supervisor.check, data_set)
            wait_until_settled(settings, broker.bootstrap_servers, check=supervisor.check)
            seconds = time.monotonic() - began
            _print_report(settings)
            _say_what_came_of_it(err, placed, seconds)
            if stay:
                page = f"{page_url(LOOPBACK, port)}{settings.dashboard_base_path}"
                # Nothing touches the address: a terminal would make it a part of the link.
                err.print(
                    f"The dashboard is at {page} until Ctrl-C stops everything", highlight=False
                )
                _stay(supervisor)
        finally:
            supervisor.stop()
            if broker.started_here:
                broker.stop()
    return placed


def _start_services(
    supervisor: Supervisor, style: Style, payments: int, *, projector: bool
) -> None:
    for name in ("order", "warehouse", "recorder", *([PROJECTOR] if projector else [])):
        supervisor.start(name, "run", name)
    for number in range(1, payments + 1):
        name = "payment" if style is Style.EVENTS else "responder"
        supervisor.start(name if payments == 1 else f"{name}-{number}", "run", name)


def _print_report(settings: Settings) -> None:
    log, projections = until_open(partial(open_report, settings), "log and projections")
    found = in_its_currency(report(projections, settings.currency))
    for each in (found, *found.others):
        out.print(table(each, By.MONTH))
        out.print(table(each, By.REASON))
    log.close()
    projections.close()


def _say_what_came_of_it(console: Console, placed: Placed, seconds: float) -> None:
    again = placed.orders - placed.new
    console.print(
        f"{placed.orders:,} orders placed and settled in {seconds:.1f} s"
        + (f"; {again:,} of them were known already, and kept their answer" if again else "")
    )


def _stay(supervisor: Supervisor) -> None:
    with suppress(KeyboardInterrupt):
        while True:
            supervisor.check()
            time.sleep(0.5)
