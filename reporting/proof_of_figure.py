"""Proof of a figure that left the product: its file says what the log said at its position.

The stamp must be the log's own, and the figures what SQL over the log's bodies gives up to there.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from sqlalchemy import text
from sqlmodel import SQLModel

from domain.errors import ShopError
from event_log.database import Database, table_of
from reporting.figure import Stamp, stamp
from reporting.proof import Failure, Finding, Head
from reporting.proof_figure_file import Exported

REVENUE = "revenue"
"""The projection that a report is made of."""

_SECTIONS = {"totals": 0, "months": 7, "days": 10}
"""The sections of a report, and how much of a day their periods have in common."""

Sums = dict[str, tuple[int, int]]
"""By outcome, orders and minor units."""


class Projection(Protocol):
    """What of a projection is needed here."""

    name: str
    table: type[SQLModel]
    check: str


def prove_figure(
    log: Database, head: Head, exported: Exported, projections: Mapping[str, Projection]
) -> Finding:
    """Check an exported file against the log.

    Args:
        log: the event log.
        head: how far it goes.
        exported: what the file says.
        projections: all projections, by name.

    Raises:
        ShopError: the file holds no figures that could be checked.
    """
    claimed = exported.stamp
    failure = _other_stamp(log, head, claimed)
    if failure is not None:
        return Finding({"position": claimed.position}, failure=failure)
    if exported.report:
        sums = _by_day(log, projections[REVENUE], claimed)
        count, failure = _compare_report(exported.report, sums)
    else:
        projection = _projection_of(exported, projections)
        count, failure = _compare_table(log, exported, projection)
    if not count:
        raise ShopError("the file holds no figures: there is nothing to check")
    return Finding({"position": claimed.position, "figures": count}, failure=failure)


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
        for row in connection.execute(text(projection.check), {"position": claimed.position}):
            named = dict(zip(names, row, strict=True))
            if named.get("currency", claimed.currency) == claimed.currency:
                yield named


def _by_day(log: Database, revenue: Projection, claimed: Stamp) -> dict[str, Sums]:
    days: dict[str, Sums] = {}
    for row in _rows(log, revenue, claimed):
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
            if failure := _other_sums(label or name, said, wanted.pop(label, {})):
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
    """Days added up to the periods that the first `length` characters of a day name."""
    periods: dict[str, Sums] = {}
    for day, sums in days.items():
        period = periods.setdefault(day[:length], {})
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


def _projection_of(exported: Exported, projections: Mapping[str, Projection]) -> Projection:
    """The projection whose columns a table has.

    Raises:
        ShopError: there is none.
    """
    for projection in projections.values():
        columns = {column.name for column in table_of(projection.table).columns}
        if columns - {"currency"} == set(exported.columns) - {"currency"}:
            return projection
    raise ShopError(
        f"the file has the columns {', '.join(exported.columns)}, as no projection has: export one "
        "of " + ", ".join(projections)
    )


def _compare_table(
    log: Database, exported: Exported, projection: Projection
) -> tuple[int, Failure | None]:
    """How many values of a table were compared, and the first row that is another."""
    table = table_of(projection.table)
    keys = [column.name for column in table.primary_key if column.name in exported.columns]
    wanted = {
        _key(row, keys): {name: _text(row[name]) for name in exported.columns}
        for row in _rows(log, projection, exported.stamp)
    }
    count = 0
    for row in exported.rows:
        key = _key(row, keys)
        right = wanted.pop(key, None)
        count += len(row)
        if right is None:
            return count, Failure(
                key, "the file has this row, or has it twice, and the log doesn't"
            )
        for name, value in row.items():
            if value != right[name]:
                return count, _other_value(key, name, value, right[name])
    if wanted:
        return count, Failure(min(wanted), "the log has this row, and the file doesn't")
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
