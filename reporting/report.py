"""The revenue report: by day, month or reason, with totals, and what came late for its month."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, select

from domain.contracts import Reason
from domain.errors import ShopError
from domain.money import format_amount, unit_of
from event_log.database import Database, table_of
from reporting.projections.late import Late, LateRow
from reporting.projector import position
from reporting.revenue import ACCEPTED as ACCEPTED
from reporting.revenue import Revenue, RevenueRow, Sum

REASONS = tuple(reason.value for reason in Reason)

LONGEST_GAP = 24
"""So many months without orders are shown, as zero, between two that have some; a longer stretch is
left out, so that one order of a far year makes no hundred thousand months."""

_LAST_MONTH = "9999-12"
_table = table_of(RevenueRow)
_late = table_of(LateRow)


@dataclass(frozen=True)
class Period:
    """A day or a month: what was accepted in it, and what was declined by reason."""

    name: str
    accepted: Sum
    declined: dict[str, Sum]

    @property
    def all_declined(self) -> Sum:
        """Everything that was declined in the period, for whatever reason."""
        return _total(list(self.declined.values()))

    @property
    def all(self) -> Sum:
        """Everything that was ordered in the period, accepted or declined."""
        return _total([self.accepted, self.all_declined])


@dataclass(frozen=True)
class Report:
    """What the log says up to `position`, in one currency.

    `others` are the reports in the other currencies that the log has, by their codes: no sum is of
    two.
    """

    currency: str
    position: int
    days: tuple[Period, ...]
    months: tuple[Period, ...]
    totals: Period
    others: tuple["Report", ...] = ()


@dataclass(frozen=True)
class LateMonth:
    """The part of a month's figures that was recorded when the month was over.

    `first` and `last` are the days (UTC) on which the first and the last of it were recorded.
    `whole` says that nothing of the month came in time: then there was no figure to change, and the
    month was loaded afterwards.
    """

    part: Period
    first: str
    last: str
    whole: bool


def report(projections: Database, currency: str) -> Report:
    """Read the report from the projections."""
    return projections.read(partial(_read, currency=currency))


def report_and_late(projections: Database, currency: str) -> tuple[Report, tuple[LateMonth, ...]]:
    """Read the report and what came late from the projections, as they were at one moment."""
    with projections.reading() as connection:
        found = _read(connection, currency)
        rows = connection.execute(select(_late).where(_late.c.currency == currency)).all()
    return found, late_of(map(Late._make, rows), found)


def _read(connection: Connection, currency: str) -> Report:
    reached = position(connection)
    rows = connection.execute(select(_table)).all()
    return report_of(map(Revenue._make, rows), currency, reached)


def report_of(rows: Iterable[Revenue], currency: str, at: int) -> Report:
    """The report that rows of revenue make at position `at` of the log.

    Of months without orders it has what `months_of` says.
    """
    by_currency: dict[str, dict[str, dict[str, Sum]]] = {currency: {}}
    for row in sorted(rows):
        days = by_currency.setdefault(row.currency, {})
        days.setdefault(row.day, {})[row.outcome] = Sum(row.orders, row.cents)
    made = {
        each: _of_days(each, at, tuple(_period(day, found) for day, found in days.items()))
        for each, days in sorted(by_currency.items())
    }
    found = made.pop(currency)
    return replace(found, others=tuple(made.values()))


def within(found: Report, first: str | None, last: str | None) -> Report:
    """The part of a report from a first day to a last one, both included; `None` is no bound."""
    days = [day for day in found.days if (first or "") <= day.name <= (last or day.name)]
    cut = _of_days(found.currency, found.position, tuple(days))
    others = [within(other, first, last) for other in found.others]
    return replace(cut, others=tuple(other for other in others if other.days))


def others_in_words(found: Report) -> list[str]:
    """The orders and sums in other currencies, which are in none of a report's own figures."""
    return [
        f"{orders_in_words(other)}, {_amount(other.totals.accepted, other)} of it accepted"
        for other in found.others
    ]


def orders_in_words(found: Report) -> str:
    """How many orders, and of what sum: ``12 orders of 345.00 EUR``."""
    total = found.totals.all
    return f"{total.orders:,} order{'' if total.orders == 1 else 's'} of {_amount(total, found)}"


def _amount(of: Sum, found: Report) -> str:
    return f"{format_amount(of.cents, found.currency)} {unit_of(found.currency)}"


def in_its_currency(found: Report) -> Report:
    """The report, where it has figures of its own or nobody has any.

    Raises:
        ShopError: the log has orders, and none in the report's currency.
    """
    if not found.days and found.others:
        raise ShopError(
            f"no order up to position {found.position:,} of the log is in {found.currency}, which "
            f"SHOP_CURRENCY says; it has {'; '.join(others_in_words(found))}. Set SHOP_CURRENCY to "
            f"{' or '.join(other.currency for other in found.others)}"
        )
    return found


