"""Time travel: what the log said at a moment, and what changed between two.

A moment is a position of the log, or a time, which is one of recording: what was known then. The
month of an order is one of business time. The two differ: a late order changes a month that is
over.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, cast, func, literal_column, select

from domain.contracts import AuthorizationAccepted, AuthorizationDeclined
from domain.errors import ShopError
from event_log.database import Database, Int64, Place, table_of
from event_log.log import EventRow, last_position
from event_log.sums import ExactSum
from reporting import projector
from reporting.projection import Key, Projection, Row, Told
from reporting.projections.growth import POSITIONS, GrowthRow, part_of
from reporting.projections.growth import PROJECTION as GROWTH
from reporting.projections.late import PROJECTION as LATE
from reporting.projections.late import Late, is_late
from reporting.projections.revenue import PROJECTION as REVENUE
from reporting.projections.revenue import alone
from reporting.read_only import ReadOnlyDatabase
from reporting.report import REASONS, LateMonth, Period, Report, figures, late_of, report_of
from reporting.revenue import Revenue, Sum
from reporting.set_aside import aside, aside_in
from reporting.told import read_told
from transport.envelope import format_time, parse_time

Moment = int | datetime
"""A position of the log, or a time of recording (UTC, aware)."""

Progress = Callable[[int, int], None]
"""Is told how many events are read, and of how many."""

Rows = Iterable[Row]
Columns = Sequence[ColumnElement[str]]

_MOST_DIGITS = 18
"""Longer ones are no positions of a database's, and Python reads no number of thousands."""

_events = table_of(EventRow)
_growth = table_of(GrowthRow)


def parse_moment(text: str, name: str) -> Moment:
    """Read a position, or a time of RFC 3339 such as ``2026-11-25T10:00Z``.

    Raises:
        MalformedRecord: it is neither, or a time without a zone; the message says `name`.
    """
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        return int(text)
    return parse_time(text, name, lenient=True)


def position_at(log: Database, moment: Moment, written: Place | None = None) -> int:
    """The last position that was recorded at a moment or before it; 0 when there was none.

    The answer for a moment stays the same, whatever is recorded afterwards: recorded times never
    go back from one position to the next, and what is being recorded may still be of the moment,
    so it is waited for.

    Args:
        log: the log, to be read.
        moment: a position, or a time that is over.
        written: where the log is written, if that is another place.

    Raises:
        ShopError: the log has no such position, or the time isn't over yet.
        StoreError: what is being recorded takes too long.
    """
    if isinstance(moment, datetime):
        _refuse_what_is_not_over(log, moment, written)
        positions = range(1, last_position(log) + 1)
        return bisect_right(positions, moment, key=partial(recorded_at, log))
    return _there(log, moment)


def _refuse_what_is_not_over(log: Database, moment: datetime, written: Place | None) -> None:
    """Wait for what is being recorded, unless something is recorded that is later."""
    end = last_position(log)
    if end and recorded_at(log, end) > moment:
        return
    with log.reading() as connection:
        if log.backend.is_copy(connection):
            raise ShopError(
                f"{log} is a standby's, which may not have all yet that was recorded until "
                f"{format_time(moment)}: ask the primary, or for a moment before the newest event"
            )
    now = (log if written is None else ReadOnlyDatabase(written)).after_the_writer()
    if moment >= now:
        raise ShopError(
            f"{format_time(moment)} isn't over yet, it is {format_time(now)}: what will be known "
            "then nobody knows. Leave the moment away to see what is known now"
        )


def first_position(log: Database, moment: Moment) -> int:
    """The first position that was recorded at a moment or after it, perhaps the next to come.

    Raises:
        ShopError: the log has no such position.
    """
    if isinstance(moment, datetime):
        positions = range(1, last_position(log) + 1)
        return bisect_left(positions, moment, key=partial(recorded_at, log)) + 1
    return max(1, _there(log, moment))


