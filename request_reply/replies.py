"""Replies as they come, understood as far as they can be."""

from collections.abc import Iterable
from uuid import UUID

from domain.contracts import (
    Authorization,
    AuthorizationAccepted,
    AuthorizationFailed,
    AuthorizePayment,
    Contract,
)
from domain.errors import MalformedRecord, UnknownType
from domain.identity import message_id
from request_reply.correlation import CORRELATION_ID
from request_reply.outcomes import Accepted, Declined, ErrorReply, Outcome
from services.asking import Reply
from transport.codec import authorization_type, decode_incoming, type_name
from transport.envelope import (
    MAX_ATTRIBUTE_BYTES,
    once,
    refuse_structured,
    refuse_unreadable,
    text_of,
)
from transport.records import Record


def correlation_id_of(record: Record) -> str:
    """Which request a reply belongs to, as a UUID's text.

    Raises:
        MalformedRecord: it has no correlation id, more than one, or none such as ours are.
    """
    found = once(record.headers, CORRELATION_ID)
    if not found:
        refuse_unreadable(record.headers)
        raise MalformedRecord(f"no header {CORRELATION_ID}")
    correlation_id = found[CORRELATION_ID] or b""
    if len(correlation_id) != 16:
        raise MalformedRecord(
            f"header {CORRELATION_ID} has {len(correlation_id)} bytes; ours have 16"
        )
    return str(UUID(bytes=correlation_id))


def understand_reply(record: Record, correlation_id: str) -> tuple[Reply, Outcome]:
    """What a reply says: for the record of its request, and as the outcome for who asked.

    A reply without a CloudEvents type, as a plain Java service sends it, is known by its fields.
    So CloudEvents attributes may be missing; those that are there are to be right.

    Raises:
        UnknownType: it is of a type that is no reply.
        MalformedRecord: headers, key or body break the contract, or contradict one another.
        OutOfBounds: customer id, time or amount is beyond its bounds.
    """
    refuse_structured(record.headers)
    kind = _attribute(record.headers, "ce_type")
    identity = _attribute(record.headers, "ce_id")
    said: Contract = decode_incoming(kind or authorization_type(record.value or b""), record.value)
    if isinstance(said, AuthorizationFailed):
        reply = Reply(correlation_id, said, record.value or b"", identity)
        return reply, ErrorReply(said.code, said.message, said.retryable)
    if not isinstance(said, Authorization):
        raise UnknownType(f"{kind} is no reply to AuthorizePayment")
    _refuse_contradictions(record, correlation_id, said)
    reply = Reply(correlation_id, said, record.value or b"", identity)
    return reply, Accepted(said) if isinstance(said, AuthorizationAccepted) else Declined(said)


def _refuse_contradictions(record: Record, correlation_id: str, said: Authorization) -> None:
    # RecordRevenue carries these bytes on, and who reads them there goes by their fields.
    by_fields = authorization_type(record.value or b"")
    if by_fields != type_name(said):
        raise MalformedRecord(f"ce_type says {type_name(said)}, the body's fields say {by_fields}")
    about = _attribute(record.headers, "ce_correlationid")
    if about not in (None, said.order_id):
        raise MalformedRecord(
            f"ce_correlationid says order {about!r}, the body says {said.order_id!r}"
        )
    if record.key is not None and record.key != said.customer_id.encode():
        raise MalformedRecord(
            f"the key is {record.key[:MAX_ATTRIBUTE_BYTES]!r}, "
            f"the body says customer {said.customer_id!r}"
        )
    if correlation_id != message_id(AuthorizePayment, said.order_id):
        raise MalformedRecord(
            f"correlation id {correlation_id} is not that of a request for order "
            f"{said.order_id!r}, which the body is about"
        )


def _attribute(headers: Iterable[tuple[str, bytes | None]], name: str) -> str | None:
    found = once(headers, name)
    return text_of(name, found[name]) if found else None
