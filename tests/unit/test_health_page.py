"""What the page "Log and health" says, where it takes it from, and the proof behind its button."""

import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from cli.in_background import InBackground
from domain.errors import StoreError
from reporting.dashboard.health_facts import Health, Letters, LetterText
from reporting.dashboard.health_looking import LastProof, Reached, Rows, after, look_into
from reporting.dashboard.health_rows import (
    ago,
    broker_line,
    letter_as_html,
    letters_line,
    part_now,
    positions_table,
    proof_line,
    rows_table,
)
from reporting.dashboard.plain_text import plain
from reporting.dashboard.prover import PartNow, Prover
from reporting.dashboard.sources import Sources
from reporting.figure import Stamp
from reporting.projections import all_projections
from reporting.proof import Failure, Finding, Head, Part, PartName
from reporting.proofs import Proved, ProvedPart, keep, newest
from tests.waiting import wait_for

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEAD = Head(17, bytes(range(32)), "2026-03-01T11:00:00Z", {})
CHAIN = Part("chain", Finding({"positions": 17}), 1.25)
BROKEN = Part("orders", Finding({}, ("a note",), Failure("order 3", "is wrong", {"cents": 5})), 2.0)
LEFT_OUT = Part("offsets", None, skipped="Kafka was not asked")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "just now"),
        (1, "just now"),
        (59, "59 seconds ago"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (86_400 * 1500, "1,500 days ago"),
    ],
)
def test_ages(seconds, said) -> None:
    assert ago(timedelta(seconds=seconds)) == said


def test_what_was_kept_of_proofs_comes_back_and_the_newest_counts(tmp_path) -> None:
    path = tmp_path / "databases" / "proofs.sqlite"
    assert newest(path) is None
    assert list(tmp_path.iterdir()) == []
    keep(path, HEAD, [CHAIN, BROKEN, LEFT_OUT], NOW)
    keep(path, HEAD, [CHAIN, LEFT_OUT], NOW + timedelta(hours=1))
    found = newest(path)
    assert found == Proved(
        NOW + timedelta(hours=1),
        17,
        bytes(range(32)).hex(),
        True,
        (
            ProvedPart("chain", "holds", "17 positions, each hash right", (), 1.25),
            ProvedPart("offsets", "left out", "Kafka was not asked", (), 0.0),
        ),
    )


def test_where_a_proof_cannot_be_kept_that_is_an_error_of_ours(tmp_path) -> None:
    path = tmp_path / "proofs.sqlite"
    path.write_text("no database at all, but long enough to be looked at")
    with pytest.raises(StoreError, match=r"proofs\.sqlite"):
        keep(path, HEAD, [CHAIN], NOW)


def proved(*words: str) -> Proved:
    parts = tuple(ProvedPart(f"p{n}", word, "", (), 1.0) for n, word in enumerate(words))
    return Proved(NOW, 17, "ab" * 32, "fails" not in words, parts)


@pytest.mark.parametrize(
    ("last", "begins", "has", "well"),
    [
        (LastProof(), "Nothing was proved yet.", "", True),
        (LastProof(proved("holds"), 17), "**It holds** up to position 17", "not moved on", True),
        (LastProof(proved("holds"), 18), "**It holds**", "1 event is not proved yet", True),
        (LastProof(proved("holds"), 5017), "**It holds**", "5,000 events", True),
        (LastProof(proved("left out"), 17), "**It holds** up", "with p0 left out", True),
        (LastProof(proved("holds", "fails"), 17), "**It fails: p1**", "", False),
        (LastProof(proved("holds"), 17, same=False), "**It holds**", "another event", False),
    ],
)
def test_the_last_proof_in_words(last, begins, has, well) -> None:
    said, is_well = proof_line(last, NOW + timedelta(minutes=3))
    assert said.startswith(begins)
    assert has in said
    assert is_well is well


def test_parts_of_a_running_proof() -> None:
    assert part_now("chain", None) == (0.0, "Chain: waits for its turn")
    assert part_now("chain", PartNow(500, 2000)) == (0.25, "Chain: 500 of 2,000")
    assert part_now("chain", PartNow(7, 0)) == (0.0, "Chain: begins")
    assert part_now("chain", PartNow(ended=CHAIN))[1].startswith("Chain: holds, 17 positions")
    assert part_now("orders", PartNow(ended=BROKEN))[1] == (
        "Orders: fails, fails at order 3 (by 5 cents): is wrong"
    )


