"""Streamlit, in a process that lives no longer than the one that started it.

Its standard input is a pipe that the starter holds open and never writes to. However the starter
ends, the system closes the pipe then, and this process ends too.

On its command line are address and port only. The secrets of the login are read as all settings are
and handed to Streamlit in memory: no file of them is made, and none that lies about is read.
"""

import os
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from streamlit.starlette import App

# Loaded now, so that the first person who opens the page doesn't wait for it.
import cli.dashboard_sources  # noqa: F401
import reporting.dashboard.pages  # noqa: F401
from cli.console import log_to_stderr
from cli.dashboard import page_url
from cli.dashboard_guard import Guard
from cli.login import Login, login_of
from cli.settings import Settings
from reporting.dashboard.tables import DARK_BACKGROUND, LIGHT_BACKGROUND

LARGEST_MESSAGE = 10
"""Megabytes of the largest message to a page; a year by day takes less than one."""

LARGEST_ASKED = 1
"""Megabytes of the largest message from a page, which is about its fields and buttons."""

_PAGE = Path(__file__).parent / "dashboard_page.py"
_STDIN = 0

_LOOKS: dict[str, Any] = {
    "client.toolbarMode": "minimal",
    "theme.paddingTop": "2.5rem",
    "theme.light.backgroundColor": LIGHT_BACKGROUND,
    "theme.dark.backgroundColor": DARK_BACKGROUND,
    # Blue, as the accepted orders are: Streamlit's red would say that something is wrong. Said
    # for light and for dark, the page follows what the reader's system prefers.
    "theme.light.primaryColor": "#1a6094",
    "theme.dark.primaryColor": "#5dade2",
    # Captions are the text's colour at 60 %, and code in them too: that must still be read well.
    "theme.light.textColor": "#0e1116",
    "theme.light.codeTextColor": "#0e1116",
    "theme.dark.textColor": "#edebe8",
    "theme.dark.codeTextColor": "#edebe8",
    # Fields and figures' labels in the greys of the page; Streamlit's own are brown on it.
    "theme.dark.secondaryBackgroundColor": "#222730",
    "theme.light.grayTextColor": "#5b6470",
    "theme.dark.grayTextColor": "#a7b0bd",
    "theme.light.grayBackgroundColor": "#f0f2f6",
    "theme.dark.grayBackgroundColor": "#222730",
    # A heading below the title is of the second order, and of the size that the third had.
    "theme.headingFontSizes": ["2.75rem", "1.75rem"],
    "theme.metricValueFontSize": "1.75rem",
}

RULES: dict[str, Any] = {
    "server.headless": True,
    "server.fileWatcherType": "none",
    # Python collects garbage by itself; a full collection after each run was half of a core a page.
    "runner.postScriptGC": False,
    "server.showEmailPrompt": False,
    "server.enableCORS": True,
    "server.corsAllowedOrigins": [],
    "server.enableXsrfProtection": True,
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "server.trustedUserHeaders": "{}",
    "server.maxUploadSize": LARGEST_ASKED,
    "server.maxMessageSize": LARGEST_MESSAGE,
    "server.maxWidgetStateSize": LARGEST_ASKED,
    "global.developmentMode": False,
    "secrets.files": [],
    "client.showErrorDetails": "none",
    # No request to anyone: the greeting would ask another host for this one's public address.
    "browser.gatherUsageStats": False,
    "logger.hideWelcomeMessage": True,
    "logger.level": "warning",
}
"""Most are Streamlit's defaults: said here, no config.toml and no variable can change them."""


def serve(address: str, port: int) -> None:
    """Serve the dashboard's pages until SIGTERM."""
    settings = Settings()
    login, base_path = login_of(settings), settings.dashboard_base_path
    guard = Middleware(Guard, hosts=hosts(address, login), login=login, base_path=base_path)
    where = {
        "server.address": address,
        "server.port": port,
        "server.baseUrlPath": base_path,
    }
    secrets = login.secrets() if login else None
    App(_PAGE, secrets=secrets, middleware=[guard]).run(config={**where, **_LOOKS, **RULES})


def hosts(address: str, login: Login | None) -> frozenset[str]:
    """What a browser may call the dashboard by that listens at an address."""
    here = {"localhost", "127.0.0.1", "::1", urlsplit(page_url(address, 0)).hostname or ""}
    return frozenset(here | ({login.host} if login else set()))


def _end_with_starter() -> None:
    # Not `sys.stdin`: its lock would be held while the interpreter shuts down.
    os.read(_STDIN, 1)
    # Nothing is lost: this process keeps no state of its own.
    os._exit(0)


if __name__ == "__main__":
    log_to_stderr("dashboard")
    threading.Thread(target=_end_with_starter, daemon=True).start()
    serve(sys.argv[1], int(sys.argv[2]))
