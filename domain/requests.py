"""What becomes of a request that was asked: answered, or given up, or both."""

from enum import StrEnum

from domain.contracts import (
    Authorization,
    AuthorizationDeclined,
    AuthorizationFailed,
    Failure,
)


class RequestState(StrEnum):
    """How a request stands: late is given up, and answered after all."""

    PENDING = "pending"
    ANSWERED = "answered"
    EXPIRED = "expired"
    LATE = "late"


def after_reply(state: RequestState, reply: Authorization | AuthorizationFailed) -> RequestState:
    """How a request stands once a reply to it has come."""
    if isinstance(reply, AuthorizationFailed) and reply.code is Failure.EXPIRED:
        return RequestState.EXPIRED if state is RequestState.PENDING else state
    if state is RequestState.EXPIRED:
        return RequestState.LATE
    return RequestState.ANSWERED if state is RequestState.PENDING else state


def after_giving_up(state: RequestState) -> RequestState:
    """How a request stands once its time is over."""
    return RequestState.EXPIRED if state is RequestState.PENDING else state


def outcome_of(reply: Authorization | AuthorizationFailed) -> str:
    """A reply in a word: accepted, the reason of a decline, or ``error:`` and its code."""
    if isinstance(reply, AuthorizationFailed):
        return f"error:{reply.code.value}"
    return reply.reason.value if isinstance(reply, AuthorizationDeclined) else "accepted"
