"""Requests as they come, understood as far as they can be, and the replies to them."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

import msgspec

from domain.contracts import (
    Authorization,
    AuthorizationFailed,
    AuthorizePayment,
    Failure,
    NewOrder,
    payload_of,
)
from domain.errors import ContractError, MalformedRecord, UnknownType
from domain.identity import reply_id
from request_reply.correlation import CORRELATION_ID, ReturnAddress, expiry_of, return_address
from services.payment import SOURCE
from transport.codec import decode_incoming, encode, type_name
from transport.envelope import (
    Envelope,
    attributes_of,
    format_time,
    once,
    refuse_structured,
    text_of,
    to_headers,
)
from transport.records import Outgoing, Record, understand

Answer = Authorization | AuthorizationFailed

UNKNOWN_ORDER = "unknown"
"""What an error reply names as its order where the request doesn't say."""

MAX_KEY_BYTES = 1024
"""A longer key is no customer's, and isn't repeated: the reply might get too large to be sent."""

MAX_MESSAGE_CHARACTERS = 500
MAX_ORDER_ID_CHARACTERS = 200

_AUTHORIZE = type_name(AuthorizePayment)
_AUTHORIZE_HEADER = _AUTHORIZE.encode()
_FAILURES = UUID("0d8f6a53-2f0e-5c1b-9a44-7be2f1d0c6a8")


class _Told(msgspec.Struct):
    order_id: str


_peek = msgspec.json.Decoder(_Told).decode


@dataclass(frozen=True, slots=True)
class Request:
    """A request that can be decided: the order, until when, and where the answer goes.

    `cause` is the CloudEvents id of the request, if it has one.
    """

    record: Record
    address: ReturnAddress
    cause: str | None
    order: NewOrder
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class BrokenRequest:
    """A request that breaks its contract and says where to answer: the error reply, and why."""

    record: Record
    address: ReturnAddress
    cause: str | None
    answer: AuthorizationFailed
    why: ContractError


@dataclass(frozen=True, slots=True)
class Unaddressed:
    """A request that nobody can or may be answered to, and why."""

    record: Record
    why: ContractError


def understand_request(
    record: Record, reply_topics: Set[str]
) -> Request | BrokenRequest | Unaddressed:
    """Read a request: return address first, so that whoever broke it can be told.

    Args:
        record: the request as it came.
        reply_topics: where replies may go.
    """
    try:
        address = return_address(record.headers)
    except ContractError as why:
        return Unaddressed(record, why.kept())
    if address.topic not in reply_topics:
        allowed = ", ".join(sorted(reply_topics))
        return Unaddressed(
            record,
            ContractError(f"replies may not go to topic {address.topic!r}, only to {allowed}"),
        )
    expires_at = None
    try:
        expires_at = expiry_of(record.headers)
        cause, order = _read(record)
    except ContractError as why:
        code = (
            Failure.UNKNOWN_REQUEST if isinstance(why, UnknownType) else Failure.MALFORMED_REQUEST
        )
        answer = failed(_order_id_of(record), code, str(why), expires_at)
        cause = _attribute(record, "ce_id")
        return BrokenRequest(record, address, cause, answer, why.kept())
    return Request(record, address, cause, order, expires_at)


def failed(
    order_id: str, code: Failure, message: str, deadline: datetime | None
) -> AuthorizationFailed:
    """The error reply of a code; only what may go otherwise next time is worth a retry.

    It names the deadline of its request, so that it isn't taken for one to a later request for the
    same order, which has the same correlation id.
    """
    retryable = code in (Failure.EXPIRED, Failure.INTERNAL_ERROR)
    said = message[:MAX_MESSAGE_CHARACTERS]
    return AuthorizationFailed(order_id, code, said, retryable, deadline)


def reply_to(
    asked: Request | BrokenRequest,
    answer: Answer,
    now: datetime,
    also: Sequence[tuple[str, bytes | None]] = (),
) -> Outgoing:
    """The reply that brings `answer` to where `asked` wants it, with the headers `also`.

    The same answer to the same request has the same id, however often it is given.
    """
    correlation_id = asked.address.correlation_id
    if isinstance(answer, AuthorizationFailed):
        order_id = answer.order_id
        until = "" if answer.deadline is None else f"/{format_time(answer.deadline)}"
        identity = str(uuid5(_FAILURES, f"{correlation_id.hex()}/{answer.code}{until}"))
    else:
        order_id = payload_of(answer).order_id
        identity = reply_id(order_id, correlation_id)
    envelope = Envelope(
        id=identity,
        type=type_name(answer),
        source=SOURCE,
        time=now,
        subject=order_id,
        correlation_id=order_id,
        causation_id=asked.cause,
    )
    key = asked.record.key
    return Outgoing(
        topic=asked.address.topic,
        key=key if key is None or len(key) <= MAX_KEY_BYTES else None,
        headers=[*to_headers(envelope), (CORRELATION_ID, correlation_id), *also],
        body=encode(answer),
        partition=asked.address.partition,
    )


def _read(record: Record) -> tuple[str | None, NewOrder]:
    if not any(name.startswith("ce_") for name, _ in record.headers):
        # A plain client, that of spring-kafka say: the topic says what it is.
        refuse_structured(record.headers)
        order = _order_in(decode_incoming(_AUTHORIZE, record.value))
        if record.key is not None and record.key != order.customer_id.encode():
            raise MalformedRecord(
                f"the key is {record.key[:MAX_KEY_BYTES]!r}, "
                f"the body says customer {order.customer_id!r}"
            )
        return None, order
    kinds = {value for name, value in record.headers if name == "ce_type"}
    if len(kinds) == 1 and kinds != {_AUTHORIZE_HEADER}:
        raise UnknownType(
            f"{attributes_of(record.headers)['ce_type']!r} is not {_AUTHORIZE}, "
            f"which is all that is answered on {record.topic}"
        )
    delivery = understand(record)
    return delivery.envelope.id, _order_in(delivery.payload)


def _order_in(payload: object) -> NewOrder:
    if isinstance(payload, AuthorizePayment):
        return payload.order
    raise UnknownType(f"{type(payload).__name__} is not {_AUTHORIZE}")


def _order_id_of(record: Record) -> str:
    """The order that a broken request is about, as far as it says."""
    named = _attribute(record, "ce_correlationid")
    if named is None:
        try:
            named = _peek(record.value or b"").order_id
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return UNKNOWN_ORDER
    return named if 0 < len(named) <= MAX_ORDER_ID_CHARACTERS else UNKNOWN_ORDER


def _attribute(record: Record, name: str) -> str | None:
    """A CloudEvents attribute of a record that may be broken; `None` where it can't be had."""
    try:
        found = once(record.headers, name)
        return text_of(name, found[name]) if found else None
    except MalformedRecord:
        return None
