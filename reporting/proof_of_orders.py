"""Proof that no order and no cent is lost: placed = accepted + declined + still open."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from domain.money import format_amount, unit_of
from reporting.proof import Failure, Finding, FirstOf, Progress
from reporting.proof_of_service import Booked, OrderBook, agree
from reporting.proof_stories import ACCEPTED, DECLINED, PLACED, Said, Stories
from transport.topics import ORDERS, REPORTING_REQUESTS

STILL_OPEN = "still open"
NOT_PLACED_YET = "authorized, and the NewOrder is not recorded yet"

_DECISIONS = {ACCEPTED: "accepted", DECLINED: "declined"}
_SUMS = ("placed", "accepted", "declined", "open")


def prove_orders(
    stories: Stories,
    book: OrderBook | None,
    behind: Collection[str],
    progress: Progress,
    *,
    settled: bool,
) -> Finding:
    """Add all orders up by the log, and compare each with what the order service has of it.

    Args:
        stories: the orders by the log.
        book: the orders by the order service; `None` where it has no database.
        behind: topics with records that the recorder has not come to.
        progress: is told the positions that are read.
        settled: whether an order that is on its way, anywhere, is a failure.
    """
    stories.gather(progress)
    balance, waiting, first = Balance(), Counter[str](), FirstOf()
    booked_orders = 0
    for order_id, said, booked in side_by_side(stories, book or ()):
        booked_orders += booked is not None
        balance.add(said)
        rank = said[0].position if said else float("inf")
        found = [stand(said, behind)]
        if book is not None:
            found.append(agree(said, booked, book.positions))
        for each in found:
            if isinstance(each, Failure):
                first.add(rank, each)
            elif each is not None:
                waiting[each] += 1
                if settled:
                    first.add(rank, _refused_when_settled(order_id, each))
    checked = {
        "currencies": balance.in_numbers(),
        "failing": first.count,
        "order_service": None if book is None else {"orders": booked_orders},
    }
    notes = [f"orders {why}: {count:,}" for why, count in waiting.items()]
    return Finding(checked, notes, first.failure or balance.failure())


def stand(said: Sequence[Said], behind: Collection[str]) -> Failure | str | None:
    """Look at one order as the log has it, all its events in order.

    Returns:
        What is wrong; or what it waits for, if that is still to come; or `None`.
    """
    placed = [event for event in said if event.type == PLACED]
    decided = [event for event in said if event.type in _DECISIONS]
    for event in (*placed, *decided):
        if event.cents is None or event.currency is None:
            return _fails(event, f"the amount of position {event.position} can't be read")
    for events, what in ((placed, "placed"), (decided, "authorized")):
        if len(events) > 1:
            one, other = (f"position {event.position}" for event in events[:2])
            return _fails(events[1], f"it is {what} at {one} and again at {other}", events[1].cents)
    if not decided:
        return STILL_OPEN if placed else None
    if not placed:
        # Who asks for an authorization publishes no NewOrder.
        if decided[0].topic == REPORTING_REQUESTS:
            return None
        if ORDERS in behind:
            return NOT_PLACED_YET
        what = f"it is authorized at position {decided[0].position}, and was never placed"
        return _fails(decided[0], what, decided[0].cents)
    return _another_order(placed[0], decided[0])


class Balance:
    """Orders and minor units by currency: each event adds what it says itself."""

    def __init__(self) -> None:
        self._orders: dict[str, Counter[str]] = {}
        self._cents: dict[str, Counter[str]] = {}

    def add(self, said: Sequence[Said]) -> None:
        """Add the events of one order."""
        placed = [event for event in said if event.type == PLACED]
        decided = [event for event in said if event.type in _DECISIONS]
        # An order that was asked for is known by its answer alone.
        for event in placed or decided[:1]:
            self._count("placed", event)
        for event in decided:
            self._count(_DECISIONS[event.type], event)
        for event in () if decided else placed[:1]:
            self._count("open", event)

    def failure(self) -> Failure | None:
        """What is wrong with the sums; `None` if placed = accepted + declined + open."""
        for unit, sums in (("orders", self._orders), ("cents", self._cents)):
            for currency, found in sums.items():
                rest = found["placed"] - found["accepted"] - found["declined"] - found["open"]
                if rest:
                    what = f"placed is not accepted + declined + open in {unit} of {currency}"
                    return Failure("all orders", what, {unit: rest})
        return None

    def in_numbers(self) -> dict[str, Any]:
        """By currency: placed, accepted, declined and open, in orders and cents."""
        return {
            currency: {
                name: {"orders": orders[name], "cents": self._cents[currency][name]}
                for name in _SUMS
            }
            for currency, orders in sorted(self._orders.items())
        }

    def _count(self, what: str, event: Said) -> None:
        currency = str(event.currency)
        self._orders.setdefault(currency, Counter())[what] += 1
        self._cents.setdefault(currency, Counter())[what] += event.cents or 0


def side_by_side(
    stories: Iterable[tuple[str, Sequence[Said]]], book: Iterable[Booked]
) -> Iterator[tuple[str, Sequence[Said], Booked | None]]:
    """Each order that is on either side, in order of ids; both must come in that order."""
    rows = iter(book)
    row = next(rows, None)
    for order_id, said in stories:
        while row is not None and row.order_id < order_id:
            yield row.order_id, (), row
            row = next(rows, None)
        if row is not None and row.order_id == order_id:
            yield order_id, said, row
            row = next(rows, None)
        else:
            yield order_id, said, None
    while row is not None:
        yield row.order_id, (), row
        row = next(rows, None)


def _another_order(placed: Said, decided: Said) -> Failure | None:
    """What the authorization says otherwise than the order that it is of."""
    was, says = (
        f"{_amount(event)} of customer {event.customer_id}, {event.items} items, ordered "
        f"{event.business_time}, at position {event.position}"
        for event in (placed, decided)
    )
    same = (placed.about, placed.cents, placed.currency)
    if same == (decided.about, decided.cents, decided.currency):
        return None
    by = (decided.cents or 0) - (placed.cents or 0)
    what = f"it is placed for {was}, and {_DECISIONS[decided.type]} for {says}"
    return _fails(placed, what, by)


def _amount(event: Said) -> str:
    if event.cents is None or event.currency is None:
        return f"{event.cents} minor units of {event.currency}"
    return f"{format_amount(event.cents, event.currency)} {unit_of(event.currency)}"


def _fails(event: Said, what: str, cents: int | None = None) -> Failure:
    by = {"orders": 1} if cents is None else {"orders": 1, "cents": cents}
    return Failure(f"order {event.order_id}", what, by)


def _refused_when_settled(order_id: str, waits: str) -> Failure:
    return Failure(f"order {order_id}", f"it is {waits}, though all is settled", {"orders": 1})
