"""The times of records, which whoever sends them chooses."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.waiting import moment_of

LAST = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("milliseconds", "moment"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1_796_000_000_123, datetime(2026, 11, 30, 0, 53, 20, 123000, tzinfo=UTC)),
        (-1, datetime(1970, 1, 1, tzinfo=UTC)),
        (253_402_300_799_999, LAST),
        (253_402_300_800_000, LAST),
        # In microseconds.
        (1_796_000_000_123_456, LAST),
    ],
)
def test_the_time_of_a_record_is_the_nearest_there_is(milliseconds: int, moment: datetime) -> None:
    assert moment_of(milliseconds) == moment


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_time_that_a_record_can_have_is_a_moment(milliseconds: int) -> None:
    assert datetime(1970, 1, 1, tzinfo=UTC) <= moment_of(milliseconds) <= LAST
