"""Events of a few orders, whatever order they come in: what projections must be right for."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    Event,
    NewOrder,
    OrderShipped,
    Reason,
)
from domain.money import Money
from reporting.projection import Told


def events() -> st.SearchStrategy[list[Event]]:
    """Events of a few orders, in any order, some lacking and some said twice, of two customers."""

    def event(kind: int, order: int, customer: int, day: int, cents: int, euro: bool) -> Event:
        when = datetime(1997, 1, 1, 23, tzinfo=UTC) + timedelta(days=day)
        said = (f"o/{order}", f"{customer:05}", when, Money(cents, "EUR" if euro else "USD"), 1)
        if kind == 0:
            return NewOrder(*said, "1 Street")
        if kind == 1:
            return AuthorizationAccepted(*said)
        if kind == 2:
            return AuthorizationDeclined(*said, list(Reason)[cents % 3])
        return OrderShipped(*said[:3], 1)

    numbers = [st.integers(0, most) for most in (3, 5, 2, 70, 5000)]
    return st.lists(st.builds(event, *numbers, st.booleans()), max_size=40)


def told(events: list[Event]) -> list[Told]:
    return [
        Told(
            position,
            event,
            f"{event.ordered_at:%Y-%m-%dT%H:%M:%S.%fZ}",
            f"2026-01-01T00:00:{position:02}.000000Z",
            # In the month of some orders, and after that of others.
            f"1997-{1 + position % 4:02}-05T00:00:00.000000Z",
            bytes(32),
        )
        for position, event in enumerate(events, 1)
    ]
