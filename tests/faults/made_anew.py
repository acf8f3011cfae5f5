"""A topic deleted and made anew under a stack that runs: nobody does anything with what it has."""

import tempfile
import time
from pathlib import Path

from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from services.topic_lives import EXIT_FOREIGN
from tests.faults.foreign import ForeignShop
from tests.faults.scenarios import Outcome
from tests.faults.stack import Stack, stack
from tests.waiting import wait_for
from transport.clients import admin_client
from transport.topics import ORDERS

EXIT_FAILED = 1
"""Exit code of a command that could not be done, and has said why."""

READERS = frozenset({"order", "payment", "recorder"})
"""Who reads `orders`."""


def made_anew(seed: int, orders: int) -> tuple[Outcome, list[str]]:
    """Place orders, make `orders` anew, and have another shop publish there.

    Returns:
        What was done, and what any service has done with the new topic's records: nothing is right.
    """
    with tempfile.TemporaryDirectory() as folder, stack(Path(folder), seed) as made:
        with made.flow(orders, 300):
            pass
        made.settle()
        before = _effects(made)
        _make_anew(made)
        began = time.monotonic()
        shop = ForeignShop(made.servers, made.chance)
        with shop.open():
            wait_for(lambda: _refused(made) >= READERS and shop.committed, "that all refuse", 120)
        recovered = time.monotonic() - began
        # Started again they refuse at once, before they read.
        ends = len(made.services.ends)
        wait_for(
            lambda: _refused(made, ends, EXIT_FAILED) >= READERS, "that all refuse at a start", 120
        )
        after = _effects(made)
        wrong = [
            f"{what}: {after[what]} where {before[what]} were"
            for what in before
            if after[what] != before[what]
        ]
        return Outcome(1, recovered), wrong


def _make_anew(made: Stack) -> None:
    admin = admin_client(made.servers)
    partitions = len(admin.list_topics(ORDERS, timeout=30).topics[ORDERS].partitions)
    for answer in admin.delete_topics([ORDERS]).values():
        answer.result(30)

    def created() -> bool:
        (answer,) = admin.create_topics([NewTopic(ORDERS, partitions, 1)]).values()
        # The former one may still be on its way out.
        return answer.exception(30) is None

    wait_for(created, "the topic made anew", every=0.2)


def _refused(made: Stack, since: int = 0, with_code: int = EXIT_FOREIGN) -> set[str]:
    """Who has ended by itself so, since then."""
    made.services.ensure()
    return {name for name, code in made.services.ends[since:] if code == with_code}


def _effects(made: Stack) -> dict[str, int]:
    return {
        "orders": made.home.count("order", "orders"),
        "decisions": made.home.count("payment", "account_events"),
        "parcels": made.home.count("warehouse", "parcels"),
        "recorded": made.home.count("event_log", "event_log"),
    }
