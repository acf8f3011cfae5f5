"""A dead letter mended: what the user asks for, done to the record and checked."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import click
import msgspec
import typer

from domain.errors import ContractError, ShopError
from request_reply.correlation import EXPIRY_TIME, expiry_of
from request_reply.replies import correlation_id_of, understand_reply
from request_reply.requests import BrokenRequest, Unaddressed, understand_request
from services.batch import understand_carried
from transport.envelope import format_time
from transport.letters import OURS, DeadLetter
from transport.records import Record
from transport.topics import PAYMENT_REPLIES, PAYMENT_REQUESTS

_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True)
class Edits:
    """What to change: the whole body, fields of it, the key, headers."""

    body: bytes | None
    fields: Sequence[str]
    key: str | None
    headers: Sequence[str]
    removed: Sequence[str]


def edited(letter: DeadLetter, edits: Edits) -> DeadLetter:
    """The letter with its record changed.

    Raises:
        BadParameter: a change is not of the form NAME=VALUE, or is of a header of our own.
        ShopError: a field can't be set, or a header to be removed is not there.
    """
    body = letter.body if edits.body is None else edits.body
    for each in edits.fields:
        body = _with_field(body, *_pair(each))
    changed = dict(_pair(each) for each in edits.headers)
    gone = {*edits.removed, *changed}
    if ours := sorted(name for name in gone if name.startswith(OURS)):
        raise typer.BadParameter(f"{ours[0]} is no header of the record: it says what happened")
    if missing := set(edits.removed) - {name for name, _ in letter.headers}:
        raise ShopError(f"the letter has no header {', '.join(sorted(missing))}")
    headers = [(name, value) for name, value in letter.headers if name not in gone]
    headers += [(name, _bytes_of(value)) for name, value in changed.items()]
    key = letter.key if edits.key is None else _bytes_of(edits.key)
    return replace(letter, key=key, headers=headers, body=body)


def in_editor(body: bytes | None) -> bytes:
    """The body as the user left it in the editor that $VISUAL or $EDITOR names.

    Raises:
        ShopError: the body is no text, or was not changed.
        ClickException: the editor failed.
    """
    try:
        text = (body or b"").decode()
    except UnicodeDecodeError as error:
        raise ShopError("the body is no text, so no editor can have it: give --body") from error
    changed = click.edit(text, extension=".json")
    if changed is None or changed.rstrip("\n") == text.rstrip("\n"):
        raise ShopError("the editor left the body as it was: nothing is changed")
    # Editors end a text with a new line, and the body had none.
    return (changed if text.endswith("\n") else changed.rstrip("\n")).encode()


def checked(letter: DeadLetter, reply_topics: frozenset[str]) -> None:
    """Check that a record would be understood where it goes.

    Args:
        letter: the letter as it would be sent.
        reply_topics: topics beside payment.replies that requests may be answered to.

    Raises:
        ShopError: it would be refused again; the message says why.
    """
    failure = letter.failure
    record = Record(
        failure.topic,
        failure.partition,
        failure.offset,
        letter.key,
        letter.body,
        tuple(letter.headers),
    )
    try:
        if failure.topic == PAYMENT_REQUESTS:
            asked = understand_request(record, reply_topics | {PAYMENT_REPLIES})
            if isinstance(asked, BrokenRequest | Unaddressed):
                raise asked.why
        elif failure.topic == PAYMENT_REPLIES:
            understand_reply(record, correlation_id_of(record))
        else:
            understand_carried(record)
    except ContractError as error:
        raise ShopError(f"so it would be refused again, nothing is changed: {error}") from error


def past_deadline(name: str, letter: DeadLetter, now: datetime) -> str | None:
    """What to say of a request whose deadline has passed; `None` where there is nothing to say."""
    if letter.failure.topic != PAYMENT_REQUESTS:
        return None
    try:
        until = expiry_of(letter.headers)
    except ContractError:
        return None
    if until is None or until > now:
        return None
    return (
        f"{name} was to be decided by {format_time(until)}, so it will be answered as expired; "
        f"`shop dead-letters edit {name} --remove-header {EXPIRY_TIME}` has it decided all the same"
    )


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise typer.BadParameter(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _bytes_of(argument: str) -> bytes:
    # What is not UTF-8 on the command line comes as lone surrogates; this gives its bytes back.
    return os.fsencode(argument)


def _with_field(body: bytes | None, path: str, value: str) -> bytes:
    try:
        # Numbers that nobody changes stay as they are written.
        whole: Any = json.loads(
            body or b"",
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=_NoNumber,
            object_pairs_hook=_each_once,
        )
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise ShopError(f"the body is no JSON, so {path} can't be set: give --body") from error
    *parents, last = path.split(".")
    place = whole
    for name in parents:
        place = place.setdefault(name, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise ShopError(f"the body has no object where {path} would be")
    try:
        place[last] = json.loads(
            value, parse_float=Decimal, parse_int=Decimal, parse_constant=_NoNumber
        )
    except (ValueError, RecursionError, InvalidOperation):
        # What is no JSON is meant as text: --set customer_id=x needs no quotes in the shell.
        place[last] = value
    try:
        return _encode(whole)
    except TypeError as error:
        raise ShopError("the body would have NaN or an infinity, which are no JSON") from error
    except UnicodeEncodeError as error:
        raise ShopError(f"half a character is in the body or in {path}: give --body") from error


class _NoNumber:
    """What Python takes for a number and JSON doesn't: it may only be replaced."""

    def __init__(self, written: str) -> None:
        self.written = written


def _each_once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) != len(items):
        names = [name for name, _ in items]
        doubled = next(name for name in names if names.count(name) > 1)
        raise ShopError(
            f"the body has {doubled!r} twice, and only you know which is meant: give --body or "
            "--editor"
        )
    return found
