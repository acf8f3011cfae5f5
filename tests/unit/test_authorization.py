from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.authorization import Account, AccountTerms, account_from, authorize, month_of
from domain.contracts import AuthorizationAccepted, AuthorizationDeclined, NewOrder, Reason
from domain.errors import CurrencyMismatch
from domain.house_accounts import HouseAccounts, house_address
from domain.money import Money

LIMIT = Money(30_000, "USD")
OPEN = AccountTerms(closed=False, billing_address="1 Order Street", monthly_limit=LIMIT)


def order(
    cents: int,
    number: int = 1,
    at: datetime = datetime(1997, 1, 15, tzinfo=UTC),
    currency: str = "USD",
    address: str = "1 Order Street",
) -> NewOrder:
    return NewOrder(f"test/{number}", "00001", at, Money(cents, currency), 1, address)


def reason_of(account: Account, asked: NewOrder) -> Reason | None:
    answer = authorize(account, asked)
    return answer.reason if isinstance(answer, AuthorizationDeclined) else None


def test_the_limit_itself_is_still_accepted_and_a_cent_more_is_not() -> None:
    assert reason_of(Account(OPEN), order(30_000)) is None
    assert reason_of(Account(OPEN), order(30_001)) is Reason.NO_FUNDS


def test_a_month_counts_what_was_accepted_in_it_and_only_that() -> None:
    account = Account(OPEN)
    account.apply(authorize(account, order(20_000, 1)))
    account.apply(authorize(account, order(10_001, 2)))
    assert reason_of(account, order(10_000, 3)) is None
    assert reason_of(account, order(10_001, 4)) is Reason.NO_FUNDS
    assert reason_of(account, order(30_000, 5, datetime(1997, 2, 1, tzinfo=UTC))) is None


def test_the_month_is_that_of_utc() -> None:
    east = timezone(timedelta(hours=5))
    assert month_of(datetime(1997, 2, 1, 4, tzinfo=east)) == "1997-01"
    assert month_of(datetime(1997, 2, 1, 5, tzinfo=east)) == "1997-02"


def test_reasons_are_looked_for_in_their_order() -> None:
    closed = AccountTerms(closed=True, billing_address="elsewhere", monthly_limit=LIMIT)
    moved = AccountTerms(closed=False, billing_address="elsewhere", monthly_limit=LIMIT)
    assert reason_of(Account(closed), order(99_999)) is Reason.ACCOUNT_CLOSED
    assert reason_of(Account(moved), order(99_999)) is Reason.BILLING_ADDRESS_INCORRECT
    assert reason_of(Account(OPEN), order(99_999)) is Reason.NO_FUNDS


def test_an_order_of_nothing_is_accepted() -> None:
    assert reason_of(Account(OPEN), order(0)) is None


def test_another_currency_is_refused_and_says_which() -> None:
    with pytest.raises(CurrencyMismatch, match="EUR"):
        authorize(Account(OPEN), order(100, currency="EUR"))


def test_what_was_charged_in_another_currency_is_no_part_of_the_limit() -> None:
    in_yen = AuthorizationAccepted("test/1", "00001", order(1).ordered_at, Money(29_000, "JPY"), 1)
    account = account_from(OPEN, [in_yen, authorize(Account(OPEN), order(20_000, 2))])
    assert reason_of(account, order(10_000, 3)) is None
    assert reason_of(account, order(10_001, 4)) is Reason.NO_FUNDS


def test_the_same_order_asked_again_gets_the_same_answer_even_if_terms_changed() -> None:
    account = Account(OPEN)
    first = authorize(account, order(100))
    account.apply(first)
    account.terms = AccountTerms(closed=True, billing_address="", monthly_limit=LIMIT)
    assert authorize(account, order(100)) is first


orders = st.lists(
    st.tuples(st.integers(0, 40_000), st.integers(1, 12), st.integers(1, 28)), max_size=60
)


@given(orders)
def test_no_month_is_ever_charged_over_its_limit_and_nothing_is_declined_for_less(
    wanted: list[tuple[int, int, int]],
) -> None:
    account = Account(OPEN)
    charged = dict.fromkeys(range(1, 13), 0)
    for number, (cents, month, day) in enumerate(wanted):
        answer = authorize(account, order(cents, number, datetime(1997, month, day, tzinfo=UTC)))
        account.apply(answer)
        if isinstance(answer, AuthorizationAccepted):
            charged[month] += cents
        else:
            assert charged[month] + cents > 30_000
    assert max(charged.values()) <= 30_000
    assert {m: c for m, c in account.charged.items() if c} == {
        f"1997-{m:02}": c for m, c in charged.items() if c
    }


@given(orders)
def test_an_account_is_the_fold_of_its_events(wanted: list[tuple[int, int, int]]) -> None:
    account = Account(OPEN)
    events = []
    for number, (cents, month, day) in enumerate(wanted):
        answer = authorize(account, order(cents, number, datetime(1997, month, day, tzinfo=UTC)))
        events.append(answer)
        account.apply(answer)
    assert account_from(OPEN, events) == account


@pytest.mark.parametrize(
    ("customer", "closed", "right_address"),
    [
        ("00097", True, True),
        ("00089", False, False),
        ("08633", True, True),
        ("00001", False, True),
    ],
)
def test_house_accounts(customer: str, closed: bool, right_address: bool) -> None:
    terms = HouseAccounts(LIMIT).terms_of(customer)
    assert terms.closed is closed
    assert (terms.billing_address == house_address(customer)) is right_address
