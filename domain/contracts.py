"""What the services say to one another: events in the past tense, messages in the imperative.

Every contract is a frozen, strictly decoded msgspec Struct. Unknown fields are allowed, so that a
later minor version can add some; a wrong type is not.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from domain.money import Money

OrderId = Annotated[str, Meta(min_length=1, max_length=200)]
CustomerId = Annotated[str, Meta(pattern=r"^[0-9]{1,18}\Z")]
Instant = Annotated[datetime, Meta(tz=True)]
Items = Annotated[int, Meta(ge=1, le=1_000_000)]
Address = Annotated[str, Meta(min_length=1, max_length=500)]


class Reason(StrEnum):
    """Why an authorization was declined."""

    NO_FUNDS = "no_funds"
    BILLING_ADDRESS_INCORRECT = "billing_address_incorrect"
    ACCOUNT_CLOSED = "account_closed"


class NewOrder(msgspec.Struct, frozen=True):
    """Event of the order service: a customer placed an order.

    `ordered_at` is business time, what reports group by; `items` is the number of articles.
    """

    order_id: OrderId
    customer_id: CustomerId
    ordered_at: Instant
    amount: Money
    items: Items
    billing_address: Address


class AuthorizationAccepted(msgspec.Struct, frozen=True):
    """Event of the payment service: the order's amount is charged to the customer's account."""

    order_id: OrderId
    customer_id: CustomerId
    ordered_at: Instant
    amount: Money
    items: Items


class AuthorizationDeclined(msgspec.Struct, frozen=True):
    """Event of the payment service: the order is not charged, and why."""

    order_id: OrderId
    customer_id: CustomerId
    ordered_at: Instant
    amount: Money
    items: Items
    reason: Reason


class OrderShipped(msgspec.Struct, frozen=True):
    """Event of the warehouse: the order was packed and has left."""

    order_id: OrderId
    customer_id: CustomerId
    ordered_at: Instant
    items: Items


class ShipOrder(msgspec.Struct, frozen=True):
    """Message to the warehouse: pack and ship what this authorization paid for.

    On the wire its body is the encoded `AuthorizationAccepted` itself.
    """

    authorization: AuthorizationAccepted


class AuthorizePayment(msgspec.Struct, frozen=True):
    """Message to the payment service: authorize this order, and reply.

    On the wire its body is the encoded order itself.
    """

    order: NewOrder


class Failure(StrEnum):
    """Why a request got no decision."""

    EXPIRED = "expired"
    MALFORMED_REQUEST = "malformed_request"
    UNKNOWN_REQUEST = "unknown_request"
    REFUSED = "refused"
    INTERNAL_ERROR = "internal_error"


class AuthorizationFailed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Reply of the payment service to a request that it did not decide, and why.

    `order_id` is the order as far as it is known; `retryable` says whether asking the same again
    may succeed. `deadline` is that of the request, where it has one: of an order that is asked more
    than once it says which time this is about.
    """

    order_id: OrderId
    code: Failure
    message: str
    retryable: bool
    deadline: Instant | None = None


class RecordRevenue(msgspec.Struct, frozen=True):
    """Message to reporting, where nobody subscribes: record this authorization.

    On the wire its body is the encoded authorization itself.
    """

    authorization: AuthorizationAccepted | AuthorizationDeclined


Authorization = AuthorizationAccepted | AuthorizationDeclined
Event = NewOrder | AuthorizationAccepted | AuthorizationDeclined | OrderShipped
Message = ShipOrder | AuthorizePayment | RecordRevenue
Contract = Event | Message | AuthorizationFailed


def payload_of(contract: Event | Message) -> Event:
    """The event that a message carries; an event is its own."""
    if isinstance(contract, ShipOrder | RecordRevenue):
        return contract.authorization
    if isinstance(contract, AuthorizePayment):
        return contract.order
    return contract
