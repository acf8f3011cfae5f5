"""Records as they come from Kafka, as they are understood, and as they go out."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from operator import methodcaller
from typing import Any

from confluent_kafka import Message as KafkaMessage

from domain.contracts import AuthorizationFailed, Contract, Event, Message, payload_of
from domain.errors import MalformedRecord
from domain.identity import message_id_of
from transport.codec import decode, decode_incoming, encode, type_name
from transport.envelope import (
    UNREADABLE,
    Envelope,
    Headers,
    attributes_of,
    envelope_of,
    to_headers,
)
from transport.topics import topic_of


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it came from Kafka, not decoded."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def place(self) -> str:
        """Where it is, as people write it: ``orders[2]@17``."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record that was understood: envelope, contract, and the record itself."""

    record: Record
    envelope: Envelope
    payload: Contract


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be published; without `partition` its key says where."""

    topic: str
    key: bytes | None
    headers: Headers
    body: bytes | None
    partition: int | None = None


carrier: ContextVar[Callable[[str, str | None], Headers] | None] = ContextVar(
    "carrier", default=None
)
"""Gives the headers of the trace that a record belongs to, by its order and its cause's id.

There is one while telemetry is on and work on records goes on (`services.telemetry`).
"""

# Where a name is not UTF-8 the client's method gives a result and an error at once. Python's fast
# way of calling it doesn't look at the error, which then comes up anywhere; this way does.
_headers_of = methodcaller("headers")


def record_of(message: KafkaMessage) -> Record:
    """A message of the plain Kafka client, which is no error, as the record that it is.

    Headers of which one's name is not UTF-8 can't be read by it: `UNREADABLE` stands for them.
    """
    topic, key, value = message.topic(), message.key(), message.value()
    try:
        headers: Any = _headers_of(message) or ()
    except (SystemError, UnicodeDecodeError):
        headers = (UNREADABLE,)
    return Record(
        topic or "",
        message.partition() or 0,
        message.offset() or 0,
        key.encode() if isinstance(key, str) else key,
        value.encode() if isinstance(value, str) else value,
        tuple(headers),
    )


def understand(record: Record) -> Delivery:
    """Decode the envelope and body of a record that comes in, and check that they agree.

    Raises:
        UnknownType: there is no contract of the record's type.
        MalformedRecord: envelope, body or key break the contract.
        OutOfBounds: customer id, time or amount is beyond its bounds.
    """
    return _understand(record, decode_incoming, kept=False)


def understand_kept(record: Record) -> Delivery:
    """Decode a record that was taken in before, perhaps by earlier rules, as `understand` does.

    Raises:
        UnknownType: there is no contract of the record's type.
        MalformedRecord: envelope, body or key break the contract.
    """
    return _understand(record, decode, kept=True)


def _understand(
    record: Record, read: Callable[[str, bytes | None], Contract], *, kept: bool
) -> Delivery:
    attributes = attributes_of(record.headers)
    payload = read(attributes["ce_type"], record.value)
    if isinstance(payload, AuthorizationFailed):
        return Delivery(record, envelope_of(attributes, None, kept=kept), payload)
    spoken = payload_of(payload)
    envelope = envelope_of(attributes, spoken.ordered_at, kept=kept)
    if envelope.correlation_id != spoken.order_id:
        raise MalformedRecord(
            f"ce_correlationid says order {envelope.correlation_id!r}, "
            f"the body says {spoken.order_id!r}"
        )
    if record.key != spoken.customer_id.encode():
        raise MalformedRecord(
            f"the key is {record.key!r}, the body says customer {spoken.customer_id!r}"
        )
    return Delivery(record, envelope, payload)


def outgoing(
    contract: Event | Message,
    source: str,
    now: datetime,
    cause: str | None = None,
    body: bytes | None = None,
) -> Outgoing:
    """Wrap a contract for its topic.

    Args:
        contract: what to say.
        source: the service that says it.
        now: when it is published (UTC, aware).
        cause: the id of the event or message that led to it.
        body: the encoded contract, where it is there already and must stay as it is.
    """
    spoken = payload_of(contract)
    envelope = Envelope(
        id=message_id_of(contract),
        type=type_name(contract),
        source=source,
        time=now,
        subject=spoken.order_id,
        correlation_id=spoken.order_id,
        causation_id=cause,
    )
    headers = to_headers(envelope)
    carry = carrier.get()
    if carry is not None:
        headers += carry(spoken.order_id, cause)
    return Outgoing(
        topic=topic_of(type(contract)),
        key=spoken.customer_id.encode(),
        headers=headers,
        body=encode(contract) if body is None else body,
    )
