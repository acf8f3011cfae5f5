"""The projection of revenue: orders and cents by day, accepted or declined and why."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Field, SQLModel

from domain.contracts import AuthorizationAccepted, AuthorizationDeclined
from event_log.database import table_of
from event_log.log import RecordedEvent
from transport.codec import decode

Outcome = Literal["accepted", "no_funds", "billing_address_incorrect", "account_closed"]

_ACCEPTED: Outcome = "accepted"
_KINDS = {
    "shop.AuthorizationAccepted": AuthorizationAccepted,
    "shop.AuthorizationDeclined": AuthorizationDeclined,
}


class RevenueRow(SQLModel, table=True):
    """What one day (UTC, of `ordered_at`) had of one outcome; `cents` are minor units."""

    __tablename__ = "revenue_by_day"
    day: str = Field(primary_key=True)
    currency: str = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    orders: int
    cents: int


class Cell(NamedTuple):
    """One day, one currency, one outcome: a declined order's outcome is its reason."""

    day: str
    currency: str
    outcome: str


class Sum(NamedTuple):
    """Orders, and their amounts in minor units."""

    orders: int = 0
    cents: int = 0


_table = table_of(RevenueRow)


def fold(events: Iterable[RecordedEvent]) -> dict[Cell, Sum]:
    """Add up events of the log; what is no authorization doesn't count."""
    sums: dict[Cell, Sum] = defaultdict(Sum)
    for event in events:
        if event.type not in _KINDS:
            continue
        said = decode(f"{event.type}.v{event.version}", event.body)
        if isinstance(said, AuthorizationDeclined):
            outcome = said.reason.value
        elif isinstance(said, AuthorizationAccepted):
            outcome = _ACCEPTED
        else:
            continue
        cell = Cell(f"{event.business_time:%Y-%m-%d}", said.amount.currency, outcome)
        before = sums[cell]
        sums[cell] = Sum(before.orders + 1, before.cents + said.amount.cents)
    return dict(sums)


def add(connection: Connection, sums: dict[Cell, Sum]) -> None:
    """Add sums to the table."""
    if not sums:
        return
    statement = insert(_table)
    statement = statement.on_conflict_do_update(
        index_elements=[_table.c.day, _table.c.currency, _table.c.outcome],
        set_={
            "orders": _table.c.orders + statement.excluded.orders,
            "cents": _table.c.cents + statement.excluded.cents,
        },
    )
    connection.execute(
        statement, [cell._asdict() | total._asdict() for cell, total in sums.items()]
    )
