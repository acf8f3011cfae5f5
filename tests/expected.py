"""What the report must say, computed apart from the project: nothing of it is imported here.

Amounts are read with Decimal, dates by slicing; the rules are written down again from the design.
"""

from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parent.parent / "data" / "CDNOW_master.txt"
REASONS = ("no_funds", "billing_address_incorrect", "account_closed")


class Purchase(NamedTuple):
    line: int
    customer: int
    date: str
    cds: int
    cents: int
    order_id: str

    @property
    def month(self) -> str:
        return f"{self.date[:4]}-{self.date[4:6]}"


def purchases(limit: int | None = None, data: Path = DATA) -> list[Purchase]:
    found = []
    times: Counter[str] = Counter()
    for number, line in enumerate(data.read_text(encoding="ascii").splitlines(), 1):
        customer, date, cds, amount = line.split()
        dollars = Decimal(amount)
        order_id = "/".join((data.stem, customer, date, cds.lstrip("0"), f"{dollars:.2f}"))
        times[order_id] += 1
        if times[order_id] > 1:
            order_id += f"/{times[order_id]}"
        found.append(Purchase(number, int(customer), date, int(cds), int(dollars * 100), order_id))
    found.sort(key=lambda purchase: (purchase.date, purchase.line))
    return found[:limit]


def outcomes(
    orders: list[Purchase], limit: str = "300.00", closed: int = 97, wrong_address: int = 89
) -> dict[str, str]:
    """By order id: accepted, or the reason why not."""
    most = int(Decimal(limit) * 100)
    charged: dict[tuple[int, str], int] = defaultdict(int)
    found = {}
    for order in orders:
        if order.customer % closed == 0:
            found[order.order_id] = "account_closed"
        elif order.customer % wrong_address == 0:
            found[order.order_id] = "billing_address_incorrect"
        elif charged[order.customer, order.month] + order.cents > most:
            found[order.order_id] = "no_funds"
        else:
            charged[order.customer, order.month] += order.cents
            found[order.order_id] = "accepted"
    return found


def report(orders: list[Purchase], decided: dict[str, str]) -> dict[str, Any]:
    """The months and totals that `shop report --json` must print."""
    months: dict[str, dict[str, list[int]]] = {}
    for order in orders:
        cells = months.setdefault(order.month, {name: [0, 0] for name in ("accepted", *REASONS)})
        cell = cells[decided[order.order_id]]
        cell[0] += 1
        cell[1] += order.cents
    totals = {
        name: [sum(cells[name][i] for cells in months.values()) for i in (0, 1)]
        for name in ("accepted", *REASONS)
    }
    return {
        "months": [{"month": month, **_figures(months[month])} for month in sorted(months)],
        "totals": _figures(totals),
    }


def lines(
    orders: list[Purchase], decided: dict[str, str], by: str, first: str = "", last: str = "9"
) -> dict[str, dict[str, tuple[int, int]]]:
    """By day or month, and in all by "total": orders and cents of each outcome, declined and all.

    Only orders from the first day to the last one, both YYYY-MM-DD, are counted.
    """
    names = ("accepted", *REASONS, "declined", "all")
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for order in orders:
        day = f"{order.month}-{order.date[6:]}"
        if not first <= day <= last:
            continue
        outcome = decided[order.order_id]
        also = () if outcome == "accepted" else ("declined",)
        for period in (day if by == "day" else order.month, "total"):
            cells = found.setdefault(period, dict.fromkeys(names, (0, 0)))
            for name in (outcome, *also, "all"):
                cells[name] = (cells[name][0] + 1, cells[name][1] + order.cents)
    return found


def _figures(cells: dict[str, list[int]]) -> dict[str, Any]:
    return {
        "accepted": _sum(cells["accepted"]),
        "declined": {reason: _sum(cells[reason]) for reason in REASONS},
    }


def _sum(cell: list[int]) -> dict[str, int]:
    return {"orders": cell[0], "cents": cell[1]}