def _of_days(currency: str, at: int, by_day: tuple[Period, ...]) -> Report:
    in_months: dict[str, list[Period]] = {
        month: [] for month in months_of(day.name for day in by_day)
    }
    for day in by_day:
        in_months[day.name[:7]].append(day)
    months = tuple(sum_up(month, days) for month, days in in_months.items())
    return Report(currency, at, by_day, months, sum_up("total", by_day))


def late_of(rows: Iterable[Late], of: Report) -> tuple[LateMonth, ...]:
    """The months of a report that late orders are in, from rows of late orders.

    Other currencies are left out.
    """
    months: dict[str, list[Late]] = {}
    for row in sorted(each for each in rows if each.currency == of.currency):
        months.setdefault(row.month, []).append(row)
    whole = {month.name: month.all.orders for month in of.months}
    made = []
    for month, found in months.items():
        part = _part(month, found)
        days = [row.recorded for row in found]
        made.append(LateMonth(part, min(days), max(days), part.all.orders == whole.get(month)))
    return tuple(made)


def months_in_words(months: Sequence[LateMonth]) -> str:
    """Which months these are: the first, the last, and how many."""
    first, last = months[0].part.name, months[-1].part.name
    return first if len(months) == 1 else f"{first} to {last}, {len(months)} in all"


def _part(month: str, rows: Sequence[Late]) -> Period:
    outcomes: dict[str, list[Sum]] = {}
    for row in rows:
        outcomes.setdefault(row.outcome, []).append(Sum(row.orders, row.cents))
    return _period(month, {outcome: _total(sums) for outcome, sums in outcomes.items()})


def month_end(name: str) -> datetime:
    """The moment (UTC) at which a month such as ``1997-01`` was over; the last of all never is."""
    if name >= _LAST_MONTH:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.fromisoformat(f"{_month_named(_number(name) + 1)}-01T00:00Z")


def late_as_json(found: Sequence[LateMonth]) -> dict[str, Any]:
    """What came late as one JSON object, to be put beside a report's; amounts in minor units."""
    return {
        "late": [
            {
                "month": late.part.name,
                **figures(late.part),
                "first_recorded": late.first,
                "last_recorded": late.last,
                "whole_month": late.whole,
            }
            for late in found
        ]
    }


def as_json(found: Report) -> dict[str, Any]:
    """The report as one JSON object; amounts in minor units."""
    return {
        "currency": found.currency,
        "position": found.position,
        "months": [{"month": month.name, **figures(month)} for month in found.months],
        "totals": figures(found.totals),
    }


def days_as_json(found: Report) -> dict[str, Any]:
    """The report by day as one JSON object."""
    whole = as_json(found)
    del whole["months"]
    return {**whole, "days": [{"day": day.name, **figures(day)} for day in found.days]}


def figures(period: Period) -> dict[str, Any]:
    """A period's figures as one JSON object; amounts in minor units."""
    return {
        "accepted": period.accepted._asdict(),
        "declined": {reason: total._asdict() for reason, total in period.declined.items()},
    }


def _period(name: str, found: dict[str, Sum]) -> Period:
    return Period(
        name,
        found.get(ACCEPTED, Sum()),
        {reason: found.get(reason, Sum()) for reason in REASONS},
    )


def sum_up(name: str, periods: Sequence[Period]) -> Period:
    """One period that has all that others have."""
    return Period(
        name,
        _total([period.accepted for period in periods]),
        {reason: _total([period.declined[reason] for period in periods]) for reason in REASONS},
    )


def _total(sums: Sequence[Sum]) -> Sum:
    return Sum(sum(each.orders for each in sums), sum(each.cents for each in sums))


def months_of(days: Iterable[str]) -> list[str]:
    """The months (``YYYY-MM``) of some days, which are in order, and short gaps between them."""
    months: list[str] = []
    for month in dict.fromkeys(day[:7] for day in days):
        if months and (gap := _number(month) - _number(months[-1]) - 1) <= LONGEST_GAP:
            months += [_month_named(_number(month) - left) for left in range(gap, 0, -1)]
        months.append(month)
    return months


def left_out(found: Report) -> list[str]:
    """The stretches of months without orders that a report leaves out: ``1998-07 to 2099-12``."""
    names = [month.name for month in found.months]
    return [
        f"{_month_named(_number(before) + 1)} to {_month_named(_number(after) - 1)}"
        for before, after in pairwise(names)
        if not follows(before, after)
    ]


def follows(before: str, after: str) -> bool:
    """Whether a month comes next after another one in the calendar."""
    return _number(after) == _number(before) + 1


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:7]) - 1


def _month_named(number: int) -> str:
    return f"{number // 12:04}-{number % 12 + 1:02}"
