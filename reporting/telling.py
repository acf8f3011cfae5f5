"""What projecting tells telemetry, while that is on: events that reach the report, and its figures.

A replay projects beside the live rows, and a proof reads them: neither tells anything.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, func, select

from domain.contracts import AuthorizationAccepted, AuthorizationDeclined, NewOrder
from event_log.database import Database, table_of, time_text
from event_log.log import last_position
from event_log.statements import among
from event_log.sums import ExactSum
from reporting.projection import Told
from reporting.projections.stories import StoryRow
from reporting.revenue import RevenueRow
from services.telemetry import Figure, Projected, ReportState, telemetry

HISTORY_AFTER = timedelta(minutes=1)
"""What was recorded longer ago is history to projections that are made anew, and no news."""

_stories, _revenue = table_of(StoryRow), table_of(RevenueRow)


class Telling:
    """Tells of the events that the live projections take in while they catch up."""

    def __init__(self, projections: Database, reached: int) -> None:
        """Tell of what comes after `reached`, where the report stands; from 0 it is made anew."""
        self._projections = projections
        now = datetime.now(UTC)
        self._news_from = "" if reached else time_text(now - HISTORY_AFTER)

    def tell(self, taken: Sequence[Told], began: float) -> None:
        """Tell of events that were taken in, begun at `began` (seconds since the epoch)."""
        news = [each for each in taken if each.recorded_at >= self._news_from]
        if not news:
            return
        with self._projections.reading() as connection:
            completed = _completed(connection, news)
        telemetry().projected(
            [Projected(each.position, each.event, completed.get(each.position)) for each in news],
            began,
        )


def watch(log: Database, projections: Database, reached: Callable[[Connection], int]) -> None:
    """Have telemetry ask how the report stands; `reached` gives its position in the log."""
    telemetry().watch_report(partial(_state, log, projections, reached))


def _completed(connection: Connection, news: Sequence[Told]) -> dict[int, datetime]:
    """By the position that completed an order in the report, when its NewOrder was published.

    The log may have an order's authorization before its NewOrder: the later one completes it. An
    order that was asked for has no NewOrder, and isn't here.
    """
    kinds = (NewOrder, AuthorizationAccepted, AuthorizationDeclined)
    orders = {each.event.order_id for each in news if isinstance(each.event, kinds)}
    columns = [_stories.c[name] for name in ("placed_at", "placed_position", "authorized_position")]
    found = connection.execute(
        select(*columns).where(
            among(_stories.c.order_id, orders), *(column.is_not(None) for column in columns)
        )
    )
    return {
        max(placed_position, authorized_position): datetime.fromisoformat(placed_at)
        for placed_at, placed_position, authorized_position in found
    }


def _state(
    log: Database, projections: Database, reached: Callable[[Connection], int]
) -> ReportState:
    figures = select(
        _revenue.c.outcome,
        _revenue.c.currency,
        func.sum(_revenue.c.orders),
        ExactSum(_revenue.c.cents),
    ).group_by(_revenue.c.outcome, _revenue.c.currency)
    with projections.reading() as connection:
        found = [
            Figure(outcome, currency, int(orders), int(cents))
            for outcome, currency, orders, cents in connection.execute(figures)
        ]
        at = reached(connection)
    return ReportState(found, max(0, last_position(log) - at))
