"""`shop export`: the revenue report as a file, stamped so that it can be checked again."""

import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer

from cli.composition import open_report
from cli.console import out, print_json
from cli.report import moment
from cli.settings import Settings
from domain.errors import ShopError
from reporting.export import By, refuse_wrong_range
from reporting.exports import FORMS, form_named
from reporting.figure import stamp
from reporting.history import position_at, report_at
from reporting.projector import catch_up
from reporting.report import report, within

_DAY = "%Y-%m-%d"


def export(
    file: Annotated[Path, typer.Argument(help=f"What to write: {', '.join(FORMS)}.")],
    by: Annotated[By, typer.Option(help="What a row is of.")] = By.MONTH,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=[_DAY], help="The first day, 1997-01-01.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--until", formats=[_DAY], help="The last day.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="What was known at a time, such as 2026-11-25T10:00Z.")
    ] = None,
    at_position: Annotated[
        int | None, typer.Option(min=0, help="What the log said up to a position.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Say what was written as JSON.")] = False,
) -> None:
    """Write the revenue report to a file, for Finance, with position, chain hash and time in it.

    `shop prove --figure FILE` checks it again, whenever that is.
    """
    settings = Settings()
    if as_of is not None and at_position is not None:
        raise typer.BadParameter("--as-of and --at-position name two moments: choose one")
    then = at_position if as_of is None else moment(as_of, "--as-of")
    days = tuple(None if day is None else day.strftime(_DAY) for day in (first, last))
    refuse_wrong_range(*days)
    form = form_named(file)
    if file.exists() and not force:
        raise ShopError(f"{file} is there already: name another file, or give --force")
    log, projections = open_report(settings)
    if then is None:
        catch_up(log, projections)
        found = report(projections, settings.currency)
    else:
        found, _ = report_at(log, projections, position_at(log, then), settings.currency)
    stamped = stamp(log, found.position, found.currency).of_days(*days)
    found = within(found, *days)
    if not found.days:
        raise ShopError("no order was decided of those days: there is nothing to export")
    made = form.make(found, stamped, by, datetime.now(UTC))
    _write(file, made)
    if json:
        print_json({"file": str(file), "bytes": len(made), **asdict(stamped)})
    else:
        out.print(
            f"{file}: {found.totals.all.orders:,} orders up to position {found.position:,}",
            highlight=False,
            markup=False,
        )


def _write(file: Path, made: bytes) -> None:
    """Write a file whole, or not at all."""
    try:
        with NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as part:
            try:
                part.write(made)
                part.flush()
                os.fsync(part.fileno())
                # As any new file: only this program's temporary ones are for their owner alone.
                os.fchmod(part.fileno(), 0o666 & ~_umask())
                Path(part.name).replace(file)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ShopError(f"{file} can't be written: {error.strerror or error}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
