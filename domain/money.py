"""Money: whole minor units and a currency, never a float."""

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec
from iso4217 import Currency

from domain.errors import MoneyError

MAX_MINOR_UNITS = 2**63 - 1
"""The largest amount in minor units that is kept: what a database's signed 64-bit integer holds."""

LARGEST_AMOUNT = 100_000_000_000
"""The largest amount in minor units of an order: a sum in 64 bits holds 92 million of them."""

MINOR_UNITS: Mapping[str, int] = {
    each.code: each.exponent for each in Currency if each.exponent is not None
}
"""Decimals by ISO 4217 code, of the currencies in use: JPY has 0, USD 2, KWD 3. Metals, test codes
and others for which the list has no minor unit are left out.

A newer list may lack a code, once a country has another currency. What was said in it stays said,
and is read: what is kept is looked up here with an answer for a code that isn't there.
"""

_AMOUNT = re.compile(r"(?P<whole>[0-9]+)(?:\.(?P<fraction>[0-9]+))?", re.ASCII)
_MOST_SHOWN = 40


class Money(msgspec.Struct, frozen=True):
    """An amount in whole minor units (cents for USD) of a currency, by its ISO 4217 code.

    Zero is an amount: real purchases contain some. Whether there is such a currency is
    asked of what comes in (`domain.bounds`), and not of what is kept.
    """

    cents: Annotated[int, msgspec.Meta(ge=0, le=MAX_MINOR_UNITS)]
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")]


def parse_amount(text: str, currency: str, most: int = LARGEST_AMOUNT) -> Money:
    """Read a decimal amount such as ``29.33`` exactly: digits, and a point with digits after it.

    Raises:
        MoneyError: `text` is no such number, has a fraction of a minor unit, is more than `most`
            minor units, or `currency` is none of ISO 4217 that has minor units.
    """
    if currency not in MINOR_UNITS:
        raise MoneyError(unknown_currency(currency))
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


def unknown_currency(currency: str) -> str:
    """What is said of a code that is none of `MINOR_UNITS`."""
    return f"currency {currency!r} is no code of ISO 4217 with minor units, such as EUR"


def unit_of(currency: str) -> str:
    """What `format_amount` counts: the currency, or its minor units where nobody knows how many."""
    return currency if currency in MINOR_UNITS else f"minor units of {currency}"


def format_amount(cents: int, currency: str) -> str:
    """Write minor units as a person reads them: ``2,344,881.33``; exactly, however many digits.

    They stay minor units in a currency that isn't in the list (any more); `unit_of` says so.
    """
    decimals = MINOR_UNITS.get(currency, 0)
    whole, rest = divmod(abs(cents), 10**decimals)
    sign = "-" if cents < 0 else ""
    return f"{sign}{whole:,}.{rest:0{decimals}}" if decimals else f"{sign}{whole:,}"
