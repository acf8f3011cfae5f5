"""`shop report`: the revenue report as a table for people."""

from collections.abc import Sequence
from enum import StrEnum

from rich import box
from rich.table import Table

from domain.money import format_amount
from reporting.report import REASONS, Period, Report
from reporting.revenue import Sum


class By(StrEnum):
    """What a report's lines are."""

    DAY = "day"
    MONTH = "month"
    REASON = "reason"


def table(report: Report, by: By) -> Table:
    """The report as a table with a total line."""
    if by is By.REASON:
        return _by_outcome(report)
    lines = report.days if by is By.DAY else report.months
    return _by_period(report, by.value, lines)


def _by_period(report: Report, name: str, lines: Sequence[Period]) -> Table:
    money = report.currency
    made = _table(report, [name, "accepted", money, "declined", money, "all", money])
    for line in lines:
        made.add_row(line.name, *_cells(report, line))
    made.add_section()
    made.add_row("total", *_cells(report, report.totals), style="bold")
    return made


def _by_outcome(report: Report) -> Table:
    made = _table(report, ["outcome", "orders", report.currency])
    totals = report.totals
    made.add_row("accepted", *_pair(report, totals.accepted))
    for reason in REASONS:
        made.add_row(reason.replace("_", " "), *_pair(report, totals.declined[reason]))
    made.add_section()
    made.add_row("all", *_pair(report, totals.all), style="bold")
    return made


def _table(report: Report, titles: Sequence[str]) -> Table:
    title = f"Revenue, {report.currency}, log position {report.position:,}"
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True)
    made.add_column(titles[0], no_wrap=True)
    for heading in titles[1:]:
        made.add_column(heading, justify="right", no_wrap=True)
    return made


def _cells(report: Report, period: Period) -> list[str]:
    sums = (period.accepted, period.all_declined, period.all)
    return [text for each in sums for text in _pair(report, each)]


def _pair(report: Report, total: Sum) -> tuple[str, str]:
    return f"{total.orders:,}", format_amount(total.cents, report.currency)
