"""Instants as RFC 3339 writes them: one reading for bodies, headers and whatever else has some."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_MOST_SHOWN = 80
_MOST_KEPT = 40
_MICROSECOND = timedelta(microseconds=1)

# A space for the T is what the note in section 5.6 allows, and what databases write.
_INSTANT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[Tt ](?P<minute>\d\d:\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d+))?"
    r"(?P<zone>[Zz]|[+-]\d\d:[0-5]\d)?",
    re.ASCII,
)


def instant_of(text: str) -> datetime:
    """Read an instant of RFC 3339 as aware UTC; what is finer than a microsecond is cut.

    So no instant moves into the next day or month. A leap second (section 5.7), which no calendar
    of Python has, is the last microsecond of its minute, for the same reason.

    Raises:
        ValueError: it is none, or names no zone.
        OverflowError: it is before the year 1 or after the year 9999 in UTC.
    """
    # A batch was published at one time; but what is long is nobody's, and isn't kept.
    return _read_and_kept(text) if len(text) <= _MOST_KEPT else _read(text)


def _read(text: str) -> datetime:
    shown = repr(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…")
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise ValueError(f"{shown} is not a time of RFC 3339")
    if found["zone"] is None:
        raise ValueError(f"{shown} names no time zone")
    leap = found["second"] == "60"
    second = "59" if leap else found["second"]
    micro = "999999" if leap else (found["fraction"] or "")[:6].ljust(6, "0")
    zone = "+00:00" if found["zone"] in "Zz" else found["zone"]
    try:
        instant = datetime.fromisoformat(
            f"{found['date']}T{found['minute']}:{second}.{micro}{zone}"
        )
    except ValueError:
        raise ValueError(f"{shown} is not a time of RFC 3339") from None
    try:
        instant = instant.astimezone(UTC)
        following = instant + _MICROSECOND if leap else None
    except OverflowError:
        raise OverflowError(f"{shown} is outside the calendar in UTC") from None
    if following is not None and (following.day, following.hour, following.minute) != (1, 0, 0):
        raise ValueError(f"{shown} is not a time of RFC 3339: no month (UTC) ends there")
    return instant


_read_and_kept = lru_cache(maxsize=4096)(_read)
