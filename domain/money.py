"""Money: whole minor units and a currency, never a float."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

import msgspec

from domain.errors import MoneyError

MAX_MINOR_UNITS = 2**63 - 1
"""The largest amount in minor units: what a database's signed 64-bit integer holds."""

MINOR_UNITS = {"USD": 2, "EUR": 2, "GBP": 2, "CHF": 2, "JPY": 0}
"""Decimals by ISO 4217 code, for the currencies this shop can keep accounts in."""


class Money(msgspec.Struct, frozen=True):
    """An amount in whole minor units (cents for USD) of a currency that accounts are kept in.

    Zero is an amount: real purchases contain some.
    """

    cents: Annotated[int, msgspec.Meta(ge=0, le=MAX_MINOR_UNITS)]
    currency: Annotated[str, msgspec.Meta(pattern=rf"^(?:{'|'.join(MINOR_UNITS)})\Z")]


def parse_amount(text: str, currency: str) -> Money:
    """Read a decimal amount such as ``29.33`` exactly.

    Raises:
        MoneyError: `text` is no plain decimal number, is negative, has a fraction of a minor
            unit, is too large, or `currency` is not one that accounts are kept in.
    """
    if currency not in MINOR_UNITS:
        raise MoneyError(f"currency {currency!r} is not one of {', '.join(MINOR_UNITS)}")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise MoneyError(f"{text!r} is not an amount such as 29.33") from None
    if not amount.is_finite():
        raise MoneyError(f"{text!r} is not a finite amount")
    minor = amount.scaleb(MINOR_UNITS[currency])
    if minor < 0:
        raise MoneyError(f"amount {text} is negative")
    if minor > MAX_MINOR_UNITS:
        raise MoneyError(f"amount {text} is larger than {MAX_MINOR_UNITS} minor units")
    if minor != minor.to_integral_value():
        raise MoneyError(f"amount {text} has a fraction of a minor unit of {currency}")
    return Money(int(minor), currency)


def format_amount(cents: int, currency: str) -> str:
    """Write minor units as a person reads them: ``2,344,881.33``."""
    decimals = MINOR_UNITS[currency]
    return f"{Decimal(cents).scaleb(-decimals):,.{decimals}f}"
