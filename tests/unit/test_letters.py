"""Dead letters: there and back again, to the byte."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import MalformedRecord
from domain.letters import Action, LetterState, state_after
from transport.letters import MAX_HISTORY, again, dead_letter, read_letter
from transport.records import Outgoing, Record

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WHY = MalformedRecord("no header ce_type")

names = st.text(min_size=1, max_size=20).filter(lambda name: not name.startswith("dead_letter_"))
headers = st.lists(st.tuples(names, st.none() | st.binary(max_size=50)), max_size=5)
whole = st.builds(
    lambda key, value, headers: Record("orders", 2, 17, key, value, tuple(headers)),
    st.none() | st.binary(max_size=50),
    st.none() | st.binary(max_size=50),
    headers,
)


def arrived(out: Outgoing, offset: int = 0) -> Record:
    """A record as who reads the topic sees it."""
    return Record(out.topic, out.partition or 0, offset, out.key, out.body, tuple(out.headers))


@given(whole)
def test_a_letter_gives_back_what_came(record: Record) -> None:
    letter = read_letter(arrived(dead_letter(record, "payment", WHY, NOW)))
    assert (letter.key, letter.body, tuple(letter.headers)) == (
        record.key,
        record.value,
        record.headers,
    )
    failure = letter.failure
    assert (failure.topic, failure.partition, failure.offset) == ("orders", 2, 17)
    assert (failure.service, failure.reason) == ("payment", "MalformedRecord: no header ce_type")
    assert (letter.tries, letter.history) == (1, ())
    back = again(letter)
    assert (back.topic, back.partition, back.key, back.body) == (
        "orders",
        2,
        record.key,
        record.value,
    )
    assert tuple(back.headers)[:-1] == record.headers


@given(whole)
def test_who_fails_again_has_a_history(record: Record) -> None:
    for number in range(1, MAX_HISTORY + 4):
        letter = read_letter(arrived(dead_letter(record, "payment", WHY, NOW)))
        assert letter.tries == number
        assert len(letter.history) == min(number - 1, MAX_HISTORY)
        record = arrived(again(letter), offset=17 + number)
    assert letter.history[-1].offset == letter.failure.offset - 1


@given(st.none() | st.binary(max_size=100))
def test_a_strangers_history_says_nothing(value: bytes | None) -> None:
    record = Record("orders", 0, 1, None, b"x", (("dead_letter_history", value),))
    letter = read_letter(arrived(dead_letter(record, "payment", WHY, NOW)))
    assert letter.tries >= 1
    assert letter.body == b"x"


@pytest.mark.parametrize(
    "change",
    [
        {"dead_letter_offset": b"seventeen"},
        {"dead_letter_topic": b"elsewhere"},
        {"dead_letter_service": None},
    ],
)
def test_what_is_no_letter_is_refused(change: dict[str, bytes | None]) -> None:
    out = dead_letter(Record("orders", 0, 1, None, b"x", ()), "payment", WHY, NOW)
    found = {**dict(out.headers), **change}
    kept = [(name, value) for name, value in found.items() if value is not None]
    with pytest.raises(MalformedRecord, match=r"orders\.dead-letter\[0\]@0"):
        read_letter(arrived(Outgoing(out.topic, out.key, kept, out.body)))


@pytest.mark.parametrize(
    ("actions", "state"),
    [
        ([], LetterState.OPEN),
        ([Action.EDITED], LetterState.OPEN),
        ([Action.EDITED, Action.SENT], LetterState.SENT),
        ([Action.DROPPED], LetterState.DROPPED),
        ([Action.SENT, Action.EDITED], LetterState.OPEN),
        ([Action.DROPPED, Action.SENT], LetterState.SENT),
    ],
)
def test_a_letter_stands_as_was_last_done_with_it(
    actions: list[Action], state: LetterState
) -> None:
    assert state_after(actions) is state