def _there(log: Database, position: int) -> int:
    end = last_position(log)
    if position > end:
        raise ShopError(f"the log {log} ends at position {end}: there is no {position}")
    return position


def recorded_at(log: Database, position: int) -> datetime:
    """When a position was recorded (UTC, aware).

    Raises:
        ShopError: the log has no such position.
    """
    with log.reading() as connection:
        found: datetime | None = connection.scalar(
            select(_events.c.recorded_time).where(_events.c.position == position)
        )
    if found is None:
        raise ShopError(
            f"the log {log} has no position {position}: `shop prove` says what is wrong"
        )
    return found


class Folding:
    """Rows of projections in memory, as the log goes on: as many as the projections have."""

    def __init__(
        self,
        log: Database,
        projections: Sequence[Projection],
        position: int,
        rows: Mapping[str, Rows],
        aside: Collection[int] = frozenset(),
    ) -> None:
        """Begin at a position, with the rows that the projections have there, by their names.

        Events at the positions `aside` are left out.
        """
        self._log = log
        self._aside = aside
        self._projections = projections
        self.position = position
        self.rows: dict[str, dict[Key, Row]] = {
            each.name: {row[: len(each.key_columns)]: row for row in rows[each.name]}
            for each in projections
        }

    def go_on(self, until: int) -> Iterator[list[Told]]:
        """Take events in up to a position, batch by batch; each is given once it is in."""
        while self.position < until:
            some = min(projector.BATCH, until - self.position)
            batch = read_told(self._log, self.position, some, self._aside)
            if not batch:
                return
            for projection in self._projections:
                rows = self.rows[projection.name]
                rows |= projection.take(rows, projection.fold(batch))
            self.position = batch[-1].position
            yield batch


def report_at(
    log: Database,
    projections: Database,
    position: int,
    currency: str,
    progress: Progress = lambda done, total: None,
) -> tuple[Report, tuple[LateMonth, ...]]:
    """The report as the log had it at a position, and what had come late by then.

    Whole parts of the log come from the projection of growth, as far as it goes; what is left, a
    thousand events at most where that is up to date, is folded as the live projections do.
    """
    folding = Folding(log, [REVENUE, LATE], *_grown(projections, position))
    for _ in folding.go_on(position):
        progress(folding.position, position)
    found = _report(folding, position, currency)
    return found, late_of(map(Late._make, folding.rows[LATE.name].values()), found)


def _grown(projections: Database, position: int) -> tuple[int, dict[str, Rows], tuple[int, ...]]:
    """Where the last whole part before a position ends, and the rows of the projections there.

    And the positions of events that are set aside.
    """
    day, currency, outcome, recorded = (
        _growth.c[name] for name in ("day", "currency", "outcome", "recorded")
    )
    # Literals: to Postgres, what is grouped by is the same only if it has no parameters.
    month, recorded_in = (
        func.substr(each, literal_column("1"), literal_column("7")) for each in (day, recorded)
    )
    with projections.reading() as connection:
        reached = projector.live(GROWTH).reached(connection).position
        whole = min(position, reached) // POSITIONS * POSITIONS
        grown = _growth.c.part < part_of(whole + 1)

        def summed(columns: Columns, *also: ColumnElement[bool]) -> Rows:
            sums = [cast(func.sum(_growth.c.orders), Int64), ExactSum(_growth.c.cents)]
            query = select(*columns, *sums)
            found = connection.execute(query.where(grown, *also).group_by(*columns))
            return [tuple(row) for row in found]

        rows = {
            REVENUE.name: summed((day, currency, outcome)),
            LATE.name: summed((month, currency, recorded, outcome), month < recorded_in),
        }
        return whole, rows, aside(connection)


class Decided(NamedTuple):
    """An order that changed the report when it was decided.

    `month` is of business time; `late` says that it was over when the decision was recorded, and
    that there were figures of it by then. `cents` are minor units.
    """

    position: int
    recorded_at: str
    order_id: str
    customer_id: str
    ordered_at: str
    month: str
    outcome: str
    cents: int
    late: bool


