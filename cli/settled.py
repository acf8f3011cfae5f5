"""Waiting until every order is settled and the report has it."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

from cli.composition import PROJECTOR, SERVICES, open_report, order_service, until_open
from cli.console import progress_bar
from cli.settings import Settings
from cli.standings import Found, find_out
from domain.errors import ShopError
from event_log.database import Database
from event_log.inbox import next_offsets
from event_log.outbox import depth
from reporting.projector import catch_up
from services.recorder import RecorderService
from transport.cluster import ClusterView
from transport.servers import Servers
from transport.topics import TopicPartition

POLL_SECONDS = 0.2

QUIET_SECONDS = 5.0
"""How long nothing moves before services and dead letters are looked at."""

SAID_EVERY_SECONDS = 30.0
"""How often it is said then what is waited for."""

_log = logging.getLogger(__name__)


def wait_until_settled(
    settings: Settings,
    servers: Servers,
    check: Callable[[], None] = lambda: None,
    stalled_after: float | None = None,
) -> int:
    """Wait until no order is open, no outbox holds anything, and the projections have it all.

    Records that others publish after that moment are not waited for.

    Args:
        settings: the settings.
        servers: where the broker is.
        check: called again and again meanwhile; it raises to give up.
        stalled_after: seconds without any progress after which waiting is given up; else so many
            that a watchdog has ended a worker that is stuck, and another has taken its place.

    Returns:
        The log position that the projections have reached.

    Raises:
        ShopError: nothing moved for too long, or orders are open that nothing will settle since
            what there was of them are dead letters; the message says what is left.
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
    look_at = moved_at + QUIET_SECONDS
    ends: Mapping[TopicPartition, int] | None = None
    with progress_bar("orders settled") as bar:
        task = bar.add_task("", total=known)
        while True:
            check()
            open_now = orders.open_orders()
            outboxes = {name: service.database.read(depth) for name, service in services.items()}
            settled = not open_now and not any(outboxes.values())
            if not settled:
                ends = None
            elif ends is None:
                ends = cluster.ends(RecorderService.subscriptions)
            behind = _behind(services["recorder"].database, cluster, ends)
            bar.update(task, completed=known - open_now)
            if settled and not behind:
                return catch_up(log, projections)
            now = (open_now, outboxes, behind)
            left = (
                f"{open_now:,} orders are open, the recorder is {behind:,} records behind, "
                f"outboxes hold {sum(outboxes.values()):,}"
            )
            if now != last:
                last, moved_at = now, time.monotonic()
                look_at = moved_at + min(QUIET_SECONDS, patience)
            elif time.monotonic() >= look_at:
                lost = _refuse_to_wait_for_nothing(settings, left)
                if time.monotonic() - moved_at > patience:
                    raise ShopError(
                        f"nothing moved for {patience:g} s: {left}. Look into "
                        f"{settings.home / 'logs'}"
                    )
                _log.warning("still waiting: %s%s", left, f"; {lost}" if lost else "")
                look_at = min(time.monotonic() + SAID_EVERY_SECONDS, moved_at + patience)
            time.sleep(POLL_SECONDS)


def _refuse_to_wait_for_nothing(settings: Settings, left: str) -> str:
    """What may never be settled, in words, while there is something else on its way.

    Raises:
        ShopError: there is nothing else; the message says what is `left`, too.
    """
    found = find_out(settings, datetime.now(UTC))
    lost = _what_is_lost(found)
    if lost and _nothing_moves(found):
        raise ShopError(f"{left}, and nothing more is on its way: {lost}")
    return lost


def _what_is_lost(found: Found) -> str:
    """What may be the end of an order's way: letters, and what the broker will not take."""
    letters = sum((found.dead_letters or {}).values())
    said = [why for facts in found.services for why in facts.refused]
    if letters:
        said.append(
            f"{letters:,} dead letters are open (`shop dead-letters list` says why; each is to be "
            "mended and sent, or dropped)"
        )
    return "; ".join(said)


def _nothing_moves(found: Found) -> bool:
    """Whether every service has handled all that there is, and waits for nothing."""
    at_work = (
        facts.lag is None or facts.lag or facts.outbox or facts.trouble
        for facts in found.services
        if facts.name != PROJECTOR
    )
    return not (any(at_work) or found.held_up or found.broker_trouble)


def _behind(log: Database, cluster: ClusterView, ends: Mapping[TopicPartition, int] | None) -> int:
    """How many records of the event topics before `ends` the recorder has not taken in.

    Without, while much is on its way, it is enough to count offsets.
    """
    handled = log.read(next_offsets)
    if ends is not None:
        return sum(standing.lag for standing in cluster.standings(ends, handled).values())
    ends = cluster.ends(RecorderService.subscriptions)
    return sum(max(0, end - handled.get(place, 0)) for place, end in ends.items())
