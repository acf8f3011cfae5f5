"""Orders placed the message-driven way: `shop ask`, and the demo's styles sync and async."""

import logging
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event

from filelock import FileLock, Timeout

from cli.composition import (
    order_service,
    publisher,
    topic_lives,
    until_open,
    wait_for_topics,
)
from cli.console import progress_bar
from cli.place import Placed, placing, read_purchases
from cli.settings import Settings
from domain.contracts import NewOrder
from domain.errors import BrokerError, ShopError
from domain.principals import Principal
from event_log.outbox import Relay
from request_reply.durable import DurableRequests
from request_reply.learning import know_asked, learn_asked, recover
from request_reply.outcomes import (
    Accepted,
    Declined,
    ErrorReply,
    InDoubt,
    NotSent,
    Outcome,
    TimedOut,
)
from request_reply.requester import Requester, RequesterSettings
from request_reply.sending import Trace
from services.asking import Asking
from transport.private_files import FILE, make_folder
from transport.topics import PAYMENT_REPLIES

_log = logging.getLogger(__name__)

ASK_SECONDS = 30.0
"""How long an answer is waited for."""

TRIES = 5
"""How often an order is asked before it is given up."""

SYNC_THREADS = 128


class Style(StrEnum):
    """How the order service talks to the payment service."""

    EVENTS = "events"
    SYNC = "sync"
    ASYNC = "async"


@dataclass
class Desk:
    """A requester that is ready, and the orders it asks for."""

    requester: Requester
    asking: Asking


@contextmanager
def desk(settings: Settings, trace: Trace | None = None) -> Iterator[Desk]:
    """A ready requester over the order service's database; what a crash left is recovered first.

    Raises:
        BrokerError: there is no broker, or every partition of the reply topic is in use.
        StoreError: the order service's database can't be used, or is not of these topics.
    """
    servers, cluster = wait_for_topics(settings, Principal.ORDER, seconds=10)
    orders = until_open(partial(order_service, settings), "order's database")
    orders.database.bind_to_cluster(cluster)
    lives = topic_lives("order", servers, orders.database)
    lives.bind()
    relay = Relay(orders.database, publisher(servers))
    with ExitStack() as stack:
        partition = stack.enter_context(_reply_partition(settings))
        asking = Asking(orders)
        learn_asked(asking, servers)
        ends = Event()
        store = DurableRequests(asking, require=lambda: lives.wait_until_same(ends, watched=False))
        stack.callback(store.close)
        requester = Requester(RequesterSettings(servers, partition), store, trace).start()
        stack.callback(requester.stop)
        stack.callback(ends.set)
        if not requester.wait_until_ready(30):
            raise BrokerError(
                f"replies on {PAYMENT_REPLIES}[{partition}] can't be read within 30 s"
            )
        with _left_behind(settings, asking, partition) as partitions:
            again = recover(requester, asking, partitions)
        if again:
            came = ", ".join(f"{count:,} {word}" for word, count in sorted(again.items()))
            _log.info("%d requests of before were asked again: %s", again.total(), came)
        yield Desk(requester, asking)
        know_asked(asking, servers)
        relay.drain()


def ask_all(
    settings: Settings,
    file: Path,
    style: Style,
    limit: int | None = None,
    check: Callable[[], None] = lambda: None,
    data_set: str | None = None,
) -> Placed:
    """Ask for every order of a file, in date order for each customer.

    Raises:
        PurchaseFileError: the file can't be read, or is not the one that was placed under its name.
        ShopError: an order got no answer however often it was asked.
        BrokerError: there is no broker.
    """
    purchases = read_purchases(file, settings.currency, data_set)
    orders = purchases.orders[:limit]
    with (
        desk(settings) as made,
        placing(made.asking.orders, file, purchases) as gone,
        progress_bar("orders asked  ") as bar,
    ):
        known = made.asking.orders.known_orders()
        task = bar.add_task("", total=len(orders))

        def answered() -> None:
            bar.advance(task)

        ask = _ask_sync if style is Style.SYNC else _ask_async
        ask(made.requester, orders, answered, check)
        new = made.asking.orders.known_orders() - known
    return Placed(len(orders), new, tuple(purchases.refused), gone)


