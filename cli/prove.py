"""`shop prove`: whether log, Kafka, projections and orders agree, and where they first don't."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from cli.composition import bootstrap_servers
from cli.console import RateColumn, err, out, print_json
from cli.settings import Settings
from domain.errors import BrokerError
from domain.money import MINOR_UNITS, format_amount
from reporting import proof
from reporting.proof import Part, PartName
from reporting.proof_of_figure import FIGURE
from reporting.proof_run import NEEDS_KAFKA, Databases, Proof
from reporting.proof_topics import KafkaTopics

Counts = Mapping[str, Any]


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

    Exit codes: 0 it holds; 1 it fails or can't be proved, and the message says where and why; 2
    the command line is wrong.
    """
    settings = Settings()
    if figure is not None and (part or offline or settled):
        raise typer.BadParameter("--figure checks a file, and goes with --json only")
    wanted = [name for name in PartName if not part or name in part]
    if offline and part and PartName.OFFSETS in part:
        raise typer.BadParameter("--part offsets asks the broker, and --offline asks none")
    databases = Databases(*(settings.database(name) for name in ("event_log", "report", "order")))
    with closing(Proof(databases, settled=settled)) as made, ExitStack() as stack:
        if figure is not None:
            parts = [_figure(made, figure, quiet=json)]
        else:
            if not offline and NEEDS_KAFKA.intersection(wanted):
                made.ask(stack.enter_context(closing(_kafka(settings, made.fed_by()))))
            parts = [_run(made, name, quiet=json) for name in wanted]
    if json:
        print_json(proof.as_json(made.head, parts))
    else:
        _print_end(made, parts)
    if not proof.holds(parts):
        raise typer.Exit(1)


def _kafka(settings: Settings, fed_by: str | None) -> KafkaTopics:
    try:
        return KafkaTopics(bootstrap_servers(settings), fed_by)
    except BrokerError as error:
        raise BrokerError(f"{error}; or leave Kafka out of the proof with --offline") from error


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
    bar = Progress(
        TextColumn(f"{name:<11}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print(part: Part) -> None:
    if part.finding is None:
        out.print(f"{part.name:<11}  left out: {part.skipped}", style="yellow")
        return
    failure, seconds = part.finding.failure, f"({part.seconds:,.1f} s)"
    if failure is None:
        counted = _IN_WORDS[part.name](part.finding.checked)
        out.print(f"{part.name:<11}  [green]holds[/]  {counted}  {seconds}", highlight=False)
    else:
        by = ", ".join(_many(count, unit) for unit, count in failure.by.items())
        where = f"fails at {failure.where}" + (f" (by {by})" if by else "")
        out.print(f"{part.name:<11}  [red bold]fails[/]  {seconds}", highlight=False)
        out.print(f"    {where}: {failure.what}", style="red", markup=False, highlight=False)
    for note in part.finding.notes:
        out.print(f"    {note}", style="dim", markup=False, highlight=False)


def _many(count: float, units: str) -> str:
    return f"{count:,} {units.removesuffix('s') if abs(count) == 1 else units}"


def _print_end(made: Proof, parts: list[Part]) -> None:
    head = made.head
    until = f"up to position {head.position:,}, hash {head.hash.hex()}"
    until += f", recorded {head.recorded_time}" if head.recorded_time else ""
    failing = [part.name for part in parts if part.holds is False]
    said = f"[red bold]fails[/]: {', '.join(failing)};" if failing else "[green]holds[/]"
    out.print(f"{said} {until}", highlight=False)


def _chain(checked: Counts) -> str:
    return f"{checked['positions']:,} positions, each hash right"


def _offsets(checked: Counts) -> str:
    fates = ", ".join(
        f"{checked[fate]:,} {fate.replace('_', ' ')}"
        for fate in ("recorded", "repeats", "dead_letters", "not_recorded_yet")
    )
    return f"{checked['offsets']:,} offsets: {fates}"


def _projections(checked: Counts) -> str:
    return (
        ", ".join(f"{name} at {each['position']:,}" for name, each in checked.items())
        or "none is there yet"
    )


def _orders(checked: Counts) -> str:
    return "; ".join(_sums(currency, each) for currency, each in checked["currencies"].items()) or (
        "no order was placed yet"
    )


def _sums(currency: str, sums: Counts) -> str:
    names = ("accepted", "declined", "open")
    orders = " + ".join(f"{sums[name]['orders']:,} {name}" for name in names)
    cents = [sums[name]["cents"] for name in ("placed", *names)]
    amounts = [
        format_amount(each, currency) if currency in MINOR_UNITS else f"{each:,}" for each in cents
    ]
    return (
        f"{sums['placed']['orders']:,} placed = {orders}; "
        f"{amounts[0]} = {' + '.join(amounts[1:])} {currency}"
    )


def _shipments(checked: Counts) -> str:
    return (
        f"{checked['accepted']:,} accepted = {checked['shipped']:,} shipped once + "
        f"{checked['under_way']:,} under way"
    )


def _figures(checked: Counts) -> str:
    positions = " and ".join(f"{position:,}" for position in checked["positions"])
    return f"{checked['figures']:,} figures of {checked['file']} at position {positions}"


_IN_WORDS: dict[str, Callable[[Counts], str]] = {
    FIGURE: _figures,
    PartName.CHAIN: _chain,
    PartName.OFFSETS: _offsets,
    PartName.PROJECTIONS: _projections,
    PartName.ORDERS: _orders,
    PartName.SHIPMENTS: _shipments,
}
