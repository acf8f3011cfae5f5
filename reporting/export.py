"""The revenue report as a file that leaves the product: CSV or Parquet, stamped.

A line is a period: its orders, its amounts in minor units, and the same in the main unit, of what
was accepted, of what was declined by reason, and of all. There is no line with a total: a program
would add it up once more.
"""

import csv
import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from enum import StrEnum
from io import BytesIO, StringIO
from typing import Any

from domain.errors import ShopError
from domain.money import MINOR_UNITS
from reporting.figure import Stamp, as_comments, as_metadata
from reporting.report import ACCEPTED, REASONS, Period, Report, in_its_currency, within
from reporting.revenue import Sum

GROUPS = (ACCEPTED, *REASONS, "all")
"""What a line says the orders and amounts of."""

Cell = str | int | Decimal

_UNHARMFUL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class By(StrEnum):
    """What one line of a table is of."""

    DAY = "day"
    MONTH = "month"


def cut(whole: Report, stamp: Stamp, first: str | None, last: str | None) -> tuple[Report, Stamp]:
    """The part of a report from a first day to a last one, both included, and its stamp.

    Args:
        whole: a report of all days.
        stamp: the state of the log that it is of.
        first: a business date, ``YYYY-MM-DD``; `None` is no bound.
        last: the same.

    Raises:
        ShopError: the range ends before it begins, there is no order in it, or all orders are in
            other currencies.
    """
    if first and last and last < first:
        raise ShopError(f"the range ends on {last}, before it begins on {first}: turn them round")
    found = within(in_its_currency(whole), first, last)
    if not found.days:
        raise ShopError(
            f"no order of {days_in_words(first, last)} was decided up to position "
            f"{whole.position:,} of the log: there is nothing to export"
        )
    return found, stamp.of_days(first, last)


def days_in_words(first: str | None, last: str | None) -> str:
    """A range as people say it."""
    if first and last:
        return first if first == last else f"{first} to {last}"
    if first:
        return f"{first} or later"
    return f"{last} or earlier" if last else "any day"


def as_csv(found: Report, stamp: Stamp, by: By) -> bytes:
    """The report as CSV (RFC 4180, UTF-8) below comment lines with the stamp."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns(by))
    for line in _lines(found, by):
        for cell in line:
            # What a spreadsheet would take for a formula begins with a sign.
            if not _UNHARMFUL.fullmatch(str(cell)):
                raise ShopError(f"{cell!r} is no date, number or name: it is not exported as CSV")
        writer.writerow(line)
    return (as_comments(stamp).replace("\n", "\r\n") + text.getvalue()).encode()


def as_parquet(found: Report, stamp: Stamp, by: By) -> bytes:
    """The report as Parquet with the stamp in its metadata; days are dates, months are text."""
    # Only here: it takes longer to import than most commands take.
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    largest = max(period.all.cents for period in periods(found, by))
    measures = {
        "orders": pa.int64(),
        # Whatever sums come to: a file that had to have other types is better than none.
        "cents": pa.int64() if largest < 2**63 else pa.decimal128(38, 0),
        "amount": pa.decimal128(38, MINOR_UNITS.get(found.currency, 0)),
    }
    types = {by.value: pa.date32() if by is By.DAY else pa.string(), "currency": pa.string()}
    types |= {f"{group}_{name}": kind for group in GROUPS for name, kind in measures.items()}
    schema = pa.schema(list(types.items()), metadata=as_metadata(stamp))
    rows: list[dict[str, Any]] = [
        dict(zip(columns(by), line, strict=True)) for line in _lines(found, by)
    ]
    if by is By.DAY:
        for row in rows:
            row["day"] = date.fromisoformat(row["day"])
    made = BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema), made)
    return made.getvalue()


def columns(by: By) -> list[str]:
    """The columns' names, such as ``accepted_orders``, ``accepted_cents``, ``accepted_amount``."""
    measures = ("orders", "cents", "amount")
    return [by.value, "currency", *(f"{group}_{name}" for group in GROUPS for name in measures)]


def _lines(found: Report, by: By) -> Iterator[list[Cell]]:
    decimals = MINOR_UNITS.get(found.currency, 0)
    for period in periods(found, by):
        line: list[Cell] = [period.name, found.currency]
        for its in _sums(period):
            line += [its.orders, its.cents, Decimal(its.cents).scaleb(-decimals)]
        yield line


def periods(found: Report, by: By) -> tuple[Period, ...]:
    """What the lines are of."""
    return found.days if by is By.DAY else found.months


def _sums(period: Period) -> Iterator[Sum]:
    yield period.accepted
    yield from (period.declined[reason] for reason in REASONS)
    yield period.all


def cut_off(found: Report, stamp: Stamp) -> list[str]:
    """The months that a range has only a part of, in words: ``1997-02 from 1997-02-10 on``.

    A range may begin and end where a month does, which cuts nothing off.
    """
    said = []
    months = [month.name for month in found.months]
    first, last = stamp.first_day, stamp.last_day
    if first and first[:7] in months and not first.endswith("-01"):
        said.append(f"{first[:7]} from {first} on")
    if last and last[:7] in months and _month_goes_on_after(last):
        said.append(f"{last[:7]} up to {last}")
    return said


def _month_goes_on_after(day: str) -> bool:
    return int(day[8:]) < monthrange(int(day[:4]), int(day[5:7]))[1]


def file_name(found: Report, stamp: Stamp, by: By, suffix: str) -> str:
    """A name that says what is in a file: ``revenue-1997-01-01-to-1998-06-30-at-139318.csv``.

    Args:
        found: the report, which has orders.
        stamp: its stamp.
        by: what a line is of; by day, the name says so.
        suffix: such as ``.csv``.
    """
    first = stamp.first_day or found.days[0].name
    last = stamp.last_day or found.days[-1].name
    what = "revenue-by-day" if by is By.DAY else "revenue"
    return f"{what}-{first}-to-{last}-at-{stamp.position}{suffix}"
