"""What becomes of a request that was asked: answered, or given up, or both."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from domain.contracts import (
    Authorization,
    AuthorizationDeclined,
    AuthorizationFailed,
    Failure,
)

_ERROR = "error:"


class RequestState(StrEnum):
    """How a request stands.

    Expired is given up, and nobody knows yet whether it was decided; late is given up, and answered
    after all. Never decided is past its deadline, as the payment service has confirmed: nobody
    asks it again by himself.
    """

    PENDING = "pending"
    ANSWERED = "answered"
    EXPIRED = "expired"
    LATE = "late"
    NEVER_DECIDED = "never_decided"


@dataclass(frozen=True, slots=True)
class RequestStanding:
    """How a request stands: its state, until when (UTC) it may be decided, and the last reply.

    A request that is asked more than once has the latest of its deadlines.
    """

    state: RequestState
    deadline: datetime
    outcome: str | None = None


def concerns(reply: Authorization | AuthorizationFailed, deadline: datetime) -> bool:
    """Whether a reply is about a request that may be decided until `deadline`.

    A decision is about the order, however often it is asked for. An error is about one try: a
    later one, with a later deadline, may be decided all the same. "Expired" that names no deadline
    may be about any of them, so it is about none.
    """
    if not isinstance(reply, AuthorizationFailed):
        return True
    if reply.deadline is None:
        return reply.code is not Failure.EXPIRED
    return reply.deadline >= deadline


def after_reply(
    before: RequestStanding, reply: Authorization | AuthorizationFailed
) -> RequestStanding:
    """How a request stands once a reply to it has come."""
    if _is_decided(before) or not concerns(reply, before.deadline):
        return before
    after = replace(before, outcome=outcome_of(reply))
    if not isinstance(reply, AuthorizationFailed):
        return replace(after, state=_answered(before.state))
    if before.state not in (RequestState.PENDING, RequestState.EXPIRED):
        return before
    if reply.code is Failure.EXPIRED:
        return replace(after, state=RequestState.NEVER_DECIDED)
    # What may go otherwise next time is no answer: the request is still to be asked.
    return after if reply.retryable else replace(after, state=_answered(before.state))


def after_giving_up(before: RequestStanding, deadline: datetime) -> RequestStanding:
    """How a request stands once the time is over of the try with that deadline (UTC)."""
    if before.state is not RequestState.PENDING or before.deadline > deadline:
        return before
    return replace(before, state=RequestState.EXPIRED)


def outcome_of(reply: Authorization | AuthorizationFailed) -> str:
    """A reply in a word: accepted, the reason of a decline, or ``error:`` and its code."""
    if isinstance(reply, AuthorizationFailed):
        return f"{_ERROR}{reply.code.value}"
    return reply.reason.value if isinstance(reply, AuthorizationDeclined) else "accepted"


def _is_decided(standing: RequestStanding) -> bool:
    return standing.outcome is not None and not standing.outcome.startswith(_ERROR)


def _answered(state: RequestState) -> RequestState:
    given_up = (RequestState.EXPIRED, RequestState.NEVER_DECIDED, RequestState.LATE)
    return RequestState.LATE if state in given_up else RequestState.ANSWERED
