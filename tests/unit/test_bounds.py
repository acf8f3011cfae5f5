"""The bounds of the contract: what is at each is taken, and the next one is not."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bounds import refuse_out_of_bounds
from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    Event,
    NewOrder,
    OrderShipped,
    Reason,
)
from domain.customers import canonical, is_canonical
from domain.errors import OutOfBounds
from domain.money import Money

WHEN = datetime(1997, 1, 1, tzinfo=UTC)
SAID = ("test/1", "00001", WHEN, Money(1177, "USD"), 1)
EVENTS: tuple[Event, ...] = (
    NewOrder(*SAID, "1 Order Street"),
    AuthorizationAccepted(*SAID),
    AuthorizationDeclined(*SAID, Reason.NO_FUNDS),
    OrderShipped("test/1", "00001", WHEN, 1),
)
MICROSECOND = timedelta(microseconds=1)
FIRST, AFTER = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
class TestEveryEvent:
    """Each says a customer and a time, and three say an amount."""

    def test_what_is_at_the_edge_is_taken(self, event: Event) -> None:
        for when in (FIRST, AFTER - MICROSECOND):
            refuse_out_of_bounds(msgspec.structs.replace(event, ordered_at=when))
        if not isinstance(event, OrderShipped):
            for cents in (0, 100_000_000_000):
                refuse_out_of_bounds(msgspec.structs.replace(event, amount=Money(cents, "USD")))

    @pytest.mark.parametrize(
        "when",
        [FIRST - MICROSECOND, AFTER, *(datetime(year, 12, 31, tzinfo=UTC) for year in (1, 9999))],
    )
    def test_a_time_beyond_is_refused_with_the_bound(self, event: Event, when: datetime) -> None:
        words = "ordered_at .* from 1970-01-01 up to 2100-01-01"
        with pytest.raises(OutOfBounds, match=words):
            refuse_out_of_bounds(msgspec.structs.replace(event, ordered_at=when))

    @pytest.mark.parametrize("cents", [100_000_000_001, 2**63 - 1])
    def test_an_amount_beyond_is_refused_with_the_bound(self, event: Event, cents: int) -> None:
        if isinstance(event, OrderShipped):
            return
        with pytest.raises(OutOfBounds, match=f"{cents} is larger than 100000000000 minor units"):
            refuse_out_of_bounds(msgspec.structs.replace(event, amount=Money(cents, "USD")))

    @pytest.mark.parametrize("written", ["42", "042", "0042", "000042", "0000000042"])
    def test_another_form_of_a_customer_is_refused_with_the_one_form(
        self, event: Event, written: str
    ) -> None:
        with pytest.raises(OutOfBounds, match=f"'{written}' .* '00042'"):
            refuse_out_of_bounds(msgspec.structs.replace(event, customer_id=written))


@pytest.mark.parametrize(
    ("typed", "form"),
    [
        *(
            ("42", "00042"),
            ("042", "00042"),
            ("00042", "00042"),
            ("0000000000000000000042", "00042"),
        ),
        *(("0", "00000"), ("99999", "99999"), ("100000", "100000"), ("0100000", "100000")),
        ("9" * 18, "9" * 18),
    ],
)
def test_a_customer_has_one_form_however_it_is_typed(typed: str, form: str) -> None:
    assert canonical(typed) == form
    assert is_canonical(form)
    assert is_canonical(typed) == (typed == form)


@pytest.mark.parametrize("typed", ["", "x", "-1", "+1", "4_2", " 42", "42\n", "٤٢", "²", "9" * 19])
def test_what_is_no_customer_has_no_form(typed: str) -> None:
    assert canonical(typed) is None
    assert not is_canonical(typed)


@given(st.integers(0, 10**18 - 1), st.integers(0, 30))
def test_one_number_is_one_customer(number: int, zeros: int) -> None:
    form = canonical("0" * zeros + str(number))
    assert form == f"{number:05}"


def test_sums_hold_many_orders_of_the_largest_amount() -> None:
    """A database's sum has 63 bits; the real data has 69,659 orders."""
    assert 1_000 * 69_659 * 100_000_000_000 < 2**63
