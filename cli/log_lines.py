"""How a log line is written: as JSON for machines, or plainly for people.

In both, one record is one line's beginning: what foreigners put into ids forges no other.
"""

import logging
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from services.telemetry import telemetry

JSON_FIELDS = (
    *("time", "level", "logger", "message", "service"),
    *("order_id", "correlation_id", "trace_id", "span_id", "exception"),
)
"""All that a line of JSON may have: what else a library attaches to a record is left out."""


class JsonLines(JsonFormatter):
    """One JSON object a line, in ASCII; an exception is text in it."""

    def __init__(self, service: str) -> None:
        """Write lines of the service `service`."""
        super().__init__(
            "{levelname}{name}{message}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
            static_fields={"service": service},
            timestamp="time",
            json_ensure_ascii=True,
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Leave out what is no field of ours, and what is empty; add the trace, if there is one."""
        order_id = log_data.get("order_id")
        ids = telemetry().ids(None if order_id is None else str(order_id))
        if ids is not None:
            log_data["trace_id"], log_data["span_id"] = ids
        return {name: log_data[name] for name in JSON_FIELDS if log_data.get(name)}


class PlainLines(logging.Formatter):
    """A line of text; a traceback follows it, each of its lines indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with escapes for whatever isn't printed as it is."""
        said, arguments = record.msg, record.args
        record.msg, record.args = printable(record.getMessage()), None
        try:
            return super().format(record)
        finally:
            record.msg, record.args = said, arguments

    def formatException(self, ei: Any) -> str:  # noqa: N802 logging's own name
        """A traceback that can't be taken for other lines of the log."""
        lines = super().formatException(ei).split("\n")
        return "\n".join(f"    {printable(line)}" for line in lines)


def printable(text: str) -> str:
    """Text with an escape for every character that isn't printed: control, format, line ends."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
