"""Purchases as the data set writes them, a line each, read into orders."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from domain.contracts import NewOrder
from domain.errors import MoneyError, PurchaseLineError
from domain.house_accounts import house_address
from domain.identity import order_id_of
from domain.money import parse_amount

_FIELDS = "customer id (5 digits), date (YYYYMMDD), number of CDs, amount"
_CUSTOMER = re.compile(r"[0-9]{5}", re.ASCII)
_DATE = re.compile(r"[0-9]{8}", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,6}", re.ASCII)
_AMOUNT = re.compile(r"[0-9]{1,12}\.[0-9]{2}", re.ASCII)


@dataclass(frozen=True)
class PurchaseFile:
    """Which data set a line belongs to and what currency it is in."""

    data_set: str
    currency: str = "USD"

    def order_from(self, number: int, line: str) -> NewOrder:
        """Read line `number` (counted from 1), without its line end.

        Raises:
            PurchaseLineError: the line is not four fields of the right form.
        """
        fields = line.split()
        if len(fields) != 4:
            raise self._refused(number, f"has {len(fields)} fields instead of 4: {_FIELDS}")
        customer, date, count, amount = fields
        if not _CUSTOMER.fullmatch(customer):
            raise self._refused(number, f"customer id {customer!r} is not 5 digits")
        if not _DATE.fullmatch(date):
            raise self._refused(number, f"date {date!r} is not of the form YYYYMMDD")
        if not _COUNT.fullmatch(count) or int(count) == 0:
            raise self._refused(number, f"number of CDs {count!r} is not a whole number from 1")
        if not _AMOUNT.fullmatch(amount):
            raise self._refused(number, f"amount {amount!r} is not of the form 29.33")
        try:
            ordered_at = datetime(int(date[:4]), int(date[4:6]), int(date[6:]), tzinfo=UTC)
            money = parse_amount(amount, self.currency)
        except (ValueError, MoneyError) as error:
            raise self._refused(number, f"{date} or {amount}: {error}") from error
        return NewOrder(
            order_id=order_id_of(self.data_set, number),
            customer_id=customer,
            ordered_at=ordered_at,
            amount=money,
            items=int(count),
            billing_address=house_address(customer),
        )

    def _refused(self, number: int, why: str) -> PurchaseLineError:
        return PurchaseLineError(f"{self.data_set} line {number}: {why}")
