"""What a record of Kafka and what the log has of it must have in common: decided without either."""

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

from domain.contracts import AuthorizationFailed, payload_of
from domain.errors import ContractError
from event_log.log import event_id_of
from transport.codec import decode, type_name
from transport.envelope import format_time
from transport.letters import what_fits
from transport.records import Delivery, Record, understand_kept

RECORDED = "recorded"
REPEATS = "repeats"
DEAD_LETTERS = "dead_letters"
NOT_YET = "not_recorded_yet"
NO_RECORD = "without_record"
FATES = (RECORDED, REPEATS, DEAD_LETTERS, NOT_YET, NO_RECORD)
"""What may have become of an offset; a transaction's marker is an offset without a record."""

MOST_SHOWN = 80
"""Characters of a value that a message shows."""


class Recorded(NamedTuple):
    """What the log has of an offset, as its database holds it; times as they are hashed."""

    position: int
    event_id: str
    type: str
    version: int
    source: str
    subject: str
    correlation_id: str
    causation_id: str | None
    business_time: str
    published_time: str
    body: bytes


class Repeat(NamedTuple):
    """An offset that was noted as a repeat, and what the log has of the event it repeats."""

    event_id: str
    position: int | None
    type: str | None
    version: int | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs, in words, and by how many minor units where it is an amount."""

    what: str
    cents: int | None = None


def fate_of(
    record: Record | None,
    row: Recorded | None,
    repeat: Repeat | None,
    letter: bytes | None,
    *,
    handled: bool,
) -> str | Difference:
    """What became of an offset.

    Args:
        record: what Kafka has there.
        row: what the log recorded of it.
        repeat: what the log noted as a repeat there.
        letter: the digest of the recorder's dead letter about it.
        handled: whether the recorder says that it has passed it.

    Returns:
        One of `FATES`; or what is wrong.
    """
    if record is None:
        return _without_record(row, repeat, letter)
    if row is not None and repeat is not None:
        return Difference(f"it is recorded, position {row.position}, and noted as a repeat too")
    if row is not None:
        return differs(record, row) or RECORDED
    if repeat is not None:
        return repeat_differs(record, repeat) or REPEATS
    if letter is not None:
        if letter != digest_of(record):
            return Difference("the key or body of its dead letter is another than Kafka's record")
        return DEAD_LETTERS
    if handled:
        return Difference(
            "the recorder has passed it, and it is not in the log, no repeat and no dead letter"
        )
    return NOT_YET


def differs(record: Record, row: Recorded) -> Difference | None:
    """What the log's row says otherwise than Kafka's record; `None` if nothing."""
    if record.value != row.body:
        return _bodies(record, row)
    try:
        delivery = understand_kept(record)
    except ContractError as error:
        return Difference(f"it was recorded, and Kafka's record breaks its contract: {error}")
    wanted = _columns(delivery)
    if wanted is None:
        return Difference("it was recorded, and Kafka's record is a reply, no event")
    for name, value in wanted.items():
        found = getattr(row, name)
        if found != value:
            return Difference(f"{name} is {_shown(found)} in the log, {_shown(value)} in Kafka")
    return None


def repeat_differs(record: Record, repeat: Repeat) -> Difference | None:
    """Why Kafka's record is no repeat of what the log says that it repeats; `None` if it is."""
    if repeat.position is None or repeat.type is None:
        return Difference(
            f"it is noted as a repeat of event {repeat.event_id}, and the log has no such event"
        )
    try:
        delivery = understand_kept(record)
    except ContractError as error:
        return Difference(f"it is noted as a repeat, and Kafka's record is no event: {error}")
    if isinstance(delivery.payload, AuthorizationFailed):
        return Difference("it is noted as a repeat, and Kafka's record is a reply, no event")
    event_id = event_id_of(delivery)
    if event_id != repeat.event_id:
        return Difference(
            f"it is noted as a repeat of event {repeat.event_id}, and Kafka's record is event "
            f"{event_id}"
        )
    try:
        said = decode(f"{repeat.type}.v{repeat.version}", repeat.body)
    except ContractError as error:
        return Difference(f"it repeats position {repeat.position}, which can't be read: {error}")
    if said != payload_of(delivery.payload):
        return Difference(f"it is noted as a repeat of position {repeat.position}, and says else")
    return None


def digest_of(record: Record) -> bytes:
    """16 bytes that tell whether two records have the same key and body, to the byte.

    Of a record that is too large for a dead letter, as far as a letter can carry them.
    """
    carried, _left_out = what_fits(record)
    parts = [b"-" if part is None else b"+" + part for part in (carried.key, carried.body)]
    length = len(parts[0]).to_bytes(8, "big")
    return hashlib.blake2b(length + b"".join(parts), digest_size=16).digest()


def _without_record(
    row: Recorded | None, repeat: Repeat | None, letter: bytes | None
) -> str | Difference:
    if row is not None:
        return Difference(f"the log has it, position {row.position}, and Kafka has no record there")
    if repeat is not None:
        return Difference("the log has noted a repeat, and Kafka has no record there")
    if letter is not None:
        return Difference("there is a dead letter about it, and Kafka has no record there")
    return NO_RECORD


def _columns(delivery: Delivery) -> dict[str, object] | None:
    """What the recorder writes of a delivery, but for what it makes up itself."""
    if isinstance(delivery.payload, AuthorizationFailed):
        return None
    envelope, event = delivery.envelope, payload_of(delivery.payload)
    name, _, version = type_name(event).rpartition(".v")
    return {
        "event_id": event_id_of(delivery),
        "type": name,
        "version": int(version),
        "source": envelope.source,
        "subject": envelope.subject,
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
        "business_time": format_time(event.ordered_at),
        "published_time": format_time(envelope.time),
    }


def _bodies(record: Record, row: Recorded) -> Difference:
    kafka = record.value or b""
    if not isinstance(row.body, bytes):
        return Difference(f"the log's body is {type(row.body).__name__}, not bytes")
    pairs = zip(row.body, kafka, strict=False)
    shorter = min(len(row.body), len(kafka))
    first = next((at for at, (one, other) in enumerate(pairs) if one != other), shorter)
    what = (
        f"the body in the log ({len(row.body)} bytes) is another than in Kafka ({len(kafka)} "
        f"bytes), from byte {first} on: {_shown(row.body[first:])}, in Kafka "
        f"{_shown(kafka[first:])}"
    )
    return Difference(what, _cents_between(row, kafka))


def _cents_between(row: Recorded, kafka: bytes) -> int | None:
    try:
        ours: Any = decode(f"{row.type}.v{row.version}", row.body)
        theirs: Any = decode(f"{row.type}.v{row.version}", kafka)
        return int(ours.amount.cents - theirs.amount.cents)
    except (ContractError, AttributeError):
        return None


def _shown(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return repr(text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…")
