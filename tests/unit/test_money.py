from decimal import Decimal, InvalidOperation, localcontext

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import MoneyError
from domain.money import (
    LARGEST_AMOUNT,
    MAX_MINOR_UNITS,
    Money,
    format_amount,
    parse_amount,
    unit_of,
)


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        *(("0.00", 0), ("29.33", 2933), ("29.3", 2930), ("300", 30000), ("29.330000", 2933)),
        *(("007.50", 750), ("0" * 5000 + "1", 100), ("1." + "0" * 5000, 100)),
        *(("1000000000.00", LARGEST_AMOUNT), ("999999999.99", LARGEST_AMOUNT - 1)),
    ],
)
def test_amounts_are_read_exactly(text: str, cents: int) -> None:
    assert parse_amount(text, "USD") == Money(cents, "USD")


def test_a_currency_without_minor_units_has_none() -> None:
    assert parse_amount("1200", "JPY") == Money(1200, "JPY")
    assert parse_amount("1200.0", "JPY") == Money(1200, "JPY")
    assert format_amount(1200, "JPY") == "1,200"
    with pytest.raises(MoneyError, match="fraction of a minor unit of JPY"):
        parse_amount("1200.5", "JPY")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((text, "is not an amount") for text in ("", "abc", "-0.01", "+1", "-0", " 1", "1 ")),
        *((text, "is not an amount") for text in ("1_0.5", "1_000", "1,000.00", "1e2", "1E400")),
        *((text, "is not an amount") for text in ("NaN", "Infinity", "1.", ".5", "1..2", "1.2\n")),
        *((text, "is not an amount") for text in ("\u0661\u0662.\u0663", "\uff11", "0x10", "\xb2")),
        ("29.333", "fraction of a minor unit"),
        # 29 digits and more: what is past the 28th counts as any other.
        ("0.00000000000000000000000000000000001", "fraction of a minor unit"),
        ("1.0000000000000000000000000000000000000000000000000000001", "fraction of a minor unit"),
        ("1000000000.01", "larger than 100000000000 minor units"),
        ("92233720368547758.08", "larger than 100000000000 minor units"),
        ("9" * 100_000, "larger than 100000000000 minor units"),
    ],
)
def test_what_is_no_exact_amount_is_refused(text: str, why: str) -> None:
    with pytest.raises(MoneyError, match=why) as caught:
        parse_amount(text, "USD")
    assert len(str(caught.value)) < 200


def test_an_amount_that_is_only_looked_for_may_be_as_large_as_any_that_is_kept() -> None:
    assert parse_amount("92233720368547758.07", "USD", MAX_MINOR_UNITS).cents == MAX_MINOR_UNITS
    with pytest.raises(MoneyError, match="larger than 9223372036854775807"):
        parse_amount("92233720368547758.08", "USD", MAX_MINOR_UNITS)


def test_a_currency_has_as_many_minor_units_as_the_standard_says() -> None:
    assert parse_amount("1.2345", "CLF") == Money(12345, "CLF")
    assert parse_amount("1.5", "KWD") == Money(1500, "KWD")
    assert format_amount(1_234_567, "KWD") == "1,234.567"
    with pytest.raises(MoneyError, match="fraction of a minor unit of KWD"):
        parse_amount("1.2345", "KWD")
    # Gold has no minor unit, and a code that was taken out of the list is not known any more.
    for code in ("XAU", "DEM", "eur", "EURO", ""):
        with pytest.raises(MoneyError, match=f"'{code}' is no code of ISO 4217"):
            parse_amount("1", code)
    assert (format_amount(1234, "DEM"), unit_of("DEM")) == ("1,234", "minor units of DEM")


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(MoneyError, match="XXX"):
        parse_amount("1.00", "XXX")


@given(st.integers(min_value=0, max_value=LARGEST_AMOUNT))
def test_writing_and_reading_gives_the_same_amount(cents: int) -> None:
    text = format_amount(cents, "USD").replace(",", "")
    assert parse_amount(text, "USD").cents == cents
    assert Decimal(text) * 100 == cents


@given(st.integers())
@example(10**40 + 1)
@example(-(10**40) - 1)
def test_an_amount_is_written_with_all_its_digits(cents: int) -> None:
    """Sums are larger than any amount, and a report may have them all the same."""
    with localcontext(prec=200):
        assert Decimal(format_amount(cents, "USD").replace(",", "")) * 100 == cents
    assert format_amount(cents, "JPY").replace(",", "") == str(cents)


@given(
    st.text("0123456789.eE_+- \u0661", max_size=60)
    | st.from_regex(r"[0-9]{1,40}(\.[0-9]{1,40})?", fullmatch=True)
    | st.text(max_size=20)
)
@example("100000000000000000000000000000000.00")
@example("0.0000000000000000000000000000000000001")
def test_what_is_read_is_what_is_written_to_the_last_digit(text: str) -> None:
    """Against the decimal module, with more digits than the text has."""
    try:
        cents = parse_amount(text, "USD", 10**100).cents
    except MoneyError:
        cents = None
    with localcontext(prec=200):
        try:
            wanted = Decimal(text) * 100
        except InvalidOperation:
            wanted = Decimal("0.5")
        plain = text.isascii() and set(text) <= set("0123456789.")
        whole = plain and wanted == wanted.to_integral_value() and text[0] != "." != text[-1]
        assert cents == (int(wanted) if whole else None)
