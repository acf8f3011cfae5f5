"""The Orders page as someone in Finance uses it: found, and told, to the cent."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import expected
from tests.browser.conftest import Dashboard, running_dashboard
from tests.browser.small_log import SmallLog, order_of
from tests.browser.test_dashboard import amount
from tests.expected import Purchase
from tests.waiting import wait_for

ASKED = "19980601"
"""Orders from this day on are authorized by request and reply."""

UNSHIPPED = "19980501"
"""Accepted orders from this day on, and before `ASKED`, are not shipped."""

EVIL = "<img src=x onerror=\"document.title='taken'\"><b>evil</b>"

ROWS = "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(c => c.textContent))"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, few: list[Purchase]) -> Path:
    made = tmp_path_factory.mktemp("orders")
    log = SmallLog(made)
    log.append((each for each in few if each.date < UNSHIPPED), ship=True)
    log.append(each for each in few if UNSHIPPED <= each.date < ASKED)
    log.append((each for each in few if each.date >= ASKED), ship=True, asked=True)
    bad = order_of(few[0]._replace(date="19900101"))
    log.append_orders(
        [type(bad)(EVIL, "00001", bad.ordered_at, bad.amount, bad.items, f"{EVIL} Street")]
    )
    log.close()
    return made


@pytest.fixture(scope="module")
def running(home: Path, few: list[Purchase]) -> Iterator[Dashboard]:
    with running_dashboard(home) as dashboard:
        yield dashboard


@pytest.fixture
def at(running: Dashboard, open_page: Callable[..., Page]) -> Callable[..., Page]:
    """Opens the Orders page at an address."""
    return lambda address="", *size: open_page(f"{running.url}/orders{address}", *size)


def rows_of(page: Page) -> list[list[str]]:
    shown = page.get_by_role("table", name="Orders")
    shown.wait_for()
    found: list[list[str]] = shown.evaluate(ROWS)
    return found


def shows(page: Page, wanted: list[list[str]]) -> None:
    """Wait until the table has these rows: parts of a page come one after the other."""
    wait_for(lambda: rows_of(page) == wanted, "the table has the rows that are wanted")


def wanted(few: list[Purchase], which: Callable[[Purchase, str], bool]) -> list[list[str]]:
    """The rows of all orders that are asked for, computed from the purchase file alone."""
    decided = expected.outcomes(few)
    found = [each for each in few if which(each, decided[each.order_id])]
    found.sort(key=lambda each: (each.date, each.order_id), reverse=True)
    return [
        [
            each.order_id,
            amount(each.cents),
            "USD",
            f"{each.date[:4]}-{each.date[4:6]}-{each.date[6:]} 00:00:00",
            f"{each.customer:05}",
            *state_of(each, decided[each.order_id]),
        ]
        for each in found
    ]


def state_of(order: Purchase, outcome: str) -> tuple[str, str]:
    if outcome != "accepted":
        return "Declined", outcome.replace("_", " ").capitalize()
    unshipped = UNSHIPPED <= order.date < ASKED
    return ("Accepted, not shipped yet" if unshipped else "Accepted and shipped"), ""


def shipped(order: Purchase) -> bool:
    return not UNSHIPPED <= order.date < ASKED


@pytest.mark.parametrize(
    ("address", "which"),
    [
        ("?from=1997-01-01", lambda o, out: True),
        ("?month=1997-03", lambda o, out: o.month == "1997-03"),
        ("?from=1997-03-09&to=1997-03-10", lambda o, out: o.date in ("19970309", "19970310")),
        ("?most=5&state=accepted", lambda o, out: o.cents <= 500 and out == "accepted"),
        ("?state=unshipped", lambda o, out: out == "accepted" and not shipped(o)),
        (
            "?state=accepted&month=1998-05",
            lambda o, out: out == "accepted" and o.month == "1998-05",
        ),
        (
            "?state=declined&least=100&from=1997-01-01",
            lambda o, out: out != "accepted" and o.cents >= 100_00,
        ),
        (
            "?month=1997-03&state=declined&reason=account_closed",
            lambda o, out: out == "account_closed" and o.month == "1997-03",
        ),
    ],
)
def test_what_an_address_asks_for_is_found_to_the_cent(at, few, address, which) -> None:
    page = at(address)
    all_of_them = wanted(few, which)
    assert all_of_them
    shows(page, all_of_them[:50])
    more = "there are more" if len(all_of_them) > 50 else "there are no more"
    expect(page.get_by_text(f"newest business date first; {more}")).to_be_visible()


def test_fields_say_what_the_address_asks_and_change_it(at, few) -> None:
    page = at("?month=1997-03&state=declined")
    month = page.get_by_role("textbox", name="Month")
    expect(month).to_have_value("1997-03")
    shows(page, wanted(few, lambda o, out: o.month == "1997-03" and out != "accepted"))
    customer = page.get_by_role("textbox", name="Customer")
    customer.focus()
    page.keyboard.type("00485")
    page.keyboard.press("Enter")
    page.wait_for_url("**customer=00485**")
    expect(page.get_by_role("table", name="Orders").locator("tbody tr")).to_have_count(3)
    shows(
        page,
        wanted(
            few, lambda o, out: o.month == "1997-03" and out != "accepted" and o.customer == 485
        ),
    )
    expect(customer).to_be_focused()
    page.get_by_role("button", name="Clear", exact=True).press("Enter")
    expect(page.get_by_text("50 orders shown, number 1 to 50")).to_be_visible()
    assert page.url.endswith("/orders")
    expect(month).to_have_value("")
    page.get_by_role("combobox", name="State").focus()
    page.keyboard.type("Placed")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No order is like that")).to_be_visible()
    page.go_back()


def test_pages_follow_one_another(at, few) -> None:
    page = at("?from=1997-01-01")
    everything = wanted(few, lambda o, out: True)
    shows(page, everything[:50])
    page.get_by_role("button", name="Older").press("Enter")
    expect(page.get_by_text("number 51 to 100")).to_be_visible()
    shows(page, everything[50:100])
    page.get_by_role("button", name="Newer").press("Enter")
    expect(page.get_by_text("number 1 to 50")).to_be_visible()
    shows(page, everything[:50])


def test_a_row_leads_to_its_story_and_back_by_keyboard(at, few) -> None:
    page = at("?reason=no_funds")
    before = rows_of(page)
    page.get_by_role("link", name=before[0][0], exact=True).focus()
    page.wait_for_timeout(2500)
    expect(page.get_by_role("link", name=before[0][0], exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Declined: no funds", exact=True)).to_be_visible()
    expect(page.locator("dl.order")).to_contain_text(f"{before[0][1]} USD")
    page.get_by_role("button", name="Back to the orders found").press("Enter")
    shows(page, before)


def steps(page: Page) -> list[str]:
    page.locator("ol.story li").first.wait_for()
    return page.locator("ol.story li").evaluate_all(
        "all => all.map(li => [...li.querySelectorAll('.tag, .name')]"
        ".map(each => each.textContent).join(' '))"
    )


def accepted(few: list[Purchase], which: Callable[[Purchase], bool]) -> Purchase:
    decided = expected.outcomes(few)
    return next(o for o in few if decided[o.order_id] == "accepted" and which(o))


def test_an_event_driven_story_says_what_caused_what(at, few) -> None:
    order = accepted(few, lambda o: o.date < UNSHIPPED)
    page = at(f"?order={order.order_id}")
    assert steps(page) == [
        "Event NewOrder",
        "Event AuthorizationAccepted",
        "Message ShipOrder",
        "Event OrderShipped",
    ]
    expect(page.get_by_text("Event-driven:")).to_be_visible()
    story = page.locator("ol.story")
    placed = story.locator("li").first.locator(".quiet").first.text_content() or ""
    position = placed.rsplit(" ", 1)[1]
    expect(story.locator("li").nth(1)).to_contain_text(
        f"Because of NewOrder at position {position}."
    )
    expect(story.locator("li").nth(2)).to_contain_text("Because of AuthorizationAccepted at")
    expect(story.locator("li").nth(2)).to_contain_text("Not in the log; known by the event at")
    expect(story.locator("li").nth(3)).to_contain_text("Because of the message ShipOrder.")
    expect(story.locator("li").nth(0)).to_contain_text(f"{amount(order.cents)} USD")
    # Orders of 1997 are recorded today: that is said once, and nothing is marked as late.
    expect(page.get_by_text(f"Loaded from the past: nothing of {order.month}")).to_have_count(1)
    expect(page.get_by_text("Recorded late")).to_have_count(0)
    page.get_by_role("link", name="Because of the message ShipOrder.").press("Enter")
    assert page.url.endswith(f"?order={order.order_id.replace('/', '%2F')}#step-3") or (
        page.url.endswith(f"?order={order.order_id}#step-3")
    )
    assert steps(page)[2] == "Message ShipOrder"
    facts = story.locator("details").first
    facts.locator("summary").press("Enter")
    expect(facts).to_contain_text("orders[0] at offset")
    page.wait_for_timeout(2500)
    expect(facts).to_have_attribute("open", "")


def test_a_message_driven_story_tells_of_the_messages(at, few) -> None:
    order = accepted(few, lambda o: o.date >= ASKED)
    page = at(f"?order={order.order_id}")
    assert steps(page) == [
        "Message AuthorizePayment",
        "Message The reply, AuthorizationAccepted",
        "Message RecordRevenue",
        "Event AuthorizationAccepted",
        "Message ShipOrder",
        "Event OrderShipped",
    ]
    expect(page.get_by_text("Message-driven:")).to_be_visible()
    story = page.locator("ol.story li")
    expect(story.nth(1)).to_contain_text("Because of the message AuthorizePayment.")
    expect(story.nth(2)).to_contain_text("Because of the reply to AuthorizePayment.")
    expect(story.nth(3)).to_contain_text("Carried by the message RecordRevenue.")
    expect(story.nth(3)).to_contain_text("by the payment service, told by the order service")


def test_an_order_that_is_not_there_is_said(at) -> None:
    page = at("?order=CDNOW_master/99999/19970101/1/11.77")
    expect(page.get_by_text("There is no such order")).to_be_visible()
    expect(page.get_by_text("Look at its id again")).to_be_visible()


def test_what_cannot_be_understood_is_said(at) -> None:
    page = at("?month=1997-13&from=yesterday&least=1.005&state=lost")
    for said in (
        "“1997-13” is no month",
        "“yesterday” is no day",
        "has a fraction of a minor unit",
        "“lost” is no state",
    ):
        expect(page.get_by_text(said)).to_be_visible()


def test_what_others_wrote_is_shown_and_not_carried_out(at, home) -> None:
    page = at("?month=1990-01")
    row = page.get_by_role("table", name="Orders").locator("tbody tr")
    expect(row).to_have_count(1)
    assert rows_of(page)[0][0] == EVIL
    with closing(sqlite3.connect(home / "databases" / "report.sqlite")) as projections:
        projections.execute(
            "UPDATE order_stories SET customer_id = ? WHERE order_id = ?", (EVIL, EVIL)
        )
        projections.commit()
    expect(row).to_contain_text(f"1990-01-01 00:00:00{EVIL}")
    page.get_by_role("link", name=EVIL).first.press("Enter")
    expect(page.get_by_text(f"billed to {EVIL} Street")).to_be_visible()
    expect(page.locator("dl.order")).to_contain_text(f"Customer{EVIL}")
    page.goto(page.url.split("?")[0] + "?order=%3Cb%3Enone%3C/b%3E*x*")
    expect(page.get_by_text("<b>none</b>*x*", exact=True)).to_be_visible()
    page.goto(page.url.split("?")[0] + "?month=%3Cb%3E*x*%3C/b%3E")
    expect(page.get_by_text("“<b>*x*</b>” is no month")).to_be_visible()
    assert page.locator("main b, main img, section b, section img").count() == 0
    assert "taken" not in page.title()


def test_while_the_databases_are_away_the_page_stays_and_comes_back(at, home) -> None:
    away = home / "away"
    page = at("?reason=no_funds")
    before = rows_of(page)
    (home / "databases").rename(away)
    try:
        expect(page.get_by_text("can't be read at the moment")).to_be_visible()
        shows(page, before)
    finally:
        away.rename(home / "databases")
    expect(page.get_by_text("can't be read at the moment")).to_have_count(0)
    shows(page, before)
