"""Ids derived from what they name, so that a repeat is recognized anywhere."""

import hashlib
from uuid import UUID, uuid5

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    AuthorizePayment,
    Event,
    Message,
    NewOrder,
    OrderShipped,
    RecordRevenue,
    ShipOrder,
    payload_of,
)

_NAMESPACE = UUID("6f1d2a0c-8a8e-5f0e-9d5f-3b1f4c7a9e21")

_SAYS: dict[type[Event | Message], str] = {
    NewOrder: "new-order",
    AuthorizationAccepted: "authorization",
    AuthorizationDeclined: "authorization",
    OrderShipped: "order-shipped",
    ShipOrder: "ship-order",
    AuthorizePayment: "authorize-payment",
    RecordRevenue: "record-revenue",
}


def order_id_of(
    data_set: str, customer_id: str, date: str, items: int, amount: str, turn: int = 1
) -> str:
    """A placed purchase's identity: its data set and what it says, never where in a file it is.

    Args:
        data_set: the data set's name.
        customer_id: the customer, in the canonical form.
        date: the day, as YYYYMMDD.
        items: the number of articles.
        amount: in the canonical form, such as 29.33.
        turn: which one it is of those in the data set that say all of this, counted from 1.
    """
    said = f"{data_set}/{customer_id}/{date}/{items}/{amount}"
    return said if turn == 1 else f"{said}/{turn}"


def message_id_of(contract: Event | Message) -> str:
    """The id of an event or message: a version-5 UUID of what it says of which order.

    An order has one of each kind, whichever way and however often it was asked for; accepted and
    declined are two answers to one question and share an id.
    """
    return message_id(type(contract), payload_of(contract).order_id)


def message_id(kind: type[Event | Message], order_id: str) -> str:
    """The id of the event or message of a kind that an order has."""
    return str(uuid5(_NAMESPACE, f"{order_id}/{_SAYS[kind]}"))


def reply_id(order_id: str, correlation_id: bytes) -> str:
    """The id of a reply that brings an order's authorization: the same however often it is given.

    Args:
        order_id: the order.
        correlation_id: what the request told its replies to carry; of our own requester, that is
            the id of its AuthorizePayment.
    """
    return str(uuid5(UUID(message_id(AuthorizationAccepted, order_id)), correlation_id.hex()))


def trace_id_of(order_id: str) -> int:
    """The trace that all the work on an order is in: 128 bits, never 0.

    Every bit is as good as random, so that whoever follows a tenth of the traces follows a tenth of
    the orders. A UUID has bits that are always the same.
    """
    return _bits(f"{order_id}/trace", 16)


def step_id_of(what: str, of: str) -> int:
    """The span of a step that is taken once, known to who comes later: 64 bits, never 0.

    Args:
        what: the step.
        of: the id of what it is a step of.
    """
    return _bits(f"{of}/{what}", 8)


def _bits(name: str, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=size).digest()) or 1
