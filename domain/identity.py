"""Ids derived from what they name, so that a repeat is recognized anywhere."""

from uuid import UUID, uuid5

from domain.contracts import Contract, NewOrder, OrderShipped, ShipOrder

_NAMESPACE = UUID("6f1d2a0c-8a8e-5f0e-9d5f-3b1f4c7a9e21")


def order_id_of(data_set: str, line: int) -> str:
    """An order's identity: the data set's name and the line number, never its content."""
    return f"{data_set}/{line}"


def message_id_of(contract: Contract) -> str:
    """The id of an event or message: a version-5 UUID of what it says of which order.

    An order has one of each kind, whichever way and however often it was asked for; accepted and
    declined are two answers to one question and share an id.
    """
    if isinstance(contract, NewOrder):
        name = f"{contract.order_id}/new-order"
    elif isinstance(contract, ShipOrder):
        name = f"{contract.authorization.order_id}/ship-order"
    elif isinstance(contract, OrderShipped):
        name = f"{contract.order_id}/order-shipped"
    else:
        name = f"{contract.order_id}/authorization"
    return str(uuid5(_NAMESPACE, name))
