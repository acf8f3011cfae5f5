"""Waiting until every order is settled and the report has it."""

import time
from collections.abc import Callable
from functools import partial

from cli.composition import SERVICES, open_report, order_service, until_open
from cli.console import progress_bar
from cli.settings import Settings
from domain.errors import ShopError
from event_log.database import Database
from event_log.inbox import next_offsets
from event_log.outbox import depth
from reporting.projector import catch_up
from services.recorder import RecorderService
from transport.cluster import ClusterView
from transport.servers import Servers

POLL_SECONDS = 0.2


def wait_until_settled(
    settings: Settings,
    servers: Servers,
    check: Callable[[], None] = lambda: None,
    stalled_after: float | None = None,
) -> int:
    """Wait until no order is open, no outbox holds anything, and the projections have it all.

    Args:
        settings: the settings.
        servers: where the broker is.
        check: called again and again meanwhile; it raises to give up.
        stalled_after: seconds without any progress after which waiting is given up; else so many
            that a watchdog has ended a worker that is stuck, and another has taken its place.

    Returns:
        The log position that the projections have reached.

    Raises:
        ShopError: nothing moved for too long; the message says what is left.
    """
    patience = 2 * settings.stalled_after + 60 if stalled_after is None else stalled_after
    orders = until_open(partial(order_service, settings), "order's database")
    services = {
        name: until_open(partial(make, settings), f"{name}'s database")
        for name, make in SERVICES.items()
    }
    log, projections = until_open(partial(open_report, settings), "log and projections")
    cluster = ClusterView(servers)
    known = orders.known_orders()
    last: object = None
    moved_at = time.monotonic()
    with progress_bar("orders settled") as bar:
        task = bar.add_task("", total=known)
        while True:
            check()
            open_now = orders.open_orders()
            outboxes = {name: service.database.read(depth) for name, service in services.items()}
            settled = not open_now and not any(outboxes.values())
            behind = _behind(services["recorder"].database, cluster, by_records=settled)
            bar.update(task, completed=known - open_now)
            if settled and not behind:
                return catch_up(log, projections)
            now = (open_now, outboxes, behind)
            if now != last:
                last, moved_at = now, time.monotonic()
            elif time.monotonic() - moved_at > patience:
                raise ShopError(
                    f"nothing moved for {patience:g} s: {open_now} orders are open, the "
                    f"recorder is {behind} records behind, outboxes hold {outboxes}. Look into "
                    f"{settings.home / 'logs'}"
                )
            time.sleep(POLL_SECONDS)


def _behind(log: Database, cluster: ClusterView, *, by_records: bool) -> int:
    """How many records of the event topics the recorder has not taken in.

    While much is on its way it is enough to count offsets.
    """
    handled = log.read(next_offsets)
    ends = cluster.ends(RecorderService.subscriptions)
    if by_records:
        return sum(standing.lag for standing in cluster.standings(ends, handled).values())
    return sum(max(0, end - handled.get(place, 0)) for place, end in ends.items())
