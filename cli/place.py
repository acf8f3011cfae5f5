"""`shop place`: the purchases of a file, placed as orders in date order."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cli.composition import order_service, publisher, topic_lives, wait_for_topics
from cli.console import progress_bar
from cli.settings import Settings
from domain.contracts import NewOrder
from domain.errors import PurchaseLineError, ShopError
from domain.principals import Principal
from domain.purchases import PurchaseFile
from event_log.outbox import Relay

CHUNK = 1000
"""Orders in one transaction."""

MAX_LINE_BYTES = 200
"""What is longer is no purchase, and isn't quoted in full."""


@dataclass(frozen=True)
class Placed:
    """What came of a file: orders placed, those of them that were new, and lines refused."""

    orders: int
    new: int
    refused: tuple[str, ...]


def read_purchases(file: Path, currency: str) -> tuple[list[NewOrder], list[str]]:
    """Read a purchase file: its orders in date order, and what is wrong with the other lines.

    For one date the orders are in the order of the file.

    Raises:
        ShopError: the file can't be read.
    """
    purchases = PurchaseFile(file.stem, currency)
    orders: list[NewOrder] = []
    refused: list[str] = []
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise ShopError(f"purchase file {file} can't be read: {error.strerror}") from error
    if lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        try:
            orders.append(purchases.order_from(number, _text(file, number, line)))
        except PurchaseLineError as error:
            refused.append(str(error))
    orders.sort(key=lambda order: order.ordered_at)
    return orders, refused


def place(
    settings: Settings,
    file: Path,
    limit: int | None = None,
    rate: float | None = None,
    check: Callable[[], None] = lambda: None,
) -> Placed:
    """Place the orders of `file`: kept by the order service, and their NewOrder published.

    Args:
        settings: the settings.
        file: the purchase file.
        limit: only so many orders, the first in date order.
        rate: at most so many orders a second.
        check: called again and again meanwhile; it raises to give up.

    Raises:
        ShopError: the file can't be read.
        StoreError: the order service's database can't be used, or is not of these topics.
        BrokerError: the broker doesn't take the events; the orders are kept, and what is not
            published yet is by the next call or by the running order service.
    """
    orders, refused = read_purchases(file, settings.currency)
    orders = orders[:limit]
    servers, cluster = wait_for_topics(settings, Principal.ORDER, seconds=10)
    service = order_service(settings)
    service.database.bind_to_cluster(cluster)
    topic_lives("order", servers, service.database).bind()
    relay = Relay(service.database, publisher(servers))
    new = 0
    with progress_bar("orders placed ") as bar:
        task = bar.add_task("", total=len(orders))
        for chunk in _paced(orders, rate):
            check()
            new += service.place(chunk, datetime.now(UTC))
            relay.drain()
            bar.advance(task, len(chunk))
    service.database.close()
    return Placed(len(orders), new, tuple(refused))


def _paced(orders: Sequence[NewOrder], rate: float | None) -> Iterator[Sequence[NewOrder]]:
    size = CHUNK if rate is None else max(1, min(CHUNK, int(rate / 10)))
    began = time.monotonic()
    for start in range(0, len(orders), size):
        if rate is not None:
            time.sleep(max(0.0, began + start / rate - time.monotonic()))
        yield orders[start : start + size]


def _text(file: Path, number: int, line: bytes) -> str:
    where = f"{file.stem} line {number}"
    if len(line) > MAX_LINE_BYTES:
        raise PurchaseLineError(f"{where}: {len(line)} bytes are too long for a purchase")
    try:
        return line.removesuffix(b"\r").decode("ascii")
    except UnicodeDecodeError:
        raise PurchaseLineError(f"{where}: {line!r} is not plain ASCII text") from None
