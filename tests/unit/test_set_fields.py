"""`shop dead-letters edit --set`: one field is changed, and nothing else."""

import pytest

from cli.letter_edits import Edits, checked, edited
from domain.errors import ShopError
from tests.integration.pipes import NOW
from tests.integration.scripted import new_order
from transport.letters import DeadLetter, Failure
from transport.records import outgoing

FAILURE = Failure("r", "payment", "orders", 0, 1, "2026-01-01T00:00:00Z")


def with_set(body: bytes, *fields: str) -> bytes | None:
    letter = DeadLetter(b"1", [], body, FAILURE, 1, ())
    return edited(letter, Edits(None, fields, None, (), ())).body


@pytest.mark.parametrize(
    "number", ["1.10", "0.1234567890123456789", "-0", "1E+400", "1" * 40, "12345678901234567.5"]
)
def test_numbers_that_are_not_set_stay_as_they_were(number: str) -> None:
    body = b'{"other":%s,"items":0}' % number.encode()
    assert with_set(body, "items=1") == body.replace(b":0}", b":1}")
    assert with_set(b'{"items":0}', f"items={number}") == b'{"items":%s}' % number.encode()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_may_be_replaced_and_not_be_left(number: str) -> None:
    body = b'{"items":%s,"other":1}' % number.encode()
    assert with_set(body, "items=1") == b'{"items":1,"other":1}'
    with pytest.raises(ShopError, match="NaN or an infinity"):
        with_set(body, "other=2")
    with pytest.raises(ShopError, match="NaN or an infinity"):
        with_set(b"{}", f"items={number}")


@pytest.mark.parametrize("body", [b'{"items":1,"items":2}', b'{"a":{"items":1,"items":2}}'])
def test_of_a_key_that_is_there_twice_none_is_dropped_unseen(body: bytes) -> None:
    with pytest.raises(ShopError, match="'items' twice"):
        with_set(body, "other=1")


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("amount.cents=100000000001", "larger than 100000000000 minor units"),
        ("ordered_at=9999-12-31T00:00:00Z", "up to 2100-01-01"),
        ("ordered_at=20240501T100000Z", "not a time of RFC 3339"),
        ("customer_id=42", "not in the one form|Expected `str`"),
    ],
)
def test_an_edit_that_the_contract_refuses_is_refused(field: str, why: str) -> None:
    sent = outgoing(new_order(), "/test", NOW)
    letter = DeadLetter(sent.key, sent.headers, sent.body, FAILURE, 1, ())
    checked(edited(letter, Edits(None, ("amount.cents=100000000000",), None, (), ())), frozenset())
    with pytest.raises(ShopError, match=f"would be refused again.*({why})"):
        checked(edited(letter, Edits(None, (field,), None, (), ())), frozenset())
