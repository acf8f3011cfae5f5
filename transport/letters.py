"""Dead letters: what could not be handled, as it came, and why; and the way back.

A letter lies on ``<topic>.dead-letter`` with the key, the body and the headers of the record, and
headers ``dead_letter_…`` that say what was wrong. Sent again, a record carries the history of its
failures, so that its next letter counts on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

import msgspec

from domain.errors import ContractError, MalformedRecord
from transport.clients import MAX_RECORD_BYTES
from transport.envelope import Headers, format_time, parse_time
from transport.records import Outgoing, Record
from transport.topics import TopicPartition, dead_letter_topic

OURS = "dead_letter_"
"""How the names of our own headers begin; a letter has none other by such a name."""

_REASON, _SERVICE = f"{OURS}reason", f"{OURS}service"
_TOPIC, _PARTITION, _OFFSET = f"{OURS}topic", f"{OURS}partition", f"{OURS}offset"
_LIFE = f"{OURS}topic_id"
_TIME, _TRIES, _HISTORY = f"{OURS}time", f"{OURS}tries", f"{OURS}history"

MAX_REASON_BYTES = 2000
MAX_HISTORY = 20
"""So many earlier failures are told, the newest; `tries` counts all."""

MAX_PAST_REASON = 300
"""Characters of an earlier reason: a record sent again must still fit into its own topic."""

MAX_HISTORY_BYTES = 20_000
"""What all earlier failures may have, encoded; the oldest of more are left out."""

MAX_CARRIED_BYTES = MAX_RECORD_BYTES - 50_000
"""What key, headers and body of a letter may have: no dead-letter topic takes more, with the rest.

