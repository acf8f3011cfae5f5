"""`make pictures`: the Revenue page of a home's dashboard, as README shows it."""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM_FLAGS, LONGEST_MILLISECONDS, running_dashboard
from tests.programs import chromium

SIZE = {"width": 1180, "height": 1010}


def main(home: Path, picture: Path) -> None:
    path = chromium() or sys.exit("chromium is needed: .ci/install-chromium brings it")
    with running_dashboard(home) as dashboard, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.set_default_timeout(LONGEST_MILLISECONDS)
        page.goto(dashboard.url)
        page.locator(".vega-embed svg").first.wait_for()
        page.get_by_role("table").first.wait_for()
        picture.parent.mkdir(exist_ok=True)
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
