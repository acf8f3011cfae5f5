"""Bodies: contracts to JSON and back, strictly."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from typing import Any

import msgspec

from domain.bounds import refuse_out_of_bounds
from domain.contracts import (
    Authorization,
    AuthorizationAccepted,
    AuthorizationDeclined,
    AuthorizationFailed,
    AuthorizePayment,
    Contract,
    Event,
    NewOrder,
    OrderShipped,
    RecordRevenue,
    ShipOrder,
    payload_of,
)
from domain.errors import MalformedRecord, UnknownType
from domain.instants import instant_of

CONTENT_TYPE = "application/json"
MAX_BODY_BYTES = 1_000_000
"""A larger body is refused; the broker's own limit (message.max.bytes) is just above it."""

MAX_LEVELS = 100
"""A body with more levels is refused: how many Python can read depends on where it is called."""

_NAMES: dict[type[Contract], str] = {
    NewOrder: "shop.NewOrder.v1",
    AuthorizationAccepted: "shop.AuthorizationAccepted.v1",
    AuthorizationDeclined: "shop.AuthorizationDeclined.v1",
    OrderShipped: "shop.OrderShipped.v1",
    ShipOrder: "shop.ShipOrder.v1",
    AuthorizePayment: "shop.AuthorizePayment.v1",
    AuthorizationFailed: "shop.AuthorizationFailed.v1",
    RecordRevenue: "shop.RecordRevenue.v1",
}

_encoder = msgspec.json.Encoder()


class _Told(msgspec.Struct):
    reason: str | msgspec.UnsetType = msgspec.UNSET


_told = msgspec.json.Decoder(_Told).decode
_accepted = msgspec.json.Decoder(AuthorizationAccepted).decode
_declined = msgspec.json.Decoder(AuthorizationDeclined).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


def _authorization(body: bytes) -> Authorization:
    return _accepted(body) if _told(body).reason is msgspec.UNSET else _declined(body)


# A message's body is the event that it carries.
_carried: dict[type[Contract], Callable[[bytes], Any]] = {
    ShipOrder: _accepted,
    RecordRevenue: _authorization,
    AuthorizePayment: msgspec.json.Decoder(NewOrder).decode,
}
_decoders: dict[str, Callable[[bytes], Any]] = {
    name: _carried.get(kind) or msgspec.json.Decoder(kind).decode for kind, name in _NAMES.items()
}
_told_by: dict[type[Contract], type[Any]] = {
    ShipOrder: AuthorizationAccepted,
    RecordRevenue: AuthorizationAccepted,
    AuthorizePayment: NewOrder,
}


def _instants_of(kind: type[Any]) -> tuple[str, ...]:
    """The fields of a struct that are instants."""
    info: Any = msgspec.inspect.type_info(kind)
    return tuple(
        field.name
        for field in info.fields
        if any(
            isinstance(each, msgspec.inspect.DateTimeType)
            for each in getattr(field.type, "types", (field.type,))
        )
    )


_instants = {name: _instants_of(_told_by.get(kind, kind)) for kind, name in _NAMES.items()}
_wrappers: dict[str, Callable[[Any], Contract]] = {
    _NAMES[ShipOrder]: ShipOrder,
    _NAMES[RecordRevenue]: RecordRevenue,
    _NAMES[AuthorizePayment]: AuthorizePayment,
}


def type_name(contract: Contract | type[Contract]) -> str:
    """The CloudEvents type of a contract, schema version included: ``shop.NewOrder.v1``."""
    return _NAMES[contract if isinstance(contract, type) else type(contract)]


def authorization_type(body: bytes) -> str:
    """The type of an encoded authorization that comes without one: a declined one has a reason.

    Raises:
        MalformedRecord: the body is no JSON object, or its reason is no text.
    """
    try:
        accepted = _told(body).reason is msgspec.UNSET
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRecord(f"an authorization without a type: {error}") from error
    return type_name(AuthorizationAccepted if accepted else AuthorizationDeclined)


def encode(contract: Contract) -> bytes:
    """The JSON body of a contract; a message's body is the encoded event that it carries."""
    if isinstance(contract, AuthorizationFailed):
        return _encoder.encode(contract)
    return _encoder.encode(payload_of(contract))


def digest(contract: Contract) -> bytes:
    """16 bytes that tell whether two contracts say the same, however they were written."""
    return hashlib.blake2b(encode(contract), digest_size=16).digest()


def decode_incoming(name: str, body: bytes | None) -> Contract:
    """Read a body that comes in: as `decode` does, and by the rules for what is new.

    Its time is one of RFC 3339, and it is within `domain.bounds`.

    Raises:
        UnknownType: there is no contract of that name.
        MalformedRecord: the body breaks the contract; the message says where.
        OutOfBounds: customer id, time or amount is beyond its bounds.
    """
    decoded = _decode(name, body, incoming=True)
    if not isinstance(decoded, AuthorizationFailed):
        refuse_out_of_bounds(payload_of(decoded))
    return decoded


