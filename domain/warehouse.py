"""The warehouse: an order is packed and shipped once."""

from dataclasses import dataclass

from domain.contracts import OrderShipped, ShipOrder


@dataclass(frozen=True)
class Parcel:
    """What was packed for one order: `items` articles for a customer."""

    order_id: str
    customer_id: str
    items: int


def pack(message: ShipOrder) -> Parcel:
    """Pack what an accepted authorization paid for."""
    paid = message.authorization
    return Parcel(paid.order_id, paid.customer_id, paid.items)


def ship(parcel: Parcel, message: ShipOrder) -> OrderShipped:
    """Send a packed parcel on its way."""
    return OrderShipped(
        parcel.order_id, parcel.customer_id, message.authorization.ordered_at, parcel.items
    )
