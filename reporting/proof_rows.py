"""Whether rows of the log follow one another, are hashed right, and say what their bodies say.

Rows come as the database holds them: making times of text and text of times again would cost more
than the hash. A hundred rows are looked at together first, column by column, which is faster than
one by one; only if something is unusual there, each row is looked at as strictly and names itself.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from domain.contracts import AuthorizationAccepted, AuthorizationDeclined, NewOrder, OrderShipped
from domain.errors import ContractError
from reporting.proof import Failure
from transport.bounds import BATCH_BYTES
from transport.codec import decode
from transport.envelope import format_time

RawRow = tuple[Any, ...]
"""A row of the log as the database holds it, in the order of its columns."""

TOGETHER = 100

_BODY = 14

_TIME_LENGTH = 27
_SHORT = (".000000Z", "Z")
_UNUSUAL = (TypeError, AttributeError, ValueError)
_canonical = msgspec.json.Encoder().encode
_DECODERS = {
    (f"shop.{kind.__name__}", 1): msgspec.json.Decoder(kind).decode
    for kind in (NewOrder, AuthorizationAccepted, AuthorizationDeclined, OrderShipped)
}
_order_id, _ordered_at = attrgetter("order_id"), attrgetter("ordered_at")


class Checked(NamedTuple):
    """How far rows are right: the last good position, its hash, and what is wrong after it."""

    position: int
    hash: bytes
    failure: Failure | None = None


def check_rows(before: Checked, rows: Iterable[RawRow], aside: Collection[int] = ()) -> Checked:
    """Check rows that should follow what was checked before.

    Those at the positions `aside` need only be as they were hashed.
    """
    checked = before
    coming = iter(rows)
    while checked.failure is None and (some := _together(coming)):
        if _all_right(checked, some):
            checked = Checked(some[-1][0], some[-1][-1])
        else:
            checked = _check_each(checked, some, aside)
    return checked


def _together(rows: Iterator[RawRow]) -> list[RawRow]:
    """The next rows, as many as are checked at once; fewer where they are large."""
    some = list(islice(rows, 1))
    size = 0
    for row in islice(rows, TOGETHER - 1) if some else ():
        some.append(row)
        size += len(row[_BODY] or b"")
        if size >= BATCH_BYTES:
            break
    return some


def link(before: bytes, row: RawRow) -> bytes:
    """The hash that a row must have, as `event_log.log.chain` computes it from one read whole.

    Raises:
        AttributeError: a time is no text; or TypeError.
    """
    (said,) = _hashed([(value,) for value in row])
    return sha256(before + said).digest()


def as_chained(text: str) -> str:
    """A time as it is hashed, from the text that the database has of it."""
    return text.replace(*_SHORT)


def gap(position: int, following: int | None) -> Failure:
    """The failure of a log in which `following` comes after `position`, or nothing does."""
    where = f"position {position + 1}"
    if following is None:
        return Failure(where, f"no such row: the log ends at {position} now")
    what = f"no such row: position {following} follows {position}"
    return Failure(where, what, {"positions": following - position - 1})


def _hashed(columns: Sequence[Sequence[Any]]) -> Iterator[bytes]:
    """What is hashed of each row, but for the hash before it."""
    times = [[text.replace(*_SHORT) for text in column] for column in columns[8:11]]
    return map(_canonical, zip(*columns[:8], *times, *columns[11:15], strict=True))


def _all_right(before: Checked, rows: Sequence[RawRow]) -> bool:
    """Whether all rows are right, and written as the recorder and our own services write them."""
    columns = list(zip(*rows, strict=True))
    kinds = zip(columns[2], columns[3], strict=True)
    bodies, hashes = columns[_BODY], columns[15]
    following = range(before.position + 1, before.position + 1 + len(rows))
    try:
        links = zip((before.hash, *hashes[:-1]), _hashed(columns), strict=True)
        events = [_DECODERS[kind](body) for kind, body in zip(kinds, bodies, strict=True)]
        return (
            columns[0] == tuple(following)
            and hashes == tuple([sha256(last + said).digest() for last, said in links])
            # Encoded again it is the same: so it is bytes, and no key is in it twice.
            and bodies == tuple(map(_canonical, events))
            and columns[6] == tuple(map(_order_id, events))
            and "\0" not in "".join(columns[6])
            and list(map(format_time, map(_ordered_at, events)))
            == [text.replace(*_SHORT) for text in columns[8]]
            and {_TIME_LENGTH}.issuperset(map(len, columns[8] + columns[9] + columns[10]))
        )
    except (*_UNUSUAL, KeyError, OverflowError, RecursionError, msgspec.DecodeError):
        return False


def _check_each(before: Checked, rows: Iterable[RawRow], aside: Collection[int]) -> Checked:
    position, last_hash, _ = before
    for row in rows:
        if row[0] != position + 1:
            return Checked(position, last_hash, gap(position, row[0]))
        try:
            wanted = link(last_hash, row)
        except _UNUSUAL:
            wanted = b""
        if wanted != row[-1]:
            wrong: str | None = _other_hash(row[-1], wanted)
        else:
            wrong = None if row[0] in aside else _what_is_wrong(row)
        if wrong is not None:
            return Checked(position, last_hash, Failure(f"position {row[0]}", wrong))
        position, last_hash = row[0], wanted
    return Checked(position, last_hash)


def _what_is_wrong(row: RawRow) -> str | None:
    """What a row with the right hash says that no recorder writes; `None` if nothing."""
    order_id, times, body = row[6], row[8:11], row[14]
    if not isinstance(body, bytes):
        return f"its body is {type(body).__name__}, not bytes"
    if any(len(time) != _TIME_LENGTH for time in times):
        return f"one of its times {', '.join(times)} is not written as the recorder writes them"
    try:
        event: Any = decode(f"{row[2]}.v{row[3]}", body)
    except ContractError as error:
        return f"its body can't be decoded: {error}"
    if event.order_id != order_id:
        return f"its body is of order {event.order_id!r}, its correlation id is {order_id!r}"
    if format_time(event.ordered_at) != as_chained(times[0]):
        return f"its body was ordered at {format_time(event.ordered_at)}, its row says {times[0]}"
    return None


def _other_hash(found: object, wanted: bytes) -> str:
    shown = found.hex() if isinstance(found, bytes) else repr(found)
    given = wanted.hex() if wanted else "none, since one of them is of a wrong type"
    return (
        f"its hash is {shown}, and its columns with the hash before give {given}: the row was "
        "changed after it was recorded, or another row was put in its place"
    )
