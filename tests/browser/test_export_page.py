"""The page Export: each format downloaded as a user does, opened, and checked again."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect
from pyarrow import parquet

from tests import expected
from tests.browser.conftest import SCREENSHOTS, running_dashboard
from tests.browser.small_log import SmallLog
from tests.browser.test_dashboard import amount, choose
from tests.browser.test_revenue_page import enter
from tests.conftest import Home
from tests.expected import REASONS, Purchase

FORMATS = {".csv": "CSV", ".parquet": "Parquet", ".html": "Page"}
FIRST, LAST = "1997-02-10", "1997-04-20"

Lines = dict[str, dict[str, tuple[int, int]]]


class Shown(NamedTuple):
    """A dashboard over all of `few`: its home, and where its page Export is."""

    home: Home
    url: str


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, few: list[Purchase]) -> Iterator[Shown]:
    home = Home(tmp_path_factory.mktemp("export"))
    log = SmallLog(home.path)
    log.append(few)
    log.close()
    with running_dashboard(home.path) as dashboard:
        yield Shown(home, f"{dashboard.url}/export")


def button(page: Page):
    return page.get_by_role("button", name="Download revenue")


def metric(page: Page, name: str):
    return page.get_by_test_id("stMetric").filter(has_text=name)


def download(page: Page, folder: Path, name: str) -> Path:
    """Choose the format of a file and download it; it must be offered by that name."""
    choose(page, FORMATS[Path(name).suffix])
    ready = page.get_by_role("button", name=f"Download {name}", exact=True)
    ready.wait_for()
    with page.expect_download() as begun:
        ready.click()
    assert begun.value.suggested_filename == name
    path = folder / name
    begun.value.save_as(path)
    return path


def wanted(few: list[Purchase], by: str, first: str = "", last: str = "9") -> Lines:
    return expected.lines(few, expected.outcomes(few), by, first, last)


def found_in(path: Path, by: str) -> Lines:
    """What a downloaded file says, read by other means than the project's own."""
    if path.suffix == ".html":
        return _in_page(path.read_text(), by)
    if path.suffix == ".csv":
        text = path.read_text().splitlines()
        rows: list[dict[str, Any]] = list(
            csv.DictReader(line for line in text if not line.startswith("#"))
        )
    else:
        rows = parquet.read_table(path).to_pylist()
    for row in rows:
        for group in ("accepted", *REASONS, "all"):
            assert Decimal(row[f"{group}_amount"]) * 100 == int(row[f"{group}_cents"])
    return {
        str(row[by]): {
            group: (int(row[f"{group}_orders"]), int(row[f"{group}_cents"]))
            for group in ("accepted", *REASONS, "all")
        }
        for row in rows
    }


def _in_page(text: str, by: str) -> Lines:
    (block,) = re.findall(r'<script type="application/json" id="figure">(.*?)</script>', text)
    return {
        each[by]: {
            "accepted": (each["accepted"]["orders"], each["accepted"]["cents"]),
            **{r: (each["declined"][r]["orders"], each["declined"][r]["cents"]) for r in REASONS},
        }
        for each in json.loads(block)[f"{by}s"]
    }


