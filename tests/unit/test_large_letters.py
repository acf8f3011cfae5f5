"""Letters of records that are larger than any dead-letter topic takes."""

from datetime import UTC, datetime

import pytest

from domain.errors import MalformedRecord
from reporting.proof_records import digest_of
from transport.clients import MAX_RECORD_BYTES
from transport.letters import (
    MAX_CARRIED_BYTES,
    MAX_HISTORY,
    again,
    dead_letter,
    read_letter,
    size_of,
)
from transport.records import Outgoing, Record

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LARGE = b"x" * (MAX_CARRIED_BYTES + 1)
SMALL = b"small"


def letter_of(key: bytes | None, header: bytes, body: bytes | None) -> Outgoing:
    record = Record("orders", 2, 17, key, body, (("a", header), ("b", None)))
    return dead_letter(record, "payment", MalformedRecord("too large"), NOW)


def arrived(out: Outgoing, offset: int) -> Record:
    return Record(out.topic, 0, offset, out.key, out.body, tuple(out.headers))


@pytest.mark.parametrize(
    ("key", "header", "body", "left_out"),
    [
        (SMALL, SMALL, LARGE, {"body"}),
        (SMALL, LARGE, SMALL, {"headers"}),
        (LARGE, SMALL, None, {"key"}),
        (LARGE, LARGE, LARGE + b"x", {"key", "headers", "body"}),
        (LARGE[: len(LARGE) // 2], SMALL, LARGE[: len(LARGE) // 2 + 9], {"body"}),
        (SMALL, SMALL, LARGE[:-100], set()),
    ],
)
def test_the_largest_part_is_left_out_and_the_reason_says_so(
    key: bytes | None, header: bytes, body: bytes | None, left_out: set[str]
) -> None:
    out = letter_of(key, header, body)
    letter = read_letter(arrived(out, 0))
    assert letter.key == (None if "key" in left_out else key)
    assert letter.body == (None if "body" in left_out else body)
    assert letter.headers == ([] if "headers" in left_out else [("a", header), ("b", None)])
    reason = letter.failure.reason
    for part in ("key", "headers", "body"):
        assert (f"without its {part} of" in reason) == (part in left_out)
    assert reason.endswith("MalformedRecord: too large")
    assert left_out == set() or "orders[2]@17" in reason
    assert size_of(out) < MAX_RECORD_BYTES


def test_whatever_its_history_a_letter_can_be_sent() -> None:
    why = MalformedRecord("\N{SNOWMAN}" * 5000)
    record = Record("orders", 2, 17, None, LARGE[:-100], ())
    for offset in range(MAX_HISTORY + 2):
        out = dead_letter(record, "payment", why, NOW)
        assert out.body == record.value
        assert size_of(out) < MAX_RECORD_BYTES
        record = arrived(again(read_letter(arrived(out, offset))), offset)
        record = Record("orders", 2, 18 + offset, None, record.value, record.headers)


@pytest.mark.parametrize("body", [None, SMALL, LARGE])
def test_a_proof_knows_a_letter_by_what_it_can_carry(body: bytes | None) -> None:
    record = Record("orders", 2, 17, SMALL, body, (("a", b""),))
    out = dead_letter(record, "recorder", MalformedRecord("too large"), NOW)
    assert digest_of(arrived(out, 0)) == digest_of(record)
    assert digest_of(record) != digest_of(Record("orders", 2, 17, b"other", body, ()))
