"""What `shop status` says of a service, and what it calls wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.progress import Standing
from domain.status import (
    Beat,
    Facts,
    Word,
    judge,
    judge_alone,
    missing,
    stands_still,
    where_orders_wait,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DONE = {"orders[0]": Standing(10, 10)}
LAG = {"orders[0]": Standing(10, 10), "orders[1]": Standing(9, 4)}


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def beat(started: float, seen: float, name: str = "host:1") -> Beat:
    return Beat(name, ago(started), ago(seen))


ALIVE, DEAD = beat(600, 2), beat(600, 20)
HELD = ALIVE._replace(throttled_until=ago(-8))
HELD_BEFORE = ALIVE._replace(throttled_until=ago(1))


def test_lag_is_records_where_they_were_counted() -> None:
    counted = {"orders[0]": Standing(100, 4, 7), "orders[1]": Standing(9, 4, 0)}
    assert Facts("order", partitions=counted).lag == 7
    assert Facts("order", partitions=LAG).lag == 5


@pytest.mark.parametrize(
    ("facts", "word", "wrong"),
    [
        ({}, Word.NOT_RUNNING, 0),
        ({"partitions": DONE}, Word.NOT_RUNNING, 0),
        ({"partitions": LAG}, Word.NOT_RUNNING, 1),
        ({"partitions": LAG, "twin_runs": True}, Word.NOT_RUNNING, 0),
        ({"partitions": LAG, "twin_runs": True, "last_progress": NOW}, Word.NOT_RUNNING, 1),
        ({"beats": [ALIVE], "partitions": DONE, "last_progress": ago(5)}, Word.OK, 0),
        ({"beats": [ALIVE], "partitions": DONE, "last_progress": ago(500)}, Word.IDLE, 0),
        ({"beats": [ALIVE], "partitions": DONE}, Word.IDLE, 0),
        ({"beats": [ALIVE], "partitions": LAG}, Word.BEHIND, 0),
        ({"beats": [ALIVE], "partitions": LAG, "stuck": ["orders[1]"]}, Word.STUCK, 1),
        ({"beats": [DEAD], "partitions": DONE}, Word.GONE, 1),
        ({"beats": [DEAD], "partitions": LAG}, Word.GONE, 2),
        ({"beats": [ALIVE, beat(900, 800, "host:2")]}, Word.IDLE, 0),
        ({"beats": [beat(900, 2), beat(900, 800, "host:2")]}, Word.GONE, 1),
        ({"outbox": 3}, Word.NOT_RUNNING, 1),
        ({"outbox": 3, "twin_runs": True}, Word.NOT_RUNNING, 0),
        ({"outbox": 3, "twin_runs": True, "outbox_since": ago(61)}, Word.NOT_RUNNING, 1),
        ({"beats": [ALIVE], "outbox": 3}, Word.IDLE, 0),
        ({"beats": [ALIVE], "outbox": 3, "outbox_since": ago(59)}, Word.IDLE, 0),
        ({"beats": [ALIVE], "outbox": 3, "outbox_since": ago(61)}, Word.IDLE, 1),
        ({"beats": [ALIVE], "refused": ["topic orders: too large"] * 2}, Word.IDLE, 1),
        ({"beats": [HELD], "partitions": LAG, "last_progress": ago(59)}, Word.THROTTLED, 0),
        ({"beats": [HELD], "partitions": LAG, "last_progress": ago(61)}, Word.THROTTLED, 1),
        ({"beats": [HELD], "partitions": LAG}, Word.THROTTLED, 1),
        ({"beats": [HELD], "partitions": DONE, "last_progress": ago(5)}, Word.OK, 0),
        ({"beats": [HELD_BEFORE], "partitions": LAG}, Word.BEHIND, 0),
        ({"trouble": "database x can't be read"}, Word.UNKNOWN, 1),
    ],
)
def test_a_word_and_what_is_wrong(facts: dict[str, Any], word: Word, wrong: int) -> None:
    verdict = judge(Facts("order", **facts), NOW)
    assert (verdict.word, len(verdict.wrong)) == (word, wrong), verdict.wrong
    assert all(sentence.startswith("order: ") for sentence in verdict.wrong)


@pytest.mark.parametrize(
    ("facts", "wrong"),
    [
        ({}, 1),
        ({"beats": [ALIVE], "partitions": LAG}, 0),
        ({"beats": [ALIVE], "partitions": None}, 0),
        ({"beats": [ALIVE], "partitions": LAG, "stuck": ["orders[1]"]}, 1),
        ({"beats": [DEAD], "partitions": DONE}, 1),
        ({"beats": [beat(900, 2), beat(900, 800, "host:2")]}, 0),
        ({"beats": [ALIVE], "outbox": 3, "outbox_since": ago(500)}, 0),
        ({"trouble": "database x can't be read"}, 1),
    ],
)
def test_a_health_check_judges_life_and_progress_only(facts: dict[str, Any], wrong: int) -> None:
    assert len(judge_alone(Facts("order", **facts), NOW).wrong) == wrong


def shop(running: str, **others: dict[str, Any]) -> list[Facts]:
    """All services, of which some run."""
    twins = {"payment": "responder", "responder": "payment"}
    return [
        Facts(
            name,
            **{
                "beats": [ALIVE] if name in running.split() else [],
                "partitions": DONE,
                "twin": twins.get(name),
                "twin_runs": twins.get(name) in running.split(),
                "needed": name != "projector",
                **others.get(name, {}),
            },
        )
        for name in ("order", "payment", "responder", "warehouse", "recorder", "projector")
    ]


NOBODY = "no service runs: new orders wait until the services are started"
ORDER = "new orders wait until there is a process of order"


@pytest.mark.parametrize(
    ("services", "said"),
    [
        (shop(""), NOBODY),
        (shop("", order={"partitions": LAG}, recorder={"beats": [DEAD]}), NOBODY),
        (shop("", order={"trouble": "can't be read"}), f"{ORDER.removesuffix('order')}payment or"),
        (shop("order payment warehouse recorder"), None),
        (shop("order responder warehouse recorder"), None),
        (shop("payment warehouse recorder"), ORDER),
        (shop("order warehouse"), "process of payment or responder, of recorder"),
        (shop("order payment warehouse recorder", projector={"needed": True}), "of projector"),
        # That is said already, as something that is wrong.
        (shop("payment warehouse recorder", order={"partitions": LAG}), None),
    ],
)
def test_where_new_orders_would_wait(services: list[Facts], said: str | None) -> None:
    found = where_orders_wait((facts, judge(facts, NOW)) for facts in services)
    assert found is None if said is None else said in (found or "")


def test_a_process_that_was_started_again_is_not_missed() -> None:
    lives = [beat(900, 600, "a"), beat(599, 300, "b"), beat(298, 1, "c")]
    assert missing(lives, NOW) == []


def test_of_two_that_died_one_start_replaces_one() -> None:
    lives = [beat(900, 600, "a"), beat(900, 500, "b"), beat(400, 1, "c")]
    assert [each.process for each in missing(lives, NOW)] == ["b"]


def test_one_that_started_before_the_other_died_does_not_replace_it() -> None:
    assert [b.process for b in missing([beat(900, 300, "a"), beat(301, 1, "b")], NOW)] == ["a"]


LIMIT = timedelta(seconds=90)


@pytest.mark.parametrize(
    ("beats", "moved", "waits", "still"),
    [
        ([ALIVE], ago(91), ago(91), True),
        ([ALIVE], None, ago(91), True),
        ([ALIVE], ago(89), ago(500), False),
        ([ALIVE], ago(500), ago(89), False),
        ([ALIVE], None, ago(89), False),
        ([], ago(500), ago(500), False),
        ([DEAD], ago(500), ago(500), False),
        # One that has just started, on what waited long before it.
        ([beat(29, 1)], ago(500), ago(500), False),
        ([beat(31, 1)], ago(500), ago(500), True),
        # A record with a time to come, in microseconds for instance, hides nothing.
        ([ALIVE], None, datetime.max.replace(tzinfo=UTC), True),
        ([ALIVE], ago(91), NOW + timedelta(days=365), True),
        ([ALIVE], ago(89), NOW + timedelta(days=365), False),
        ([beat(60, 1)], None, NOW + timedelta(days=365), False),
        ([ALIVE], ago(500), NOW + timedelta(seconds=60), False),
        # One that ends itself again and again, and never lives for the whole limit.
        ([beat(120, 40, "host:1"), beat(35, 1, "host:2")], ago(500), ago(500), True),
    ],
)
def test_standing_still(
    beats: list[Beat], moved: datetime | None, waits: datetime, still: bool
) -> None:
    assert stands_still(beats, moved, waits, NOW, LIMIT) is still


lives = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(0, 1000)).map(
        lambda pair: beat(max(pair), min(pair), f"h:{pair}")
    ),
    max_size=5,
)


@given(lives)
def test_as_many_are_missed_as_can_not_be_replaced(found: list[Beat]) -> None:
    """Against every way to give each end a later start."""
    ends = [each for each in found if (NOW - each.seen_at).total_seconds() > 15]

    def replaced(number: int, taken: frozenset[int]) -> int:
        if number == len(ends):
            return 0
        free = [
            1 + replaced(number + 1, taken | {start})
            for start, each in enumerate(found)
            if start not in taken and each.started_at > ends[number].seen_at
        ]
        return max([replaced(number + 1, taken), *free])

    assert len(missing(found, NOW)) == len(ends) - replaced(0, frozenset())