def test_a_prover_proves_once_at_a_time_and_says_how_far_it_is() -> None:
    go_on, begun = threading.Event(), []

    def prove(prover: Prover) -> None:
        begun.append(1)
        prover.progress(PartName.CHAIN, 1, 2)
        go_on.wait(10)
        prover.ended(CHAIN)
        raise StoreError("no room")

    prover = Prover(prove)
    assert prover.start()
    assert not prover.start()
    wait_for(lambda: prover.now.parts.get("chain") == PartNow(1, 2), "it tells")
    go_on.set()
    wait_for(lambda: not prover.now.running, "it ends")
    assert prover.now.parts["chain"].ended is CHAIN
    assert prover.now.trouble == "no room"
    assert prover.start()
    wait_for(lambda: len(begun) == 2, "it can be run again")


def test_what_takes_long_holds_nobody_up() -> None:
    go_on, asked = threading.Event(), []

    def find() -> int:
        asked.append(1)
        go_on.wait(10)
        return len(asked)

    health = InBackground(find, every=0.0, useless_after=1000.0, wait=0.0)
    assert health.newest() is None
    assert health.newest() is None
    go_on.set()
    wait_for(lambda: health.newest() is not None, "it is found out")
    assert len(asked) >= 1


def test_what_fails_to_be_found_out_is_tried_again() -> None:
    tries = []

    def find() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("not now")
        return "found"

    health = InBackground(find, every=0.0, useless_after=0.0, wait=5.0)
    wait_for(lambda: health.newest() == "found", "it is tried again")


def test_what_is_old_is_said() -> None:
    health = Health(NOW, "here:9092", None, (), Letters())
    assert broker_line(health, NOW) == "Broker here:9092 answers · looked at 12:00:00 UTC"
    assert "1 minute ago" in broker_line(health, NOW + timedelta(minutes=1))


def test_letters_in_words() -> None:
    one = SimpleNamespace()
    assert letters_line(Letters()).startswith("No dead letter is open")
    assert letters_line(Letters(1, [one])) == "1 dead letter is open."  # type: ignore[list-item]
    many = letters_line(Letters(1234, [one]))  # type: ignore[list-item]
    assert many == "1,234 dead letters are open; the newest 1 are listed."


def test_a_letter_is_shown_with_escapes_and_carried_out_by_nobody() -> None:
    shown = letter_as_html(LetterText("<k>", [("<h>", "<v>")], "<s>\x07\u202e\n", 3000))
    for mark in ("<k>", "<h>", "<v>", "<s>"):
        assert mark not in shown
        assert mark.replace("<", "&lt;").replace(">", "&gt;") in shown
    assert "\\x07\\u202e" in shown
    assert "3,000 characters more" in shown


def test_text_of_others_is_no_markdown() -> None:
    assert plain("a *b*\n:red[x] <i>") == "a \\*b\\* \\:red\\[x\\] \\<i\\>"


def test_how_far_projections_are() -> None:
    log = Stamp(5000, "ab", "2026-03-01T11:00:00Z", "USD")
    shown = positions_table(Reached(log, (("One", 5000), ("Two", 17), ("Three", 6000))))
    assert ">Up to date<" in shown
    assert ">4,983<" in shown
    assert "another log" in shown
    assert "Nothing to read yet" in positions_table(Reached(None, (("One", 0),)))


def test_what_was_seen_stays_while_it_is_away() -> None:
    log = Stamp(5, "ab", "2026-03-01T11:00:00Z", "USD")
    seen = Reached(log, (("One", 5),))
    gone = after(seen, Reached(None, (("One", 0),)))
    assert (gone.log, gone.projections) == (log, seen.projections)
    assert "not there any more" in gone.troubles[0]
    locked = after(seen, Reached(log, (), ("locked",)))
    assert (locked.projections, locked.troubles) == (seen.projections, ("locked",))
    assert after(gone, seen) == seen
    assert after(Reached(), Reached()) == Reached()


def test_rows_of_any_projection(tmp_path) -> None:
    found = Rows(("day", "currency", "orders", "cents"), (("1997", "USD", 1234, 123456),))
    shown = rows_table("Any", found)
    assert ">Amount<" in shown
    assert ">1,234.56<" in shown
    assert ">1,234<" in shown
    strange = Rows(("a_key", "cents", "hash"), (("<b>", 1234, b"\xab"), ("x", None, None)))
    shown = rows_table("Any", strange)
    assert ">Cents<" in shown
    assert "&lt;b&gt;" in shown
    assert ">ab<" in shown
    sources = Sources(tmp_path / "log", tmp_path / "report.sqlite", "USD")
    for projection in all_projections().values():
        assert look_into(sources, projection, "x").rows == ()
    assert list(tmp_path.iterdir()) == []
