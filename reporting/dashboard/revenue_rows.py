"""What the Revenue page shows, as text and whole numbers: made from a report, with no page."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

from domain.money import MINOR_UNITS, format_amount
from reporting.report import ACCEPTED, REASONS, Period, Report, follows, left_out, sum_up
from reporting.revenue import Sum

By = Literal["Month", "Day"]

OUTCOMES = (ACCEPTED, *REASONS)
"""In the order that the page shows them in."""

ALL = "all_orders"
NO_SHARE = "–"

MOST_NAMED = 3
"""So many stretches of months without orders are named."""


@dataclass(frozen=True)
class Headline:
    """The figures at the top, ready to be read, and what is said beside each."""

    accepted_amount: str
    of_amount: str
    accepted_orders: str
    of_orders: str
    declined_amount: str
    declined_orders: str
    share_of_orders: str
    share_of_amount: str


@dataclass(frozen=True)
class Change:
    """A month's figure, and by how much it is another than the month before's.

    `good` says whether more of it is good; `None` where it is the same.
    """

    name: str
    value: str
    by: str
    good: bool | None


@dataclass(frozen=True)
class Bar:
    """One piece of the chart: one period's one outcome; `cents` is its height."""

    period: str
    month: str
    outcome: str
    rank: int
    cents: int
    amount: str
    orders: str


@dataclass(frozen=True)
class Line:
    """A line of the table: a period's name, then orders and amount of each column."""

    name: str
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """The table: its columns' names, its lines, and the total."""

    by: By
    currency: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    total: Line


def headline(found: Report) -> Headline:
    """The figures at the top of the page."""
    accepted, everything = found.totals.accepted, found.totals.all
    return Headline(
        format_amount(accepted.cents, found.currency),
        f"of {format_amount(everything.cents, found.currency)} ordered",
        f"{accepted.orders:,}",
        f"of {everything.orders:,} orders",
        format_amount(everything.cents - accepted.cents, found.currency),
        f"{everything.orders - accepted.orders:,} orders",
        share(accepted.orders, everything.orders),
        f"{share(accepted.cents, everything.cents)} of the amount",
    )


def changes(found: Report, month: str) -> list[Change] | None:
    """A month's headline figures against those of the month before; `None` where there is none.

    Args:
        found: the report of all days, so that neither month is cut off.
        month: such as ``1997-02``.
    """
    names = [period.name for period in found.months]
    at = names.index(month)
    if at == 0:
        return None
    before, after = found.months[at - 1], found.months[at]
    if not follows(before.name, after.name):
        return None
    currency = found.currency

    def amount(name: str, one: int, other: int, *, good: bool) -> Change:
        by = format_amount(abs(other - one), currency)
        return _change(name, format_amount(other, currency), by, (one, other), good=good)

    return [
        amount(
            f"Accepted revenue, {currency}", before.accepted.cents, after.accepted.cents, good=True
        ),
        _change(
            "Accepted orders",
            f"{after.accepted.orders:,}",
            f"{abs(after.accepted.orders - before.accepted.orders):,}",
            (before.accepted.orders, after.accepted.orders),
            good=True,
        ),
        amount(
            f"Declined, {currency}", before.all_declined.cents, after.all_declined.cents, good=False
        ),
    ]


def _change(name: str, value: str, by: str, sums: tuple[int, int], *, good: bool) -> Change:
    before, after = sums
    sign = "-" if after < before else "+"
    of_before = f" ({sign}{share(abs(after - before), before)})" if before else ""
    return Change(name, value, f"{sign}{by}{of_before}", None if after == before else good)


def running(found: Report) -> Report:
    """The report with running totals: each period has all up to it too."""
    return replace(found, days=_running(found.days), months=_running(found.months))


def _running(periods: Iterable[Period]) -> tuple[Period, ...]:
    return tuple(accumulate(periods, lambda sums, period: sum_up(period.name, (sums, period))))


def bars(found: Report, by: By) -> list[Bar]:
    """The pieces of the chart; what is zero has none."""
    return [
        Bar(
            period.name,
            period.name[:7],
            label(outcome),
            rank,
            its.cents,
            f"{format_amount(its.cents, found.currency)} {found.currency}",
            f"{its.orders:,}",
        )
        for period in _periods(found, by)
        for rank, (outcome, its) in enumerate(_by_outcome(period).items())
        if its.cents
    ]


def table(found: Report, by: By) -> Table:
    """The table of the report, a line for each period, with a total."""
    return Table(
        by,
        found.currency,
        tuple(label(outcome) for outcome in (*OUTCOMES, ALL)),
        tuple(_line(period.name, period, found.currency) for period in _periods(found, by)),
        _line("Total", found.totals, found.currency),
    )


def left_out_in_words(found: Report) -> str | None:
    """Which months without orders aren't shown, in a sentence; `None` if all are."""
    stretches = left_out(found)
    if not stretches:
        return None
    some = ", ".join(stretches[:MOST_NAMED])
    more = len(stretches) - MOST_NAMED
    return (
        f"No order is of {some}{f' and {more:,} more stretches' if more > 0 else ''}: these months "
        "are left out."
    )


def label(outcome: str) -> str:
    """An outcome as people read it: ``no_funds`` is ``No funds``."""
    return outcome.replace("_", " ").capitalize()


def share(part: int, whole: int) -> str:
    """A share as per cent with one decimal.

    It is never rounded to all or to nothing: 100.0 % says that nothing is missing.
    """
    if not whole:
        return NO_SHARE
    tenths = (2000 * part + whole) // (2 * whole)
    if 0 < part < whole:
        tenths = min(max(tenths, 1), 999)
    return f"{tenths // 10}.{tenths % 10} %"


def minor_units_in_one(currency: str) -> int:
    """How many minor units make one: 100 cents a dollar."""
    return int(10 ** MINOR_UNITS.get(currency, 0))


def _periods(found: Report, by: By) -> tuple[Period, ...]:
    return found.days if by == "Day" else found.months


def _by_outcome(period: Period) -> dict[str, Sum]:
    return {ACCEPTED: period.accepted, **period.declined}


def _line(name: str, period: Period, currency: str) -> Line:
    sums = [*_by_outcome(period).values(), period.all]
    return Line(
        name, tuple((f"{its.orders:,}", format_amount(its.cents, currency)) for its in sums)
    )
