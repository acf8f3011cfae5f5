"""Envelopes: CloudEvents 1.0 in Kafka's binary mode.

Source: CloudEvents specification 1.0.2, and its Kafka Protocol Binding 1.0.2, section 3.2
(attributes are headers ``ce_…`` in UTF-8, the body's media type is the header ``content-type``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from domain.errors import MalformedRecord
from transport.codec import CONTENT_TYPE

Headers = list[tuple[str, bytes | None]]

SPEC_VERSION = "1.0"
MAX_ATTRIBUTE_BYTES = 1024
"""A longer attribute is refused: ids, types and sources have no reason to be longer."""

UNREADABLE = ("headers that can't be read", b"a header's name is not UTF-8")
"""Stands for the headers of a record that no client in Python can read; they stay in its topic."""

_REQUIRED = frozenset(
    {
        "ce_specversion",
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_time",
        "ce_subject",
        "ce_correlationid",
        "content-type",
    }
)
_ATTRIBUTES = _REQUIRED | {"ce_causationid"}


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is known of a record before its body is read.

    `time` is when it was published (UTC, aware); `subject` and `correlation_id` are the order;
    `causation_id` is the event or message that led to it, if any.
    """

    id: str
    type: str
    source: str
    time: datetime
    subject: str
    correlation_id: str
    causation_id: str | None = None


def to_headers(envelope: Envelope) -> Headers:
    """The Kafka headers of an envelope."""
    headers: Headers = [
        ("ce_specversion", SPEC_VERSION.encode()),
        ("ce_id", envelope.id.encode()),
        ("ce_type", envelope.type.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_time", format_time(envelope.time).encode()),
        ("ce_subject", envelope.subject.encode()),
        ("ce_correlationid", envelope.correlation_id.encode()),
        ("content-type", CONTENT_TYPE.encode()),
    ]
    if envelope.causation_id is not None:
        headers.append(("ce_causationid", envelope.causation_id.encode()))
    return headers


def from_headers(headers: Iterable[tuple[str, bytes | None]]) -> Envelope:
    """Read the envelope from Kafka headers; headers of other standards are left alone.

    Raises:
        MalformedRecord: an attribute is missing, doubled, too long, not UTF-8, or wrong.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        if name in _ATTRIBUTES:
            if name in found:
                raise MalformedRecord(f"header {name} is there twice")
            if not value:
                raise MalformedRecord(f"header {name} is empty")
            if len(value) > MAX_ATTRIBUTE_BYTES:
                raise MalformedRecord(
                    f"header {name} has {len(value)} bytes; {MAX_ATTRIBUTE_BYTES} at most"
                )
            try:
                found[name] = value.decode()
            except UnicodeDecodeError as error:
                raise MalformedRecord(f"header {name} is not UTF-8: {error}") from error
    if not found.keys() >= _REQUIRED:
        refuse_unreadable(headers)
        missing = _REQUIRED - found.keys()
        raise MalformedRecord(f"no header {', '.join(sorted(missing))}")
    if found["ce_specversion"] != SPEC_VERSION:
        raise MalformedRecord(f"CloudEvents version {found['ce_specversion']!r} is not 1.0")
    if found["content-type"].partition(";")[0].strip() != CONTENT_TYPE:
        raise MalformedRecord(f"content-type {found['content-type']!r} is not {CONTENT_TYPE}")
    return Envelope(
        id=found["ce_id"],
        type=found["ce_type"],
        source=found["ce_source"],
        time=parse_time(found["ce_time"], "ce_time"),
        subject=found["ce_subject"],
        correlation_id=found["ce_correlationid"],
        causation_id=found.get("ce_causationid"),
    )


def refuse_unreadable(headers: Iterable[tuple[str, bytes | None]]) -> None:
    """Say so where headers are missing because they can't be read.

    Raises:
        MalformedRecord: they can't be.
    """
    if UNREADABLE in headers:
        raise MalformedRecord(
            "the headers can't be read, since a header's name is not UTF-8: they are left out of "
            "the dead letter, and stay in the topic"
        )


@lru_cache(maxsize=4096)
def format_time(instant: datetime) -> str:
    """An aware time as RFC 3339 writes it in UTC: ``1997-01-01T00:00:00Z``."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_time(text: str, name: str) -> datetime:
    """Read an RFC 3339 time as aware UTC.

    Raises:
        MalformedRecord: it is none, or names no zone; the message names the header.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedRecord(f"{name} {text!r} is not a time of RFC 3339") from error
    if instant.tzinfo is None:
        raise MalformedRecord(f"{name} {text!r} names no time zone")
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise MalformedRecord(f"{name} {text!r} is outside the calendar in UTC") from error
