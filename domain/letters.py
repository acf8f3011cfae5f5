"""What becomes of a dead letter: open until it is sent again, or dropped."""

from collections.abc import Iterable
from enum import StrEnum


class Action(StrEnum):
    """What someone did with a dead letter."""

    EDITED = "edited"
    SENT = "sent"
    DROPPED = "dropped"


class LetterState(StrEnum):
    """How a dead letter stands."""

    OPEN = "open"
    SENT = "sent"
    DROPPED = "dropped"


_AFTER = {
    Action.EDITED: LetterState.OPEN,
    Action.SENT: LetterState.SENT,
    Action.DROPPED: LetterState.DROPPED,
}


def state_after(actions: Iterable[Action]) -> LetterState:
    """How a letter stands after all that was done with it, oldest first."""
    state = LetterState.OPEN
    for action in actions:
        state = _AFTER[action]
    return state
