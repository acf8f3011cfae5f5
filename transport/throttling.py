"""Whether the broker makes this process wait, by a quota (KIP-13, KIP-219).

A broker that holds a client to a quota answers at once, a fetch with no record at all, says how
many seconds to wait, and hears nothing more on that connection until they are over. Clients follow
in silence: no error is raised. So what they are told is noted here, for all clients of the process.
"""

from datetime import datetime, timedelta
from time import monotonic

LATELY_SECONDS = 10.0
"""So long after its time is over a client counts as throttled: the next answer may say it again."""

_over_at = [float("-inf")]


def note_throttling(seconds: float) -> None:
    """Note that the broker told a client to wait."""
    if seconds > 0:
        _over_at[0] = max(_over_at[0], monotonic() + seconds)


def throttled() -> bool:
    """Whether the broker makes a client of this process wait, or did lately."""
    return _seconds_left() > 0


def throttled_until(now: datetime) -> datetime | None:
    """Until when this process counts as throttled, as things stand; `None` where it does not."""
    left = _seconds_left()
    return now + timedelta(seconds=left) if left > 0 else None


def _seconds_left() -> float:
    return _over_at[0] + LATELY_SECONDS - monotonic()
