"""The forms that the report can leave the product in, by the end of a file's name."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from domain.errors import ShopError
from reporting.export import By, as_csv, as_parquet
from reporting.figure import Stamp
from reporting.report import Report


class Form(NamedTuple):
    """A form of file: what people call it, its media type, what it is for, what makes its bytes.

    `make` takes a report, its stamp, what a line is of, the file's name, and the time (UTC, aware).
    """

    title: str
    media_type: str
    use: str
    make: Callable[[Report, Stamp, By, str, datetime], bytes]


def _as_page(found: Report, stamp: Stamp, by: By, name: str, now: datetime) -> bytes:
    # Only here: what draws the chart takes longer to import than most commands take.
    from reporting.export_page import as_page

    return as_page(found, stamp, by, name, now)


FORMS = {
    ".csv": Form(
        "CSV",
        "text/csv",
        "a line for each period, for a spreadsheet or a program",
        lambda found, stamp, by, name, now: as_csv(found, stamp, by),
    ),
    ".parquet": Form(
        "Parquet",
        "application/vnd.apache.parquet",
        "the same lines with typed columns, for pandas, DuckDB or a warehouse",
        lambda found, stamp, by, name, now: as_parquet(found, stamp, by),
    ),
    ".html": Form(
        "Page",
        "text/html",
        "figures, chart and tables on one page, to be read, printed and filed",
        _as_page,
    ),
}


def form_named(file: Path) -> Form:
    """The form that a file's name asks for.

    Raises:
        ShopError: there is none by that ending.
    """
    try:
        return FORMS[file.suffix.lower()]
    except KeyError:
        raise ShopError(f"{file} ends in none of {', '.join(FORMS)}") from None
