"""Numbers that may be a payment card's: by length, issuer and check digit (ISO/IEC 7812-1)."""

import re

_LONG = re.compile(rb"(?<![0-9A-Za-z.])[3-6](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z])")
_UUID = re.compile(rb"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def card_numbers(said: bytes) -> list[bytes]:
    """Those in a text; issuers of cards that pay begin with 3, 4, 5 or 6.

    Of the UUIDs of some ten thousand events, a few begin as a card's number might.
    """
    return [found for found in _LONG.findall(_UUID.sub(b"", said)) if _checks(found)]


def _checks(found: bytes) -> bool:
    digits = [int(chr(each)) for each in found if chr(each).isdigit()]
    doubled = [
        digit if place % 2 == 0 else sum(divmod(2 * digit, 10))
        for place, digit in enumerate(reversed(digits))
    ]
    return sum(doubled) % 10 == 0
