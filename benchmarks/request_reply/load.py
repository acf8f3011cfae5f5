"""What every contender is given, and how its round trips are counted."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from domain.contracts import NewOrder
from domain.money import Money

Figures = dict[str, float]


def an_order() -> NewOrder:
    """An order of one cent that nobody has placed before."""
    customer = uuid4().int % 100_000
    return NewOrder(
        order_id=f"bench/{uuid4()}",
        customer_id=f"{customer:05}",
        ordered_at=datetime(2026, 1, 1, tzinfo=UTC),
        amount=Money(1, "USD"),
        items=1,
        billing_address=f"{customer} Order Street",
    )


def figures(took: Sequence[tuple[float, float]], first: float, seconds: float) -> Figures:
    """Requests a second, and round trips in microseconds, of those answered since `first`.

    Round trips are not a number where none was answered.

    Args:
        took: for each request when it was answered and how long it took, in seconds.
        first: where the warming up ends.
        seconds: how long was measured from there.
    """
    kept = sorted(duration for at, duration in took if at >= first)
    if not kept:
        return {"per_second": 0.0, "p50_us": math.nan, "p99_us": math.nan}
    return {
        "per_second": len(kept) / seconds,
        "p50_us": kept[len(kept) // 2] * 1e6,
        "p99_us": kept[len(kept) * 99 // 100] * 1e6,
    }
