"""What people see: results on standard output, everything about the way there on standard error."""

import json
import logging
import os
import sys
from collections.abc import Iterable
from math import isfinite
from typing import Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from cli.log_lines import JsonLines, PlainLines

SAID_AGAIN_SECONDS = 30.0
"""How long a line of a library is not written again."""

WITH_BAR = 80
"""Columns of a terminal from which on a bar, times and rates have room beside the figures."""

_TALKATIVE = ("aiokafka", "faust", "mode", "opentelemetry", "urllib3")

# No emoji: a path or a reason may have `:a:` in it.
out = Console(soft_wrap=True, emoji=False)
err = Console(stderr=True, soft_wrap=True, emoji=False)


def refuse_no_figure(option: str, value: float | None) -> None:
    """Refuse what no bound keeps out: NaN, and where there is no upper one, infinity.

    Raises:
        BadParameter: it is one of these.
    """
    if value is not None and not isfinite(value):
        raise typer.BadParameter(f"{option} {value} is no figure")


def print_json(value: Any) -> None:
    """Write one JSON object to standard output, for a script to read."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def print_json_list(name: str, values: Iterable[Any]) -> None:
    """Write one JSON object with a list, of which one member at a time is in memory."""
    between = ""
    sys.stdout.write(f'{{\n  "{name}": [')
    for value in values:
        text = json.dumps(value, indent=2, default=str).replace("\n", "\n    ")
        sys.stdout.write(f"{between}\n    {text}")
        between = ","
    sys.stdout.write("\n  ]\n}\n" if between else "]\n}\n")


class RateColumn(ProgressColumn):
    """A progress bar's column: how many a second."""

    def render(self, task: Task) -> Text:
        """The rate as a whole number."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


def progress_bar(what: str, *more: ProgressColumn, transient: bool = False) -> Progress:
    """A progress bar on standard error; nothing where that is no terminal.

    Args:
        what: what it is about.
        more: columns beside the usual ones.
        transient: whether it is gone when it is over.
    """
    figures = (TextColumn(what), MofNCompleteColumn(), TaskProgressColumn())
    # Rich cuts figures where there is no room for all of it.
    rest = (BarColumn(), *more, TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(
        *(figures if err.width < WITH_BAR else (figures[0], rest[0], *figures[1:], *rest[1:])),
        console=err,
        transient=transient,
        disable=not err.is_terminal,
    )


class Seldom(logging.Filter):
    """Lets what a library says again and again through once in a while, with how often it was said.

    Without a broker Faust's client says some twenty times a second that it has none.
    """

    def __init__(self, loggers: tuple[str, ...], seconds: float) -> None:
        """Hold back what `loggers` said less than so many seconds ago, whatever its figures."""
        super().__init__()
        self._loggers = loggers
        self._seconds = seconds
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is written."""
        if record.name.partition(".")[0] not in self._loggers:
            return True
        what = (record.name, str(record.msg))
        last, held_back = self._said.get(what, (-self._seconds, 0))
        if record.created - last < self._seconds:
            self._said[what] = (last, held_back + 1)
            return False
        self._said[what] = (record.created, 0)
        if held_back:
            record.msg = f"{record.msg} (and {held_back} times more before)"
        return True


def logs_are_json() -> bool:
    """Whether log lines are JSON: where standard error is no terminal, unless SHOP_LOGS says so."""
    asked = os.environ.get("SHOP_LOGS")
    return asked == "json" or (asked != "plain" and not err.is_terminal)


def log_to_stderr(service: str = "shop") -> None:
    """Send the warnings of `service` to standard error: as JSON, or for people on a terminal."""
    handler: logging.Handler = logging.StreamHandler()
    if logs_are_json():
        handler.setFormatter(JsonLines(service))
    elif err.is_terminal:
        handler = RichHandler(console=err, show_path=False, show_time=False)
        handler.setFormatter(PlainLines("%(message)s"))
    else:
        handler.setFormatter(PlainLines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    handler.addFilter(Seldom(_TALKATIVE, SAID_AGAIN_SECONDS))
    # What librdkafka retries by itself is no news; what it can't is raised.
    logging.getLogger("librdkafka").setLevel(logging.CRITICAL)
