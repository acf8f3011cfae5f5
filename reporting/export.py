"""The revenue report as a file that leaves the product: CSV or Parquet, stamped."""

import csv
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from enum import StrEnum
from io import BytesIO, StringIO
from typing import Any, NamedTuple

from domain.errors import ShopError
from domain.money import MINOR_UNITS
from reporting.figure import Stamp, as_comments, as_metadata
from reporting.report import ACCEPTED, Period, Report


class By(StrEnum):
    """What one row of a table is of, with an outcome each."""

    DAY = "day"
    MONTH = "month"


class Row(NamedTuple):
    """A row of an exported table: a day or month, and one outcome that it had.

    A declined order's outcome is its reason; `cents` are minor units, and `amount` is the same in
    the currency's main unit.
    """

    period: str
    currency: str
    outcome: str
    orders: int
    cents: int
    amount: Decimal


def rows(found: Report, by: By) -> Iterator[Row]:
    """The rows of a report; outcomes that a period didn't have are left out."""
    periods = found.days if by is By.DAY else found.months
    for period in periods:
        for outcome, its in _outcomes(period).items():
            if its.orders:
                amount = Decimal(its.cents).scaleb(-MINOR_UNITS[found.currency])
                yield Row(period.name, found.currency, outcome, its.orders, its.cents, amount)


def as_csv(found: Report, stamp: Stamp, by: By) -> bytes:
    """The report as CSV (RFC 4180, UTF-8) below comment lines with the stamp.

    Nothing in it comes from outside but numbers and days, so no cell is a spreadsheet's formula.
    """
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([by.value, *Row._fields[1:]])
    writer.writerows(rows(found, by))
    return (as_comments(stamp) + text.getvalue()).encode()


def as_parquet(found: Report, stamp: Stamp, by: By) -> bytes:
    """The report as Parquet with the stamp in its metadata; days are dates, months are text."""
    # Only here: it takes longer to import than most commands take.
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    schema = pa.schema(
        [
            (by.value, pa.date32() if by is By.DAY else pa.string()),
            ("currency", pa.string()),
            ("outcome", pa.string()),
            ("orders", pa.int64()),
            ("cents", pa.int64()),
            ("amount", pa.decimal128(38, MINOR_UNITS[found.currency])),
        ],
        metadata=as_metadata(stamp),
    )
    columns: list[tuple[Any, ...]] = list(zip(*rows(found, by), strict=True)) or [()] * 6
    if by is By.DAY:
        columns[0] = tuple(map(date.fromisoformat, columns[0]))
    table = pa.table(list(map(pa.array, columns, schema.types)), schema=schema)
    made = BytesIO()
    parquet.write_table(table, made)
    return made.getvalue()


def refuse_wrong_range(first: str | None, last: str | None) -> None:
    """Check a range of days.

    Raises:
        ShopError: it ends before it begins.
    """
    if first and last and last < first:
        raise ShopError(f"the range ends on {last}, before it begins on {first}: turn them round")


def file_name(stamp: Stamp, suffix: str) -> str:
    """A name that says what is in a file: ``revenue-1997-01-01-to-1998-06-30-at-139318.csv``."""
    days = f"-{stamp.first_day or 'begin'}-to-{stamp.last_day or 'end'}"
    return f"revenue{days if stamp.first_day or stamp.last_day else ''}-at-{stamp.position}{suffix}"


def _outcomes(period: Period) -> dict[str, Any]:
    return {ACCEPTED: period.accepted, **period.declined}
