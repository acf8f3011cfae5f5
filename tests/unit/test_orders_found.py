"""Which orders an address asks for, and that they are found by indexes and by nothing else."""

import itertools
from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import Connection, text

from event_log.database import table_of
from reporting.dashboard import orders_found
from reporting.dashboard.orders_asked import Asked, asked_for, link
from reporting.dashboard.orders_found import Found, find, query, story_of
from reporting.projections.stories import Story, StoryRow
from reporting.projector import open_projections

REASONS = ("no_funds", "billing_address_incorrect", "account_closed")
STATES = ("placed", "accepted", "shipped", "declined")


def story(number: int) -> Story:
    state = STATES[number % 4]
    reason = REASONS[number // 4 % 3] if state == "declined" else None
    # Seven orders a day, so that the order's id decides within it; a customer's are spread.
    day = f"{1997 + number // 250}-{number // 21 % 12 + 1:02}-{number // 7 % 28 + 1:02}"
    return Story(
        f"o/{number:04}",
        state,
        reason,
        None if number % 101 == 0 else number * 37 % 500,
        None if number % 101 == 0 else ("EUR" if number % 50 == 7 else "USD"),
        f"{number % 13:05}",
        f"{day}T12:00:00.000000Z",
    )


STORIES = [story(number) for number in range(1000)]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    projections = open_projections(tmp_path_factory.mktemp("stories") / "report.sqlite")
    with projections.transaction() as opened:
        opened.execute(table_of(StoryRow).insert(), [each._asdict() for each in STORIES])
    with projections.reading() as opened:
        yield opened
    projections.close()


def asked(address: str) -> Asked:
    made, wrong = asked_for(dict(parse_qsl(address)), "USD")
    assert not wrong
    return made


def brute(address: str) -> list[Story]:
    """What must be found, by looking at each."""
    said = dict(parse_qsl(address))
    states = {"accepted": {"accepted", "shipped"}, "unshipped": {"accepted"}}

    def fits(each: Story) -> bool:
        day = each.ordered_at[:10]
        amounts = {"least", "most"} & said.keys()
        return (
            said.get("customer", each.customer_id) == each.customer_id
            and day.startswith(said.get("month", ""))
            and said.get("from", day) <= day <= said.get("to", day)
            and not (amounts and each.cents is None)
            and float(said.get("least", 0)) * 100 <= (each.cents or 0)
            and (each.cents or 0) <= float(said.get("most", 1000)) * 100
            and each.state in states.get(said.get("state", ""), {said.get("state", each.state)})
            and said.get("reason", each.reason) == each.reason
        )

    return sorted(
        filter(fits, STORIES), key=lambda each: (each.ordered_at, each.order_id), reverse=True
    )


PARTS = (
    ("", "customer=00007"),
    ("", "month=1998-03", "from=1997-02-03&to=1999-05-28"),
    ("", "least=0.37&most=0.37", "least=1&most=4", "most=2.5"),
    ("", "state=placed", "state=accepted", "state=unshipped", "state=declined", "reason=no_funds"),
)
ADDRESSES = ["&".join(filter(None, parts)) for parts in itertools.product(*PARTS)]


@pytest.mark.parametrize("few", [5, 2000])
def test_all_that_is_asked_for_is_found_in_order(connection, monkeypatch, few) -> None:
    monkeypatch.setattr(orders_found, "FEW", few)
    for address in ADDRESSES:
        wanted = brute(address)
        found: list[Story] = []
        for page in itertools.count(1):
            got = find(connection, asked(f"{address}&page={page}"))
            found += got.stories
            if not got.more:
                break
        if "least" in address or "most" in address:
            # In another currency an amount is another amount.
            wanted = [each for each in wanted if each.currency == "USD"]
        assert found == wanted, address


def test_every_search_goes_by_an_index_that_has_what_it_needs(connection) -> None:
    for address, few in itertools.product(ADDRESSES, (False, True)):
        wanted = asked(address)
        statement, values = query(wanted, few=few and wanted.has_amount)
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"), values)
        for step in [row[3] for row in plan if "order_stories" in row[3] or " story" in row[3]]:
            # By the index of times alone if nothing else is asked for; it ends with the page.
            by_time = step.startswith("SCAN") and "COVERING INDEX ix_order_stories_time" in step
            looked_up = step.startswith("SEARCH") and (
                "COVERING INDEX" in step
                or "PRIMARY KEY" in step
                or "ix_order_stories_amount" in step
            )
            by_customer = step.startswith("SEARCH") and "ix_order_stories_customer" in step
            assert by_time or looked_up or by_customer, (address, step)


def test_one_order_is_found_by_its_id(connection) -> None:
    assert story_of(connection, "o/0017") == STORIES[17]
    assert story_of(connection, "o/17") is None


def test_a_page_too_far_is_empty(connection) -> None:
    assert find(connection, asked("page=200")) == Found((), more=False)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("month=1997-13", "no month"),
        ("month=97-01", "no month"),
        ("from=1997-02-30", "no day"),
        ("to=19970228", "no day"),
        ("from=1997-03-02&to=1997-03-01", "begin after their end"),
        ("month=1997-03&from=1997-04-01", "begin after their end"),
        ("least=abc", "not an amount"),
        ("least=-1", "not an amount"),
        ("most=0.005", "fraction of a minor unit"),
        ("most=1,00", "not an amount"),
        ("least=2&most=1", "begins above its end"),
        ("state=lost", "no state"),
        ("reason=moon", "no reason"),
        ("state=shipped&reason=no_funds", "Only a declined order"),
        ("page=0", "no page"),
        ("page=9999999999999999999999", "no page"),
        ("page=²", "no page"),
        (f"page=000000001{'9' * 5000}", "no page"),
    ],
)
def test_what_is_wrong_is_said(address, said) -> None:
    _, wrong = asked_for(dict(parse_qsl(address)), "USD")
    (sentence,) = wrong
    assert said in sentence


def test_what_is_asked_for_is_read_exactly() -> None:
    assert asked("least=1,234.50&most=10%2C000") == Asked("USD", least=1234_50, most=10_000_00)
    assert asked("month=1997-12") == Asked("USD", first="1997-12-01", end="1997-12U")
    assert asked("customer=+00042+&state=") == Asked("USD", customer="00042")
    assert asked("customer=42") == asked("customer=0000042") == Asked("USD", customer="00042")
    assert asked("customer=x") == Asked("USD", customer="x")
    assert asked("reason=no_funds").kinds == (("declined", "no_funds"),)
    assert not asked("page=3").anything
    assert asked("state=placed").anything


def test_amounts_follow_the_currency() -> None:
    made, wrong = asked_for({"least": "1234"}, "JPY")
    assert (made.least, wrong) == (1234, [])


def test_a_link_keeps_what_was_asked_for() -> None:
    said = {"month": "1997-03", "page": "2", "embed": "true"}
    assert link(said, order="a/1&b") == "?order=a%2F1%26b&month=1997-03&page=2"
    assert link({**said, "order": "x"}, order=None, page=None) == "?month=1997-03"
