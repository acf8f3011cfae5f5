"""Which orders the page is asked for: from its address to the query, with no page and no database.

An address is all that says what is shown, so that any page, or a mail, can link to it:
``?month=1997-03&state=declined&reason=no_funds``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from urllib.parse import urlencode

from domain.contracts import Reason
from domain.customers import canonical
from domain.errors import MoneyError
from domain.money import MAX_MINOR_UNITS, parse_amount
from domain.order import OrderState

PAGE_SIZE = 50
LAST_PAGE = 200
"""More than ten thousand orders nobody leafs through; and what is left out must be read too."""

STATES = {
    "placed": "Placed, not decided yet",
    "accepted": "Accepted, shipped or not",
    "unshipped": "Accepted, not shipped yet",
    "shipped": "Shipped",
    "declined": "Declined",
}
"""What can be asked for as `state`, and how people read it; accepted is as the reports count it."""

REASONS = {reason.value: reason.value.replace("_", " ").capitalize() for reason in Reason}
"""What can be asked for as `reason`."""

FIELDS = ("customer", "month", "from", "to", "least", "most", "state", "reason")
"""What an address may ask for, beside ``order`` (one order's story) and ``page``."""

Kind = tuple[str, str | None]
"""A state of orders as the projection has it, and the reason if it is declined."""

_DECLINED = OrderState.DECLINED.value
_ACCEPTED, _SHIPPED = (OrderState.ACCEPTED.value, None), (OrderState.SHIPPED.value, None)
_KINDS: dict[str, tuple[Kind, ...]] = {
    "placed": ((OrderState.PLACED.value, None),),
    "accepted": (_ACCEPTED, _SHIPPED),
    "unshipped": (_ACCEPTED,),
    "shipped": (_SHIPPED,),
    "declined": tuple((_DECLINED, reason) for reason in REASONS),
}
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])\Z", re.ASCII)


@dataclass(frozen=True)
class Asked:
    """What is asked for; `None` is no bound.

    Days are text such as ``1997-03-01``, `first` is in and `end` is not. `least` and `most` are
    minor units of `currency` and both in. `kinds` are the states to be found.
    """

    currency: str
    customer: str | None = None
    first: str | None = None
    end: str | None = None
    least: int | None = None
    most: int | None = None
    kinds: tuple[Kind, ...] | None = None
    page: int = 1

    @property
    def has_amount(self) -> bool:
        """Whether the amount has a bound."""
        return self.least is not None or self.most is not None

    @property
    def anything(self) -> bool:
        """Whether there is any bound."""
        free = Asked(self.currency, page=self.page)
        return any(getattr(self, each.name) != getattr(free, each.name) for each in fields(self))


def asked_for(address: Mapping[str, str], currency: str) -> tuple[Asked, list[str]]:
    """What an address asks for, and in sentences what of it can't be understood.

    Args:
        address: the parameters of the address.
        currency: ISO 4217 code of the amounts.
    """
    wrong: list[str] = []
    said = {name: value.strip() for name, value in address.items() if value.strip()}
    first, end = _days(said, wrong)
    least = _amount(said, "least", currency, wrong)
    most = _amount(said, "most", currency, wrong)
    if least is not None and most is not None and least > most:
        wrong.append("The amount that is asked for begins above its end.")
    kinds = _kinds(said, wrong)
    page = _page(said, wrong)
    # People leave out zeros; what is no customer's id at all is looked for as it is, and not found.
    customer = canonical(said.get("customer", "")) or said.get("customer")
    return Asked(currency, customer, first, end, least, most, kinds, page), wrong


def link(address: Mapping[str, str], **changed: str | None) -> str:
    """The address that asks for the same, but for what is `changed`; `None` leaves out."""
    both = {**address, **changed}
    names = ("order", *FIELDS, "page")
    return "?" + urlencode({name: both[name] for name in names if both.get(name)})


def _days(said: Mapping[str, str], wrong: list[str]) -> tuple[str | None, str | None]:
    # All that is of a day, or of a month, has other text after it, and comes before a `U`.
    firsts, ends = [], []
    month = said.get("month")
    if month is not None:
        if _MONTH.match(month) is None or month < "0001":
            wrong.append(f"“{month}” is no month; one is written 1997-03.")
        else:
            firsts.append(f"{month}-01")
            ends.append(f"{month}U")
    for name, found in (("from", firsts), ("to", ends)):
        text = said.get(name)
        day = None if text is None else day_of(text)
        if text is not None and day is None:
            wrong.append(f"“{text}” is no day; one is written 1997-03-28.")
        elif day is not None:
            found.append(day.isoformat() + ("" if name == "from" else "U"))
    first, end = max(firsts, default=None), min(ends, default=None)
    if first is not None and end is not None and first >= end:
        wrong.append("The days that are asked for begin after their end.")
    return first, end


def day_of(text: str) -> date | None:
    """The day that is written so; `None` if that is none."""
    try:
        return date.fromisoformat(text) if len(text) == len("1997-03-28") else None
    except ValueError:
        return None


def _amount(said: Mapping[str, str], name: str, currency: str, wrong: list[str]) -> int | None:
    text = said.get(name)
    if text is None:
        return None
    try:
        # As the page writes amounts: 1,234.50.
        plain = re.sub(r"(?<=\d),(?=\d{3}(\D|\Z))", "", text)
        return parse_amount(plain, currency, MAX_MINOR_UNITS).cents
    except MoneyError as error:
        wrong.append(f"{str(error)[0].upper()}{str(error)[1:]}.")
        return None


def _kinds(said: Mapping[str, str], wrong: list[str]) -> tuple[Kind, ...] | None:
    state, reason = said.get("state"), said.get("reason")
    if state is not None and state not in STATES:
        wrong.append(f"“{state}” is no state; there are {', '.join(STATES)}.")
        return None
    if reason is None:
        return None if state is None else _KINDS[state]
    if reason not in REASONS:
        wrong.append(f"“{reason}” is no reason; there are {', '.join(REASONS)}.")
        return None
    if state not in (None, _DECLINED):
        wrong.append("Only a declined order has a reason: leave the state or the reason out.")
        return None
    return ((_DECLINED, reason),)


def _page(said: Mapping[str, str], wrong: list[str]) -> int:
    text = said.get("page", "1")
    if text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= LAST_PAGE:
        return int(text)
    wrong.append(f"“{text}” is no page; there are pages 1 to {LAST_PAGE}.")
    return 1


def bounds(asked: Asked) -> Iterator[tuple[str, str, object]]:
    """Column, comparison and value of each bound but those on customer and state.

    An amount has both bounds or none: of one alone, SQLite thinks that most orders are within it.
    """
    if asked.first is not None:
        yield "ordered_at", ">=", asked.first
    if asked.end is not None:
        yield "ordered_at", "<", asked.end
    if asked.has_amount:
        yield "cents", ">=", 0 if asked.least is None else asked.least
        yield "cents", "<=", MAX_MINOR_UNITS if asked.most is None else asked.most
