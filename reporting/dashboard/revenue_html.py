"""Tables of the Revenue page that lead to orders: of a month, and of what came late."""

from collections.abc import Iterable

from domain.money import format_amount
from reporting.dashboard.html_tables import Cell, Column, table
from reporting.dashboard.orders_asked import link
from reporting.dashboard.revenue_rows import label
from reporting.report import ACCEPTED, LateMonth, Period

_ORDERS = "orders"
"""The path of the page with orders."""


def month_as_html(month: Period, currency: str) -> str:
    """A month's orders by outcome and in all, each with the way to those orders."""
    rows = [
        (
            Cell(label(outcome), _orders_of(month.name, outcome)),
            f"{its.orders:,}",
            format_amount(its.cents, currency),
        )
        for outcome, its in {ACCEPTED: month.accepted, **month.declined}.items()
        if its.orders
    ]
    every = Cell("All orders", _orders_of(month.name))
    rows.append((every, f"{month.all.orders:,}", format_amount(month.all.cents, currency)))
    columns = (Column("Outcome"), Column("Orders", "number"), Column(currency, "number"))
    return table(f"Orders of {month.name}", columns, rows)


def late_as_html(late: Iterable[LateMonth], currency: str) -> str:
    """What was recorded when its month was over, and on which days."""
    columns = (
        Column("Changed when it was over"),
        Column("Accepted late", "number"),
        Column(currency, "number"),
        Column("Declined late", "number"),
        Column(currency, "number"),
        Column("Recorded from"),
        Column("to (UTC)"),
    )
    rows: list[list[Cell | str]] = []
    for month in late:
        rows.append([Cell(month.part.name, _orders_of(month.part.name))])
        for its in (month.part.accepted, month.part.all_declined):
            rows[-1] += [f"{its.orders:,}", format_amount(its.cents, currency)]
        rows[-1] += [month.first, month.last]
    return table("Late orders", columns, rows)


def _orders_of(month: str, outcome: str = "") -> str:
    """The address of a month's orders, all or those of one outcome."""
    if outcome in ("", ACCEPTED):
        return _ORDERS + link({}, month=month, state=outcome)
    return _ORDERS + link({}, month=month, state="declined", reason=outcome)
