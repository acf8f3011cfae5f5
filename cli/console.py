"""What people see: results on standard output, everything about the way there on standard error."""

import json
import logging
import sys
from typing import Any

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

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)


def print_json(value: Any) -> None:
    """Write one JSON object to standard output, for a script to read."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def progress_bar(what: str) -> Progress:
    """A progress bar on standard error; nothing where that is no terminal."""
    return Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=not err.is_terminal,
    )


class RateColumn(ProgressColumn):
    """A progress bar's column: how many a second."""

    def render(self, task: Task) -> Text:
        """The rate as a whole number."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


def log_to_stderr(level: int = logging.WARNING) -> None:
    """Send log lines to standard error: plainly, or for people where that is a terminal."""
    handler: logging.Handler
    if err.is_terminal:
        handler = RichHandler(console=err, show_path=False, show_time=False)
        text = "%(message)s"
    else:
        handler = logging.StreamHandler()
        text = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=level, format=text, handlers=[handler], force=True)
    # What librdkafka retries by itself is no news; what it can't is raised.
    logging.getLogger("librdkafka").setLevel(logging.CRITICAL)