def refuse_broken(made: Event) -> None:
    """Check what is made here as whoever reads it will, before anything of it is kept.

    Raises:
        MalformedRecord: it breaks its contract; the message says where.
        OutOfBounds: customer id, time or amount is beyond its bounds.
    """
    try:
        body = encode(made)
    except UnicodeEncodeError as error:
        raise MalformedRecord(f"{type_name(made)}: half a character is in it") from error
    decode_incoming(type_name(made), body)


def decode(name: str, body: bytes | None) -> Contract:
    """Read a body of the CloudEvents type `name` that was taken in, perhaps by earlier rules.

    Unknown fields are allowed; wrong types, NaN, infinities, duplicate keys and more than
    `MAX_LEVELS` levels are not. Times are in UTC, and what is finer than a microsecond is cut.

    Raises:
        UnknownType: there is no contract of that name.
        MalformedRecord: the body breaks the contract; the message says where.
    """
    return _decode(name, body, incoming=False)


def kept_decoder(kind: type[Event]) -> Callable[[bytes], Any]:
    """Decodes bodies of a kind that were taken in, as fast as can be for those of our services.

    What is decoded says the same as `decode` says, but for its time, which is not cut. What can't
    be decoded raises what msgspec raises.
    """
    name, quick = type_name(kind), msgspec.json.Decoder(kind).decode

    def decoded(body: bytes) -> Any:
        try:
            return quick(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # A leap second, say; what else is wrong, the quick decoder has said.
            with suppress(MalformedRecord):
                return decode(name, body)
            raise

    return decoded


def _decode(name: str, body: bytes | None, *, incoming: bool) -> Contract:
    decoder = _decoders.get(name)
    if decoder is None:
        raise UnknownType(f"no contract is called {name!r}; known are {', '.join(_decoders)}")
    if body is None:
        raise MalformedRecord(f"{name} has no body (a tombstone)")
    if len(body) > MAX_BODY_BYTES:
        raise MalformedRecord(f"{name} has a body of {len(body)} bytes; {MAX_BODY_BYTES} at most")
    try:
        decoded = _ours(name, decoder, body)
        if decoded is None:
            decoded = decoder(_with_our_instants(name, body, incoming=incoming))
            _refuse_duplicate_keys_and_depth(name, body)
    except RecursionError as error:
        raise _too_deep(name) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedRecord(f"{name}: {error}") from error
    # SQLite ends a text in JSON there, so that no look-up by such an id would find it.
    if "\0" in decoded.order_id:
        raise MalformedRecord(f"{name}: order_id has a NUL character")
    wrap = _wrappers.get(name)
    return decoded if wrap is None else wrap(decoded)


def _ours(name: str, decoder: Callable[[bytes], Any], body: bytes) -> Any:
    """What a body says that is written as we write it, so without a key twice; else `None`."""
    try:
        decoded = decoder(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for each in _instants[name]:
        instant = getattr(decoded, each)
        if instant is not None and instant.tzinfo is not UTC:
            return None
    return decoded if _encoder.encode(decoded) == body else None


def _with_our_instants(name: str, body: bytes, *, incoming: bool) -> bytes:
    """The body with its instants as we write them: msgspec rounds, and knows no leap second."""
    try:
        fields: dict[str, Any] = _fields(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # What is wrong with it, the contract's own decoder says.
        return body
    for each in _instants[name]:
        try:
            fields[each] = instant_of(_text(fields[each]))
        except OverflowError as error:
            raise MalformedRecord(f"{name}: {each} {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
            continue
        except ValueError as error:
            if incoming:
                raise MalformedRecord(f"{name}: {each} {error}") from error
    return _encoder.encode(fields)


def _refuse_duplicate_keys_and_depth(name: str, body: bytes) -> None:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            keys = [key for key, _ in items]
            doubled = next(key for key in keys if keys.count(key) > 1)
            raise MalformedRecord(f"{name} has the key {doubled!r} twice")
        return found

    try:
        document = json.loads(body, object_pairs_hook=pairs, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise _too_deep(name) from error
    except ValueError as error:
        raise MalformedRecord(f"{name}: {error}") from error
    level = [document]
    for _ in range(MAX_LEVELS):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise _too_deep(name)


def _inside(outer: Any) -> list[Any]:
    within = outer.values() if isinstance(outer, dict) else outer
    return [inner for inner in within if isinstance(inner, dict | list)]


def _too_deep(name: str) -> MalformedRecord:
    return MalformedRecord(f"{name} is nested more than {MAX_LEVELS} levels deep")


def _refuse_constant(literal: str) -> None:
    raise MalformedRecord(f"{literal} is not JSON")
