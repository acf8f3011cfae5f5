"""Money: whole minor units and a currency, never a float."""

import re
from typing import Annotated

import msgspec

from domain.errors import MoneyError

MAX_MINOR_UNITS = 2**63 - 1
"""The largest amount in minor units that is kept: what a database's signed 64-bit integer holds."""

LARGEST_AMOUNT = 100_000_000_000
"""The largest amount in minor units of an order: a sum in 64 bits holds 92 million of them."""

MINOR_UNITS = {"USD": 2, "EUR": 2, "GBP": 2, "CHF": 2, "JPY": 0}
"""Decimals by ISO 4217 code, for the currencies this shop can keep accounts in."""

_AMOUNT = re.compile(r"(?P<whole>[0-9]+)(?:\.(?P<fraction>[0-9]+))?", re.ASCII)
_MOST_SHOWN = 40


class Money(msgspec.Struct, frozen=True):
    """An amount in whole minor units (cents for USD) of a currency that accounts are kept in.

    Zero is an amount: real purchases contain some.
    """

    cents: Annotated[int, msgspec.Meta(ge=0, le=MAX_MINOR_UNITS)]
    currency: Annotated[str, msgspec.Meta(pattern=rf"^(?:{'|'.join(MINOR_UNITS)})\Z")]


def parse_amount(text: str, currency: str, most: int = LARGEST_AMOUNT) -> Money:
    """Read a decimal amount such as ``29.33`` exactly: digits, and a point with digits after it.

    Raises:
        MoneyError: `text` is no such number, has a fraction of a minor unit, is more than `most`
            minor units, or `currency` is not one that accounts are kept in.
    """
    if currency not in MINOR_UNITS:
        raise MoneyError(f"currency {currency!r} is not one of {', '.join(MINOR_UNITS)}")
    shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise MoneyError(f"{shown!r} is not an amount such as 29.33")
    decimals = MINOR_UNITS[currency]
    fraction = (found["fraction"] or "").rstrip("0")
    if len(fraction) > decimals:
        raise MoneyError(f"amount {shown} has a fraction of a minor unit of {currency}")
    minor = (found["whole"] + fraction.ljust(decimals, "0")).lstrip("0") or "0"
    # Python makes no number of some thousands of digits, which nobody wants to read either.
    if len(minor) > len(str(most)) or int(minor) > most:
        raise MoneyError(f"amount {shown} is larger than {most} minor units of {currency}")
    return Money(int(minor), currency)


def format_amount(cents: int, currency: str) -> str:
    """Write minor units as a person reads them: ``2,344,881.33``; exactly, however many digits."""
    decimals = MINOR_UNITS[currency]
    whole, rest = divmod(abs(cents), 10**decimals)
    sign = "-" if cents < 0 else ""
    return f"{sign}{whole:,}.{rest:0{decimals}}" if decimals else f"{sign}{whole:,}"
