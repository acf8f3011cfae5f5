"""A letter that is sent again has its effect once, also by the service that refused it alone."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from domain.contracts import NewOrder
from domain.money import Money
from tests.integration.pipes import NOW, Shop
from tests.integration.scripted import new_order
from transport.letters import DeadLetter, again, read_letter
from transport.records import Record, outgoing
from transport.topics import AUTHORIZATIONS, ORDERS, dead_letter_topic


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def in_euro(order: NewOrder) -> NewOrder:
    return msgspec.structs.replace(order, amount=Money(order.amount.cents, "EUR"))


def placed(order: NewOrder, offset: int = 0) -> Record:
    sent = outgoing(order, "/shop/order", NOW)
    return Record(ORDERS, 0, offset, sent.key, sent.body, tuple(sent.headers))


def sent_again(letter: DeadLetter, offset: int) -> Record:
    sent = again(letter)
    return Record(ORDERS, 0, offset, sent.key, sent.body, tuple(sent.headers))


def to_all(shop: Shop, record: Record) -> None:
    for service in (shop.payment, shop.order, shop.recorder):
        shop.deliver(service, [record])


def letters(shop: Shop) -> list[DeadLetter]:
    return [read_letter(record) for record in shop.topics.of(dead_letter_topic(ORDERS))]


def told(shop: Shop) -> list[tuple[str, int, str]]:
    """By whom, at which try, and for which kind of reason letters were written."""
    found = [(each.failure.service, each.tries, each.failure.reason) for each in letters(shop)]
    return [(service, tries, reason.partition(":")[0]) for service, tries, reason in found]


REFUSED = ("payment", 1, "CurrencyMismatch")


def test_as_it_was_it_is_refused_again_and_not_forgotten(shop: Shop) -> None:
    to_all(shop, placed(in_euro(new_order())))
    assert told(shop) == [REFUSED]
    to_all(shop, sent_again(letters(shop)[0], 1))
    assert told(shop) == [REFUSED, ("payment", 2, "CurrencyMismatch")]
    assert shop.topics.of(AUTHORIZATIONS) == []


def test_mended_it_is_decided_once(shop: Shop) -> None:
    order = new_order()
    to_all(shop, placed(in_euro(order)))
    mended = replace(letters(shop)[0], body=placed(order).value)
    to_all(shop, sent_again(mended, 1))
    assert len(shop.topics.of(AUTHORIZATIONS)) == 1
    # These took it as it was, and say so.
    taken = [("order", 2, "IdReused"), ("recorder", 2, "IdReused")]
    assert told(shop) == [REFUSED, *taken]
    to_all(shop, sent_again(mended, 2))
    assert len(shop.topics.of(AUTHORIZATIONS)) == 1


def test_mended_and_with_an_id_of_its_own_it_is_refused_by_nobody(shop: Shop) -> None:
    order = new_order()
    to_all(shop, placed(in_euro(order)))
    letter = letters(shop)[0]
    renamed = [(n, str(uuid4()).encode() if n == "ce_id" else v) for n, v in letter.headers]
    mended = replace(letter, body=placed(order).value, headers=renamed)
    for offset in (1, 2):
        to_all(shop, sent_again(mended, offset))
        assert len(shop.topics.of(AUTHORIZATIONS)) == 1
    assert told(shop) == [REFUSED]


def test_a_refusal_that_comes_twice_is_one_letter(shop: Shop) -> None:
    for _ in range(3):
        to_all(shop, placed(in_euro(new_order(number="same"))))
    assert told(shop) == [REFUSED]
