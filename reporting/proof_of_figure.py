"""Proof of a figure that left the product: its file says what the log said at its position.

The stamp must be the log's own, and the figures what SQL over the log's bodies gives up to there.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import text

from domain.errors import ShopError
from domain.money import MINOR_UNITS
from event_log.database import Database, table_of
from reporting.figure import PERIODS, Stamp, stamp
from reporting.projection import Projection
from reporting.projections import all_projections
from reporting.projections.revenue import PROJECTION as REVENUE
from reporting.proof import Failure, Finding, Head
from reporting.proof_figure_file import Exported, read_exported
from reporting.report import ACCEPTED, REASONS, months_of
from reporting.told import unreadable

_SECTIONS = {"totals": 0, "months": PERIODS["month"], "days": PERIODS["day"]}
"""The sections of a report, and how much of a day's name names one of their periods."""

_WIDE = {"total": 0, **PERIODS}
"""The first columns of tables with a line for each period, and the same."""

_MONTHLY = {"month", "outcome", "orders", "cents"}

Sums = dict[str, tuple[int, int]]
"""By outcome, orders and minor units."""


class _Table(NamedTuple):
    """What a table of a file must hold: the columns of its keys, and rows by column."""

    keys: tuple[str, ...]
    rows: Iterable[Mapping[str, Any]]


FIGURE = "figure"
"""What the proof of a file is called, as a part of its own."""


def prove_figures(log: Database, head: Head, file: Path) -> Finding:
    """Check what an exported file says against the log, which goes as far as `head`.

    Raises:
        ShopError: the file can't be read, or holds no figures that could be checked.
    """
    figures, failure = 0, None
    positions: list[int] = []
    notes: dict[str, None] = {}
    for exported in read_exported(file):
        found = prove_figure(log, head, exported)
        figures += found.checked.get("figures", 0)
        if found.checked["position"] not in positions:
            positions.append(found.checked["position"])
        failure = failure or found.failure
        notes |= dict.fromkeys(found.notes)
    checked = {"file": str(file), "positions": positions, "figures": figures}
    return Finding(checked, list(notes), failure)


def prove_figure(log: Database, head: Head, exported: Exported) -> Finding:
    """Check one stamp and its figures against the log, which goes as far as `head`.

    Raises:
        ShopError: there are no figures that could be checked.
    """
    claimed = exported.stamp
    failure = _other_stamp(log, head, claimed) or _left_out_wrongly(log, claimed)
    if failure is not None:
        return Finding({"position": claimed.position}, failure=failure)
    if exported.report:
        count, failure = _compare_report(exported.report, _by_day(log, claimed))
    else:
        count, failure = _compare_table(exported, _table_of(log, exported))
    if not count:
        raise ShopError("the file holds no figures: there is nothing to check")
    notes = [f"without position {each:,}, which can't be read" for each in claimed.set_aside]
    return Finding({"position": claimed.position, "figures": count}, notes, failure)


def _left_out_wrongly(log: Database, claimed: Stamp) -> Failure | None:
    """Whether the figures are without an event that can be read."""
    for position in claimed.set_aside:
        where = f"position {position}"
        if not 0 < position <= claimed.position:
            return Failure(where, "the file is without it, and ends before it")
        if unreadable(log, position) is None:
            return Failure(where, "the file is without it, though it can be read")
    return None


def _other_stamp(log: Database, head: Head, claimed: Stamp) -> Failure | None:
    where = f"position {claimed.position}"
    if not 0 <= claimed.position <= head.position:
        return Failure(
            where, f"the log ends at position {head.position}: the file is of another log"
        )
    ours = stamp(log, claimed.position, claimed.currency)
    if claimed.hash != ours.hash:
        return Failure(where, f"its hash is {claimed.hash} in the file, {ours.hash} in the log")
    if claimed.recorded_time != ours.recorded_time:
        return Failure(
            where,
            f"it was recorded {claimed.recorded_time} by the file, {ours.recorded_time} by the log",
        )
    return None


