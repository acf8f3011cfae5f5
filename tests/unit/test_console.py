"""What is written to standard error, and how often."""

import logging

from cli.console import Seldom


def record(name: str, message: str, at: float, *values: object) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.ERROR, "x.py", 1, message, values, None)
    made.created = at
    return made


def written(seldom: Seldom, *records: logging.LogRecord) -> list[str]:
    return [each.getMessage() for each in records if seldom.filter(each)]


def test_what_a_library_repeats_is_written_once_in_a_while_with_how_often() -> None:
    seldom = Seldom(("aiokafka",), 30)
    lines = [record("aiokafka.client", "no node %s", 100 + at, at) for at in (0, 1, 29, 31, 62)]
    assert written(seldom, *lines) == [
        "no node 0",
        "no node 31 (and 2 times more before)",
        "no node 62",
    ]


def test_other_lines_and_other_loggers_are_written_always() -> None:
    seldom = Seldom(("aiokafka",), 30)
    lines = [
        record("aiokafka.client", "one", 100),
        record("aiokafka.client", "other", 100),
        record("aiokafka.consumer", "one", 100),
        record("streams.worker", "mine", 100),
        record("streams.worker", "mine", 100),
    ]
    assert written(seldom, *lines) == ["one", "other", "one", "mine", "mine"]