Of a larger record the largest part is left out, and the reason says so: a letter that can't be sent
would hold up all that follows it.
"""

_FRAME_BYTES = 100
_HEADER_BYTES = 10

# Kafka's own bounds; and a count that SQLite can still add to.
_Partition = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_TopicId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{0,22}$")]
_MAX_TRIES = 10**9
_Tries = Annotated[int, msgspec.Meta(ge=0, le=_MAX_TRIES)]


class Failure(msgspec.Struct, frozen=True):
    """One time that a record could not be handled: by whom, where it lay, when, and why.

    `topic_id` says which topic of that name it was (KIP-516); it is empty where nobody knew.
    """

    reason: str
    service: str
    topic: str
    partition: _Partition
    offset: _Offset
    time: str
    topic_id: _TopicId = ""

    @property
    def name(self) -> str:
        """What the letter is called, by where its record lay: ``orders/2/17``.

        A letter of a topic of the same name, made anew, is called otherwise where both are known
        (`services.letter_store`).
        """
        return f"{self.topic}/{self.partition}/{self.offset}"


class _Past(msgspec.Struct, frozen=True):
    tries: _Tries
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


def dead_letter(
    record: Record, service: str, why: ContractError, now: datetime, topic_id: str = ""
) -> Outgoing:
    """The letter for a record: bytes, key and headers as they came, and why.

    `topic_id` is that of the record's topic, where it is known. A part that makes it larger than
    any dead-letter topic takes is left out.
    """
    past = _past_of(record.headers)
    carried, left_out = what_fits(record)
    told = {
        _REASON: _cut(f"{left_out}{type(why).__name__}: {why}"),
        _SERVICE: service.encode(),
        _TOPIC: record.topic.encode(),
        _PARTITION: str(record.partition).encode(),
        _OFFSET: str(record.offset).encode(),
        _TIME: format_time(now).encode(),
        _TRIES: str(min(past.tries + 1, _MAX_TRIES)).encode(),
    }
    if topic_id:
        told[_LIFE] = topic_id.encode()
    if past.failures:
        told[_HISTORY] = _encode(past)
    return replace(carried, headers=[*carried.headers, *told.items()])


def dead_letters(
    refused: Iterable[tuple[Record, ContractError]],
    service: str,
    now: datetime,
    positions: Mapping[TopicPartition, int],
    topic_ids: Mapping[str, str],
) -> list[Outgoing]:
    """The letters for records at or past a service's positions.

    `topic_ids` are those of the topics that these positions belong to. A record before them came
    already, and has its letter.
    """
    return [
        dead_letter(record, service, why, now, topic_ids.get(record.topic, ""))
        for record, why in refused
        if record.offset >= positions.get(TopicPartition(record.topic, record.partition), 0)
    ]


def read_letter(record: Record) -> DeadLetter:
    """Read a record of a dead-letter topic.

    Raises:
        MalformedRecord: it is no letter of ours.
    """
    told = {
        name.removeprefix(OURS): (value or b"").decode(errors="replace")
        for name, value in record.headers
        if name.startswith(OURS)
    }
    try:
        failure = msgspec.convert(told, Failure, strict=False)
        tries = msgspec.convert(told.get("tries"), _Tries, strict=False)
        parse_time(failure.time, _TIME)
    except (msgspec.ValidationError, MalformedRecord) as error:
        raise MalformedRecord(f"{record.place} is no dead letter: {error}") from error
    if dead_letter_topic(failure.topic) != record.topic:
        raise MalformedRecord(f"{record.place} says that it comes from topic {failure.topic!r}")
    history = tuple(_past_of(record.headers).failures)
    headers = _without_ours(record.headers)
    return DeadLetter(record.key, headers, record.value, failure, tries, history)


def again(
    letter: DeadLetter, *, to_its_partition: bool = True, largest: int | None = None
) -> Outgoing:
    """The record that takes a letter back to where it came from, with the history of its failures.

    Args:
        letter: the letter.
        to_its_partition: for a letter whose key is as it was; else the key says where.
        largest: what its topic takes, in bytes: so much of the history as has room goes along.
    """
    failures = _newest([*letter.history, letter.failure])
    while True:
        past = _Past(letter.tries, failures)
        sent = Outgoing(
            topic=letter.failure.topic,
            key=letter.key,
            headers=[*letter.headers, (_HISTORY, _encode(past))],
            body=letter.body,
            partition=letter.failure.partition if to_its_partition else None,
        )
        if largest is None or not failures or size_of(sent) <= largest:
            return sent
        failures = failures[1:]


def size_of(record: Outgoing) -> int:
    """How many bytes a record has on its way, or a few more."""
    return _FRAME_BYTES + sum(_sizes(record.key, record.headers, record.body).values())


def what_fits(record: Record) -> tuple[Outgoing, str]:
    """What a letter can carry of a record, and what to say of the rest; mostly there is none."""
    headers = _without_ours(record.headers)
    sizes = _sizes(record.key, headers, record.value)
    left_out: set[str] = set()
    told = ""
    for name in sorted(sizes, key=lambda each: -sizes[each]):
        if sum(sizes.values()) <= MAX_CARRIED_BYTES:
            break
        left_out.add(name)
        told += (
            f"(without its {name} of {sizes.pop(name):,} bytes, which no dead-letter topic takes "
            f"and which stays at {record.place}) "
        )
    carried = Outgoing(
        dead_letter_topic(record.topic),
        None if "key" in left_out else record.key,
        [] if "headers" in left_out else headers,
        None if "body" in left_out else record.value,
    )
    return carried, told


def _sizes(key: bytes | None, headers: Headers, body: bytes | None) -> dict[str, int]:
    of_headers = [_HEADER_BYTES + len(name.encode()) + len(value or b"") for name, value in headers]
    return {"key": len(key or b""), "headers": sum(of_headers), "body": len(body or b"")}


def _without_ours(headers: Iterable[tuple[str, bytes | None]]) -> Headers:
    return [(name, value) for name, value in headers if not name.startswith(OURS)]


def _past_of(headers: Iterable[tuple[str, bytes | None]]) -> _Past:
    told = [value for name, value in headers if name == _HISTORY]
    try:
        past = _decode_past(told[-1] or b"") if told else _Past(0, [])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Someone else's header by our name: it says nothing.
        return _Past(0, [])
    return _Past(past.tries, _newest(past.failures))


def _newest(failures: list[Failure]) -> list[Failure]:
    newest: list[Failure] = []
    room = MAX_HISTORY_BYTES
    for each in reversed(failures[-MAX_HISTORY:]):
        short = msgspec.structs.replace(each, reason=each.reason[:MAX_PAST_REASON])
        room -= len(_encode(short)) + 1
        if room < 0:
            break
        newest.append(short)
    return newest[::-1]


def _cut(reason: str) -> bytes:
    whole = reason.encode(errors="backslashreplace")
    # Not in the middle of a character.
    return whole[:MAX_REASON_BYTES].decode(errors="ignore").encode()
