"""Bodies: contracts to JSON and back, strictly."""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    Contract,
    NewOrder,
    OrderShipped,
    ShipOrder,
)
from domain.errors import MalformedRecord, UnknownType

CONTENT_TYPE = "application/json"
MAX_BODY_BYTES = 1_000_000
"""A larger body is refused; the broker's own limit (message.max.bytes) is just above it."""

_NAMES: dict[type[Contract], str] = {
    NewOrder: "shop.NewOrder.v1",
    AuthorizationAccepted: "shop.AuthorizationAccepted.v1",
    AuthorizationDeclined: "shop.AuthorizationDeclined.v1",
    OrderShipped: "shop.OrderShipped.v1",
    ShipOrder: "shop.ShipOrder.v1",
}

_encoder = msgspec.json.Encoder()
_decoders: dict[str, Callable[[bytes], Any]] = {
    name: msgspec.json.Decoder(AuthorizationAccepted if kind is ShipOrder else kind).decode
    for kind, name in _NAMES.items()
}


def type_name(contract: Contract | type[Contract]) -> str:
    """The CloudEvents type of a contract, schema version included: ``shop.NewOrder.v1``."""
    return _NAMES[contract if isinstance(contract, type) else type(contract)]


def encode(contract: Contract) -> bytes:
    """The JSON body of a contract; the body of ShipOrder is its encoded authorization."""
    return _encoder.encode(contract.authorization if isinstance(contract, ShipOrder) else contract)


def decode(name: str, body: bytes | None) -> Contract:
    """Read a body of the CloudEvents type `name`.

    Unknown fields are allowed; wrong types, NaN, infinities, duplicate keys and values out of the
    contract's range are not.

    Raises:
        UnknownType: there is no contract of that name.
        MalformedRecord: the body breaks the contract; the message says where.
    """
    decoder = _decoders.get(name)
    if decoder is None:
        raise UnknownType(f"no contract is called {name!r}; known are {', '.join(_decoders)}")
    if body is None:
        raise MalformedRecord(f"{name} has no body (a tombstone)")
    if len(body) > MAX_BODY_BYTES:
        raise MalformedRecord(f"{name} has a body of {len(body)} bytes; {MAX_BODY_BYTES} at most")
    try:
        decoded = decoder(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRecord(f"{name}: {error}") from error
    # What we write ourselves has no duplicate keys, and comparing is faster than looking for them.
    if _encoder.encode(decoded) != body:
        _refuse_duplicate_keys(name, body)
    return ShipOrder(decoded) if name == _NAMES[ShipOrder] else decoded


def _refuse_duplicate_keys(name: str, body: bytes) -> None:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            keys = [key for key, _ in items]
            doubled = next(key for key in keys if keys.count(key) > 1)
            raise MalformedRecord(f"{name} has the key {doubled!r} twice")
        return found

    try:
        json.loads(body, object_pairs_hook=pairs, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedRecord(f"{name}: {error}") from error


def _refuse_constant(literal: str) -> None:
    raise MalformedRecord(f"{literal} is not JSON")
