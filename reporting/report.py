"""The revenue report: by day, month or reason, with totals."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from domain.contracts import Reason
from event_log.database import Database, table_of
from reporting.projector import position
from reporting.revenue import ACCEPTED as ACCEPTED
from reporting.revenue import Revenue, RevenueRow, Sum

REASONS = tuple(reason.value for reason in Reason)

_table = table_of(RevenueRow)


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
    """What the log says up to `position`, in one currency."""

    currency: str
    position: int
    days: tuple[Period, ...]
    months: tuple[Period, ...]
    totals: Period


def report(projections: Database, currency: str) -> Report:
    """Read the report from the projections; months between the first and the last are all there."""
    with projections.reading() as connection:
        reached = position(connection)
        rows = connection.execute(
            select(_table).where(_table.c.currency == currency).order_by(_table.c.day)
        ).all()
    return report_of(map(Revenue._make, rows), currency, reached)


def report_of(rows: Iterable[Revenue], currency: str, at: int) -> Report:
    """The report that rows of revenue make at position `at` of the log.

    Other currencies are left out; months between the first and the last are all there.
    """
    days: dict[str, dict[str, Sum]] = {}
    for row in sorted(each for each in rows if each.currency == currency):
        days.setdefault(row.day, {})[row.outcome] = Sum(row.orders, row.cents)
    by_day = tuple(_period(day, found) for day, found in days.items())
    months = tuple(
        _sum_up(month, [day for day in by_day if day.name.startswith(month)])
        for month in _months_between(by_day)
    )
    return Report(currency, at, by_day, months, _sum_up("total", by_day))


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


def _sum_up(name: str, periods: Sequence[Period]) -> Period:
    return Period(
        name,
        _total([period.accepted for period in periods]),
        {reason: _total([period.declined[reason] for period in periods]) for reason in REASONS},
    )


def _total(sums: Sequence[Sum]) -> Sum:
    return Sum(sum(each.orders for each in sums), sum(each.cents for each in sums))


def _months_between(days: Sequence[Period]) -> Iterator[str]:
    if not days:
        return
    year, month = int(days[0].name[:4]), int(days[0].name[5:7])
    last = days[-1].name[:7]
    while (name := f"{year:04}-{month:02}") <= last:
        yield name
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
