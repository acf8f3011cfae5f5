from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import MoneyError
from domain.money import MAX_MINOR_UNITS, Money, format_amount, parse_amount


@pytest.mark.parametrize(
    ("text", "cents"),
    [("0.00", 0), ("29.33", 2933), ("29.3", 2930), ("300", 30000), ("1e2", 10000), ("-0", 0)],
)
def test_amounts_are_read_exactly(text: str, cents: int) -> None:
    assert parse_amount(text, "USD") == Money(cents, "USD")


def test_a_currency_without_minor_units_has_none() -> None:
    assert parse_amount("1200", "JPY") == Money(1200, "JPY")
    assert format_amount(1200, "JPY") == "1,200"


@pytest.mark.parametrize(
    "text", ["", "abc", "29.333", "-0.01", "NaN", "Infinity", "1e400", "92233720368547758.08"]
)
def test_what_is_no_exact_amount_is_refused(text: str) -> None:
    with pytest.raises(MoneyError):
        parse_amount(text, "USD")


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(MoneyError, match="XXX"):
        parse_amount("1.00", "XXX")


@given(st.integers(min_value=0, max_value=MAX_MINOR_UNITS))
def test_writing_and_reading_gives_the_same_amount(cents: int) -> None:
    text = format_amount(cents, "USD").replace(",", "")
    assert parse_amount(text, "USD").cents == cents
    assert Decimal(text) * 100 == cents