@dataclass(frozen=True)
class MonthChange:
    """A month in two reports that has more orders in the later one; `late` of them came late."""

    before: Period
    after: Period
    late: int


@dataclass(frozen=True)
class Comparison:
    """Two reports, the months that changed from the one to the other, and the orders behind it.

    Of all `orders` there are `orders_in_all`, and `late_in_all` of those are late; not all need be
    listed, but late ones are before others. None is late in the months that were `loaded` as the
    later report has them: nothing of those came in time, so that no figure of theirs was changed.
    """

    before: Report
    after: Report
    months: tuple[MonthChange, ...]
    orders: tuple[Decided, ...]
    orders_in_all: int
    late_in_all: int
    loaded: tuple[LateMonth, ...]


def compare(
    log: Database,
    projections: Database,
    one: int,
    other: int,
    currency: str,
    most: int,
    progress: Progress = lambda done, total: None,
) -> Comparison:
    """Compare the reports at two positions, the earlier one with the later one.

    Args:
        log: the event log.
        projections: the projections, which shorten the way to the earlier position.
        one: a position.
        other: another position.
        currency: of which orders.
        most: how many orders are listed, at most.
        progress: is told how far it is.
    """
    first, last = sorted((one, other))
    before, _ = report_at(log, projections, first, currency, progress)
    after, late_months = report_at(log, projections, last, currency, progress)
    loaded = tuple(month for month in late_months if month.whole)
    in_loaded = {month.part.name for month in loaded}
    late: list[Decided] = []
    in_time: list[Decided] = []
    changed: dict[str, list[int]] = {}
    between = Folding(log, [], first, {}, aside_in(projections))
    for batch in between.go_on(last):
        for order in _decided(batch, currency, in_loaded):
            count = changed.setdefault(order.month, [0, 0])
            count[order.late] += 1
            listed = late if order.late else in_time
            if len(listed) < most:
                listed.append(order)
        progress(between.position, last)
    one_by_name, other_by_name = (
        {month.name: month for month in each.months} for each in (before, after)
    )
    return Comparison(
        before,
        after,
        tuple(
            _change(month, one_by_name, other_by_name, changed[month][True])
            for month in sorted(changed)
        ),
        tuple([*late, *in_time][:most]),
        sum(map(sum, changed.values())),
        sum(count[True] for count in changed.values()),
        tuple(month for month in loaded if month.part.name in changed),
    )


def _report(folding: Folding, position: int, currency: str) -> Report:
    return report_of(map(Revenue._make, folding.rows[REVENUE.name].values()), currency, position)


def _decided(events: Iterable[Told], currency: str, loaded: Collection[str]) -> Iterator[Decided]:
    for told in events:
        row, said = alone(told), told.event
        if row is None or row.currency != currency:
            continue
        if isinstance(said, AuthorizationAccepted | AuthorizationDeclined):
            yield Decided(
                told.position,
                told.recorded_at,
                said.order_id,
                said.customer_id,
                told.ordered_at,
                told.ordered_at[:7],
                row.outcome,
                row.cents,
                told.ordered_at[:7] not in loaded and is_late(told.ordered_at, told.recorded_at),
            )


def _change(
    month: str, before: Mapping[str, Period], after: Mapping[str, Period], late: int
) -> MonthChange:
    nothing = Period(month, Sum(), dict.fromkeys(REASONS, Sum()))
    return MonthChange(before.get(month, nothing), after[month], late)


def as_json(found: Comparison) -> dict[str, Any]:
    """What changed as one JSON object; amounts in minor units."""
    return {
        "months": [
            {
                "month": month.after.name,
                "before": figures(month.before),
                "after": figures(month.after),
                "late": month.late,
            }
            for month in found.months
        ],
        "orders_in_all": found.orders_in_all,
        "late_in_all": found.late_in_all,
        "loaded": [month.part.name for month in found.loaded],
        "orders": [order._asdict() for order in found.orders],
    }