def _rows(log: Database, projection: Projection, claimed: Stamp) -> Iterator[dict[str, Any]]:
    """What the projection must hold at the stamp's position, in its currency."""
    names = [column.name for column in table_of(projection.table).columns]
    with log.reading() as connection:
        for row in connection.execute(
            text(projection.check_in(connection.dialect.name, claimed.set_aside)),
            {"position": claimed.position},
        ):
            named = dict(zip(names, projection.read(row), strict=True))
            # Of projections, those by day have a part of the time.
            if named.get("currency", claimed.currency) == claimed.currency and (
                "day" not in named or claimed.has(named["day"])
            ):
                yield named


def _by_day(log: Database, claimed: Stamp) -> dict[str, Sums]:
    days: dict[str, Sums] = {}
    for row in _rows(log, REVENUE, claimed):
        days.setdefault(row["day"], {})[row["outcome"]] = (row["orders"], row["cents"])
    return days


def _compare_report(
    report: Mapping[str, Any], days: Mapping[str, Sums]
) -> tuple[int, Failure | None]:
    """How many figures of a report were compared, and the first that is another."""
    count = 0
    for name, length in _SECTIONS.items():
        if name not in report:
            continue
        wanted = _summed(days, length)
        for label, said in _section(report, name):
            count += 2 * len(said)
            right = wanted.pop(label, None)
            if right is None:
                return count, Failure(
                    label, f"the {name} of the file have it once more than the log"
                )
            if failure := _other_sums(label or name, said, right):
                return count, failure
        if wanted:
            left_out = min(wanted)
            return count, Failure(left_out, f"the log has it, and the {name} of the file don't")
    return count, None


