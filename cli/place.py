"""`shop place`: the purchases of a file, placed as orders in date order."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cli.composition import (
    order_service,
    publisher,
    topic_lives,
    until_open,
    wait_for_topics,
)
from cli.console import progress_bar
from cli.settings import Settings
from domain.contracts import NewOrder
from domain.errors import ContractError, PurchaseFileError, PurchaseLineError, StoreHeld
from domain.principals import Principal
from domain.purchase_changes import changes, refuse_other_purchases
from domain.purchases import PurchaseFile, data_set_named
from event_log.outbox import Relay
from services.order import OrderService, ids_of
from transport.codec import refuse_broken

CHUNK = 1000
"""Orders in one transaction."""

MAX_FILE_BYTES = 500_000_000
"""What is larger is refused: a device that never ends, or orders that no memory holds."""

MAX_LINE_BYTES = 200
"""What is longer is no purchase, and isn't quoted in full."""


_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Placed:
    """What came of a file: orders placed, those of them that were new, and lines refused.

    `gone` counts the purchases that were placed before and are not in the file any more.
    """

    orders: int
    new: int
    refused: tuple[str, ...]
    gone: int = 0


class Purchases(NamedTuple):
    """What is in a purchase file: orders in date order, and what is wrong with other lines.

    `lines` are the orders' line numbers by order id, in the order of the file.
    """

    orders: list[NewOrder]
    refused: list[str]
    lines: dict[str, int]
    data_set: str


def read_purchases(file: Path, currency: str, data_set: str | None = None) -> Purchases:
    """Read a purchase file; for one date its orders are in the order of the file.

    Lines end as they do anywhere (LF, CRLF, CR); a byte order mark and blank lines say nothing.

    Args:
        file: the file.
        currency: ISO 4217 code of its amounts.
        data_set: the name its purchases are placed under; without it, the file's own.

    Raises:
        PurchaseFileError: the file can't be read, is not in UTF-8 or ASCII, or can't give its
            orders a name.
    """
    purchases = PurchaseFile(data_set_named(file.stem if data_set is None else data_set), currency)
    orders: list[NewOrder] = []
    refused: list[str] = []
    lines: dict[str, int] = {}
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise PurchaseFileError(f"purchase file {file} can't be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise PurchaseFileError(
            f"purchase file {file} has more than {MAX_FILE_BYTES:,} bytes: place it in parts, each "
            "under a name of its own (--as)"
        )
    if content.startswith(_OTHER_BOMS) or b"\0" in content[:4]:
        raise PurchaseFileError(
            f"purchase file {file} is in UTF-16 or UTF-32, or no text at all: save it as UTF-8"
        )
    for number, line in enumerate(content.removeprefix(_BOM).splitlines(), 1):
        if not line.strip():
            continue
        try:
            order = purchases.order_from(number, _text(purchases.data_set, number, line))
            refuse_broken(order)
        except PurchaseLineError as error:
            refused.append(str(error))
        except ContractError as error:
            refused.append(f"{purchases.data_set} line {number}: {error}")
        else:
            orders.append(order)
            lines[order.order_id] = number
    orders.sort(key=lambda order: order.ordered_at)
    return Purchases(orders, refused, lines, purchases.data_set)


@contextmanager
def placing(service: OrderService, file: Path, purchases: Purchases) -> Iterator[int]:
    """Compare a whole file with what was placed under its name, and keep others from placing there.

    Gives how many of the purchases that were placed are gone from it.

    Raises:
        PurchaseFileError: some are gone and others are new, so that nobody knows whether those are
            new; or another process places purchases under this name.
        StoreError: the database can't be used.
    """
    data_set = purchases.data_set
    # A name of any letters and length is no part of a file's name.
    lock = f"placing-{sha256(data_set.encode()).hexdigest()[:16]}"
    with ExitStack() as stack:
        try:
            stack.enter_context(service.database.alone(lock))
        except StoreHeld as error:
            raise PurchaseFileError(
                f"purchases of {data_set!r} are being placed by another process: wait for its end"
            ) from error
        found = service.database.read(
            lambda connection: changes(data_set, purchases.lines, ids_of(connection, data_set))
        )
        refuse_other_purchases(f"purchase file {file}", data_set, found, purchases.lines)
        yield found.gone_count


def place(
    settings: Settings,
    file: Path,
    limit: int | None = None,
    rate: float | None = None,
    check: Callable[[], None] = lambda: None,
    data_set: str | None = None,
) -> Placed:
    """Place the orders of `file`: kept by the order service, and their NewOrder published.

    Args:
        settings: the settings.
        file: the purchase file.
        limit: only so many orders, the first in date order.
        rate: at most so many orders a second.
        check: called again and again meanwhile; it raises to give up.
        data_set: the name its purchases are placed under; without it, the file's own.

    Raises:
        PurchaseFileError: the file can't be read, or is not the one that was placed under its name.
        BrokerError: the broker doesn't take the events; the orders are kept, and what is not
            published yet is by the next call or by the running order service.
        StoreError: another process publishes them, and doesn't get on; they are kept as well.
    """
    purchases = read_purchases(file, settings.currency, data_set)
    orders = purchases.orders[:limit]
    servers, cluster = wait_for_topics(settings, Principal.ORDER, seconds=10)
    service = until_open(partial(order_service, settings), "order's database")
    service.database.bind_to_cluster(cluster)
    topic_lives("order", servers, service.database).bind()
    relay = Relay(service.database, publisher(servers))
    new = 0
    with placing(service, file, purchases) as gone, progress_bar("orders placed ") as bar:
        task = bar.add_task("", total=len(orders))
        for chunk in _paced(orders, rate):
            check()
            new += service.place(chunk, datetime.now(UTC))
            relay.drain()
            bar.advance(task, len(chunk))
    service.database.close()
    return Placed(len(orders), new, tuple(purchases.refused), gone)


def _paced(orders: Sequence[NewOrder], rate: float | None) -> Iterator[Sequence[NewOrder]]:
    size = CHUNK if rate is None else max(1, min(CHUNK, int(rate / 10)))
    began = time.monotonic()
    for start in range(0, len(orders), size):
        if rate is not None:
            time.sleep(max(0.0, began + start / rate - time.monotonic()))
        yield orders[start : start + size]


def _text(data_set: str, number: int, line: bytes) -> str:
    where = f"{data_set} line {number}"
    if len(line) > MAX_LINE_BYTES:
        raise PurchaseLineError(f"{where}: {len(line)} bytes are too long for a purchase")
    try:
        return line.decode("ascii")
    except UnicodeDecodeError:
        raise PurchaseLineError(f"{where}: {line!r} is not plain ASCII text") from None
