"""The page "Log and health": positions, services, dead letters, and a proof at a button."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from reporting.figure import stamp
from reporting.projections import all_projections
from reporting.read_only import ReadOnlyDatabase
from services.letter_store import keep_letters
from services.letters import LetterDesk
from tests.browser.conftest import SCREENSHOTS, Dashboard, running_dashboard
from tests.browser.small_log import SmallLog
from tests.conftest import Home
from tests.expected import Purchase
from tests.waiting import wait_for
from transport.envelope import format_time
from transport.letters import DeadLetter, Failure

EVIL = "<b>evil</b><img src=x onerror=\"document.title='taken'\"> *x* :red[y]"
LETTERS = 52

ROWS = "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(c => c.textContent))"


def letter(number: int) -> DeadLetter:
    when = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=number)
    failure = Failure(f"{EVIL} {number}", "payment", "orders", 2, number, format_time(when))
    body = json.dumps({"note": f"{EVIL}\u0007</pre><script>document.title='taken'</script>"})
    return DeadLetter(b"00042", [("<b>name</b>", EVIL.encode())], body.encode(), failure, 3, ())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, few: list[Purchase]) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("health"))
    log = SmallLog(made.path)
    log.append(few[:800], ship=True)
    log.close()
    desk = LetterDesk(made.path / "databases" / "dead_letters.sqlite")
    with desk.database.transaction() as connection:
        keep_letters(connection, [letter(number) for number in range(LETTERS)])
    desk.database.close()
    yield made
    made.shop("broker", "stop")


@pytest.fixture(scope="module")
def running(home: Home) -> Iterator[Dashboard]:
    with running_dashboard(home.path) as dashboard:
        yield dashboard


@pytest.fixture
def page(running: Dashboard, open_page: Callable[..., Page]) -> Page:
    return open_page(f"{running.url}/health", height=1400)


def rows_of(page: Page, name: str) -> list[list[str]]:
    shown = page.get_by_role("table", name=name)
    shown.wait_for()
    found: list[list[str]] = shown.evaluate(ROWS)
    return found


def database(home: Home, name: str) -> ReadOnlyDatabase:
    return ReadOnlyDatabase(home.path / "databases" / f"{name}.sqlite")


def last_position(home: Home) -> int:
    return home.count("event_log", "event_log")


def test_positions_of_the_log_and_of_each_projection(page, home) -> None:
    end = stamp(database(home, "event_log"), last_position(home), "USD")
    expect(page.get_by_text(f"at position {end.position:,}, recorded")).to_contain_text(end.hash)
    titles = [each.title for each in all_projections().values()]
    expect(page.get_by_text("Up to date")).to_have_count(len(titles))
    assert rows_of(page, "Projections") == [
        [title, f"{end.position:,}", "0", "Up to date"] for title in titles
    ]


def test_services_are_told_of_without_a_broker(page) -> None:
    expect(page.get_by_text("The broker does not answer.")).to_be_visible()
    found = rows_of(page, "Services")
    assert [row[0] for row in found] == ["Order", "Payment", "Responder", "Warehouse", "Recorder"]
    assert {row[1] for row in found} == {"Not running"}
    # SmallLog is a recorder: it was here some seconds ago.
    assert found[-1][2:4] != ["?", "never"]


def test_new_orders_wait_while_no_service_runs(page) -> None:
    """The recorder was here until some seconds ago."""
    expect(page.get_by_text("No service runs: new orders wait until")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("Nothing is wrong.")).to_have_count(0)


def test_dead_letters_are_listed_and_looked_into_harmlessly(page) -> None:
    expect(page.get_by_text("52 dead letters are open; the newest 50 are listed.")).to_be_visible()
    found = rows_of(page, "Open dead letters")
    assert len(found) == 50
    assert found[0] == [
        *("orders/2/51", "2026-03-01 00:51:00", "payment", f"{EVIL} 51"),
        *("3", "orders", "2", "51"),
    ]
    page.get_by_role("combobox", name="Look into a letter").focus()
    page.keyboard.type("orders/2/51")
    page.keyboard.press("Enter")
    expect(page.get_by_role("table", name="Headers")).to_contain_text(f"<b>name</b>{EVIL}")
    body = page.locator("pre").filter(has_text="onerror")
    expect(body).to_contain_text("<script>document.title='taken'</script>")
    expect(body).to_contain_text("\\u0007</pre>")
    expect(page.get_by_text("shop dead-letters send orders/2/51")).to_be_visible()
    assert page.locator("section b, section img").count() == 0
    assert "taken" not in page.title()


def test_any_projection_can_be_looked_into(page, home) -> None:
    page.get_by_role("combobox", name="Projection").focus()
    page.keyboard.type("Revenue by day")
    page.keyboard.press("Enter")
    page.get_by_role("textbox", name="Whose day begins with").fill("1997-01-02")
    page.keyboard.press("Enter")
    wanted = home.rows(
        "report",
        "SELECT day, currency, outcome, orders, cents FROM revenue_by_day "
        "WHERE day = '1997-01-02' ORDER BY 1, 2, 3",
    )
    assert wanted
    expect(page.get_by_text(f"{len(wanted)} rows.")).to_be_visible()
    shown = [[*row[:3], f"{row[3]:,}", f"{row[4] // 100:,}.{row[4] % 100:02}"] for row in wanted]
    # The table follows.
    wait_for(lambda: rows_of(page, "Revenue by day") == shown, f"{shown}")


def prove(page: Page) -> None:
    button = page.get_by_role("button", name="Run the proof")
    expect(button).to_be_enabled()
    button.press("Enter")


def test_a_proof_is_run_and_kept(page, home, running, open_page) -> None:
    expect(page.get_by_text("Nothing was proved yet")).to_be_visible()
    prove(page)
    end = last_position(home)
    other = open_page(f"{running.url}/health", height=1400)
    for each in (page, other):
        expect(each.get_by_text("The log has not moved on since.")).to_be_visible(timeout=30_000)
        expect(each.get_by_text(f"up to position {end:,}, with offsets left out")).to_be_visible()
    found = rows_of(page, "Parts of the proof")
    assert [row[:2] for row in found] == [
        ["Chain", "Holds"],
        ["Offsets", "Left out"],
        ["Projections", "Holds"],
        ["Orders", "Holds"],
        ["Shipments", "Holds"],
    ]
    # The command keeps its result in the same place, and says the same.
    done = home.shop("prove", "--offline")
    assert done.returncode == 0, done.stderr
    assert home.count("proofs", "proofs") == 2


def test_a_log_that_was_changed_fails_with_its_position(page, home) -> None:
    log = home.path / "databases" / "event_log.sqlite"
    with closing(sqlite3.connect(log, isolation_level=None)) as connection:
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'event_log'"
        ).fetchall()
        (body,) = connection.execute("SELECT body FROM event_log WHERE position = 17").fetchone()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        change = "UPDATE event_log SET body = ? WHERE position = 17"
        connection.execute(change, (body.replace(b'"cents":', b'"cents":1'),))
        try:
            prove(page)
            expect(page.get_by_text("It fails: chain")).to_be_visible(timeout=30_000)
            # The table follows.
            wait_for(lambda: rows_of(page, "Parts of the proof")[0][1] == "Fails", "what fails")
            said = rows_of(page, "Parts of the proof")[0]
            assert said[3].startswith("fails at position 17: its hash is ")
        finally:
            connection.execute(change, (body,))
            for _, sql in triggers:
                connection.execute(sql)


def test_while_the_databases_are_away_the_page_stays_and_comes_back(page, home) -> None:
    away = home.path / "away"
    rows_of(page, "Projections")
    (home.path / "databases").rename(away)
    try:
        expect(page.get_by_text("The event log is not there any more")).to_be_visible()
        expect(page.get_by_text("Up to date").first).to_be_visible()
    finally:
        away.rename(home.path / "databases")
    expect(page.get_by_text("The event log is not there any more")).to_have_count(0)
    expect(page.get_by_text("Up to date").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 2400), (390, 2800)])
def test_it_fits_and_follows_the_readers_colours(running, open_page, width, height, scheme) -> None:
    page = open_page(f"{running.url}/health", width, height, scheme)
    for name in ("Projections", "Services", "Open dead letters"):
        rows_of(page, name)
    page.wait_for_function("document.fonts.status == 'loaded'")
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"health-{width}-{scheme}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    main = page.locator("[data-testid=stMain]").first
    assert main.evaluate("node => node.scrollWidth <= node.clientWidth")


def test_a_broker_that_comes_is_noticed_and_one_that_goes_too(page, home) -> None:
    expect(page.get_by_text("The broker does not answer.")).to_be_visible()
    assert home.shop("broker", "start").returncode == 0
    expect(page.get_by_text("answers · looked at")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("The broker does not answer.")).to_have_count(0)
    assert home.shop("broker", "stop").returncode == 0
    expect(page.get_by_text("The broker does not answer.")).to_be_visible(timeout=20_000)
