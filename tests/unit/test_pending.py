"""The map of pending requests: one outcome each, whoever races for it, and an end for all."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from request_reply.outcomes import Outcome, Stopped, TimedOut, Undecodable
from request_reply.pending import Pending, PendingRequests
from tests.waiting import wait_for

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OUTCOME = Undecodable("what came")


def pending(number: int = 0, seconds: float = 600) -> Pending:
    return Pending(str(number), seconds, NOON)


@pytest.fixture
def waiting() -> Iterator[PendingRequests]:
    made = PendingRequests(2)
    yield made
    made.close(Stopped)


def registered(waiting: PendingRequests, made: Pending) -> "Future[Outcome]":
    assert waiting.take_slot(1)
    future, new = waiting.register(made)
    assert new
    return future


def test_whoever_waits_for_room_at_the_end_is_refused_then_and_there(
    waiting: PendingRequests,
) -> None:
    for number in range(2):
        registered(waiting, pending(number))
    with ThreadPoolExecutor(8) as threads:
        late = [
            threads.submit(lambda: waiting.take_slot(600) and waiting.register(pending(9))[0])
            for _ in range(8)
        ]
        waiting.close(Stopped)
        found = [each.result(30) for each in late]
    assert [each.result(30) for each in found if each] == [Stopped(perhaps_asked=False)] * 8
    assert len(waiting) == 0


def test_after_the_end_none_is_taken_in_and_the_first_end_counts(waiting: PendingRequests) -> None:
    began, not_begun = pending(1), pending(2)
    futures = [registered(waiting, each) for each in (began, not_begun)]
    assert waiting.begin(began)
    assert waiting.refusal() is None
    assert waiting.close(Stopped)
    assert not waiting.close(lambda _: OUTCOME)
    assert [each.result(0) for each in futures] == [Stopped(True), Stopped(False)]
    assert waiting.refusal() == Stopped(False)
    assert not waiting.begin(not_begun), "it is never sent"
    assert waiting.take_slot(1)
    late = Pending("3", 600, NOON, perhaps_asked=True)
    future, new = waiting.register(late)
    assert (future.result(0), new) == (Stopped(True), False)


def test_what_comes_of_one_try_settles_no_other_of_its_order(waiting: PendingRequests) -> None:
    first, second = pending(), Pending("0", 600, NOON + timedelta(seconds=1))
    registered(waiting, first)
    assert waiting.settle(first, OUTCOME)
    future = registered(waiting, second)
    assert not waiting.settle(first, OUTCOME)
    assert not waiting.answer("0", OUTCOME, lambda deadline: deadline <= NOON)
    assert not future.done()
    assert waiting.answer("0", OUTCOME)
    assert future.result(0) == OUTCOME


def test_one_who_goes_away_takes_the_outcome_from_nobody_else(waiting: PendingRequests) -> None:
    made = pending()
    gone = registered(waiting, made)
    assert waiting.take_slot(1)
    other, new = waiting.register(pending())
    assert not new
    assert gone.cancel()
    assert waiting.settle(made, OUTCOME)
    assert other.result(0) == OUTCOME


def test_time_is_over_for_all_though_a_callback_ends_the_clock(waiting: PendingRequests) -> None:
    futures = [registered(waiting, pending(number, seconds=0)) for number in range(2)]

    def ends_the_thread(_: object) -> None:
        raise SystemExit

    futures[0].add_done_callback(ends_the_thread)
    futures[1].add_done_callback(ends_the_thread)
    with pytest.raises(SystemExit):
        waiting.watch(lambda lost: None)
    assert [each.result(0) for each in futures] == [TimedOut(0)] * 2


def test_a_request_that_is_being_kept_holds_its_slot_when_its_time_is_over(
    waiting: PendingRequests,
) -> None:
    """So no more of them wait for a store that can't be written than may be in flight."""
    kept = [pending(number, seconds=0) for number in range(2)]
    futures = [registered(waiting, each) for each in kept]
    assert all(waiting.begin(each, keeping=True) for each in kept)
    clock = threading.Thread(target=waiting.watch, args=(lambda lost: None,))
    clock.start()
    assert [each.result(30) for each in futures] == [TimedOut(0)] * 2
    assert not waiting.take_slot(0)
    assert [waiting.kept(each) for each in kept] == [False, False]
    assert all(each.timed_out for each in kept)
    assert waiting.take_slot(0)
    waiting.close(Stopped)
    clock.join(30)
    wait_for(lambda: not clock.is_alive(), "the clock ends")
