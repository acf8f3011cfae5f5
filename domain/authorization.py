"""Payment authorization: an account is the fold of its own authorization events."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from domain.contracts import (
    Authorization,
    AuthorizationAccepted,
    AuthorizationDeclined,
    NewOrder,
    Reason,
)
from domain.errors import CurrencyMismatch
from domain.money import Money


@dataclass(frozen=True)
class AccountTerms:
    """What was agreed with a customer: the account's fixed side."""

    closed: bool
    billing_address: str
    monthly_limit: Money


@dataclass
class Account:
    """A customer's account: its terms, what each month has charged, and every answer given.

    `charged` maps a calendar month (UTC), as ``1997-01``, to cents accepted in it; `answers` maps
    an order's id to the authorization it got.
    """

    terms: AccountTerms
    charged: dict[str, int] = field(default_factory=dict)
    answers: dict[str, Authorization] = field(default_factory=dict)

    def apply(self, event: Authorization) -> None:
        """Take an authorization event into the state; never refuses one."""
        self.answers[event.order_id] = event
        # What was charged in another currency, by other settings, is no part of this limit.
        in_its = event.amount.currency == self.terms.monthly_limit.currency
        if isinstance(event, AuthorizationAccepted) and in_its:
            month = month_of(event.ordered_at)
            self.charged[month] = self.charged.get(month, 0) + event.amount.cents


def account_from(terms: AccountTerms, events: Iterable[Authorization]) -> Account:
    """Fold an account's events, oldest first, into its state."""
    account = Account(terms)
    for event in events:
        account.apply(event)
    return account


def authorize(account: Account, order: NewOrder) -> Authorization:
    """Decide whether `order` may be charged to `account`, without changing either.

    In this order: an order that was asked before gets the answer it got; a closed account declines;
    a billing address that doesn't match declines; an amount that, added to what was accepted in the
    calendar month (UTC) of `ordered_at`, exceeds the monthly limit declines; otherwise accepted.

    Raises:
        CurrencyMismatch: the order's currency is not the account's.
    """
    known = account.answers.get(order.order_id)
    if known is not None:
        return known
    terms = account.terms
    if order.amount.currency != terms.monthly_limit.currency:
        raise CurrencyMismatch(
            f"order {order.order_id} is in {order.amount.currency}, the account of customer "
            f"{order.customer_id} is kept in {terms.monthly_limit.currency}"
        )
    if terms.closed:
        return _declined(order, Reason.ACCOUNT_CLOSED)
    if order.billing_address != terms.billing_address:
        return _declined(order, Reason.BILLING_ADDRESS_INCORRECT)
    charged = account.charged.get(month_of(order.ordered_at), 0)
    if charged + order.amount.cents > terms.monthly_limit.cents:
        return _declined(order, Reason.NO_FUNDS)
    return AuthorizationAccepted(
        order.order_id, order.customer_id, order.ordered_at, order.amount, order.items
    )


def is_answer_to(answer: Authorization, order: NewOrder) -> bool:
    """Whether `answer` is about this very order, and not about another by the same id."""
    fields = AuthorizationAccepted.__struct_fields__
    return all(getattr(answer, name) == getattr(order, name) for name in fields)


def month_of(instant: datetime) -> str:
    """The calendar month (UTC) of an aware time, as ``1997-01``."""
    utc = instant.astimezone(UTC)
    return f"{utc.year:04}-{utc.month:02}"


def _declined(order: NewOrder, reason: Reason) -> AuthorizationDeclined:
    return AuthorizationDeclined(
        order.order_id, order.customer_id, order.ordered_at, order.amount, order.items, reason
    )
