"""`shop export`: the revenue report as a file, stamped so that it can be checked again."""

import errno
import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Annotated, BinaryIO

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

_NOT_REPLACED = (errno.EBUSY, errno.EACCES, errno.EPERM, errno.EROFS)
"""Why a file that can be written can't be replaced: it is a mount, or its folder is not ours."""


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
    refuse_to_write(file, over=force)
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


def refuse_to_write(file: Path, *, over: bool) -> None:
    """Refuse what can't be written, or would be written over unasked, before anything is made.

    Args:
        file: what is to be written; a link is looked at as what it leads to.
        over: whether a file may be written over. Pipes and devices keep nothing that could be lost.

    Raises:
        ShopError: it can't be; the message says why.
    """
    try:
        found = _status(file)
    except OSError as error:
        raise _unwritable(file, error) from error
    if found is None or _takes_a_stream(found):
        return
    if stat.S_ISDIR(found.st_mode):
        raise ShopError(f"{file} is a folder: name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise ShopError(f"{file} is neither a file nor a pipe: name another file")
    if not over:
        raise ShopError(f"{file} is there already: name another file, or give --force")


def write_whole(file: Path, content: bytes) -> None:
    """Write a file whole or not at all; until it is whole, what was there before stays.

    A link is followed and stays, and a file keeps its owner and rights. One that can't be replaced,
    since it is a mount or its folder can't be written, is written where it is; so are pipes and
    devices.

    Raises:
        ShopError: it can't be written.
    """
    try:
        found = _status(file)
        if found is None:
            _replace(file, content, None)
        elif _takes_a_stream(found):
            with file.open("wb") as stream:
                stream.write(content)
        else:
            # Opened although it is replaced: who may not write a file may not replace it either.
            with file.open("r+b") as opened:
                _write_over(file, content, opened, found)
    except OSError as error:
        raise _unwritable(file, error) from error


def _write_over(file: Path, content: bytes, opened: BinaryIO, found: os.stat_result) -> None:
    try:
        _replace(file, content, found)
    except OSError as error:
        if error.errno not in _NOT_REPLACED:
            raise
        opened.write(content)
        opened.truncate()
        opened.flush()
        os.fsync(opened.fileno())


def _replace(file: Path, content: bytes, found: os.stat_result | None) -> None:
    target = Path(os.path.realpath(file))
    # A name of its own: one made of the file's could be too long.
    part = target.with_name(f".shop-export-{token_hex(4)}.part")
    try:
        with part.open("xb") as opened:
            if found is not None:
                with suppress(PermissionError):
                    os.fchown(opened.fileno(), found.st_uid, found.st_gid)
                os.fchmod(opened.fileno(), stat.S_IMODE(found.st_mode))
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except FileNotFoundError:
        return None


def _takes_a_stream(found: os.stat_result) -> bool:
    return stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode)


def _unwritable(file: Path, error: OSError) -> ShopError:
    return ShopError(f"{file} can't be written: {error.strerror or error}")
