"""A log of as many events as wanted: orders as the shop has them, written as the recorder would."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    Event,
    NewOrder,
    OrderShipped,
    Reason,
)
from domain.identity import message_id_of
from domain.money import Money
from event_log.database import table_of
from event_log.log import GENESIS, EventRow, chain
from services.recorder import open_log
from transport.codec import encode, type_name
from transport.topics import topic_of

PARTITIONS = 4
CUSTOMERS = 23_570
ORDERS_AT_ONCE = 500
"""Events of so many orders are interleaved, as they are when services work in batches."""

_FIRST_DAY = datetime(1997, 1, 1, tzinfo=UTC)
_RECORDED = datetime(2026, 1, 1, tzinfo=UTC)
_SOURCES = {NewOrder: "/shop/order", OrderShipped: "/shop/warehouse"}
_TIMES = ("business_time", "published_time", "recorded_time")
_REASONS = tuple(Reason)


def make_log(path: Path, events: int) -> None:
    """Write a log of `events` events to `path`, with the recorder's own tables and chain."""
    open_log(path).close()
    names = [column.name for column in table_of(EventRow).columns]
    listed = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    rows = islice(_rows(), events)
    while batch := list(islice(rows, 50_000)):
        connection.executemany(
            f"INSERT INTO event_log ({listed}) VALUES ({marks})",  # noqa: S608 the table's columns
            batch,
        )
        connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _rows() -> Iterator[tuple[object, ...]]:
    offsets: dict[tuple[str, int], int] = defaultdict(int)
    before = GENESIS
    for position, event in enumerate(_events(), 1):
        name, _, version = type_name(event).rpartition(".v")
        topic, partition = topic_of(type(event)), int(event.customer_id) % PARTITIONS
        recorded = _RECORDED + timedelta(milliseconds=position // 50)
        row: dict[str, object] = {
            "position": position,
            "event_id": message_id_of(event),
            "type": name,
            "version": int(version),
            "source": _SOURCES.get(type(event), "/shop/payment"),
            "subject": event.order_id,
            "correlation_id": event.order_id,
            "causation_id": None,
            "business_time": event.ordered_at,
            "published_time": recorded - timedelta(milliseconds=3),
            "recorded_time": recorded,
            "topic": topic,
            "partition": partition,
            "offset": offsets[topic, partition],
            "body": encode(event),
        }
        offsets[topic, partition] += 1
        before = chain(before, row)
        for time in _TIMES:
            row[time] = f"{row[time]:%Y-%m-%dT%H:%M:%S.%fZ}"
        yield (*row.values(), before)


def _events() -> Iterator[Event]:
    first = 0
    while True:
        orders = [_order(number) for number in range(first, first + ORDERS_AT_ONCE)]
        yield from orders
        accepted = []
        for number, order in enumerate(orders, first):
            said = (order.order_id, order.customer_id, order.ordered_at, order.amount, order.items)
            if number % 30 == 0:
                yield AuthorizationDeclined(*said, _REASONS[number // 30 % len(_REASONS)])
            else:
                accepted.append(order)
                yield AuthorizationAccepted(*said)
        for order in accepted:
            yield OrderShipped(order.order_id, order.customer_id, order.ordered_at, order.items)
        first += ORDERS_AT_ONCE


def _order(number: int) -> NewOrder:
    customer = f"{number * 7919 % CUSTOMERS + 1:05}"
    return NewOrder(
        order_id=f"synthetic/{number}",
        customer_id=customer,
        # Two years of days, again and again: the report stays as long as it is in a shop.
        ordered_at=_FIRST_DAY + timedelta(days=number // 100 % 546),
        amount=Money(100 + number * 31 % 19_900, "USD"),
        items=1 + number % 9,
        billing_address=f"{int(customer)} Customer Street",
    )
