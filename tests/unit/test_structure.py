"""The project's shape: arrows, error tree, and what the design forbids."""

import inspect
import re
from pathlib import Path

import domain.errors
from domain.contracts import AuthorizationAccepted, NewOrder, ShipOrder
from domain.identity import message_id_of
from transport.codec import type_name
from transport.topics import TOPICS, topic_of

ROOT = Path(__file__).parents[2]
ROOMS = (
    "cli",
    "streams",
    "request_reply",
    "reporting",
    "services",
    "event_log",
    "transport",
    "domain",
)


def test_the_error_tree_on_the_page_is_the_tree_in_the_code() -> None:
    drawn = set(re.findall(r"^[ │├└─]*([A-Z]\w+) ", inspect.getdoc(domain.errors) or "", re.M))
    classes = {
        name
        for name, value in vars(domain.errors).items()
        if isinstance(value, type) and issubclass(value, domain.errors.ShopError)
    }
    assert classes == drawn - {"The"}


def test_every_contract_has_one_topic_and_one_name() -> None:
    carried = [contract for topic in TOPICS for contract in topic.carries]
    assert len(carried) == len(set(carried))
    for contract in carried:
        assert re.fullmatch(rf"shop\.{contract.__name__}\.v\d+", type_name(contract))
        assert topic_of(contract) in {topic.name for topic in TOPICS}


def test_no_room_is_a_drawer_for_everything() -> None:
    names = {path.stem for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "helper", "common", "misc"}


def test_no_file_grows_past_what_one_can_read() -> None:
    lengths = {
        path: len(path.read_text().splitlines())
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
    }
    assert {str(p): n for p, n in lengths.items() if n > 400} == {}


def test_ids_say_what_of_which_order_and_nothing_else() -> None:
    from tests.unit.test_codec import PAID

    order = NewOrder(*[getattr(PAID, f) for f in PAID.__struct_fields__], "1 Order Street")
    ids = [message_id_of(each) for each in (order, PAID, ShipOrder(PAID))]
    assert len(set(ids)) == 3
    again = AuthorizationAccepted("test/1", "00009", PAID.ordered_at, PAID.amount, 7)
    assert message_id_of(again) == ids[1]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-\w{12}", ids[0])
