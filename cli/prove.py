"""`shop prove`: whether log, Kafka, projections and orders agree, and where they first don't."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli.composition import bootstrap_servers
from cli.console import RateColumn, err, out, print_json, progress_bar
from cli.settings import Settings
from domain.errors import BrokerError, StoreError
from reporting import proof
from reporting.proof import Part, PartName
from reporting.proof_run import NEEDS_KAFKA, Databases, Proof
from reporting.proof_topics import KafkaTopics
from reporting.proof_words import sentence
from reporting.proofs import keep


def prove(
    part: Annotated[list[PartName] | None, typer.Option(help="Only this; may be repeated.")] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no broker: leaves the part `offsets` out.")
    ] = False,
    settled: Annotated[
        bool, typer.Option("--settled", help="What is still on its way is a failure too.")
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option(help="Check an exported file instead: JSON, CSV, Parquet or HTML."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Prove that the log is whole, and that Kafka, projections and orders agree with it.

    chain: no position of the log is missing, and each hash holds.

    offsets: every record of Kafka is accounted for, and the log has it to the byte.

    projections: each has what a second, independent computation gives.

    orders: placed = accepted + declined + still open, in orders and money.

    shipments: what is accepted is shipped once, and nothing else is.

    The result of all parts is kept, and the dashboard shows it; that of a --part or a --figure
    isn't.

    Exit codes: 0 it holds; 1 it fails or can't be proved, and the message says where and why; 2
    the command line is wrong.
    """
    settings = Settings()
    if figure is not None and (part or offline or settled):
        raise typer.BadParameter("--figure checks a file, and goes with --json only")
    wanted = [name for name in PartName if not part or name in part]
    if offline and part and PartName.OFFSETS in part:
        raise typer.BadParameter("--part offsets asks the broker, and --offline asks none")
    with closing(Proof(databases_of(settings), settled=settled)) as made, ExitStack() as stack:
        if figure is not None:
            parts = [_figure(made, figure, quiet=json)]
        else:
            if not offline and NEEDS_KAFKA.intersection(wanted):
                made.ask(stack.enter_context(closing(kafka_of(settings, made.fed_by()))))
            parts = [_run(made, name, quiet=json) for name in wanted]
            if len(parts) == len(PartName):
                _keep(settings, made, parts)
    if json:
        print_json(proof.as_json(made.head, parts))
    else:
        _print_end(made, parts)
    if not proof.holds(parts):
        raise typer.Exit(1)


def databases_of(settings: Settings) -> Databases:
    """Where what a proof looks at is."""
    return Databases(*(settings.database(name) for name in ("event_log", "report", "order")))


def kafka_of(settings: Settings, fed_by: str | None) -> KafkaTopics:
    """The topics that a proof compares the log with.

    Raises:
        BrokerError: there is no broker, or it is not the one that fed the log.
    """
    try:
        return KafkaTopics(bootstrap_servers(settings), fed_by)
    except BrokerError as error:
        raise BrokerError(f"{error}; or leave Kafka out of the proof with --offline") from error


def _keep(settings: Settings, made: Proof, parts: list[Part]) -> None:
    try:
        keep(settings.database("proofs"), made.head, parts, datetime.now(UTC))
    except StoreError as error:
        err.print(f"this result is not kept: {error}", style="yellow", markup=False)


def _run(made: Proof, name: PartName, *, quiet: bool) -> Part:
    with _bar(name) as progress:
        part = made.run(name, progress)
    if not quiet:
        _print(part)
    return part


def _figure(made: Proof, file: Path, *, quiet: bool) -> Part:
    part = made.figures(file)
    if not quiet:
        _print(part)
    return part


@contextmanager
def _bar(name: str) -> Iterator[proof.Progress]:
    """A progress bar with its rate on standard error; nothing where that is no terminal."""
    bar = progress_bar(f"{name:<11}", RateColumn(), transient=True)
    with bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print(part: Part) -> None:
    if part.finding is None:
        out.print(f"{part.name:<11}  left out: {part.skipped}", style="yellow")
        return
    said, seconds = sentence(part), f"({part.seconds:,.1f} s)"
    if part.holds:
        holds = f"{part.name:<11}  [green]holds[/]  {escape(said)}  {seconds}"
        out.print(holds, highlight=False)
    else:
        out.print(f"{part.name:<11}  [red bold]fails[/]  {seconds}", highlight=False)
        out.print(f"    {said}", style="red", markup=False, highlight=False)
    for note in part.finding.notes:
        out.print(f"    {note}", style="dim", markup=False, highlight=False)


def _print_end(made: Proof, parts: list[Part]) -> None:
    head = made.head
    until = f"up to position {head.position:,}, hash {head.hash.hex()}"
    until += f", recorded {head.recorded_time}" if head.recorded_time else ""
    failing = [part.name for part in parts if part.holds is False]
    said = f"[red bold]fails[/]: {', '.join(failing)};" if failing else "[green]holds[/]"
    out.print(f"{said} {until}", highlight=False)
