"""The order service: takes orders in, follows them, and tells the warehouse."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar

from sqlalchemy import Connection, Select, collate, func, select
from sqlmodel import Field, SQLModel

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    NewOrder,
    OrderShipped,
    Reason,
)
from domain.order import END_STATES, Order, OrderState, follow
from event_log.database import Database, Place, table_of
from event_log.inbox import InboxRow, PositionRow
from event_log.outbox import OutboxRow, enqueue
from event_log.statements import among, insert_or_replace
from event_log.topic_ids import TopicRow
from services.asked import RequestRow
from services.batch import Handled, Subscriptions
from services.early import EarlyRow, keep_early, take_early
from services.heartbeat import HeartbeatRow
from services.telemetry import telemetry
from transport.codec import type_name
from transport.records import Delivery, Outgoing, outgoing
from transport.topics import AUTHORIZATIONS, ORDERS

SOURCE = "/shop/order"


class OrderRow(SQLModel, table=True):
    """An order and where it is on its way."""

    __tablename__ = "orders"
    order_id: str = Field(primary_key=True)
    state: str = Field(index=True)
    reason: str | None


_orders = table_of(OrderRow)


class OrderService:
    """Consumes what becomes of its orders; sends ShipOrder for an accepted one, and only then."""

    name: ClassVar[str] = "order"
    inbox: ClassVar[bool] = True
    subscriptions: ClassVar[Subscriptions] = {
        ORDERS: frozenset({type_name(NewOrder), type_name(OrderShipped)}),
        AUTHORIZATIONS: frozenset(
            {type_name(AuthorizationAccepted), type_name(AuthorizationDeclined)}
        ),
    }

    def __init__(self, place: Place) -> None:
        """Keep orders in the database at `place`."""
        self.database = Database(
            place,
            [
                OrderRow,
                RequestRow,
                EarlyRow,
                InboxRow,
                OutboxRow,
                PositionRow,
                TopicRow,
                HeartbeatRow,
            ],
        )

    def place(self, orders: Sequence[NewOrder], now: datetime) -> int:
        """Take orders in: state and the NewOrder events to publish, in one transaction.

        An order that was placed before keeps its state, and its NewOrder is published again: every
        consumer knows it by its id.

        Returns:
            How many of them were not known before.
        """
        ids = {order.order_id for order in orders}
        placing = telemetry().placing(ids)

        def work(connection: Connection) -> int:
            new = ids - load_orders(connection, ids).keys()
            placing.new(new)
            save_orders(
                connection, [Order(order_id, OrderState.PLACED) for order_id in sorted(new)]
            )
            enqueue(connection, [outgoing(order, SOURCE, now) for order in orders])
            waited = take_early(connection, new, now)
            if waited:
                enqueue(connection, self.handle(connection, waited, now).outgoing)
            return len(new)

        with placing:
            return self.database.in_transaction(work)

    def handle(
        self, connection: Connection, deliveries: Sequence[Delivery], now: datetime
    ) -> Handled:
        """Follow every order; an event whose order isn't known yet is kept until it is."""
        ids = {delivery.envelope.correlation_id for delivery in deliveries}
        known = load_orders(connection, ids)
        changed: dict[str, Order] = {}
        early: dict[str, list[Delivery]] = {}
        out: list[Outgoing] = []
        arrived = [*take_early(connection, ids, now), *deliveries]
        for delivery in arrived:
            order_id = delivery.envelope.correlation_id
            before = known.get(order_id)
            after, message = follow(before, delivery.payload)  # type: ignore[arg-type]
            if after is None:
                early.setdefault(order_id, []).append(delivery)
                continue
            if message is not None:
                # The payload is the event as the payment service encoded it, to the byte.
                cause, body = delivery.envelope.id, delivery.record.value
                out.append(outgoing(message, SOURCE, now, cause=cause, body=body))
            if after is not before:
                known[order_id] = changed[order_id] = after
                # What came too early may have its turn now: this loop takes it at its end.
                arrived.extend(early.pop(order_id, ()))
        save_orders(connection, changed.values())
        keep_early(connection, [delivery for waits in early.values() for delivery in waits])
        return Handled(out)

    def known_orders(self) -> int:
        """How many orders were placed, wherever they are now."""
        return self._count(select(func.count()).select_from(_orders))

    def open_orders(self) -> int:
        """How many orders are not at an end of their way yet."""
        ends = [state.value for state in END_STATES]
        return self._count(
            select(func.count()).select_from(_orders).where(_orders.c.state.not_in(ends))
        )

    def _count(self, query: Select[int]) -> int:
        return self.database.read(lambda connection: int(connection.scalar(query) or 0))


def ids_of(connection: Connection, data_set: str) -> Iterator[str]:
    """The ids of known orders that begin with a data set's name and a slash, in their order."""
    # By the characters' numbers, in which what begins so is together; in a language's order it need
    # not be.
    numbers = "BINARY" if connection.dialect.name == "sqlite" else "C"
    order_id = collate(_orders.c.order_id, numbers)
    after = chr(ord("/") + 1)
    query = (
        select(_orders.c.order_id)
        .where(order_id >= f"{data_set}/", order_id < f"{data_set}{after}")
        .order_by(order_id)
    )
    yield from connection.execution_options(yield_per=1000).execute(query).scalars()


def load_orders(connection: Connection, order_ids: Collection[str]) -> dict[str, Order]:
    """The orders that are known, by their ids."""
    found: dict[str, Order] = {}
    for row in connection.execute(select(_orders).where(among(_orders.c.order_id, order_ids))):
        reason = Reason(row.reason) if row.reason else None
        found[row.order_id] = Order(row.order_id, OrderState(row.state), reason)
    return found


def save_orders(connection: Connection, orders: Iterable[Order]) -> None:
    """Keep orders as they are now."""
    rows = [
        {"order_id": order.order_id, "state": order.state.value, "reason": order.reason}
        for order in orders
    ]
    if rows:
        connection.execute(insert_or_replace(connection, _orders), rows)
