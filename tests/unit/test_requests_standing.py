"""How a request stands after what comes to it, whichever try it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.contracts import AuthorizationFailed, Failure
from domain.requests import (
    RequestStanding,
    RequestState,
    after_giving_up,
    after_reply,
    concerns,
)
from tests.integration.scripted import accepted, new_order

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(microseconds=1)
ANSWER = accepted(new_order(number="1"))
PENDING, ANSWERED, EXPIRED, LATE, NEVER = RequestState


def failed(code: Failure, deadline: datetime | None) -> AuthorizationFailed:
    retryable = code in (Failure.EXPIRED, Failure.INTERNAL_ERROR)
    return AuthorizationFailed("test/1", code, "why", retryable, deadline)


@pytest.mark.parametrize(
    ("before", "after"),
    [(PENDING, ANSWERED), (EXPIRED, LATE), (NEVER, LATE), (ANSWERED, ANSWERED), (LATE, LATE)],
)
def test_a_decision_is_about_the_order_whichever_try_it_was(
    before: RequestState, after: RequestState
) -> None:
    standing = after_reply(RequestStanding(before, NOON, "error:refused"), ANSWER)
    assert standing == RequestStanding(after, NOON, "accepted")
    for late in (ANSWER, failed(Failure.EXPIRED, LATER), failed(Failure.REFUSED, None)):
        assert after_reply(standing, late) is standing, "what is decided stays so"


@pytest.mark.parametrize("before", [PENDING, EXPIRED])
@pytest.mark.parametrize(
    ("names", "after"),
    [(NOON, NEVER), (LATER, NEVER), (NOON - timedelta(days=1), None), (None, None)],
)
def test_expired_ends_a_request_only_where_no_try_of_it_may_be_decided(
    before: RequestState, names: datetime | None, after: RequestState | None
) -> None:
    standing = RequestStanding(before, NOON)
    found = after_reply(standing, failed(Failure.EXPIRED, names))
    if after is None:
        assert found is standing
    else:
        assert found == RequestStanding(after, NOON, "error:expired")


@pytest.mark.parametrize("code", [each for each in Failure if each is not Failure.EXPIRED])
def test_an_error_is_about_the_try_that_it_names_or_else_about_the_one_there_is(
    code: Failure,
) -> None:
    assert concerns(failed(code, NOON), NOON)
    assert concerns(failed(code, None), NOON)
    assert not concerns(failed(code, NOON), LATER)
    standing = RequestStanding(PENDING, LATER)
    assert after_reply(standing, failed(code, NOON)) is standing


def test_an_error_that_may_pass_leaves_the_request_to_be_asked_and_another_is_its_answer() -> None:
    standing = RequestStanding(PENDING, NOON)
    broken = after_reply(standing, failed(Failure.INTERNAL_ERROR, NOON))
    assert broken == replace(standing, outcome="error:internal_error")
    refused = after_reply(broken, failed(Failure.REFUSED, NOON))
    assert refused == RequestStanding(ANSWERED, NOON, "error:refused")
    assert after_reply(refused, failed(Failure.EXPIRED, NOON)) is refused


def test_giving_up_a_try_ends_no_later_one() -> None:
    standing = RequestStanding(PENDING, LATER)
    assert after_giving_up(standing, NOON) is standing
    assert after_giving_up(standing, LATER).state is EXPIRED
    for state in (ANSWERED, EXPIRED, LATE, NEVER):
        over = RequestStanding(state, NOON)
        assert after_giving_up(over, LATER) is over


def test_deadlines_at_the_ends_of_the_calendar_compare() -> None:
    first = datetime.fromisoformat("0001-01-01T00:00:00+14:00")
    last = datetime.fromisoformat("9999-12-31T23:59:59.999999-14:00")
    assert not concerns(failed(Failure.EXPIRED, first), NOON)
    assert concerns(failed(Failure.EXPIRED, last), NOON)
