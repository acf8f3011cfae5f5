"""Dead letters: there and back again, to the byte."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli import letter_view
from cli.letter_edits import Edits, edited, past_deadline
from cli.letter_view import print_letter, print_letters
from domain.errors import MalformedRecord, ShopError
from domain.letters import Action, LetterState, state_after
from event_log.database import unpack_headers
from event_log.outbox import waiting
from services.letter_store import keep_letters
from services.letters import LetterDesk, open_letters
from transport.clients import MAX_RECORD_BYTES
from transport.letters import (
    MAX_HISTORY,
    MAX_HISTORY_BYTES,
    MAX_PAST_REASON,
    MAX_REASON_BYTES,
    DeadLetter,
    again,
    dead_letter,
    read_letter,
    size_of,
)
from transport.records import Outgoing, Record

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WHY = MalformedRecord("no header ce_type")

names = st.text(min_size=1, max_size=20).filter(lambda name: not name.startswith("dead_letter_"))
headers = st.lists(st.tuples(names, st.none() | st.binary(max_size=50)), max_size=5)
whole = st.builds(
    lambda key, value, headers: Record("orders", 2, 17, key, value, tuple(headers)),
    st.none() | st.binary(max_size=50),
    st.none() | st.binary(max_size=50),
    headers,
)


def arrived(out: Outgoing, offset: int = 0) -> Record:
    """A record as who reads the topic sees it."""
    return Record(out.topic, out.partition or 0, offset, out.key, out.body, tuple(out.headers))


@given(whole)
def test_a_letter_gives_back_what_came(record: Record) -> None:
    letter = read_letter(arrived(dead_letter(record, "payment", WHY, NOW)))
    assert (letter.key, letter.body, tuple(letter.headers)) == (
        record.key,
        record.value,
        record.headers,
    )
    failure = letter.failure
    assert (failure.topic, failure.partition, failure.offset) == ("orders", 2, 17)
    assert (failure.service, failure.reason) == ("payment", "MalformedRecord: no header ce_type")
    assert (letter.tries, letter.history) == (1, ())
    back = again(letter)
    assert (back.topic, back.partition, back.key, back.body) == (
        "orders",
        2,
        record.key,
        record.value,
    )
    assert tuple(back.headers)[:-1] == record.headers


@given(whole)
def test_who_fails_again_has_a_history(record: Record) -> None:
    for number in range(1, MAX_HISTORY + 4):
        letter = read_letter(arrived(dead_letter(record, "payment", WHY, NOW)))
        assert letter.tries == number
        assert len(letter.history) == min(number - 1, MAX_HISTORY)
        record = arrived(again(letter), offset=17 + number)
    assert letter.history[-1].offset == letter.failure.offset - 1


def failed_before(**changes: object) -> bytes:
    place = {"topic": "orders", "partition": 0, "offset": 0, "time": "x", **changes}
    failure = {"reason": "r", "service": "s", **place}
    return json.dumps({"tries": 1, "failures": [failure]}).encode()


@given(
    st.none()
    | st.binary(max_size=100)
    | st.integers().map(lambda tries: json.dumps({"tries": tries, "failures": []}).encode())
    | st.integers().map(lambda offset: failed_before(offset=offset))
    | st.integers().map(lambda partition: failed_before(partition=partition))
)
def test_a_strangers_history_breaks_nothing(value: bytes | None) -> None:
    record = Record("orders", 0, 1, None, b"x", (("dead_letter_history", value),))
    letter = read_letter(arrived(dead_letter(record, "payment", WHY, NOW)))
    assert 1 <= letter.tries < 2**31
    assert all(0 <= each.offset < 2**63 for each in letter.history)
    assert letter.body == b"x"
    assert read_letter(arrived(dead_letter(arrived(again(letter)), "payment", WHY, NOW))).history


def test_a_history_leaves_room_for_the_record_in_its_own_topic() -> None:
    """A broker takes 48,576 bytes more than the largest body that a contract allows."""
    record = Record("orders", 0, 1, None, b"", ())
    for _ in range(MAX_HISTORY + 1):
        why = MalformedRecord("x" + "\N{SNOWMAN}" * 5000)
        out = dead_letter(record, "payment", why, NOW)
        reason = dict(out.headers)["dead_letter_reason"] or b""
        assert MAX_REASON_BYTES - 3 < len(reason) <= MAX_REASON_BYTES
        assert reason.decode().endswith("\N{SNOWMAN}")
        record = arrived(again(read_letter(arrived(out))))
    ((_, history),) = record.headers
    assert len(history or b"") < 3 * MAX_HISTORY * (MAX_PAST_REASON + 60)


@pytest.mark.parametrize("word", ["s" * 60_000, "\N{SNOWMAN}" * 300, "\0" * 300, "😀" * 300])
def test_no_history_makes_a_letter_larger_than_its_topic_takes(word: str) -> None:
    failure = {"reason": word, "service": word, "topic": word, "time": word}
    past = [{**failure, "partition": 0, "offset": number} for number in range(MAX_HISTORY)]
    history = json.dumps({"tries": 20, "failures": past}).encode()
    for size in (0, 11_000_000):
        record = Record("orders", 0, 1, None, b"x" * size, (("dead_letter_history", history),))
        out = dead_letter(record, "payment", MalformedRecord(word), NOW)
        assert size_of(out) <= MAX_RECORD_BYTES
        assert out.body == record.value
        told = dict(out.headers)
        assert told["dead_letter_tries"] == b"21"
        assert len(told.get("dead_letter_history") or b"") <= MAX_HISTORY_BYTES + 100
        back = again(read_letter(arrived(out)))
        assert size_of(back) < size + 48_576
        assert json.loads(dict(back.headers)["dead_letter_history"] or b"")["tries"] == 21


@pytest.mark.parametrize(
    "change",
    [
        {"dead_letter_offset": b"seventeen"},
        {"dead_letter_offset": b"9" * 30},
        {"dead_letter_partition": b"-1"},
        {"dead_letter_tries": b"9" * 30},
        {"dead_letter_tries": None},
        {"dead_letter_time": b"noon"},
        {"dead_letter_topic": b"elsewhere"},
        {"dead_letter_service": None},
    ],
)
def test_what_is_no_letter_is_refused(change: dict[str, bytes | None]) -> None:
    out = dead_letter(Record("orders", 0, 1, None, b"x", ()), "payment", WHY, NOW)
    found = {**dict(out.headers), **change}
    kept = [(name, value) for name, value in found.items() if value is not None]
    with pytest.raises(MalformedRecord, match=r"orders\.dead-letter\[0\]@0"):
        read_letter(arrived(Outgoing(out.topic, out.key, kept, out.body)))


@pytest.mark.parametrize(
    ("actions", "state"),
    [
        ([], LetterState.OPEN),
        ([Action.EDITED], LetterState.OPEN),
        ([Action.EDITED, Action.SENT], LetterState.SENT),
        ([Action.DROPPED], LetterState.DROPPED),
        ([Action.SENT, Action.EDITED], LetterState.OPEN),
        ([Action.DROPPED, Action.SENT], LetterState.SENT),
    ],
)
def test_a_letter_stands_as_was_last_done_with_it(
    actions: list[Action], state: LetterState
) -> None:
    assert state_after(actions) is state


@pytest.fixture
def desk(tmp_path: Path) -> LetterDesk:
    """A desk with two letters of one record, and one of another."""
    made = LetterDesk(tmp_path / "dead_letters.sqlite")
    record = Record("orders", 2, 17, b"1", b'{"items":1,"items":2.10}', (("a", None), ("a", b"b")))
    outs = [dead_letter(record, service, WHY, NOW) for service in ("payment", "order")]
    outs.append(dead_letter(Record("orders", 0, 1, None, b"x", ()), "order", WHY, NOW))
    kept = [read_letter(arrived(out)) for out in outs]
    made.database.in_transaction(lambda connection: keep_letters(connection, kept))
    made.database.in_transaction(lambda connection: keep_letters(connection, kept))
    return made


class TestDesk:
    def test_refusals_of_one_record_are_one_letter(self, desk: LetterDesk) -> None:
        assert [each.name for each in desk.letters()] == ["orders/2/17", "orders/0/1"]
        letter = desk.letter("orders/2/17")
        assert [each.service for each in letter.refusals] == ["payment", "order"]
        assert letter.letter.headers == [("a", None), ("a", b"b")]
        assert open_letters(desk.letters()) == {"orders": 2}

    @pytest.mark.parametrize(
        "name", ["", "orders", "2/17", "orders/02/17", "orders/2/-1", f"orders/2/{'9' * 30}"]
    )
    def test_a_letter_has_one_name(self, desk: LetterDesk, name: str) -> None:
        with pytest.raises(ShopError, match="there is no letter"):
            desk.letter(name)

    def test_what_is_sent_is_sent_once_and_all_or_none(self, desk: LetterDesk) -> None:
        assert desk.send(["orders/2/17", "orders/2/17"], NOW) == 1
        with pytest.raises(ShopError, match=r"orders/2/17 was sent on 2026-01-01 .*--again"):
            desk.send(["orders/0/1", "orders/2/17"], NOW)
        assert desk.letter("orders/0/1").done == ()
        assert waiting(desk.database) == 1
        assert desk.send(["orders/2/17"], NOW, closed_too=True) == 1
        assert open_letters(desk.letters()) == {"orders": 1}

    def test_a_letter_goes_with_so_much_of_its_history_as_its_topic_takes(
        self, desk: LetterDesk
    ) -> None:
        record = Record("orders", 3, 1, b"1", b"x" * 1000, ())
        for _ in range(4):
            letter = read_letter(arrived(dead_letter(record, "payment", WHY, NOW), offset=5))
            record = arrived(again(letter), offset=1)
        desk.database.in_transaction(lambda connection: keep_letters(connection, [letter]))
        assert len(letter.history) == 3
        assert desk.send([letter.failure.name], NOW, largest={"orders": 1500}) == 1
        with desk.database.reading() as connection:
            packed = connection.exec_driver_sql("SELECT headers FROM outbox").scalar()
        sent = Outgoing("orders", b"1", unpack_headers(packed), b"x" * 1000)
        assert size_of(sent) <= 1500
        past = json.loads(dict(sent.headers)["dead_letter_history"] or b"")
        assert past["tries"] == 4
        assert 0 < len(past["failures"]) < 4
        with pytest.raises(ShopError, match=r"without its history, and topic orders takes 1,100"):
            desk.send([letter.failure.name], NOW, closed_too=True, largest={"orders": 1100})

    def test_only_open_letters_are_dropped_and_all_or_none(self, desk: LetterDesk) -> None:
        desk.send(["orders/2/17"], NOW)
        with pytest.raises(ShopError, match="orders/2/17 was sent"):
            desk.drop(["orders/0/1", "orders/2/17"], "why", NOW)
        desk.drop(["orders/0/1"], "why", NOW)
        letter = desk.letter("orders/0/1")
        assert (letter.state, letter.done[0].note) == (LetterState.DROPPED, "why")
        assert open_letters(desk.letters()) == {}

    def test_an_edit_of_what_was_changed_meanwhile_is_not_kept(self, desk: LetterDesk) -> None:
        read = desk.letter("orders/2/17")
        desk.edit(read, replace(read.letter, body=b"mended"), "", NOW)
        with pytest.raises(ShopError, match="meanwhile"):
            desk.edit(read, replace(read.letter, body=b"late"), "", NOW)
        letter = desk.letter("orders/2/17")
        assert (letter.letter.body, letter.came.body) == (b"mended", read.letter.body)

    def test_what_a_stranger_wrote_is_shown_as_it_is(
        self, desk: LetterDesk, capsys: pytest.CaptureFixture[str]
    ) -> None:
        body = b'{"a":"[/b] :smile: \xc2\x9b31m","a":1.10}'
        record = Record("orders", 0, 2, b"[/b]", body, (("h", b"\x1b[31m"), ("n", None)))
        out = dead_letter(record, "order", MalformedRecord("[/b] :smile: \x1b[31m"), NOW)
        kept = [read_letter(arrived(out))]
        desk.database.in_transaction(lambda connection: keep_letters(connection, kept))
        print_letters(desk.letters())
        print_letter(desk.letter("orders/0/2"))
        shown = capsys.readouterr().out
        assert shown.count("[/b]") == 4
        assert "\x1b" not in shown
        assert "h: 0x1b5b33316d\n  n: null" in shown
        assert '  "a": "[/b] :smile: \\x9b31m",\n  "a": 1.10\n' in shown

    @pytest.mark.parametrize("terminal", [True, False])
    def test_letters_are_listed_with_the_whole_reason_on_any_width(
        self, desk: LetterDesk, *, terminal: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        why = " ".join(f"word-{number}" for number in range(60))
        record = Record("payment.requests", 12, 123456, None, b"", ())
        kept = [read_letter(arrived(dead_letter(record, "responder", MalformedRecord(why), NOW)))]
        desk.database.in_transaction(lambda connection: keep_letters(connection, kept))
        file = StringIO()
        console = Console(
            file=file, width=80, force_terminal=terminal, color_system=None, soft_wrap=True
        )
        monkeypatch.setattr(letter_view, "out", console)
        print_letters([desk.letter("payment.requests/12/123456")])
        lines = file.getvalue().splitlines()
        assert lines[0].startswith("payment.requests/12/123456: open, refused by responder")
        assert all(line.startswith("    ") for line in lines[1:-1])
        assert " ".join(" ".join(lines[1:-1]).split()) == f"MalformedRecord: {why}"
        assert len(lines[1:-1]) > 5 if terminal else len(lines) == 3
        assert not terminal or max(map(len, lines[1:])) <= 80


def letter_of(body: bytes | None, *headers: tuple[str, bytes | None]) -> DeadLetter:
    record = Record("payment.requests", 0, 1, b"k", body, headers)
    return read_letter(arrived(dead_letter(record, "responder", WHY, NOW)))


def change(**changes: object) -> Edits:
    nothing = {"body": None, "fields": (), "key": None, "headers": (), "removed": ()}
    return Edits(**{**nothing, **changes})  # type: ignore[arg-type]


class TestEdits:
    def test_each_part_can_be_mended(self) -> None:
        letter = letter_of(b'{"a":{"b":1},"c":2}', ("x", b"1"), ("y", None), ("z", b"\xff"))
        edits = change(fields=["a.b=[3]", "d.e=text"], key="\udcff", headers=["x=a=b"])
        mended = edited(letter, replace(edits, removed=["z"]))
        assert mended.body == b'{"a":{"b":[3]},"c":2,"d":{"e":"text"}}'
        assert mended.key == b"\xff"
        assert mended.headers == [("y", None), ("x", b"a=b")]

    @pytest.mark.parametrize(
        ("body", "edits", "message"),
        [
            (b"no json", change(fields=["a=1"]), "give --body"),
            (b"[" * 100_000, change(fields=["a=1"]), "give --body"),
            (b'{"a":1}', change(fields=["a.b=1"]), "no object"),
            (b'{"a":"\\ud800"}', change(fields=["b=1"]), "half a character"),
            (None, change(removed=["x"]), "no header x"),
        ],
    )
    def test_what_can_t_be_done_is_said(self, body: bytes, edits: Edits, message: str) -> None:
        with pytest.raises(ShopError, match=message):
            edited(letter_of(body), edits)

    @pytest.mark.parametrize(
        "edits",
        [change(fields=["a"]), change(headers=["=1"]), change(headers=["dead_letter_history=1"])],
    )
    def test_a_wrong_command_line_is_one(self, edits: Edits) -> None:
        with pytest.raises(typer.BadParameter):
            edited(letter_of(b"{}"), edits)

    def test_a_request_past_its_deadline_is_told(self) -> None:
        late = letter_of(b"", ("ce_expirytime", b"2025-12-31T00:00:00Z"))
        assert "--remove-header ce_expirytime" in (past_deadline("orders/0/1", late, NOW) or "")
        for headers in ([], [("ce_expirytime", b"2026-02-01T00:00:00Z")], [("ce_expirytime", b"")]):
            assert past_deadline("", letter_of(b"", *headers), NOW) is None
