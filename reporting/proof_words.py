"""What a proof says in sentences, for a terminal and for a page."""

from collections.abc import Callable, Mapping
from typing import Any

from domain.money import format_amount, unit_of
from reporting.proof import Failure, Part, PartName
from reporting.proof_of_figure import FIGURE

Counts = Mapping[str, Any]

HOLDS, FAILS, LEFT_OUT = "holds", "fails", "left out"


def word(part: Part) -> str:
    """A part in a word."""
    return {True: HOLDS, False: FAILS, None: LEFT_OUT}[part.holds]


def sentence(part: Part) -> str:
    """What was counted, or where and how it fails, or why it was left out."""
    if part.finding is None:
        return part.skipped or ""
    failure = part.finding.failure
    return _IN_WORDS[part.name](part.finding.checked) if failure is None else failing(failure)


def failing(failure: Failure) -> str:
    """Where a part fails, by how much, and what is wrong there."""
    by = ", ".join(_many(count, unit) for unit, count in failure.by.items())
    return f"fails at {failure.where}{f' (by {by})' if by else ''}: {failure.what}"


def _many(count: float, units: str) -> str:
    return f"{count:,} {units.removesuffix('s') if abs(count) == 1 else units}"


def _chain(checked: Counts) -> str:
    return f"{checked['positions']:,} positions, each hash right"


def _offsets(checked: Counts) -> str:
    fates = ", ".join(
        f"{checked[fate]:,} {fate.replace('_', ' ')}"
        for fate in ("recorded", "repeats", "dead_letters", "not_recorded_yet")
    )
    return f"{checked['offsets']:,} offsets: {fates}"


def _projections(checked: Counts) -> str:
    return (
        ", ".join(f"{name} at {each['position']:,}" for name, each in checked.items())
        or "none is there yet"
    )


def _orders(checked: Counts) -> str:
    return "; ".join(_sums(currency, each) for currency, each in checked["currencies"].items()) or (
        "no order was placed yet"
    )


def _sums(currency: str, sums: Counts) -> str:
    names = ("accepted", "declined", "open")
    orders = " + ".join(f"{sums[name]['orders']:,} {name}" for name in names)
    cents = [sums[name]["cents"] for name in ("placed", *names)]
    amounts = [format_amount(each, currency) for each in cents]
    return (
        f"{sums['placed']['orders']:,} placed = {orders}; "
        f"{amounts[0]} = {' + '.join(amounts[1:])} {unit_of(currency)}"
    )


def _shipments(checked: Counts) -> str:
    return (
        f"{checked['accepted']:,} accepted = {checked['shipped']:,} shipped once + "
        f"{checked['under_way']:,} under way"
    )


def _figures(checked: Counts) -> str:
    positions = " and ".join(f"{position:,}" for position in checked["positions"])
    return f"{checked['figures']:,} figures of {checked['file']} at position {positions}"


_IN_WORDS: dict[str, Callable[[Counts], str]] = {
    FIGURE: _figures,
    PartName.CHAIN: _chain,
    PartName.OFFSETS: _offsets,
    PartName.PROJECTIONS: _projections,
    PartName.ORDERS: _orders,
    PartName.SHIPMENTS: _shipments,
}
