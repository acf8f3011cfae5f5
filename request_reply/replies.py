"""Replies as they come, understood as far as they can be."""

from uuid import UUID

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    AuthorizationFailed,
    Contract,
)
from domain.errors import ContractError, UnknownType
from request_reply.correlation import correlation_of
from request_reply.outcomes import Accepted, Declined, ErrorReply, Outcome, Undecodable
from services.asking import Reply
from transport.codec import authorization_type, decode
from transport.records import Record


def correlation_id_of(record: Record) -> str | None:
    """Which request a reply belongs to, as a UUID's text; `None` where it is none of ours."""
    found = correlation_of(record.headers)
    return str(UUID(bytes=found)) if found is not None and len(found) == 16 else None


def understand_reply(record: Record, correlation_id: str) -> tuple[Reply | None, Outcome]:
    """What a reply says: for the record of its request, and as the outcome for who asked.

    A reply without a CloudEvents type, as a plain Java service sends it, is known by its fields.
    """
    headers = dict(record.headers)
    try:
        said = _decode(headers.get("ce_type"), record.value)
    except ContractError as error:
        return None, Undecodable(f"{record.place}: {error}")
    identity = headers.get("ce_id")
    reply = Reply(
        correlation_id, said, record.value or b"", identity.decode() if identity else None
    )
    if isinstance(said, AuthorizationFailed):
        return reply, ErrorReply(said.code, said.message, said.retryable)
    if isinstance(said, AuthorizationDeclined):
        return reply, Declined(said)
    return reply, Accepted(said)


def _decode(
    kind: bytes | None, body: bytes | None
) -> AuthorizationAccepted | AuthorizationDeclined | AuthorizationFailed:
    name = kind.decode(errors="replace") if kind else authorization_type(body or b"")
    said: Contract = decode(name, body)
    if isinstance(said, AuthorizationAccepted | AuthorizationDeclined | AuthorizationFailed):
        return said
    raise UnknownType(f"{name} is no reply to AuthorizePayment")
