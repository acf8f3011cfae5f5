"""The chain's proof on rows as the database holds them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from domain.contracts import Event, OrderShipped
from domain.errors import MalformedRecord
from event_log.database import UtcTime, table_of
from event_log.log import GENESIS, EventRow, RecordedEvent, chain
from reporting.proof_rows import Checked, check_rows, link
from tests.unit.test_codec import PAID, accepted, declined, items, new_order, text, who
from tests.unit.test_codec import when as ordered
from transport.codec import decode, encode, type_name

COLUMNS = [column.name for column in table_of(EventRow).columns]
TIMES = ("business_time", "published_time", "recorded_time")

shipped = st.builds(OrderShipped, text | st.just("nul \0"), who, ordered, items)
words = st.text(st.characters(codec="utf-8"), max_size=30)
number = st.integers(0, 2**63 - 1)
zones = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
fractions = st.sampled_from([0, 1, 500_000, 999_999, 100])
when = st.datetimes(
    datetime(2, 1, 1),  # noqa: DTZ001
    datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=zones,
).flatmap(lambda time: fractions.map(lambda micro: time.replace(microsecond=micro)))
KINDS = {int: number, str: words, datetime: when, bytes: st.binary(max_size=60)}
rows = st.fixed_dictionaries(
    {
        name: st.none() | words if name == "causation_id" else KINDS[kind]
        for name, kind in RecordedEvent.__annotations__.items()
        if name != "hash"
        for kind in [kind if kind in KINDS else str]
    }
)


def raw(row: dict[str, Any], hashed: bytes) -> tuple[Any, ...]:
    """A row as SQLite gives it back."""
    written = {
        name: UtcTime().process_bind_param(value, sqlite.dialect()) if name in TIMES else value
        for name, value in row.items()
    }
    return (*(written[name] for name in COLUMNS[:-1]), hashed)


@given(rows, st.binary(min_size=32, max_size=32))
def test_a_raw_row_is_hashed_as_the_recorder_hashes_it(row: dict[str, Any], before: bytes) -> None:
    row = {name: row[name] for name in COLUMNS[:-1]}
    assert link(before, raw(row, b"")) == chain(before, row)


def log_of(*changes: dict[str, Any]) -> list[tuple[Any, ...]]:
    """A log of right rows, with some columns changed before they were hashed."""
    rows, before = [], GENESIS
    for position, change in enumerate(changes, 1):
        row: dict[str, Any] = {
            "position": position,
            "event_id": f"event {position}",
            "type": "shop.AuthorizationAccepted",
            "version": 1,
            "source": "/shop/payment",
            "subject": PAID.order_id,
            "correlation_id": PAID.order_id,
            "causation_id": None,
            "business_time": PAID.ordered_at,
            "published_time": datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC),
            "recorded_time": datetime(2026, 1, 1, tzinfo=UTC),
            "topic": "authorizations",
            "partition": 0,
            "offset": position,
            "body": encode(PAID),
            **change,
        }
        before = chain(before, row)
        rows.append(raw(row, before))
    return rows


NOTHING: dict[str, Any] = {}
START = Checked(0, GENESIS)


def test_right_rows_are_right_to_the_last() -> None:
    rows = log_of(NOTHING, NOTHING, NOTHING)
    assert check_rows(START, rows) == Checked(3, rows[-1][-1])
    half_way = check_rows(START, rows[:2])
    assert check_rows(half_way, rows[2:]) == Checked(3, rows[-1][-1])


@pytest.mark.parametrize("column", range(1, len(COLUMNS)))
def test_any_changed_column_is_found_where_it_is(column: int) -> None:
    rows = log_of(NOTHING, NOTHING, NOTHING)
    changed = list(rows[1])
    before = changed[column]
    changed[column] = {int: 7, str: "2027-01-01T00:00:00.000000Z", bytes: b"x" * 32}.get(
        type(before), "cause"
    )
    rows[1] = tuple(changed)
    found = check_rows(START, rows)
    assert found.position == 1
    assert found.failure is not None
    assert found.failure.where == "position 2"


@pytest.mark.parametrize("wrong", [b"a blob", None, 17])
@pytest.mark.parametrize("column", [8, 9, 10])
def test_a_column_of_a_wrong_type_is_found_and_no_accident(column: int, wrong: object) -> None:
    rows = log_of(NOTHING, NOTHING)
    changed = list(rows[1])
    changed[column] = wrong
    found = check_rows(START, [rows[0], tuple(changed)])
    assert found.failure is not None
    assert found.failure.where == "position 2"
    assert "wrong type" in found.failure.what


def test_a_gap_is_named_with_how_many_are_missing() -> None:
    rows = log_of(*[NOTHING] * 6)
    found = check_rows(START, [*rows[:2], *rows[4:]])
    assert found.failure is not None
    assert (found.failure.where, found.failure.by) == ("position 3", {"positions": 2})
    assert "position 5 follows 2" in found.failure.what


def test_a_gap_is_found_though_the_chain_was_hashed_over_it() -> None:
    found = check_rows(START, log_of(NOTHING, {"position": 7}, {"position": 8}))
    assert found.failure is not None
    assert found.failure.where == "position 2"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"body": b"no JSON"}, "can't be decoded"),
        ({"type": "shop.Unheard"}, "can't be decoded: no contract"),
        ({"version": 2}, "can't be decoded: no contract"),
        ({"correlation_id": "test/2"}, "is of order 'test/1', its correlation id is 'test/2'"),
        ({"business_time": datetime(1997, 1, 2, tzinfo=UTC)}, "was ordered at 1997-01-01"),
        ({"body": encode(PAID).decode()}, "its body is str, not bytes"),
    ],
)
def test_a_row_that_no_recorder_writes_is_found_though_its_hash_is_right(
    change: dict[str, Any], what: str
) -> None:
    found = check_rows(START, log_of(NOTHING, change, NOTHING))
    assert found.position == 1
    assert found.failure is not None
    assert what in found.failure.what


def test_a_time_in_other_words_is_found_though_it_is_hashed_alike() -> None:
    rows = log_of(NOTHING)
    short = list(rows[0])
    short[10] = "2026-01-01T00:00:00Z"
    assert link(GENESIS, tuple(short)) == rows[0][-1]
    found = check_rows(START, [tuple(short)])
    assert found.failure is not None
    assert "not written as the recorder writes them" in found.failure.what


@given(st.one_of(accepted, declined, new_order, shipped))
def test_what_is_looked_at_together_is_no_less_strict_than_the_codec(event: Event) -> None:
    name, _, version = type_name(event).rpartition(".v")
    change = {
        "type": name,
        "version": int(version),
        "body": encode(event),
        "correlation_id": event.order_id,
        "business_time": event.ordered_at,
    }
    found = check_rows(START, log_of(change))
    try:
        decode(type_name(event), encode(event))
    except MalformedRecord:
        assert found.failure is not None
    else:
        assert found.failure is None


def test_a_body_that_others_wrote_is_right_too() -> None:
    """Other clients order keys and put spaces as they like; what they say counts."""
    spaced = encode(PAID).replace(b'":', b'" : ')
    rows = log_of(NOTHING, {"body": spaced}, NOTHING)
    assert check_rows(START, rows) == Checked(3, rows[-1][-1])


@pytest.mark.parametrize("position", [1, 99, 100, 101, 200, 250])
def test_among_many_rows_the_first_wrong_one_is_named(position: int) -> None:
    rows = log_of(*[NOTHING] * 250)
    for at in (position - 1, 249):
        rows[at] = (*rows[at][:4], "/shop/elsewhere", *rows[at][5:])
    found = check_rows(START, iter(rows))
    assert found.position == position - 1
    assert found.failure is not None
    assert found.failure.where == f"position {position}"
