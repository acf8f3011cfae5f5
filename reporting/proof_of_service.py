"""Whether order service and log say the same of an order, or one has still to hear of it."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select

from domain.order import OrderState
from event_log.database import Place, table_of
from event_log.inbox import PositionRow, next_offsets
from reporting.proof import Failure
from reporting.proof_stories import ACCEPTED, DECLINED, PLACED, SHIPPED, Said
from reporting.read_only import ReadOnlyDatabase, has_tables
from services.order import OrderRow
from transport.topics import REPORTING_REQUESTS, TopicPartition

LOG_BEHIND = "in the order service already, not recorded yet"
SERVICE_BEHIND = "recorded already, and the order service has not come to it yet"

BATCH = 5_000
"""Orders that are copied at a time."""

_orders = table_of(OrderRow)
_BOOKED = select(_orders.c.order_id, _orders.c.state, _orders.c.reason)
_KINDS = {PLACED: "placed", ACCEPTED: "decided", DECLINED: "decided", SHIPPED: "shipped"}


class Booked(NamedTuple):
    """An order as the order service has it."""

    order_id: str
    state: str
    reason: str | None


class OrderBook:
    """The order service's orders and positions at one moment; it must be closed."""

    def __init__(self, database: ReadOnlyDatabase) -> None:
        """Take a copy into a temporary file, so that no long reading holds the database's past."""
        # An empty name is a file that SQLite itself removes.
        self._copy = sqlite3.connect("")
        self._copy.execute("CREATE TABLE booked (order_id, state, reason)")
        with database.reading() as connection:
            self.positions = next_offsets(connection)
            for rows in connection.execute(_BOOKED).yield_per(BATCH).partitions():
                self._copy.executemany("INSERT INTO booked VALUES (?, ?, ?)", map(tuple, rows))

    def __iter__(self) -> Iterator[Booked]:
        """Orders in the order of their ids, byte by byte."""
        rows = self._copy.execute("SELECT * FROM booked ORDER BY order_id")
        return map(Booked._make, rows)

    def close(self) -> None:
        """Forget them."""
        self._copy.close()


def open_book(place: Place) -> OrderBook | None:
    """The order service's orders; `None` where it has no database."""
    database = ReadOnlyDatabase(place)
    if database.identity() is None:
        return None
    with database.reading() as connection:
        if not has_tables(connection, OrderRow, PositionRow):
            return None
    return OrderBook(database)


def agree(
    said: Sequence[Said], booked: Booked | None, positions: Mapping[TopicPartition, int]
) -> Failure | str | None:
    """Compare what the log and the order service have of one order.

    Args:
        said: the order's events by the log, in order; none if the log doesn't know it.
        booked: the order by the order service, if it knows it.
        positions: by partition, the offset that the order service has come to.

    Returns:
        `None` where they agree, one of the sentences above where one is behind, or what differs.
    """
    if not said:
        return LOG_BEHIND
    events = {_KINDS.get(event.type, event.type): event for event in reversed(said)}
    placed, decided, shipped = (events.get(kind) for kind in ("placed", "decided", "shipped"))
    if booked is None:
        known = [event for event in (placed, decided) if event and _starts(event)]
        if not known:
            # The order service keeps what comes before its NewOrder.
            return None
        if any(_heard(event, positions) for event in known):
            return _differs(said, "the log has it, and the order service doesn't")
        return SERVICE_BEHIND
    if decided is None:
        return LOG_BEHIND if booked.state != OrderState.PLACED else None
    if _conflicts(decided, booked):
        return _differs(
            said, f"the log says {_decision(decided)}, the order service {_now(booked)}"
        )
    if booked.state == OrderState.PLACED:
        return _behind(decided, positions, said, booked)
    if booked.state == OrderState.ACCEPTED and shipped is not None:
        return _behind(shipped, positions, said, booked)
    if booked.state == OrderState.SHIPPED and shipped is None:
        return LOG_BEHIND
    return None


def _starts(event: Said) -> bool:
    """Whether the order service must know the order once it has come to this event."""
    return event.type == PLACED or event.topic == REPORTING_REQUESTS


def _heard(event: Said, positions: Mapping[TopicPartition, int]) -> bool:
    # What reporting is told, the order service has decided to tell.
    place = TopicPartition(event.topic, event.partition)
    return event.topic == REPORTING_REQUESTS or event.offset < positions.get(place, 0)


def _conflicts(decided: Said, booked: Booked) -> bool:
    if decided.type == ACCEPTED:
        return booked.state not in (OrderState.PLACED, OrderState.ACCEPTED, OrderState.SHIPPED)
    if booked.state == OrderState.PLACED:
        return False
    return (booked.state, booked.reason) != (OrderState.DECLINED, decided.reason)


def _behind(
    event: Said, positions: Mapping[TopicPartition, int], said: Sequence[Said], booked: Booked
) -> Failure | str:
    if not _heard(event, positions):
        return SERVICE_BEHIND
    what = f"position {event.position} says {_decision(event)}"
    return _differs(said, f"{what}, the order service has passed it and says {_now(booked)}")


def _decision(event: Said) -> str:
    words = {ACCEPTED: "accepted", SHIPPED: "shipped"}
    return words.get(event.type) or f"declined, {event.reason}"


def _now(booked: Booked) -> str:
    return f"{booked.state}, {booked.reason}" if booked.reason else booked.state


def _differs(said: Sequence[Said], what: str) -> Failure:
    return Failure(f"order {said[0].order_id}", what, {"orders": 1})