def _section(report: Mapping[str, Any], name: str) -> list[tuple[str, Sums]]:
    """The periods of a section by their labels; the totals are one without a label.

    Raises:
        ShopError: they are not written as a report writes them.
    """
    try:
        if name == "totals":
            return [("", _sums_of(report[name]))]
        label = name.removesuffix("s")
        return [(str(period[label]), _sums_of(period)) for period in report[name]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ShopError(
            f"the {name} of the file are not as a report has them ({error!r}): export it again"
        ) from error


def _sums_of(period: Mapping[str, Any]) -> Sums:
    outcomes = {"accepted": period["accepted"], **period["declined"]}
    found = {outcome: (sums["orders"], sums["cents"]) for outcome, sums in outcomes.items()}
    if not all(type(number) is int for numbers in found.values() for number in numbers):
        raise TypeError("a figure is no whole number")
    return found


def _summed(days: Mapping[str, Sums], length: int) -> dict[str, Sums]:
    """Days added up to the periods that the first `length` characters of a day name.

    As in a report, months without orders are there where they are few, and so is the total.
    """
    periods: dict[str, Sums] = {}
    if length == 0:
        periods[""] = {}
    if length == PERIODS["month"]:
        periods = {month: {} for month in months_of(sorted(days))}
    for day, sums in days.items():
        period = periods[day[:length]] if length < PERIODS["day"] else periods.setdefault(day, {})
        for outcome, (orders, cents) in sums.items():
            before = period.get(outcome, (0, 0))
            period[outcome] = (before[0] + orders, before[1] + cents)
    return periods


def _other_sums(label: str, said: Sums, wanted: Sums) -> Failure | None:
    for outcome in sorted(said.keys() | wanted.keys()):
        found, right = said.get(outcome, (0, 0)), wanted.get(outcome, (0, 0))
        if found != right:
            by = {"orders": found[0] - right[0], "cents": found[1] - right[1]}
            what = (
                f"{found[0]} orders of {found[1]} minor units in the file, {right[0]} of "
                f"{right[1]} by the log"
            )
            return Failure(f"{label} {outcome}", what, {k: v for k, v in by.items() if v})
    return None


def _table_of(log: Database, exported: Exported) -> _Table:
    """What a table with the columns of the file must hold: a projection's rows, or its months.

    Raises:
        ShopError: there is no such table.
    """
    columns = set(exported.columns) - {"currency"}
    if columns == _MONTHLY:
        return _Table(("month", "outcome"), _monthly(_by_day(log, exported.stamp)))
    key = next((name for name in _WIDE if name in columns), None)
    if key and columns - {key} <= _wide({}, exported.stamp.currency).keys():
        return _Table(
            (key,), _by_period(_by_day(log, exported.stamp), key, exported.stamp.currency)
        )
    for projection in all_projections().values():
        names = {column.name for column in table_of(projection.table).columns}
        if names - {"currency"} == columns:
            if "day" not in names and exported.stamp.is_of_some_days:
                raise ShopError(f"{projection.name} has no days, and the stamp says which it is of")
            keys = tuple(name for name in projection.key_columns if name in exported.columns)
            return _Table(keys, _rows(log, projection, exported.stamp))
    raise ShopError(
        f"the file has the columns {', '.join(exported.columns)}, as no projection has: export one "
        "of " + ", ".join(all_projections())
    )


def _by_period(days: Mapping[str, Sums], key: str, currency: str) -> Iterator[dict[str, Any]]:
    for period, sums in _summed(days, _WIDE[key]).items():
        yield {key: period, **_wide(sums, currency)}


def _wide(sums: Sums, currency: str) -> dict[str, Any]:
    """A period's line with all columns that an export may have, such as ``accepted_cents``."""
    groups = {outcome: sums.get(outcome, (0, 0)) for outcome in (ACCEPTED, *REASONS)}
    groups["declined"] = _added(its for outcome, its in sums.items() if outcome != ACCEPTED)
    groups["all"] = _added(sums.values())
    line: dict[str, Any] = {}
    for name, (orders, cents) in groups.items():
        line |= {f"{name}_orders": orders, f"{name}_cents": cents}
        if currency in MINOR_UNITS:
            line[f"{name}_amount"] = Decimal(cents).scaleb(-MINOR_UNITS[currency])
    return line


def _added(sums: Iterable[tuple[int, int]]) -> tuple[int, int]:
    orders, cents = 0, 0
    for its in sums:
        orders, cents = orders + its[0], cents + its[1]
    return orders, cents


def _monthly(days: Mapping[str, Sums]) -> Iterator[dict[str, Any]]:
    for month, sums in _summed(days, 7).items():
        for outcome, (orders, cents) in sums.items():
            yield {"month": month, "outcome": outcome, "orders": orders, "cents": cents}


def _compare_table(exported: Exported, table: _Table) -> tuple[int, Failure | None]:
    """How many values of a table were compared, and the first row that is another."""
    currency = {"currency": exported.stamp.currency}
    wanted = {
        _key(row, table.keys): {name: _text({**currency, **row}[name]) for name in exported.columns}
        for row in table.rows
    }
    count = 0
    for row in exported.rows:
        key = _key(row, table.keys)
        right = wanted.pop(key, None)
        count += len(row)
        if right is None:
            return count, Failure(key or "total", "the file has this row once more than the log")
        for name, value in row.items():
            if value != right[name]:
                return count, _other_value(key or "total", name, value, right[name])
    if wanted:
        return count, Failure(min(wanted) or "total", "the log has this row, and the file doesn't")
    return count, None


def _other_value(key: str, name: str, found: str, right: str) -> Failure:
    what = f"{name} is {found!r} in the file, {right!r} by the log"
    try:
        return Failure(key, what, {name: int(found) - int(right)})
    except ValueError:
        return Failure(key, what)


def _key(row: Mapping[str, Any], keys: Iterable[str]) -> str:
    return " ".join(_text(row[name]) for name in keys)


def _text(value: object) -> str:
    return "" if value is None else str(value)