@pytest.mark.parametrize("by", ["month", "day"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_has_the_figures_to_the_cent_and_holds_until_one_is_changed(
    shown, open_page, few, tmp_path, suffix, by
) -> None:
    page = open_page(shown.url)
    choose(page, by.capitalize())
    expect(metric(page, "Lines")).to_contain_text(f"{by}s")
    what = "revenue-by-day" if by == "day" else "revenue"
    days = sorted(wanted(few, "day").keys() - {"total"})
    name = f"{what}-{days[0]}-to-{days[-1]}-at-{2 * len(few)}{suffix}"
    path = download(page, tmp_path, name)
    found, right = found_in(path, by), wanted(few, by)
    del right["total"]
    assert found.keys() == right.keys()
    for period, cells in found.items():
        assert cells == {name: right[period][name] for name in cells}
    done = shown.home.shop("prove", "--figure", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    where = days[-1] if by == "day" else days[-1][:7]
    raise_by_a_cent(path, right[where]["accepted"][1])
    done = shown.home.shop("prove", "--figure", str(path))
    assert done.returncode == 1
    assert f"fails at {where}: accepted_amount is" in done.stdout


def raise_by_a_cent(path: Path, cents: int) -> None:
    """Change the last line's accepted amount, and nothing else."""
    if path.suffix == ".parquet":
        table = parquet.read_table(path)
        rows = table.to_pylist()
        rows[-1]["accepted_amount"] += Decimal("0.01")
        parquet.write_table(type(table).from_pylist(rows, table.schema), path)
        return
    before, after = amount(cents), amount(cents + 1)
    if path.suffix == ".csv":
        before, after = before.replace(",", ""), after.replace(",", "")
    head, found, rest = path.read_text().rpartition(
        f",{before}," if path.suffix == ".csv" else f' accepted_amount">{before}<'
    )
    if path.suffix == ".html":
        # The last one that is a period's; the totals come after it.
        head, found, rest = path.read_text().partition(f' accepted_amount">{before}<')
    assert found
    path.write_text(head + found.replace(before, after) + rest)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_part_of_the_time_is_previewed_and_exported(
    shown, open_page, few, tmp_path, suffix
) -> None:
    page = open_page(shown.url)
    enter(page, "From", FIRST)
    enter(page, "Until", LAST)
    right = wanted(few, "month", FIRST, LAST)
    total = right.pop("total")
    expect(metric(page, "Accepted revenue, USD")).to_contain_text(amount(total["accepted"][1]))
    expect(metric(page, "Accepted orders")).to_contain_text(f"of {total['all'][0]:,} orders")
    expect(metric(page, "Declined, USD")).to_contain_text(amount(total["declined"][1]))
    expect(metric(page, "Lines")).to_contain_text("3 months")
    expect(page.get_by_text("Not whole months: 1997-02 from 1997-02-10 on")).to_be_visible()
    path = download(page, tmp_path, f"revenue-{FIRST}-to-{LAST}-at-{2 * len(few)}{suffix}")
    for period, cells in found_in(path, "month").items():
        line = right.pop(period)
        assert cells == {name: line[name] for name in cells}
    assert not right
    assert shown.home.shop("prove", "--figure", str(path)).returncode == 0
    # It is in the address: who gets the link sees the same.
    page.reload()
    expect(metric(page, "Accepted revenue, USD")).to_contain_text(amount(total["accepted"][1]))
    expect(button(page)).to_contain_text(path.name)


def test_days_that_cannot_be_exported_are_answered_with_why(shown, open_page) -> None:
    page = open_page(shown.url)
    enter(page, "From", "1997-05-02")
    enter(page, "Until", "1997-05-01")
    expect(page.get_by_text("The range ends on 1997-05-01, before it begins")).to_be_visible()
    expect(button(page)).to_have_count(0)
    enter(page, "Until", "1997-05-31")
    expect(button(page)).to_be_visible()


def test_by_the_keyboard_alone(shown, open_page, tmp_path) -> None:
    page = open_page(shown.url)
    button(page).wait_for()
    page.get_by_role("radio", name="CSV").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    parquet_ready = page.get_by_role("button", name=re.compile(r"Download revenue\S+\.parquet"))
    parquet_ready.wait_for()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").startswith("Download"):
            break
    with page.expect_download() as begun:
        page.keyboard.press("Enter")
    begun.value.save_as(tmp_path / "a.parquet")
    assert parquet.read_table(tmp_path / "a.parquet").num_rows == 18


def test_before_the_first_order_it_waits_and_newer_figures_are_taken_when_asked_for(
    tmp_path, start_dashboard, open_page, few
) -> None:
    dashboard = start_dashboard(tmp_path)
    page = open_page(f"{dashboard.url}/export")
    expect(page.get_by_text("No order has been decided yet")).to_be_visible()
    assert not list(tmp_path.rglob("*")), "looking at nothing made something"
    log = SmallLog(tmp_path)
    log.append(few[:300])
    expect(button(page)).to_contain_text("-at-600.csv")
    before = amount(wanted(few[:300], "month")["total"]["accepted"][1])
    expect(metric(page, "Accepted revenue, USD")).to_contain_text(before)
    log.append(few[300:400])
    log.close()
    newer = page.get_by_role("button", name="Take the newest figures, up to position 800")
    newer.wait_for()
    expect(button(page)).to_contain_text("-at-600.csv")
    newer.click()
    expect(button(page)).to_contain_text("-at-800.csv")
    expect(newer).to_have_count(0)
    after = amount(wanted(few[:400], "month")["total"]["accepted"][1])
    expect(metric(page, "Accepted revenue, USD")).to_contain_text(after)


def test_databases_that_go_away_are_told_of_and_what_was_read_stays(
    tmp_path, start_dashboard, open_page, few
) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    log = SmallLog(home)
    log.append(few[:300])
    log.close()
    page = open_page(f"{start_dashboard(home).url}/export")
    expect(button(page)).to_contain_text("-at-600.csv")
    (home / "databases").rename(away)
    expect(page.get_by_text("can't be read at the moment")).to_be_visible()
    days = sorted(wanted(few[:300], "day").keys() - {"total"})
    path = download(page, tmp_path, f"revenue-{days[0]}-to-{days[-1]}-at-600.parquet")
    assert parquet.read_table(path).num_rows == len(wanted(few[:300], "month")) - 1
    # Who comes now is told to wait, and needn't come again.
    other = open_page(page.url)
    expect(other.get_by_text(re.compile("can't be read|No order"))).to_be_visible()
    away.rename(home / "databases")
    expect(page.get_by_text("can't be read at the moment")).to_have_count(0)
    expect(button(other)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 1100)])
def test_it_fits_and_follows_the_readers_colours(shown, open_page, width, height, scheme) -> None:
    page = open_page(shown.url, width, height, scheme)
    button(page).wait_for()
    page.wait_for_function("document.fonts.status == 'loaded'")
    # Not until the network is idle: of a file that it may not keep, a browser asks for the headers,
    # and leaves the rest.
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"export-{width}-{scheme}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for figure in page.get_by_test_id("stMetricValue").all():
        assert figure.evaluate("node => node.scrollWidth <= node.clientWidth + 1"), "it is cut off"


@pytest.fixture(scope="module")
def pages(shown: Shown, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Exported pages, by month and by day."""
    folder = tmp_path_factory.mktemp("pages")
    made = {by: folder / f"{by}.html" for by in ("month", "day")}
    for by, path in made.items():
        done = shown.home.shop("export", str(path), "--by", by)
        assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def open_file(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an exported page; afterwards it may have asked nobody for anything."""
    contexts, asked, wrong = [], set(), []

    def opened(path: Path, scheme: str = "light", width: int = 1000) -> Page:
        context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 1400}
        )
        contexts.append(context)
        context.on("request", lambda request: asked.add(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.endswith(".html")} == set()
    assert not wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_exported_page_shows_everything_in_light_and_in_dark(
    pages, open_file, few, scheme
) -> None:
    page = open_file(pages["month"], scheme)
    right = wanted(few, "month")
    shown = page.get_by_role("table", name="Revenue by month").evaluate(
        "table => [...table.querySelectorAll('tbody tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert shown == [
        [
            period.capitalize(),
            *(
                text
                for group in ("accepted", "declined", "all")
                for text in (f"{right[period][group][0]:,}", amount(right[period][group][1]))
            ),
        ]
        for period in sorted(right)
    ]
    declines = page.get_by_role("table", name="Declined by reason")
    for reason in REASONS:
        expect(declines).to_contain_text(amount(right["total"][reason][1]))
    expect(page.get_by_text("shop prove --figure month.html")).to_be_visible()
    # As many bars as there are months and outcomes with an amount.
    bars = sum(
        cells[name][1] > 0
        for at, cells in right.items()
        if at != "total"
        for name in ("accepted", *REASONS)
    )
    assert page.locator("figure div svg .mark-rect path").count() == bars
    colours = page.evaluate(
        "[...document.querySelectorAll('body, figure div svg text')]"
        ".map(each => [getComputedStyle(each).color, getComputedStyle(each).fill])"
    )
    dark = scheme == "dark"
    assert {fill for _, fill in colours[1:]} == {colours[0][0]}
    assert colours[0][0] == ("rgb(232, 234, 237)" if dark else "rgb(28, 31, 38)")
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"export-html-{scheme}.png", full_page=True)


