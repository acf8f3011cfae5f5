"""Streamlit, in a process that lives no longer than the one that started it.

Its standard input is a pipe that the starter holds open and never writes to. However the starter
ends, the system closes the pipe then, and this process ends too.
"""

import os
import sys
import threading

from streamlit.web.cli import main

# Loaded now, so that the first person who opens the page doesn't wait for it.
import cli.dashboard_sources  # noqa: F401
import reporting.dashboard.pages  # noqa: F401

_STDIN = 0


def _end_with_starter() -> None:
    # Not `sys.stdin`: its lock would be held while the interpreter shuts down.
    os.read(_STDIN, 1)
    # Nothing is lost: this process keeps no state of its own.
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True).start()
    main(sys.argv[1:], prog_name="streamlit")
