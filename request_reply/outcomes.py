"""What can become of a request, each with a name of its own."""

from dataclasses import dataclass

from domain.contracts import AuthorizationAccepted, AuthorizationDeclined, Failure, Reason


@dataclass(frozen=True, slots=True)
class Accepted:
    """The order is authorized."""

    authorization: AuthorizationAccepted


@dataclass(frozen=True, slots=True)
class Declined:
    """The order is not authorized, and why."""

    authorization: AuthorizationDeclined

    @property
    def reason(self) -> Reason:
        """Why."""
        return self.authorization.reason


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """The payment service answered that it did not decide, and why."""

    code: Failure
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No reply came in time. It may still come: then the request's record says late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request did not leave and never will, and why: nobody was asked, this time."""

    why: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The request may have been asked, or may be yet, and nobody waits for its reply any more; why.

    Who asks by the same order again gets the answer that it got.
    """

    why: str


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A reply came that can't be decoded, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The requester was stopped before a reply came, and whether the request may have been asked.

    If it may, it is as with `InDoubt`.
    """

    perhaps_asked: bool


Outcome = Accepted | Declined | ErrorReply | TimedOut | NotSent | InDoubt | Undecodable | Stopped

_WORDS: dict[type[Outcome], str] = {
    Accepted: "accepted",
    ErrorReply: "error_reply",
    TimedOut: "timed_out",
    NotSent: "not_sent",
    InDoubt: "in_doubt",
    Undecodable: "undecodable",
    Stopped: "stopped",
}


def word_of(outcome: Outcome) -> str:
    """An outcome in a word: ``accepted``, the reason why it was declined, or what went wrong."""
    return outcome.reason.value if isinstance(outcome, Declined) else _WORDS[type(outcome)]
