"""A requester that can't go on says so by name; and what may have been asked is no `NotSent`."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]
from msgspec.structs import replace

from domain.contracts import AuthorizePayment
from domain.identity import message_id, message_id_of
from domain.requests import RequestState
from request_reply.correlation import ReturnAddress
from request_reply.outcomes import Accepted, InDoubt, NotSent, Stopped, TimedOut
from request_reply.requester import Requester
from services.asked import Asked
from tests.integration.scripted import Scripted, accepted, new_order, scripted
from tests.integration.test_requester import Asker, asker, durable, servers, topics
from tests.waiting import wait_for
from transport.clients import admin_client
from transport.codec import encode, type_name

__all__ = ["asker", "durable", "servers", "topics"]


class Broken(BaseException):
    """What no handler of a service expects."""


def breaks(*_: Any, **__: Any) -> None:
    raise Broken("out of order")


@dataclass(frozen=True)
class Ending:
    """A thread of a requester, and how to make it end."""

    thread: str
    breaks: Callable[[pytest.MonkeyPatch, Asker, Requester], None]


ENDINGS = [
    Ending("deliveries", lambda patch, _, made: patch.setattr(made._sending, "poll", breaks)),
    Ending("replies", lambda patch, _, made: patch.setattr(made, "_take", breaks)),
    Ending("request-clock", lambda patch, _, made: patch.setattr(made._store, "give_up", breaks)),
    Ending(
        "group-commit",
        lambda patch, asker, _: patch.setattr(asker.orders.database, "in_transaction", breaks),
    ),
]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda each: each.thread)
def test_the_end_of_a_thread_ends_the_requester_by_name(
    durable: Asker,
    topics: tuple[str, str],
    ending: Ending,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    why = f"the requester has ended, for its thread {ending.thread} has: "
    with scripted(durable._servers, topics[0], lambda *_: None) as made:
        requester = durable.requester(in_flight=3)
        waits = requester.submit(new_order(1), 600)
        short = requester.submit(new_order(2), 2)
        wait_for(lambda: len(made.asked) == 2, "the requests")
        ending.breaks(monkeypatch, durable, requester)
        with ThreadPoolExecutor(2) as threads:
            # One that is to be kept, and one that waits for room.
            late = [threads.submit(requester.authorize, new_order(3), 600) for _ in range(2)]
            if ending.thread == "replies":
                wait_for(lambda: len(made.asked) == 3, "a third request")
                made.reply(address_of(durable), b"{", None)
            found = [waits.result(60), *(each.result(60) for each in late)]
        assert all(isinstance(each, InDoubt | NotSent) for each in found), found
        assert isinstance(found[0], InDoubt)
        assert found[0].why.startswith(why)
        assert "out of order" in found[0].why
        assert isinstance(short.result(30), TimedOut | InDoubt)
        refused = requester.authorize(new_order(4), 600)
        assert refused == NotSent(found[0].why)
        order = new_order(5)
        asked = Asked(message_id_of(AuthorizePayment(order)), order, datetime.now(UTC))
        assert requester.resend(asked, 600).result(30) == InDoubt(found[0].why)
        assert not requester.wait_until_ready(600)
        assert requester.in_flight() == 0
        wait_for(lambda: why in caplog.text, "it is said")
        monkeypatch.undo()


def address_of(asker: Asker) -> ReturnAddress:
    return ReturnAddress(asker._topics[1], 0, uuid4().bytes)


def test_a_stopped_requester_asks_nothing_again(asker: Asker, topics: tuple[str, str]) -> None:
    with scripted(asker._servers, topics[0], Scripted.accept) as made:
        requester = asker.requester()
        requester.stop()
        order = new_order()
        until = datetime.now(UTC) + timedelta(seconds=600)
        asked = Asked(message_id_of(AuthorizePayment(order)), order, until)
        assert requester.resend(asked, 600).result(30) == Stopped(perhaps_asked=True)
        assert requester.submit(order, 600).result(30) == Stopped(perhaps_asked=False)
        again = asker.requester(1)
        assert isinstance(again.authorize(new_order(), 60), Accepted)
        assert len(made.asked) == 1


def test_who_waits_for_room_when_it_stops_is_told_at_once(
    asker: Asker, topics: tuple[str, str]
) -> None:
    with scripted(asker._servers, topics[0], lambda *_: None) as made:
        requester = asker.requester(in_flight=1)
        first = requester.submit(new_order(), 600)
        wait_for(lambda: made.asked, "the request")
        with ThreadPoolExecutor(4) as threads:
            late = [threads.submit(requester.authorize, new_order(n), 600) for n in range(4)]
            requester.stop()
            assert {each.result(30) for each in late} == {Stopped(perhaps_asked=False)}
        assert first.result(0) == Stopped(perhaps_asked=True)


def test_stopped_by_what_waits_for_an_outcome_it_ends(
    asker: Asker, topics: tuple[str, str]
) -> None:
    """So on the threads that settle: of the clock, and of replies."""
    with scripted(asker._servers, topics[0], Scripted.accept):
        for partition, timeout in enumerate((0.0, 60.0)):
            requester = asker.requester(partition)
            stopped = threading.Event()

            def stop(_: object, made: Requester = requester, done: Any = stopped) -> None:
                made.stop()
                done.set()

            requester.submit(new_order(), timeout).add_done_callback(stop)
            assert stopped.wait(60)
            assert isinstance(requester.authorize(new_order(), 60), Stopped)


def test_what_the_client_refuses_at_once_was_not_sent_but_what_is_kept_may_be_asked(
    asker: Asker, topics: tuple[str, str]
) -> None:
    with scripted(asker._servers, topics[0], Scripted.accept) as made:
        requester = asker.requester()
        order = replace(new_order(), billing_address="x" * 13_000_000)
        outcome = requester.authorize(order, 60)
        assert type(outcome) is (InDoubt if asker.durable else NotSent)
        assert "too large" in str(outcome)
        assert isinstance(requester.authorize(new_order(), 60), Accepted)
        assert len(made.asked) == 1


def test_what_can_not_be_delivered_may_have_been_asked(
    asker: Asker, topics: tuple[str, str]
) -> None:
    small = f"requests-{uuid4()}"
    topic = NewTopic(small, 1, config={"max.message.bytes": "2000"})
    admin = admin_client(asker._servers)
    admin.create_topics([topic])[small].result(30)
    asker._topics = (small, topics[1])
    requester = asker.requester()
    outcome = requester.authorize(replace(new_order(), billing_address="x" * 3000), 60)
    assert isinstance(outcome, InDoubt)
    assert "may not have arrived" in outcome.why
    if asker.durable:
        assert asker.states() == {RequestState.PENDING: 1}, "it is asked again some day"


def test_who_watches_and_fails_costs_no_request(asker: Asker, topics: tuple[str, str]) -> None:
    with scripted(asker._servers, topics[0], Scripted.accept):
        requester = asker.requester()
        requester._watched.trace = breaks_politely
        order = new_order()
        assert requester.authorize(order, 60) == Accepted(accepted(order))


def breaks_politely(*_: object) -> None:
    raise BrokenPipeError


def test_replies_to_others_are_said_once_and_counted(
    asker: Asker, topics: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with scripted(asker._servers, topics[0], Scripted.accept) as made:
        requester = asker.requester()
        address = address_of(asker)
        for number in range(2000):
            said = accepted(new_order())
            correlation = UUID(message_id(AuthorizePayment, said.order_id)).bytes
            made.reply(address, encode(said), type_name(said), correlation, flush=False)
            if number % 2:
                made.reply(address, b"{", None, uuid4().bytes, flush=False)
        made.producer.flush(30)
        assert isinstance(requester.authorize(new_order(), 60), Accepted)
        requester.stop()
    lines = [each.getMessage() for each in caplog.records if "request_reply" in each.name]
    assert any("999 more of this kind" in line for line in lines), lines[:20]
    assert any("1999 more of this kind" in line for line in lines), lines[:20]
    assert len(lines) < 20
