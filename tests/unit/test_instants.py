"""RFC 3339 by one rule: what it allows is taken, what it doesn't is refused, and nothing rounds."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.instants import instant_of

LAST_OF_APRIL = datetime(2026, 4, 30, 23, 59, 59, 999999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-04-30T23:59:59.999999999Z", LAST_OF_APRIL),
        ("2026-04-30T23:59:59.9999999999999999999999999999999999999999999999Z", LAST_OF_APRIL),
        ("2026-05-01T01:59:59.9999999+02:00", LAST_OF_APRIL),
        ("2026-04-30T23:59:59.5Z", LAST_OF_APRIL.replace(microsecond=500_000)),
        ("2026-04-30t23:59:59.999999z", LAST_OF_APRIL),
        ("2026-04-30 23:59:59.999999Z", LAST_OF_APRIL),
        ("2026-04-30T23:59:59.999999-00:00", LAST_OF_APRIL),
        ("2026-05-01T23:58:59.999999+23:59", LAST_OF_APRIL),
        # The examples of RFC 3339, section 5.8.
        ("1985-04-12T23:20:50.52Z", datetime(1985, 4, 12, 23, 20, 50, 520_000, tzinfo=UTC)),
        ("1996-12-19T16:39:57-08:00", datetime(1996, 12, 20, 0, 39, 57, tzinfo=UTC)),
        ("1990-12-31T23:59:60Z", datetime(1990, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("1990-12-31T15:59:60-08:00", datetime(1990, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("1937-01-01T12:00:27.87+00:20", datetime(1937, 1, 1, 11, 40, 27, 870_000, tzinfo=UTC)),
        ("2016-12-31T23:59:60.25Z", datetime(2016, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2015-06-30T23:59:60Z", datetime(2015, 6, 30, 23, 59, 59, 999999, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.9999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_what_rfc_3339_allows_is_read_and_cut(text: str, instant: datetime) -> None:
    found = instant_of(text)
    assert (found, found.tzinfo) == (instant, UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "2026", "2026-04-30", "2026-04-30T", "1777593599"),
        *("20240501T100000Z", "2024-W18-3T10:00:00Z", "2024-W18-3", "2024-122T10:00:00Z"),
        *("2024-05-01T10:00:00+00:00:30", "2024-05-01T10:00:00+0200", "2024-05-01T10:00:00+02"),
        *("2024-05-01T10:00Z", "2024-05-01T10Z", "2024-05-01T100000Z", "2024-05-01T24:00:00Z"),
        *("2024-05-01T10:00:00,5Z", "2024-05-01T10:00:00.Z", "2024-05-01T10:00:00.+02:00"),
        *("2024-05-01T10:60:00Z", "2024-05-01T10:00:61Z", "2024-05-01T10:00:00+24:00"),
        *("2024-05-01T10:00:00+23:60", "2024-02-30T10:00:00Z", "2024-13-01T10:00:00Z"),
        *("2024-05-01_10:00:00Z", "2024-05-01  10:00:00Z", "+2024-05-01T10:00:00Z"),
        *(" 2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z ", "2024-05-01T10:00:00Z\n"),
        *("2024-05-01T10:00:00 Z", "2024-05-01T10:00:00UTC", "24-05-01T10:00:00Z"),
        *("٢٠٢٤-05-01T10:00:00Z", "0000-01-01T00:00:00Z", "2024-05-01T10:00:00\N{MINUS SIGN}02:00"),
        # A leap second is the last of a month in UTC, if it is at all.
        *("2016-12-31T23:58:60Z", "2016-12-30T23:59:60Z", "2016-12-31T23:59:60+01:00"),
    ],
)
def test_what_rfc_3339_does_not_allow_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time of RFC 3339"):
        instant_of(text)


def test_a_time_without_a_zone_is_no_instant() -> None:
    with pytest.raises(ValueError, match="names no time zone"):
        instant_of("2026-04-30T23:59:59")


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00+12:00", "9999-12-31T23:00:00-12:00", "9999-12-31T23:59:60Z"],
)
def test_what_is_outside_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(OverflowError, match="outside the calendar in UTC"):
        instant_of(text)


def test_a_long_text_is_not_repeated_whole() -> None:
    with pytest.raises(ValueError, match="RFC 3339") as caught:
        instant_of("9" * 1_000_000)
    assert len(str(caught.value)) < 200


@given(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),  # noqa: DTZ001
    st.text("0123456789", max_size=40),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.sampled_from("Tt "),
)
def test_every_instant_is_read_whatever_its_zone_and_its_fraction(
    wall: datetime, finer: str, minutes: int, between: str
) -> None:
    """Computed apart, from whole microseconds: what is finer says nothing."""
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    text = f"{wall:%Y-%m-%d}".zfill(10) + between + f"{wall:%H:%M:%S.%f}{finer}"
    zone = timezone(timedelta(minutes=minutes))
    assert instant_of(f"{text}{sign}{hours:02}:{rest:02}") == wall.replace(tzinfo=zone)
    assert instant_of(f"{text}z") == wall.replace(tzinfo=UTC)
