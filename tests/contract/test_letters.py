"""The letter desk on either database: what could not be handled is kept, mended and sent again."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from domain.errors import MalformedRecord, ShopError
from domain.letters import LetterState
from event_log.outbox import Relay
from services.letter_store import all_letters, keep_letters, letter_named
from services.letters import LetterDesk
from tests.contract.conftest import Places
from tests.integration.pipes import NOW, Topics
from tests.unit.test_letters import arrived
from transport.letters import dead_letter, read_letter
from transport.records import Record

BODY = b'{"items":1,"items":2.10}\0'
HEADERS = (("a", None), ("a", b"\xff\0"))


@pytest.fixture
def desk(places: Places) -> Iterator[LetterDesk]:
    """A desk with two letters of one record, and one of another that a stranger has written."""
    made = LetterDesk(places.of("dead_letters"))
    record = Record("orders", 2, 10**17, b"1", BODY, HEADERS)
    why = MalformedRecord("no header ce_type")
    outs = [dead_letter(record, service, why, NOW) for service in ("payment", "order")]
    stranger = Record("orders", 0, 1, None, None, ())
    outs.append(dead_letter(stranger, "order\0", MalformedRecord("unknown 'a\0b'"), NOW))
    kept = [read_letter(arrived(out)) for out in outs]
    for _ in range(2):
        made.database.in_transaction(lambda connection: keep_letters(connection, kept))
    yield made
    made.database.close()


NAME = f"orders/2/{10**17}"


def test_letters_are_kept_once_and_as_they_came(desk: LetterDesk) -> None:
    assert [each.name for each in desk.letters()] == [NAME, "orders/0/1"]
    letter = desk.letter(NAME)
    assert [each.service for each in letter.refusals] == ["payment", "order"]
    assert (letter.letter.body, tuple(letter.letter.headers)) == (BODY, HEADERS)
    assert [each.letter.body for each in desk.letters(with_bodies=False)] == [None, None]
    assert desk.letter("orders/0/1").refusals[0].reason.endswith("unknown 'a\N{SYMBOL FOR NULL}b'")


@pytest.mark.parametrize("name", ["orders/9999999999/1", f"orders/2/{'9' * 30}", "no/such/1"])
def test_a_name_that_is_none_finds_nothing(desk: LetterDesk, name: str) -> None:
    with desk.database.reading() as connection:
        assert letter_named(connection, name) is None


def test_what_is_mended_and_sent_goes_once_and_what_it_was_stays(desk: LetterDesk) -> None:
    letter = desk.letter(NAME)
    desk.edit(letter, replace(letter.letter, body=b"mended"), "why", NOW)
    with pytest.raises(ShopError, match="meanwhile"):
        desk.edit(letter, replace(letter.letter, body=b"late"), "", NOW)
    assert desk.send([NAME, NAME], NOW) == 1
    with pytest.raises(ShopError, match="was sent on"):
        desk.send(["orders/0/1", NAME], NOW)
    desk.drop(["orders/0/1"], "no use", NOW)
    topics = Topics()
    assert Relay(desk.database, topics).drain() == 1
    assert [each.value for each in topics.of("orders")] == [b"mended"]
    with desk.database.reading() as connection:
        sent, dropped = all_letters(connection)
    assert (sent.state, sent.came.body) == (LetterState.SENT, BODY)
    assert (dropped.state, dropped.done[0].note) == (LetterState.DROPPED, "no use")


@pytest.mark.parametrize("table", ["letters", "letter_actions"])
def test_letters_are_kept_for_good(desk: LetterDesk, table: str) -> None:
    desk.drop(["orders/0/1"], "no use", NOW)
    with (
        pytest.raises(IntegrityError, match="kept for good"),
        desk.database.transaction() as connection,
    ):
        connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608


def test_letters_of_a_topic_made_anew_are_others_and_keep_their_names(places: Places) -> None:
    """The same offset of two topics of one name: the first keeps the short name for good."""
    desk = LetterDesk(places.of("dead_letters"))
    record = Record("orders", 2, 17, b"00042", b"first", ())
    other, why = replace(record, value=b"second"), MalformedRecord("why")
    former, later = "A" * 22, "B" * 22
    outs = [
        dead_letter(record, "payment", why, NOW, former),
        dead_letter(other, "payment", why, NOW, later),
        dead_letter(record, "order", why, NOW, former),
    ]
    letters = [
        read_letter(Record(out.topic, 0, number, out.key, out.body, tuple(out.headers)))
        for number, out in enumerate(outs)
    ]

    def keep(connection: Connection) -> None:
        keep_letters(connection, letters)
        keep_letters(connection, letters)

    desk.database.in_transaction(keep)
    first, second = desk.letters()
    assert (first.name, first.letter.body, len(first.refusals)) == ("orders/2/17", b"first", 2)
    assert (second.name, second.letter.body) == (f"orders/2/17@{later}", b"second")
    desk.drop([second.name], "not ours", NOW)
    assert desk.letter("orders/2/17").state is LetterState.OPEN
    assert desk.letter(second.name).state is LetterState.DROPPED
    with pytest.raises(ShopError, match="no letter"):
        desk.letter(f"orders/2/17@{former}")
    desk.database.close()
