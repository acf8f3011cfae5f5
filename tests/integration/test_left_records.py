"""Records that Faust dropped at the end of a partition are read all the same."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cli.composition import order_service, publisher, worker
from cli.place import read_purchases
from cli.settings import Settings
from event_log.outbox import Relay
from tests import expected
from tests.conftest import Home
from tests.integration.test_styles import running, settings_of
from transport.cluster import ClusterView
from transport.topics import ORDERS, TopicPartition


@pytest.fixture
def settings(home: Home) -> Iterator[Settings]:
    """A broker with topics, and no service."""
    with running(home):
        yield settings_of(home)


def test_what_stands_still_at_the_end_of_a_partition_is_read_directly(
    home: Home, settings: Settings
) -> None:
    orders = order_service(settings)
    orders.place(read_purchases(expected.DATA, "USD")[0][:200], datetime.now(UTC))
    Relay(orders.database, publisher(settings.bootstrap_servers or "")).drain()
    payment = worker(settings, "payment")
    mine = [TopicPartition(ORDERS, partition) for partition in (0, 1, 2)]
    ends = ClusterView(settings.bootstrap_servers or "").ends([ORDERS])
    payment._handle_left(mine, ends)
    assert home.count("payment", "account_events") == 0, "it may still be on its way"
    payment._handle_left(mine, ends)
    read = home.rows("payment", "SELECT topic, partition FROM positions")
    assert sorted(read) == [(ORDERS, 0), (ORDERS, 1), (ORDERS, 2)]
    decided = home.count("payment", "account_events")
    assert 0 < decided < 200
    payment._handle_left([*mine, TopicPartition(ORDERS, 3)], ends)
    payment._handle_left([*mine, TopicPartition(ORDERS, 3)], ends)
    assert home.decisions() == expected.outcomes(expected.purchases(200))
