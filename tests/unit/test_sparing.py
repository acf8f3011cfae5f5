"""What foreigners send is said once, and then how often."""

import logging

import pytest

from request_reply.sparing import Sparing

LOG = logging.getLogger("sparing")


def test_the_first_is_said_and_then_a_count(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    said = Sparing(LOG, seconds=3600)
    for number in range(20_000):
        said.say(logging.INFO, "a", f"a {number}", {"correlation_id": str(number)})
    said.say(logging.WARNING, "b", "b 0", {})
    assert caplog.messages == ["a 0", "b 0"]
    assert caplog.records[0].correlation_id == "0"  # type: ignore[attr-defined]
    said.say_counts()
    assert len(caplog.messages) == 2
    said.say_counts(at_once=True)
    assert caplog.messages[2:] == ["19999 more of this kind in 0 s, the last: a 19999"]
    assert [each.levelname for each in caplog.records] == ["INFO", "WARNING", "INFO"]


def test_a_count_is_said_though_nothing_more_comes(caplog: pytest.LogCaptureFixture) -> None:
    said = Sparing(LOG, seconds=0)
    for number in range(3):
        said.say(logging.WARNING, "a", f"{number}%s", {})
    said.say_counts()
    said.say(logging.WARNING, "a", "anew", {})
    assert caplog.messages[0] == "0%s"
    assert caplog.messages[-1] == "anew"
    assert "1 more of this kind in 0 s, the last: 2%s" in caplog.messages
