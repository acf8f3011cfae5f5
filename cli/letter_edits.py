"""A dead letter mended: what the user asks for, done to the record and checked."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.errors import ContractError, ShopError
from request_reply.requests import BrokenRequest, Unaddressed, understand_request
from transport.letters import DeadLetter
from transport.records import Record, understand
from transport.topics import PAYMENT_REPLIES, PAYMENT_REQUESTS


@dataclass(frozen=True)
class Edits:
    """What to change: the whole body, fields of it, the key, headers."""

    body: bytes | None
    fields: Sequence[str]
    key: str | None
    headers: Sequence[str]
    removed: Sequence[str]

    def nothing(self) -> bool:
        """Whether there is nothing to change."""
        return (
            self.body is None
            and self.key is None
            and not (self.fields or self.headers or self.removed)
        )


def edited(letter: DeadLetter, edits: Edits) -> DeadLetter:
    """The letter with its record changed.

    Raises:
        ShopError: a field can't be set, or a change is not of the form NAME=VALUE.
    """
    body = letter.body if edits.body is None else edits.body
    for each in edits.fields:
        body = _with_field(body, *_pair(each))
    changed = dict(_pair(each) for each in edits.headers)
    gone = {*edits.removed, *changed}
    headers = [(name, value) for name, value in letter.headers if name not in gone]
    headers += [(name, value.encode()) for name, value in changed.items()]
    key = letter.key if edits.key is None else edits.key.encode()
    return replace(letter, key=key, headers=headers, body=body)


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
        elif failure.topic != PAYMENT_REPLIES:
            # A reply is checked by who asked: it may be a plain Java service's, without a type.
            understand(record)
    except ContractError as error:
        raise ShopError(f"so it would be refused again, nothing is changed: {error}") from error


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise ShopError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _with_field(body: bytes | None, path: str, value: str) -> bytes:
    try:
        whole: Any = json.loads(body or b"")
    except ValueError as error:
        raise ShopError(f"the body is no JSON, so {path} can't be set: give --body") from error
    *parents, last = path.split(".")
    place = whole
    for name in parents:
        place = place.setdefault(name, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise ShopError(f"the body has no object where {path} would be")
    try:
        place[last] = json.loads(value)
    except ValueError:
        # What is no JSON is meant as text: --set customer_id=x needs no quotes in the shell.
        place[last] = value
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()
