"""A browser, and dashboards to look at: each a real `shop dashboard` process with its own home."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.browser.small_log import SmallLog
from tests.expected import Purchase, purchases
from tests.ports import free_port
from tests.programs import chromium, missing

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A page may be slow where other tests keep the processors busy; whatever is right comes sooner.
expect.set_options(timeout=30_000)

LONGEST_MILLISECONDS = 90_000
"""How long a page may take for what is asked of it."""

COMMAND = (sys.executable, "-m", "cli.start", "dashboard")
SCREENSHOTS = Path(__file__).parents[2] / "test-output"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the browser to `make test-full`."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)


@dataclass(frozen=True)
class Dashboard:
    """A running dashboard: its process and where its page is."""

    process: subprocess.Popen[str]
    url: str

    def server(self) -> psutil.Process:
        """The process that serves the page."""
        (child,) = psutil.Process(self.process.pid).children()
        return child


@contextmanager
def running_dashboard(
    home: Path, *options: str, looks_for_port: bool = False, **environment: str
) -> Iterator[Dashboard]:
    # Two that look for one at the same moment would take the same one.
    port = {} if looks_for_port else {"SHOP_DASHBOARD_PORT": str(free_port())}
    process = subprocess.Popen(
        [*COMMAND, *options],
        env={**os.environ, "SHOP_HOME": str(home), **port, **environment},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://\S+", said)
        assert found, f"the dashboard said {said!r} instead of where it is"
        yield Dashboard(process, found[0])
    finally:
        process.terminate()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="session")
def few() -> list[Purchase]:
    """All purchases of the first customers: every month, and every reason to decline."""
    return [each for each in purchases() if each.customer <= 700]


# Of this package only: while it is there, an event loop runs in the main thread, and the tests of
# other packages can't run theirs.
@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    path = chromium() or missing("there is no chromium; .ci/install-chromium brings one")
    opened = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
    yield opened
    opened.close()


@pytest.fixture
def start_dashboard() -> Iterator[Callable[[Path], Dashboard]]:
    """Starts dashboards, each with the home that it is given."""
    with ExitStack() as stack:
        yield lambda home: stack.enter_context(running_dashboard(home))


def is_wrong(said: ConsoleMessage) -> bool:
    """Whether a page says that something is wrong.

    Where an address has a path, Streamlit looks for its server below that path too, and the
    browser says that nothing is there.
    """
    looked = said.location["url"].split("/_stcore/")
    return said.type == "error" and looked[-1] not in {"health", "host-config"}


@pytest.fixture
def open_page(
    browser: Browser, start_dashboard: Callable[[Path], Dashboard]
) -> Iterator[Callable[..., Page]]:
    """Opens pages; afterwards, none may have asked another host or met an error.

    It needs `start_dashboard` only so that pages are closed before their dashboards end.
    """
    contexts = []
    asked: set[str] = set()
    wrong: list[str] = []

    def opened(url: str, width: int = 1280, height: int = 900, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        # A busy machine is no fault of a page's.
        context.set_default_timeout(LONGEST_MILLISECONDS)
        context.on("request", lambda request: asked.add(request.url))
        page = context.new_page()
        page.on("websocket", lambda socket: asked.add(socket.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if is_wrong(said) else None)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    others = {url for url in asked if urlsplit(url).hostname not in {"127.0.0.1", None}}
    assert asked
    assert not others
    assert not wrong


@pytest.fixture(scope="package")
def settled(tmp_path_factory: pytest.TempPathFactory, few: list[Purchase]) -> Iterator[str]:
    """Where a dashboard is whose log has all of `few`."""
    home = tmp_path_factory.mktemp("settled")
    log = SmallLog(home)
    log.append(few)
    log.close()
    with running_dashboard(home) as dashboard:
        yield dashboard.url
