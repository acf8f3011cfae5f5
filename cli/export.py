"""`shop export`: the revenue report as a file, stamped so that it can be checked again."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.composition import read_report
from cli.console import out, print_json
from cli.report import moment_asked_for
from cli.settings import Settings
from domain.errors import ShopError
from reporting.export import By, cut, days_in_words, periods
from reporting.exports import FORMS, form_named
from reporting.figure import as_fields, stamp, without_in_words
from reporting.history import position_at, report_at
from reporting.report import as_json, others_in_words, report
from reporting.set_aside import aside_in

_DAY = "%Y-%m-%d"


def export(
    file: Annotated[Path, typer.Argument(help=f"What to write: {', '.join(FORMS)}.")],
    by: Annotated[By, typer.Option(help="What a line is of.")] = By.MONTH,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=[_DAY], help="The first day, 1997-01-01.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--until", formats=[_DAY], help="The last day.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="What was recorded by then, such as 2026-11-25T10:00Z.")
    ] = None,
    at_position: Annotated[
        int | None, typer.Option(min=0, help="What the log had up to this position.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Say what was written as JSON.")] = False,
) -> None:
    """Write the revenue report to a file, for Finance, with position, chain hash and time in it.

    Days are those on which orders were placed; without --from and --until it is all of them. `shop
    prove --figure FILE` checks the file again, whenever that is.
    """
    settings = Settings()
    then = moment_asked_for(as_of, at_position)
    days = [None if day is None else f"{day:{_DAY}}" for day in (first, last)]
    if first and last and last < first:
        raise typer.BadParameter(f"--from {days[0]} is after --until {days[1]}: turn them round")
    try:
        form = form_named(file)
    except ShopError as error:
        raise typer.BadParameter(str(error)) from error
    if file.exists() and not force:
        raise ShopError(f"{file} is there already: name another file, or give --force")
    log, projections = read_report(settings, newest=then is None)
    if then is None:
        whole = report(projections, settings.currency)
    else:
        whole, _ = report_at(log, projections, position_at(log, then), settings.currency)
    stamped = stamp(log, whole.position, whole.currency, aside_in(projections))
    found, stamped = cut(whole, stamped, *days)
    made = form.make(found, stamped, by, file.name, datetime.now(UTC))
    write_whole(file, made)
    if json:
        others = {"others": [as_json(other) for other in found.others]}
        print_json({"path": str(file), "bytes": len(made), **as_fields(stamped), **others})
        return
    lines = len(periods(found, by))
    out.print(
        f"{file}: {lines:,} {by.value if lines == 1 else f'{by.value}s'}, "
        f"{found.totals.all.orders:,} orders of {days_in_words(*days)}, "
        f"up to position {stamped.position:,} of the log{without_in_words(stamped)}",
        highlight=False,
        markup=False,
    )
    for each in others_in_words(found):
        out.print(f"not in it: {each}", style="dim", highlight=False)


def write_whole(file: Path, content: bytes) -> None:
    """Write a file whole or not at all; until it is whole, what was there before stays.

    Raises:
        ShopError: it can't be written.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("xb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ShopError(f"{file} can't be written: {error.strerror or error}") from error
