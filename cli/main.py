"""The `shop` command.

Exit codes: 0 done; 1 it could not be done, and the message says why; 2 the command line is wrong;
3 done, but some lines of the input were refused, or (`broker status`) no broker runs; 130, 141 and
143 ended by Ctrl-C, by who stopped reading standard output, or by SIGTERM.
"""

import logging
import os
import reprlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.markup import escape
from sqlalchemy.exc import DBAPIError

from cli.access import acl_app
from cli.asking import Style, ask_all
from cli.broker import broker_app
from cli.composition import PROJECTOR, SERVICES, bootstrap_servers, keeping, worker
from cli.console import err, log_to_stderr, logs_are_json, out, print_json, refuse_no_figure
from cli.dashboard import dashboard
from cli.dead_letters import dead_letters_app
from cli.demo import PURCHASES, demo
from cli.export import export
from cli.migrate import migrate
from cli.place import Placed, place
from cli.positions import positions_app
from cli.projecting import run_projector
from cli.prove import prove
from cli.replay import replay
from cli.report import print_report
from cli.requests import ask, requests
from cli.responding import RESPONDER, run_responder
from cli.secrets_folder import secrets_app
from cli.settings import Settings
from cli.status import status
from cli.telemetry import telling
from domain.errors import ShopError
from event_log.database import reason
from transport.private_files import UMASK
from transport.topic_settings import mend, require_safe
from transport.topics import ALL_TOPICS, create_topics

_log = logging.getLogger(__name__)

EXIT_REFUSED = 3
EXIT_INTERRUPTED = 130

ORDER = "order"
"""The service that places orders, whichever command does."""

