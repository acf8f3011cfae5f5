"""Dead letters: what could not be handled, as it came, and why; and the way back.

A letter lies on ``<topic>.dead-letter`` with the key, the body and the headers of the record, and
headers ``dead_letter_…`` that say what was wrong. Sent again, a record carries the history of its
failures, so that its next letter counts on.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from domain.errors import ContractError, MalformedRecord
from transport.envelope import Headers, format_time
from transport.records import Outgoing, Record
from transport.topics import DEAD_LETTER, dead_letter_topic

_OURS = "dead_letter_"
_REASON, _SERVICE = f"{_OURS}reason", f"{_OURS}service"
_TOPIC, _PARTITION, _OFFSET = f"{_OURS}topic", f"{_OURS}partition", f"{_OURS}offset"
_TIME, _TRIES, _HISTORY = f"{_OURS}time", f"{_OURS}tries", f"{_OURS}history"

MAX_REASON_BYTES = 2000
MAX_HISTORY = 20
"""So many earlier failures are told, the newest; `tries` counts all."""


class Failure(msgspec.Struct, frozen=True):
    """One time that a record could not be handled: by whom, where it lay, when, and why."""

    reason: str
    service: str
    topic: str
    partition: int
    offset: int
    time: str


class _Past(msgspec.Struct, frozen=True):
    tries: int
    failures: list[Failure]


_encode = msgspec.json.Encoder().encode
_decode_past = msgspec.json.Decoder(_Past).decode


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be handled, with its headers as they came.

    `tries` counts this failure and those before; `history` has the earlier ones, oldest first.
    """

    key: bytes | None
    headers: Headers
    body: bytes | None
    failure: Failure
    tries: int
    history: tuple[Failure, ...]


def dead_letter(record: Record, service: str, why: ContractError, now: datetime) -> Outgoing:
    """The letter for a record: bytes, key and headers as they came, and why."""
    past = _past_of(record.headers)
    headers = _without_ours(record.headers)
    told = {
        _REASON: f"{type(why).__name__}: {why}".encode()[:MAX_REASON_BYTES],
        _SERVICE: service.encode(),
        _TOPIC: record.topic.encode(),
        _PARTITION: str(record.partition).encode(),
        _OFFSET: str(record.offset).encode(),
        _TIME: format_time(now).encode(),
        _TRIES: str(past.tries + 1).encode(),
    }
    if past.failures:
        told[_HISTORY] = _encode(past)
    return Outgoing(
        dead_letter_topic(record.topic), record.key, [*headers, *told.items()], record.value
    )


def read_letter(record: Record) -> DeadLetter:
    """Read a record of a dead-letter topic.

    Raises:
        MalformedRecord: it is no letter of ours.
    """
    found = {name: value or b"" for name, value in record.headers if name.startswith(_OURS)}
    try:
        failure = Failure(
            found[_REASON].decode(errors="replace"),
            found[_SERVICE].decode(),
            found[_TOPIC].decode(),
            int(found[_PARTITION]),
            int(found[_OFFSET]),
            found[_TIME].decode(),
        )
        tries = int(found[_TRIES])
    except (KeyError, ValueError) as error:
        raise MalformedRecord(f"{record.place} is no dead letter: {error!r}") from error
    if dead_letter_topic(failure.topic) != record.topic:
        raise MalformedRecord(f"{record.place} says that it comes from topic {failure.topic!r}")
    history = tuple(_past_of(record.headers).failures)
    headers = _without_ours(record.headers)
    return DeadLetter(record.key, headers, record.value, failure, tries, history)


def again(letter: DeadLetter, *, to_its_partition: bool = True) -> Outgoing:
    """The record that takes a letter back to where it came from, with the history of its failures.

    `to_its_partition` is for a letter whose key is as it was; else the key says where.
    """
    past = _Past(letter.tries, [*letter.history, letter.failure][-MAX_HISTORY:])
    return Outgoing(
        topic=letter.failure.topic,
        key=letter.key,
        headers=[*letter.headers, (_HISTORY, _encode(past))],
        body=letter.body,
        partition=letter.failure.partition if to_its_partition else None,
    )


def is_dead_letter_topic(topic: str) -> bool:
    """Whether a topic holds dead letters."""
    return topic.endswith(DEAD_LETTER)


def _without_ours(headers: tuple[tuple[str, bytes | None], ...]) -> Headers:
    return [(name, value) for name, value in headers if not name.startswith(_OURS)]


def _past_of(headers: tuple[tuple[str, bytes | None], ...]) -> _Past:
    told = [value for name, value in headers if name == _HISTORY]
    try:
        past = _decode_past(told[-1] or b"") if told else _Past(0, [])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Someone else's header by our name: it says nothing.
        return _Past(0, [])
    return _Past(max(0, past.tries), past.failures[-MAX_HISTORY:])
