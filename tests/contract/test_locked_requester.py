"""A requester whose database can't be written: everybody gets an outcome, and in time."""

from collections.abc import Iterator

import pytest

from domain.requests import RequestState
from event_log.database import Database
from request_reply.durable import DurableRequests
from request_reply.outcomes import Accepted, InDoubt, Stopped, TimedOut
from services.order import OrderRow
from tests.contract.conftest import Places
from tests.contract.test_database import short_waits
from tests.integration.scripted import Scripted, new_order, scripted
from tests.integration.test_requester import Asker, servers, topics
from tests.waiting import wait_for

__all__ = ["servers", "short_waits", "topics"]


@pytest.fixture
def durable(
    short_waits: None,
    servers: str,
    topics: tuple[str, str],
    places: Places,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Asker]:
    monkeypatch.setattr("event_log.database.RETRY_FOR_SECONDS", 0.3)
    monkeypatch.setattr("request_reply.durable.NOTED_AGAIN_SECONDS", 0.1)
    made = Asker(servers, topics, places.of("order"), durable=True)
    yield made
    made.close()
    made.orders.database.close()


@pytest.fixture
def other(durable: Asker) -> Iterator[Database]:
    """Somebody else who has the database open."""
    made = Database(durable.orders.database.place, [OrderRow])
    yield made
    made.close()


def test_time_runs_out_though_it_can_not_be_written_and_that_is_made_up_for(
    durable: Asker,
    other: Database,
    topics: tuple[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with scripted(durable._servers, topics[0], lambda *_: None) as made:
        requester = durable.requester()
        asked = requester.submit(new_order(1), 5)
        wait_for(lambda: made.asked, "the request")
        with other.transaction():
            assert isinstance(asked.result(30), TimedOut)
            wait_for(lambda: "to be noted as soon as may be" in caplog.text, "it is said")
            assert isinstance(requester.authorize(new_order(2), 0.2), TimedOut)
            assert isinstance(requester.authorize(new_order(3), 60), InDoubt)
            assert durable.states() == {RequestState.PENDING: 1}
        wait_for(lambda: durable.states() == {RequestState.EXPIRED: 1}, "it is noted")
        made.answer = Scripted.accept
        assert isinstance(requester.authorize(new_order(4), 60), Accepted)


def test_stopping_settles_all_and_ends_though_the_database_is_locked(
    durable: Asker, other: Database, topics: tuple[str, str]
) -> None:
    with scripted(durable._servers, topics[0], lambda *_: None) as made:
        requester = durable.requester(in_flight=3)
        asked = requester.submit(new_order(1), 600)
        wait_for(lambda: made.asked, "the request")
        with other.transaction():
            kept = requester.submit(new_order(2), 600)
            requester.stop()
            assert asked.result(0) == kept.result(0) == Stopped(perhaps_asked=True)
            assert requester.authorize(new_order(3), 600) == Stopped(perhaps_asked=False)
            assert requester.in_flight() == 0
            store = durable._made[0][1]
            assert isinstance(store, DurableRequests)
            store.close()
        assert durable.states() == {RequestState.PENDING: 1}, "it is asked again some day"
    assert len(made.asked) == 1
