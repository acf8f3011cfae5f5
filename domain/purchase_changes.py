"""What has become of a purchase file since its purchases were placed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from domain.errors import PurchaseFileError

SHOWN = 10
"""So many purchases of each kind are named; the rest is counted."""

_PURCHASE = re.compile(
    r"[0-9]{5}/[0-9]{8}/[1-9][0-9]*/(?:0|[1-9][0-9]*)\.[0-9]{2}(?:/[1-9][0-9]*)?", re.ASCII
)


@dataclass(frozen=True)
class Changes:
    """Which of the purchases that were placed are gone from a file, and which of its are new.

    `gone` are the first ids of the `gone_count`; `new` are ids in the order of the file.
    """

    gone: list[str]
    gone_count: int
    new: list[str]


def changes(data_set: str, purchases: Iterable[str], known: Iterable[str]) -> Changes:
    """Compare a whole file with what was placed under its name.

    Args:
        data_set: the name.
        purchases: the order ids of the file's purchases, in its order.
        known: the ids of known orders that begin with the name and a slash, in any order, each
            once. Those that are not of the form of a purchase's are others' orders, and no matter.
    """
    new = dict.fromkeys(purchases)
    gone: list[str] = []
    count = 0
    for order_id in known:
        if order_id in new:
            del new[order_id]
        elif _PURCHASE.fullmatch(order_id, len(data_set) + 1):
            count += 1
            if count <= SHOWN:
                gone.append(order_id)
    return Changes(gone, count, list(new))


def refuse_other_purchases(
    file: str, data_set: str, found: Changes, lines: Mapping[str, int]
) -> None:
    """Refuse a file from which purchases are gone and in which others are new.

    Nobody can tell whether the new ones are the old ones mended, which would be charged twice. With
    purchases gone alone, or new ones alone, there is no such doubt.

    Args:
        file: the file, for the message.
        data_set: the name that its purchases are placed under.
        found: what has changed.
        lines: the line numbers of the file's purchases, by order id.

    Raises:
        PurchaseFileError: it is such a file; the message says what has changed, and what to do.
    """
    if not found.gone_count or not found.new:
        return
    gone = [f"  gone: {order_id}" for order_id in found.gone]
    new = [f"  new:  {order_id} (line {lines[order_id]:,})" for order_id in found.new[:SHOWN]]
    raise PurchaseFileError(
        "\n".join(
            [
                f"{file} has changed since purchases were placed as {data_set!r}, so that one "
                f"could be charged twice: {_purchases(found.gone_count)} gone from it, and "
                f"{_purchases(len(found.new))} new. Nothing was placed.",
                *gone,
                *_more("gone", found.gone_count),
                *new,
                *_more("new", len(found.new)),
                "Put the lines that are gone back. Or, if this is another file, give it a name of "
                "its own: --as NAME. Or, if they were taken out on purpose and the others were "
                "never placed, put the new ones into a file of their own, under another name.",
            ]
        )
    )


def _purchases(count: int) -> str:
    return "1 purchase is" if count == 1 else f"{count:,} purchases are"


def _more(what: str, count: int) -> list[str]:
    return [f"  … and {count - SHOWN:,} more {what}"] if count > SHOWN else []