app = typer.Typer(
    help="Orders to revenue on Apache Kafka.", no_args_is_help=True, pretty_exceptions_enable=False
)
topics_app = typer.Typer(help="The topics of the broker.", no_args_is_help=True)
app.add_typer(broker_app, name="broker")
app.add_typer(topics_app, name="topics")
app.add_typer(dead_letters_app, name="dead-letters")
app.add_typer(positions_app, name="positions")
app.add_typer(acl_app, name="acl")
app.add_typer(secrets_app, name="secrets")

Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many in date order.")]
As = Annotated[
    str | None,
    typer.Option("--as", help="The data set's name, a part of its orders' ids; else the file's."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object, for a script to read.")]


@topics_app.command("create")
def topics_create(
    mended: Annotated[
        bool,
        typer.Option(
            "--mend", help="Give topics that are there settings that lose no unread records."
        ),
    ] = False,
) -> None:
    """Create the topics that aren't there yet; refuse others that can lose unread records."""
    settings = Settings()
    servers = bootstrap_servers(settings)
    created = create_topics(
        servers, settings.partitions, settings.replication, settings.retention_days
    )
    out.print(f"created {', '.join(created)}" if created else "all topics are there")
    if mended and (changed := mend(servers, ALL_TOPICS, keeping(settings))):
        out.print(f"mended {', '.join(changed)}")
    require_safe(servers, ALL_TOPICS, keeping(settings))


@app.command("run")
def run_service(
    service: Annotated[str, typer.Argument(help=" | ".join([*SERVICES, RESPONDER, PROJECTOR]))],
) -> None:
    """Run a service until SIGTERM or Ctrl-C."""
    names = [*SERVICES, RESPONDER, PROJECTOR]
    if service not in names:
        raise typer.BadParameter(f"{service!r} is not one of {', '.join(names)}")
    log_to_stderr(service)
    # For what Faust makes by itself.
    os.umask(UMASK)
    with telling(service):
        if service == RESPONDER:
            run_responder(Settings())
            return
        if service == PROJECTOR:
            run_projector(Settings())
            return
        logging.getLogger("streams.worker").setLevel(logging.INFO)
        worker(Settings(), service).run()


@app.command("place")
def place_file(
    file: Annotated[Path, typer.Argument(help="A purchase file.")],
    limit: Limit = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Orders a second, at most.")] = None,
    style: Annotated[
        Style, typer.Option(help="Publish each order, or ask the payment service for it.")
    ] = Style.EVENTS,
    name: As = None,
) -> None:
    """Place the purchases of a file as orders, in date order.

    A file that was placed before may have lines more or lines less, not both at once.
    """
    refuse_no_figure("--rate", rate)
    if rate is not None and style is not Style.EVENTS:
        raise typer.BadParameter("--rate goes with --style events")
    with telling(ORDER):
        if style is Style.EVENTS:
            placed = place(Settings(), file, limit, rate, data_set=name)
        else:
            placed = ask_all(Settings(), file, style, limit, data_set=name)
    out.print(f"{placed.orders:,} orders placed, {placed.new:,} of them for the first time")
    _say_what_else(placed)


app.command("report")(print_report)
app.command("replay")(replay)
app.command()(dashboard)
app.command("ask")(ask)
app.command("requests")(requests)
app.command("status")(status)
app.command("prove")(prove)
app.command("migrate")(migrate)
app.command("export")(export)


@app.command("settings")
def print_settings(json: Json = False) -> None:
    """Print the settings in force; each is set by the environment variable of its name."""
    settings = Settings()
    if json:
        print_json(settings.model_dump(mode="json"))
        return
    for name, field in Settings.model_fields.items():
        value = escape(str(getattr(settings, name)))
        out.print(f"[bold]SHOP_{name.upper()}[/]={value}", highlight=False)
        out.print(f"    {field.description}", style="dim", highlight=False)


@app.command("demo")
def run_demo(
    file: Annotated[Path, typer.Argument(help="A purchase file.")] = PURCHASES,
    style: Annotated[
        Style, typer.Option(envvar="STYLE", help="How order and payment service talk.")
    ] = Style.EVENTS,
    orders: Annotated[
        int | None,
        typer.Option(min=1, envvar="ORDERS", help="Only the first so many in date order."),
    ] = None,
    payments: Annotated[
        int, typer.Option(min=1, max=16, envvar="PAYMENTS", help="Payment processes at once.")
    ] = 1,
    leave: Annotated[
        bool,
        typer.Option("--exit", envvar="DEMO_EXIT", help="Stop everything after the report."),
    ] = False,
    name: As = None,
) -> None:
    """Run the main job: broker, services, dashboard, all orders, and the report."""
    stay = sys.stdout.isatty() and not leave
    with telling(ORDER):
        placed = demo(Settings(), file, style, orders, payments, stay=stay, data_set=name)
    _say_what_else(placed)


def _say_what_else(placed: Placed) -> None:
    if placed.gone:
        err.print(
            f"{placed.gone:,} purchases that were placed before are gone from the file; their "
            "orders stay as they are"
        )
    if placed.refused:
        for line in placed.refused:
            err.print(f"refused: {line}", style="yellow", markup=False, highlight=False)
        err.print(f"{len(placed.refused):,} lines were refused; mend them and place the file again")
        raise typer.Exit(EXIT_REFUSED)


def _refuse_undecodable(arguments: Sequence[str]) -> None:
    """Refuse names that could be written to no terminal, no page and no JSON."""
    if arguments[1:2] == ["dead-letters"]:
        # There keys and headers are given, which are bytes.
        return
    for each in arguments:
        try:
            each.encode()
        except UnicodeEncodeError:
            raise ShopError(
                f"{os.fsencode(each)!r} on the command line is no text in UTF-8: give the file a "
                "name that is"
            ) from None


def run() -> None:
    """Run the command line; what the user can mend ends in a message, not in a traceback."""
    log_to_stderr()
    try:
        _refuse_undecodable(sys.argv)
        try:
            app(standalone_mode=True)
        finally:
            sys.stdout.flush()
    except ShopError as error:
        _refuse(str(error))
    except DBAPIError as error:
        # A right that a role hasn't, a server that is away: without the statement and its values.
        _refuse(f"a database can't be used: {reason(error)}")
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"]).upper()
            if name.lower() in Settings.model_fields:
                name = f"SHOP_{name}"
            err.print(
                f"shop: setting {name}={reprlib.repr(problem['input'])}: {problem['msg']}",
                style="red",
                markup=False,
                highlight=False,
            )
        sys.exit(1)
    except SettingsError as error:
        # Such as a file of a secret that is no text: which it is, and nothing of what it says.
        _refuse(f"{error}: {error.__cause__}")
    except UnicodeEncodeError as error:
        # Half a character: what isn't UTF-8 on the command line. File names may be so, no text is.
        _refuse(f"{reprlib.repr(error.object)} is no text in {error.encoding.upper()}")
    except (OSError, MemoryError) as error:
        _refuse(_systems_answer(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except Exception:
        if not logs_are_json():
            raise
        _log.critical("an error of the program itself", exc_info=True)
        sys.exit(1)


def _refuse(why: str) -> NoReturn:
    err.print(f"shop: {why}", style="red", markup=False, highlight=False)
    sys.exit(1)


def _systems_answer(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory for this"
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None]
    return ": ".join([*names, error.strerror or str(error) or type(error).__name__])


if __name__ == "__main__":
    run()
