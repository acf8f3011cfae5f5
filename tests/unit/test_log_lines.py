"""Log lines: JSON for machines, text for people, and no line that somebody else has written."""

import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime

import pytest

from cli.console import log_to_stderr, logs_are_json
from cli.log_lines import JSON_FIELDS, JsonLines, PlainLines, printable

FORGED = "CDNOW/1\n2026-01-01 00:00:00,000 ERROR root: forged\r\x1b[2Jforged\u2028\x85\x07\u202e"


def record(message: str, *values: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("services.batch", logging.WARNING, "x.py", 1, message, values, None)
    made.__dict__.update(extra)
    return made


def failed(message: str) -> logging.LogRecord:
    made = record("it failed")
    why = ValueError(message)
    try:
        raise why
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


@pytest.fixture
def loggers_as_before() -> Iterator[None]:
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    level = root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


class TestJson:
    def test_a_line_is_one_object_with_time_level_logger_message_and_service(self) -> None:
        line = JsonLines("payment").format(record("order %s", "x"))
        found = json.loads(line)
        moment = datetime.fromisoformat(found.pop("time"))
        assert moment.utcoffset() is not None
        assert not moment.utcoffset()
        assert found == {
            "level": "WARNING",
            "logger": "services.batch",
            "message": "order x",
            "service": "payment",
        }

    def test_ids_are_fields_and_what_else_is_attached_is_left_out(self) -> None:
        made = record("x", order_id="a/1", correlation_id="c", key="secret", body=b"body")
        found = json.loads(JsonLines("payment").format(made))
        assert (found["order_id"], found["correlation_id"]) == ("a/1", "c")
        assert set(found) <= set(JSON_FIELDS)

    def test_an_exception_is_text_in_the_same_line(self) -> None:
        line = JsonLines("payment").format(failed("why\nnot"))
        assert line.isprintable()
        assert json.loads(line)["exception"].endswith("ValueError: why\nnot")

    def test_nobody_forges_a_line(self) -> None:
        line = JsonLines("payment").format(record("order %s", FORGED, order_id=FORGED))
        assert line.isascii()
        assert line.isprintable()
        assert json.loads(line)["message"] == f"order {FORGED}"
        assert json.loads(line)["order_id"] == FORGED


class TestPlain:
    def test_nobody_forges_a_line(self) -> None:
        line = PlainLines("%(levelname)s %(name)s: %(message)s").format(record("order %s", FORGED))
        assert line.isprintable()
        assert line.startswith(r"WARNING services.batch: order CDNOW/1\n2026-01-01")
        assert r"\x1b[2J" in line

    def test_a_traceback_is_indented_so_that_it_is_no_other_line(self) -> None:
        first, *rest = PlainLines("%(message)s").format(failed(FORGED)).split("\n")
        assert first == "it failed"
        assert len(rest) > 2
        assert all(line.startswith("    ") and line.isprintable() for line in rest)

    def test_the_record_is_left_as_it_was(self) -> None:
        made = record("order %s", FORGED)
        PlainLines("%(message)s").format(made)
        assert made.getMessage() == f"order {FORGED}"

    def test_what_is_printed_stays(self) -> None:
        assert printable("Zürich, 12.50 €: accepted") == "Zürich, 12.50 €: accepted"


@pytest.mark.parametrize(
    ("asked", "json_lines"), [(None, True), ("json", True), ("plain", False), ("other", True)]
)
def test_shop_logs_says_how_and_without_it_a_pipe_gets_json(
    loggers_as_before: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    asked: str | None,
    json_lines: bool,
) -> None:
    if asked is None:
        monkeypatch.delenv("SHOP_LOGS", raising=False)
    else:
        monkeypatch.setenv("SHOP_LOGS", asked)
    assert logs_are_json() is json_lines
    log_to_stderr("payment")
    logging.getLogger("services.batch").warning("order %s", FORGED)
    line, end = capsys.readouterr().err.split("\n")
    assert end == ""
    assert line.startswith("{") is json_lines