def _ask_sync(
    requester: Requester,
    orders: Sequence[NewOrder],
    answered: Callable[[], None],
    check: Callable[[], None],
) -> None:
    """Threads that wait for each answer; all orders of a customer are in one of them."""
    lanes: list[list[NewOrder]] = [[] for _ in range(SYNC_THREADS)]
    for order in orders:
        lanes[zlib.crc32(order.customer_id.encode()) % SYNC_THREADS].append(order)

    def work(lane: Sequence[NewOrder]) -> None:
        for order in lane:
            for _ in range(TRIES):
                outcome = requester.authorize(order, ASK_SECONDS)
                if _is_answer(outcome):
                    break
            else:
                raise _unanswered(order, outcome)
            answered()

    with ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="ask") as threads:
        lanes_done = [threads.submit(work, lane) for lane in lanes]
        while not all(done.done() for done in lanes_done):
            check()
            time.sleep(0.1)
        for done in lanes_done:
            done.result()


def _ask_async(
    requester: Requester,
    orders: Sequence[NewOrder],
    answered: Callable[[], None],
    check: Callable[[], None],
) -> None:
    """Ask for many orders at once, and hear of each later; of a customer one at a time.

    So an order that must be asked again is asked before the customer's next one, and an account
    decides in the order of its orders, whatever gets lost on the way.
    """
    lanes: dict[str, deque[NewOrder]] = {}
    for order in orders:
        lanes.setdefault(order.customer_id, deque()).append(order)
    heard: SimpleQueue[tuple[NewOrder, int, Outcome]] = SimpleQueue()

    def ask(order: NewOrder, tries: int) -> None:
        # Settled by the requester's threads, which must not wait for anybody: so by a queue.
        requester.submit(order, ASK_SECONDS).add_done_callback(
            lambda done: heard.put((order, tries, done.result()))
        )

    for number, lane in enumerate(lanes.values()):
        if number % 500 == 0:
            check()
        ask(lane[0], 1)
    open_lanes = len(lanes)
    while open_lanes:
        try:
            order, tries, outcome = heard.get(timeout=0.5)
        except Empty:
            check()
            continue
        lane = lanes[order.customer_id]
        if _is_answer(outcome):
            answered()
            lane.popleft()
            if lane:
                ask(lane[0], 1)
            else:
                open_lanes -= 1
        elif tries == TRIES:
            raise _unanswered(order, outcome)
        else:
            ask(order, tries + 1)


def _is_answer(outcome: Outcome) -> bool:
    if isinstance(outcome, Accepted | Declined):
        return True
    if isinstance(outcome, TimedOut | NotSent | InDoubt) or (
        isinstance(outcome, ErrorReply) and outcome.retryable
    ):
        return False
    raise ShopError(f"an order got no decision: {outcome}")


def _unanswered(order: NewOrder, outcome: Outcome) -> ShopError:
    return ShopError(
        f"order {order.order_id} got no answer in {TRIES} tries, last: {outcome}. "
        "`shop requests --state pending` and `--state expired` show what is open, and "
        "`shop dead-letters list` what could not be handled"
    )


@contextmanager
def _reply_partition(settings: Settings) -> Iterator[int]:
    """A partition of the reply topic that no other requester of this home uses."""
    for partition in range(settings.partitions):
        with _alone(settings, partition) as held:
            if held:
                yield partition
                return
    raise BrokerError(
        f"all {settings.partitions} partitions of {PAYMENT_REPLIES} are used by other requesters: "
        "stop one, or start with more SHOP_PARTITIONS in a fresh SHOP_HOME"
    )


@contextmanager
def _left_behind(settings: Settings, asking: Asking, own: int) -> Iterator[list[int]]:
    """The reply partitions with requests that nobody waits for: others see to their own.

    They are held meanwhile, so that no two requesters ask for the same at once.
    """
    with ExitStack() as stack:
        yield [
            each
            for each in asking.partitions_unanswered()
            if each == own or stack.enter_context(_alone(settings, each))
        ]


@contextmanager
def _alone(settings: Settings, partition: int) -> Iterator[bool]:
    """Hold a partition of the reply topic, if no other requester of this home does."""
    folder = settings.home / "replies"
    make_folder(folder)
    lock = FileLock(folder / f"{partition}.lock", mode=FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
