"""An order service that asks, as a process that can be killed as often as a test likes.

Its modules are imported once, by the fork server; so a life costs what connecting costs, and not
what starting an interpreter does.
"""

import multiprocessing
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event

from cli.asking import ASK_SECONDS, desk
from cli.place import read_purchases
from cli.settings import Settings
from tests import expected

# Read at import, so that the fork server does it once for all.
_orders = read_purchases(expected.DATA, "USD")[0]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])


def start_asker(settings: Settings, first: int, count: int) -> tuple[ForkServerProcess, Event]:
    """Ask for `count` orders from number `first` on, one process; says when it begins to."""
    asking = _context.Event()
    process = _context.Process(target=_ask, args=(settings, first, count, asking))
    process.start()
    return process, asking


def _ask(settings: Settings, first: int, count: int, asking: Event) -> None:
    with desk(settings) as made:
        asking.set()
        orders = _orders[first : first + count]
        for future in [made.requester.submit(order, ASK_SECONDS) for order in orders]:
            future.result()
