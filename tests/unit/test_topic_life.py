"""Which topics and settings are refused."""

import pytest

from domain.topic_life import Kept, beyond_the_end, deleted_unread, made_anew
from domain.topic_settings import unsafe
from transport.topics import topic_config

WANTED = topic_config("orders", replication=3, retention_days=30)
MONTH = str(30 * 24 * 3600 * 1000)


def test_a_topic_with_another_id_is_made_anew_and_one_that_nobody_knew_is_not() -> None:
    assert made_anew({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "x", "d": "4"}) == ["b"]


def test_a_partition_that_ends_before_a_position_has_lost_records() -> None:
    kept = {("a", 0): Kept(0, 5), ("a", 1): Kept(0, 5), ("a", 2): Kept(0, 0)}
    assert beyond_the_end({("a", 0): 5, ("a", 1): 6}, kept) == [("a", 1)]


def test_a_partition_whose_beginning_is_gone_is_not_read_from_its_low_end_in_silence() -> None:
    kept = {("a", 0): Kept(3, 5), ("a", 1): Kept(3, 5), ("a", 2): Kept(3, 5), ("a", 3): Kept(0, 0)}
    assert deleted_unread({("a", 0): 3, ("a", 1): 2}, kept) == [("a", 1), ("a", 2)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cleanup.policy", "compact"),
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", "3600000"),
        ("retention.bytes", "1000000"),
        ("unclean.leader.election.enable", "true"),
        ("min.insync.replicas", "1"),
    ],
)
def test_settings_that_can_lose_unread_records_are_unsafe(name: str, value: str) -> None:
    assert unsafe(WANTED | {name: value}, WANTED) == {name: WANTED[name]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cleanup.policy", "delete"),
        ("cleanup.policy", ""),
        ("retention.ms", "-1"),
        ("retention.ms", MONTH),
        ("retention.ms", f"{MONTH}0"),
        ("min.insync.replicas", "3"),
        ("segment.bytes", "1"),
    ],
)
def test_others_are_not(name: str, value: str) -> None:
    assert unsafe(WANTED | {name: value}, WANTED) == {}


def test_a_dead_letter_topic_must_take_the_largest_letter() -> None:
    letters = topic_config("orders.dead-letter", 1, 1)
    found = letters | {"max.message.bytes": "1048588"}
    assert unsafe(found, letters) == {"max.message.bytes": letters["max.message.bytes"]}
    assert "max.message.bytes" not in WANTED
