"""Dead letters in a database: what came, and what was done with it; nothing is ever deleted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Row, UniqueConstraint, null, select
from sqlmodel import Field, SQLModel

from domain.letters import Action, LetterState, state_after
from event_log.database import Int64, UtcTime, pack_headers, table_of, unpack_headers
from event_log.statements import append_only, insert_new
from transport.envelope import Headers, format_time, parse_time
from transport.letters import DeadLetter, Failure


class LetterRow(SQLModel, table=True):
    """A dead letter as it came: one for each service that could not handle the record."""

    __tablename__ = "letters"
    __table_args__ = (UniqueConstraint("topic", "topic_id", "partition", "offset", "service"),)
    id: int | None = Field(default=None, primary_key=True, sa_type=Int64)
    topic: str = Field(index=True)
    topic_id: str
    partition: int
    offset: int = Field(sa_type=Int64)
    service: str
    reason: str
    time: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    tries: int
    history: bytes
    key: bytes | None
    headers: bytes
    body: bytes | None


class LetterActionRow(SQLModel, table=True):
    """What was done with a record's letters; an edit holds the record as it is then."""

    __tablename__ = "letter_actions"
    id: int | None = Field(default=None, primary_key=True, sa_type=Int64)
    topic: str = Field(index=True)
    topic_id: str
    partition: int
    offset: int = Field(sa_type=Int64)
    action: str
    at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    note: str
    key: bytes | None
    headers: bytes | None
    body: bytes | None


_letters = table_of(LetterRow)
_actions = table_of(LetterActionRow)
for _table in (_letters, _actions):
    append_only(_table, "dead letters are kept for good")

_pack_history = msgspec.msgpack.Encoder().encode
_unpack_history = msgspec.msgpack.Decoder(tuple[Failure, ...]).decode


@dataclass(frozen=True, slots=True)
class Refusal:
    """Who could not handle the record, when, and why."""

    service: str
    reason: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """What someone did, when, and what they said about it."""

    action: Action
    at: datetime
    note: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that could not be handled, with all that is known of it.

    `letter` is as it was last edited, `came` as it came.
    """

    name: str
    state: LetterState
    refusals: tuple[Refusal, ...]
    done: tuple[Done, ...]
    letter: DeadLetter
    came: DeadLetter


def all_letters(connection: Connection, *, with_bodies: bool = True) -> list[Letter]:
    """All letters, oldest first: those of one record are one.

    A few thousand bodies may be more than memory should hold, and so may keys and headers: without
    bodies, each letter is without any of the three.
    """
    left_out = () if with_bodies else ("key", "headers", "body")
    letters, actions = (
        [null().label(each.name) if each.name in left_out else each for each in table.c]
        for table in (_letters, _actions)
    )
    return _told(
        connection.execute(select(*letters).order_by(_letters.c.id)),
        connection.execute(select(*actions).order_by(_actions.c.id)),
    )


def letter_named(connection: Connection, name: str) -> Letter | None:
    """The letter of a name such as ``orders/2/17``, if there is one.

    Where a topic was made anew, another record may lie at that offset. Of their letters the one
    that was taken in first has the short name, now and later, and any other one has its topic's id
    at the end: ``orders/2/17@kT3mXz0bQ9iLw5n2VhYcRA``.
    """
    topic, partition, offset = ("", "", *name.partition("@")[0].rsplit("/", 2))[-3:]
    # Longer ones are no numbers of Kafka's, nor of a database's.
    if not all(
        each.isascii() and each.isdigit() and len(each) <= most
        for each, most in ((partition, 9), (offset, 18))
    ):
        return None
    rows, actions = (
        connection.execute(
            select(table)
            .where(
                table.c.topic == topic,
                table.c.partition == int(partition),
                table.c.offset == int(offset),
            )
            .order_by(table.c.id)
        )
        for table in (_letters, _actions)
    )
    # Not by 02 for 2: a letter has one name.
    return next((letter for letter in _told(rows, actions) if letter.name == name), None)


def keep_letters(connection: Connection, letters: Sequence[DeadLetter]) -> int:
    """Keep letters as they came; those that are there already change nothing. How many came."""
    rows = [_row(letter) for letter in letters]
    if rows:
        connection.execute(insert_new(connection, _letters), rows)
    return len(rows)


def keep_action(
    connection: Connection,
    letter: Letter,
    action: Action,
    note: str,
    now: datetime,
    to: DeadLetter | None,
) -> None:
    """Note what was done with a letter; an edit says what its record is `to` be."""
    failure = letter.letter.failure
    connection.execute(
        _actions.insert(),
        {
            "topic": failure.topic,
            "topic_id": failure.topic_id,
            "partition": failure.partition,
            "offset": failure.offset,
            "action": action.value,
            "at": now,
            "note": note,
            "key": to.key if to else None,
            "headers": pack_headers(to.headers) if to else None,
            "body": to.body if to else None,
        },
    )


def _row(letter: DeadLetter) -> dict[str, object]:
    failure = letter.failure
    return {
        "topic": failure.topic,
        "topic_id": _without_nul(failure.topic_id),
        "partition": failure.partition,
        "offset": failure.offset,
        "service": _without_nul(failure.service),
        "reason": _without_nul(failure.reason),
        "time": parse_time(failure.time, "dead_letter_time"),
        "tries": letter.tries,
        "history": _pack_history(letter.history),
        "key": letter.key,
        "headers": pack_headers(letter.headers),
        "body": letter.body,
    }


def _without_nul(text: str) -> str:
    # Postgres has no text with one, and strangers write what they like.
    return text.replace("\0", "\N{SYMBOL FOR NULL}")


def _told(letters: Iterable[Row[Any]], actions: Iterable[Row[Any]]) -> list[Letter]:
    """The letters in these rows, and what was done with them; those of one record are one."""
    done: dict[tuple[str, str, int, int], list[Row[Any]]] = {}
    for row in actions:
        done.setdefault(_record_of(row), []).append(row)
    found: dict[tuple[str, str, int, int], list[Row[Any]]] = {}
    for row in letters:
        found.setdefault(_record_of(row), []).append(row)
    told: dict[str, Letter] = {}
    for record, rows in found.items():
        name = f"{rows[0].topic}/{rows[0].partition}/{rows[0].offset}"
        if name in told:
            name = f"{name}@{rows[0].topic_id}"
        told[name] = _letter(name, rows, done.get(record, ()))
    return list(told.values())


def _record_of(row: Row[Any]) -> tuple[str, str, int, int]:
    return row.topic, row.topic_id, row.partition, row.offset


def _letter(name: str, rows: Sequence[Row[Any]], actions: Sequence[Row[Any]]) -> Letter:
    came = _dead_letter(rows[0])
    letter = came
    for action in actions:
        if action.action == Action.EDITED:
            headers = _headers(action.headers)
            letter = replace(came, key=action.key, headers=headers, body=action.body)
    return Letter(
        name=name,
        state=state_after(Action(each.action) for each in actions),
        refusals=tuple(Refusal(row.service, row.reason, row.time) for row in rows),
        done=tuple(Done(Action(each.action), each.at, each.note) for each in actions),
        letter=letter,
        came=came,
    )


def _dead_letter(row: Row[Any]) -> DeadLetter:
    when = format_time(row.time)
    return DeadLetter(
        row.key,
        _headers(row.headers),
        row.body,
        Failure(row.reason, row.service, row.topic, row.partition, row.offset, when, row.topic_id),
        row.tries,
        _unpack_history(row.history),
    )


def _headers(packed: bytes | None) -> Headers:
    return [] if packed is None else unpack_headers(packed)
