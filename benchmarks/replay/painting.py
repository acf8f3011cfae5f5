"""How long the dashboard's pages take until their figures are there, in a real browser."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from playwright.sync_api import Browser, expect, sync_playwright

from reporting.dashboard.pages import PAGES
from reporting.projector import catch_up, open_projections
from services.recorder import open_log
from tests.programs import chromium

_WITHIN_MS = 120_000


def paint(log: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds from asking for a page to its last figure, by page, each in a fresh browser window.

    Projections are made of the log first; their time doesn't count.
    """
    home = log.parent / "painted"
    databases = home / "databases"
    databases.mkdir(parents=True)
    os.link(log, databases / "event_log.sqlite")
    projections = open_projections(databases / "report.sqlite")
    catch_up(open_log(databases / "event_log.sqlite"), projections)
    projections.close()
    with _dashboard(home) as url, _browser() as browser:
        # The first one who opens it waits for what the server loads: not what grows with the log.
        _seconds(browser, url)
        found = {
            page.title: [_seconds(browser, f"{url}/{page.path}") for _ in range(rounds)]
            for page in PAGES
        }
    shutil.rmtree(home)
    return found


def _seconds(browser: Browser, url: str) -> float:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(_WITHIN_MS)
    began = perf_counter()
    page.goto(url)
    page.get_by_role("heading", level=1).wait_for()
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=_WITHIN_MS)
    seconds = perf_counter() - began
    context.close()
    return seconds


@contextmanager
def _dashboard(home: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.start", "dashboard"],
        env={**os.environ, "SHOP_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said = process.stdout.readline() if process.stdout else ""
        yield re.findall(r"http://\S+", said)[0]
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()
