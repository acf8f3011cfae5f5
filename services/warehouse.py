"""The warehouse: packs and ships what it is told to, once."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from sqlalchemy import Connection
from sqlmodel import Field, SQLModel

from domain.contracts import ShipOrder
from domain.warehouse import pack, ship
from event_log.database import Database, Place, table_of
from event_log.inbox import InboxRow, PositionRow
from event_log.outbox import OutboxRow
from event_log.statements import insert_new
from event_log.topic_ids import TopicRow
from services.batch import Handled, Subscriptions
from services.heartbeat import HeartbeatRow
from transport.records import Delivery, outgoing
from transport.topics import WAREHOUSE_REQUESTS

SOURCE = "/shop/warehouse"


class ParcelRow(SQLModel, table=True):
    """A parcel that was packed and has left."""

    __tablename__ = "parcels"
    order_id: str = Field(primary_key=True)
    customer_id: str
    items: int


_parcels = table_of(ParcelRow)


class WarehouseService:
    """Consumes ShipOrder, publishes OrderShipped."""

    name: ClassVar[str] = "warehouse"
    inbox: ClassVar[bool] = True
    # A message is addressed to the warehouse alone, so one that it can't read is a dead letter.
    subscriptions: ClassVar[Subscriptions] = {WAREHOUSE_REQUESTS: None}

    def __init__(self, place: Place) -> None:
        """Keep parcels in the database at `place`."""
        self.database = Database(
            place, [ParcelRow, InboxRow, OutboxRow, PositionRow, TopicRow, HeartbeatRow]
        )

    def handle(
        self, connection: Connection, deliveries: Sequence[Delivery], now: datetime
    ) -> Handled:
        """Pack and ship every order, and publish that they left."""
        handled = Handled()
        rows = []
        for delivery in deliveries:
            message = delivery.payload
            if not isinstance(message, ShipOrder):
                continue
            parcel = pack(message)
            rows.append(
                {
                    "order_id": parcel.order_id,
                    "customer_id": parcel.customer_id,
                    "items": parcel.items,
                }
            )
            handled.outgoing.append(
                outgoing(ship(parcel, message), SOURCE, now, cause=delivery.envelope.id)
            )
        if rows:
            connection.execute(insert_new(connection, _parcels), rows)
        return handled
