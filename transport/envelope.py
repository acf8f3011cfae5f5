"""Envelopes: CloudEvents 1.0 in Kafka's binary mode.

Source: CloudEvents specification 1.0.2, and its Kafka Protocol Binding 1.0.2, section 3.2
(attributes are headers ``ce_…`` in UTF-8, the body's media type is the header ``content-type``).
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from domain.errors import MalformedRecord
from domain.instants import instant_of
from transport.codec import CONTENT_TYPE

Headers = list[tuple[str, bytes | None]]

SPEC_VERSION = "1.0"
MAX_ATTRIBUTE_BYTES = 1024
"""A longer attribute is refused: ids, types and sources have no reason to be longer."""

UNREADABLE = ("headers that can't be read", b"a header's name is not UTF-8")
"""Stands for the headers of a record that no client in Python can read; they stay in its topic."""

_REQUIRED = frozenset({"ce_specversion", "ce_id", "ce_type", "ce_source", "ce_correlationid"})
_CONTENT_TYPE = "content-type"
_ATTRIBUTES = _REQUIRED | {"ce_time", "ce_subject", "ce_causationid", _CONTENT_TYPE}
_STRUCTURED = "application/cloudevents"
_MOST_SHOWN = 80
_CHARSETS = frozenset({"utf-8", "us-ascii"})
"""What of text is UTF-8; JSON between systems is nothing else (RFC 8259, section 8.1)."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is known of a record before its body is read.

    `time` is when it was published (UTC, aware), as far as that is said; `subject` and
    `correlation_id` are the order; `causation_id` is the event or message that led to it, if any.
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
    return envelope_of(attributes_of(headers), None)


def attributes_of(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """The attributes that our envelopes have, by the names of their headers.

    An attribute may be there twice if it says the same twice.

    Raises:
        MalformedRecord: one that must be there is missing; one is doubled, too long or not UTF-8;
            or the body is none of CloudEvents 1.0 as JSON in binary mode.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        if name in _ATTRIBUTES:
            text = text_of(name, value)
            if found.setdefault(name, text) != text:
                raise _doubled(name)
    content_type = found.get(_CONTENT_TYPE, CONTENT_TYPE)
    if content_type != CONTENT_TYPE:
        refuse_structured(headers)
        _refuse_other_bodies(content_type)
    if not found.keys() >= _REQUIRED:
        refuse_unreadable(headers)
        missing = _REQUIRED - found.keys()
        raise MalformedRecord(f"no header {', '.join(sorted(missing))}")
    if found["ce_specversion"] != SPEC_VERSION:
        raise MalformedRecord(f"CloudEvents version {found['ce_specversion']!r} is not 1.0")
    return found


def envelope_of(
    attributes: Mapping[str, str], ordered_at: datetime | None, *, kept: bool = False
) -> Envelope:
    """The envelope that attributes make.

    Args:
        attributes: as `attributes_of` gives them.
        ordered_at: what stands in for a `time` that isn't there.
        kept: whether they were taken in before, perhaps by earlier rules.

    Raises:
        MalformedRecord: there is no time, or one that is none.
    """
    written = attributes.get("ce_time")
    time = ordered_at if written is None else parse_time(written, "ce_time", lenient=kept)
    if time is None:
        raise MalformedRecord("no header ce_time")
    return Envelope(
        id=attributes["ce_id"],
        type=attributes["ce_type"],
        source=attributes["ce_source"],
        time=time,
        subject=attributes.get("ce_subject", attributes["ce_correlationid"]),
        correlation_id=attributes["ce_correlationid"],
        causation_id=attributes.get("ce_causationid"),
    )


def once(headers: Iterable[tuple[str, bytes | None]], *names: str) -> dict[str, bytes | None]:
    """The headers of these names that are there; one may be there twice if it says the same twice.

    Raises:
        MalformedRecord: one says more than one thing.
    """
    found: dict[str, bytes | None] = {}
    for name, value in headers:
        if name in names and found.setdefault(name, value) != value:
            raise _doubled(name)
    return found


def _doubled(name: str) -> MalformedRecord:
    return MalformedRecord(f"header {name} is there twice, and says two things")


def text_of(name: str, value: bytes | None) -> str:
    """The text of a header that must say something.

    Raises:
        MalformedRecord: it is empty, too long, or not UTF-8; the message names the header.
    """
    if not value:
        raise MalformedRecord(f"header {name} is empty")
    if len(value) > MAX_ATTRIBUTE_BYTES:
        raise MalformedRecord(
            f"header {name} has {len(value)} bytes; {MAX_ATTRIBUTE_BYTES} at most"
        )
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise MalformedRecord(f"header {name} is not UTF-8: {error}") from error


def refuse_structured(headers: Iterable[tuple[str, bytes | None]]) -> None:
    """Say so where a record has its envelope in its body.

    Raises:
        MalformedRecord: it has.
    """
    for name, value in headers:
        media = (value or b"").strip().decode(errors="replace")
        if name == _CONTENT_TYPE and media.lower().startswith(_STRUCTURED):
            batched = media.lower().startswith(f"{_STRUCTURED}-batch")
            raise MalformedRecord(
                f"content-type {media[:_MOST_SHOWN]!r} is CloudEvents in "
                f"{'batched' if batched else 'structured'} mode, which is not read here: send "
                "binary mode, with the attributes in headers ce_… and the data alone as the body"
            )


def _refuse_other_bodies(content_type: str) -> None:
    media, *parameters = (part.strip() for part in content_type.lower().split(";"))
    if media != CONTENT_TYPE:
        raise MalformedRecord(f"content-type {content_type!r} is not {CONTENT_TYPE}")
    for parameter in parameters:
        name, _, value = (part.strip() for part in parameter.partition("="))
        if name == "charset" and value.strip('"') not in _CHARSETS:
            raise MalformedRecord(
                f"content-type {content_type!r} has another character set than UTF-8, which is "
                "what JSON is written in"
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


def parse_time(text: str, name: str, *, lenient: bool = False) -> datetime:
    """Read an RFC 3339 time as aware UTC; what is finer than a microsecond is cut.

    Args:
        text: the time.
        name: what the message calls it.
        lenient: whether the other forms of ISO 8601 that Python knows will do, with a zone: as a
            person types a time, and as times were taken in once.

    Raises:
        MalformedRecord: it is none, or names no zone; the message says `name`.
    """
    try:
        return instant_of(text)
    except OverflowError as error:
        raise MalformedRecord(f"{name} {error}") from error
    except ValueError as error:
        why = error
    if lenient:
        with suppress(ValueError, OverflowError):
            instant = datetime.fromisoformat(text)
            if instant.tzinfo is not None:
                return instant.astimezone(UTC)
            raise MalformedRecord(f"{name} {text!r} names no time zone")
    raise MalformedRecord(f"{name} {why}") from why