def test_texts_of_the_chart_have_room_in_whatever_font_is_there(pages, open_file) -> None:
    page = open_file(pages["month"])
    boxes = page.evaluate(
        "[...document.querySelectorAll('figure div svg text')]"
        # A label that would overlap another one is there, and can't be seen.
        ".filter(t => t.textContent && t.getAttribute('opacity') !== '0')"
        ".map(t => t.getBoundingClientRect()).filter(b => b.width)"
        ".map(b => [b.left, b.top, b.right, b.bottom])"
    )
    assert len(boxes) > 8
    for number, one in enumerate(boxes):
        for other in boxes[:number]:
            apart = one[2] <= other[0] or other[2] <= one[0]
            assert apart or one[3] <= other[1] or other[3] <= one[1], (one, other)


def test_on_a_phone_a_page_is_no_wider_than_the_screen(pages, open_file) -> None:
    for path in pages.values():
        page = open_file(path, width=390)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_months_are_printed_on_one_sheet_and_days_on_several(pages, open_file) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    sheets = {}
    for by, path in pages.items():
        printed = open_file(path, "dark").pdf(
            path=SCREENSHOTS / f"export-{by}.pdf", prefer_css_page_size=True
        )
        sheets[by] = len(re.findall(rb"/Type\s*/Page\b", printed))
        (size,) = set(re.findall(rb"/MediaBox\s*\[([^\]]*)\]", printed))
        assert [round(float(each)) for each in size.split()] == [0, 0, 595, 842]
    assert sheets["month"] == 1
    days = (date(1998, 6, 30) - date(1997, 1, 1)).days
    assert days / 60 < sheets["day"] < days / 30
