"""Purchases as the data sets write them, a line each, read into orders.

Two layouts are read, each line by itself: the four fields of CDNOW_master, and the five of
CDNOW_sample, whose second one numbers the customers within the sample and says nothing else.
"""

import re
from collections import Counter
from datetime import UTC, datetime
from unicodedata import normalize

from domain.contracts import NewOrder
from domain.errors import MoneyError, PurchaseFileError, PurchaseLineError
from domain.house_accounts import house_address
from domain.identity import order_id_of
from domain.money import parse_amount

MAX_DATA_SET = 150
"""Most characters of a data set's name, so that each order's id has at most the contract's 200."""

MAX_CENTS = 100_000_000_000
"""The largest amount of a purchase, in minor units: the contract's bound."""

FIRST_DAY, LAST_DAY = "19700101", "20991231"
"""The days that a purchase can be of: the contract's bounds."""

_FIELDS = "customer id (5 digits), date (YYYYMMDD), number of CDs, amount"
_CUSTOMER = re.compile(r"[0-9]{5}", re.ASCII)
_IN_SAMPLE = re.compile(r"[0-9]{1,5}", re.ASCII)
_DATE = re.compile(r"[0-9]{8}", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,6}", re.ASCII)
_AMOUNT = re.compile(r"([0-9]{1,180})\.([0-9]{2})", re.ASCII)


def data_set_named(name: str) -> str:
    """The data set of a file called `name`, its ending left away: orders are known by it.

    Raises:
        PurchaseFileError: it can't be a part of an order's id.
    """
    # One name, however a file system takes its letters apart.
    found = normalize("NFC", name)
    if not found or "/" in found or not found.isprintable():
        raise PurchaseFileError(
            f"{name!r} can't be a data set's name, which is a part of its orders' ids: it must be "
            "of printable characters without a slash. Choose another one with --as NAME"
        )
    if len(found) > MAX_DATA_SET:
        raise PurchaseFileError(
            f"the data set's name {found[:30]}… has {len(found)} characters, and its orders' ids "
            f"have room for {MAX_DATA_SET}: rename the file, or choose a name with --as NAME"
        )
    return found


class PurchaseFile:
    """The purchases of one file, read line by line.

    A purchase that is in the file to the letter for the second time is another one, and is told
    from the first by its turn. So a line's order depends on no line that says something else.
    """

    def __init__(self, data_set: str, currency: str = "USD") -> None:
        """Read lines of a data set, with amounts in `currency` (ISO 4217)."""
        self.data_set = data_set
        self.currency = currency
        self._turns: Counter[tuple[str, str, int, str]] = Counter()

    def order_from(self, number: int, line: str) -> NewOrder:
        """Read the next line, the file's line `number` (counted from 1), without its line end.

        Raises:
            PurchaseLineError: the line is not four or five fields of the right form, or breaks a
                bound of the contract.
        """
        fields = line.split()
        if len(fields) == 5:
            in_sample = fields.pop(1)
            if not _IN_SAMPLE.fullmatch(in_sample):
                raise self._refused(
                    number,
                    f"has 5 fields, and the second one, {in_sample!r}, is no customer's number "
                    "within a sample (1 to 5 digits)",
                )
        if len(fields) != 4:
            raise self._refused(number, f"has {len(fields)} fields instead of 4: {_FIELDS}")
        customer, date, count, amount = fields
        if not _CUSTOMER.fullmatch(customer):
            raise self._refused(number, f"customer id {customer!r} is not 5 digits")
        if not _DATE.fullmatch(date):
            raise self._refused(number, f"date {date!r} is not of the form YYYYMMDD")
        if not FIRST_DAY <= date <= LAST_DAY:
            raise self._refused(number, f"date {date} is not from {FIRST_DAY} to {LAST_DAY}")
        if not _COUNT.fullmatch(count) or int(count) == 0:
            raise self._refused(number, f"number of CDs {count!r} is not a whole number from 1")
        parts = _AMOUNT.fullmatch(amount)
        if parts is None:
            raise self._refused(number, f"amount {amount!r} is not of the form 29.33")
        canonical = f"{int(parts[1])}.{parts[2]}"
        too_large = f"amount {amount} is larger than {MAX_CENTS:,} minor units of {self.currency}"
        if int(parts[1]) > MAX_CENTS:
            raise self._refused(number, too_large)
        try:
            ordered_at = datetime(int(date[:4]), int(date[4:6]), int(date[6:]), tzinfo=UTC)
            money = parse_amount(canonical, self.currency)
        except (ValueError, MoneyError) as error:
            raise self._refused(number, f"{date} or {amount}: {error}") from error
        if money.cents > MAX_CENTS:
            raise self._refused(number, too_large)
        said = (customer, date, int(count), canonical)
        self._turns[said] += 1
        return NewOrder(
            order_id=order_id_of(self.data_set, *said, self._turns[said]),
            customer_id=customer,
            ordered_at=ordered_at,
            amount=money,
            items=int(count),
            billing_address=house_address(customer),
        )

    def _refused(self, number: int, why: str) -> PurchaseLineError:
        return PurchaseLineError(f"{self.data_set} line {number}: {why}")
