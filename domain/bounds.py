"""The bounds of what may be said: far below what sums and calendars hold, so that none is stopped.

They hold for what comes in and for what we make. What is kept already is read without them, so that
a bound that is added later stops no reading of what was said before it.
"""

from datetime import UTC, datetime

from domain.contracts import Event, OrderShipped
from domain.customers import canonical, is_canonical
from domain.errors import OutOfBounds
from domain.money import LARGEST_AMOUNT, MINOR_UNITS, unknown_currency

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""The first business time."""

END = datetime(2100, 1, 1, tzinfo=UTC)
"""The first time that is no business time any more: ``9999-12-31`` is what databases write for
"no end"."""


def refuse_out_of_bounds(said: Event) -> None:
    """Check what an event, or the event that a message carries, says against the bounds.

    Raises:
        OutOfBounds: it breaks one; the message names field, value and bound.
    """
    if not is_canonical(said.customer_id):
        raise OutOfBounds(
            f"customer_id {said.customer_id!r} is not in the one form that a customer id has: "
            f"{canonical(said.customer_id)!r}, digits with zeros in front up to five and no others"
        )
    if not EARLIEST <= said.ordered_at < END:
        raise OutOfBounds(
            f"ordered_at {said.ordered_at.isoformat()} is outside business time, which is from "
            f"{EARLIEST:%Y-%m-%d} up to {END:%Y-%m-%d} (UTC), without that day"
        )
    if isinstance(said, OrderShipped):
        return
    if said.amount.currency not in MINOR_UNITS:
        raise OutOfBounds(f"amount.{unknown_currency(said.amount.currency)}")
    if said.amount.cents > LARGEST_AMOUNT:
        raise OutOfBounds(
            f"amount.cents {said.amount.cents} is larger than {LARGEST_AMOUNT} minor units"
        )
