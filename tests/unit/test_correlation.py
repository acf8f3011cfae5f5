"""Return addresses: as spring-kafka writes them, and refused where they are not."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import MalformedRecord
from request_reply.correlation import (
    CORRELATION_ID,
    EXPIRY_TIME,
    MAX_CORRELATION_BYTES,
    REPLY_PARTITION,
    REPLY_TOPIC,
    ReturnAddress,
    expiry_of,
    request_headers,
    return_address,
)

ADDRESS = ReturnAddress("payment.replies", 258, bytes(range(16)))
LATER = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)
HEADERS = request_headers(ADDRESS, LATER)


def with_header(name: str, value: bytes | None) -> list[tuple[str, bytes | None]]:
    return [(n, value if n == name else v) for n, v in HEADERS]


def test_headers_are_those_of_spring_kafka_to_the_byte() -> None:
    assert [
        ("kafka_correlationId", bytes(range(16))),
        ("kafka_replyTopic", b"payment.replies"),
        ("kafka_replyPartition", b"\x00\x00\x01\x02"),
        ("ce_expirytime", b"2026-01-02T03:04:05.000600Z"),
    ] == HEADERS


def test_without_partition_and_deadline_there_are_no_headers_for_them() -> None:
    headers = request_headers(ReturnAddress("mine", None, b"c"), None)
    assert headers == [(CORRELATION_ID, b"c"), (REPLY_TOPIC, b"mine")]
    assert return_address(headers) == ReturnAddress("mine", None, b"c")
    assert expiry_of(headers) is None


@pytest.mark.parametrize("partition", [0, 1, 2**31 - 1])
def test_every_partition_is_named_also_the_first(partition: int) -> None:
    address = ReturnAddress("mine", partition, b"c")
    assert return_address(request_headers(address, None)) == address


def test_headers_of_others_are_left_alone_even_doubled() -> None:
    others = [("ce_id", b"1"), ("ce_id", b"2"), ("x", None), ("kafka_replytopic", b"other")]
    assert return_address([*others, *HEADERS]) == ADDRESS
    assert expiry_of([*others, *HEADERS]) == LATER


@pytest.mark.parametrize("value", [None, b"", b"x" * (MAX_CORRELATION_BYTES + 1)])
def test_a_correlation_id_that_is_none_is_refused(value: bytes | None) -> None:
    with pytest.raises(MalformedRecord, match="kafka_correlationId is missing, empty or too long"):
        return_address(with_header(CORRELATION_ID, value))


def test_the_longest_correlation_id_is_taken() -> None:
    longest = b"\xff" * MAX_CORRELATION_BYTES
    assert return_address(with_header(CORRELATION_ID, longest)).correlation_id == longest


@pytest.mark.parametrize(
    ("value", "why"), [(None, "missing"), (b"", "missing"), (b"\xff", "not UTF-8")]
)
def test_a_reply_topic_that_is_none_is_refused(value: bytes | None, why: str) -> None:
    with pytest.raises(MalformedRecord, match=f"kafka_replyTopic is {why}"):
        return_address(with_header(REPLY_TOPIC, value))


@pytest.mark.parametrize("name", [CORRELATION_ID, REPLY_TOPIC])
def test_a_missing_header_is_named(name: str) -> None:
    with pytest.raises(MalformedRecord, match=f"{name} is missing"):
        return_address([(n, v) for n, v in HEADERS if n != name])


@pytest.mark.parametrize(
    "value", [b"", b"1", b"\x00\x00\x01", b"\x00\x00\x00\x00\x01", b"\xff\xff\xff\xff", b"\x80" * 4]
)
def test_a_partition_that_is_none_is_refused(value: bytes) -> None:
    with pytest.raises(MalformedRecord, match="kafka_replyPartition is not a partition in 4 bytes"):
        return_address(with_header(REPLY_PARTITION, value))


@pytest.mark.parametrize("name", [CORRELATION_ID, REPLY_TOPIC, REPLY_PARTITION])
def test_a_header_of_an_address_may_say_the_same_twice_and_not_two_things(name: str) -> None:
    assert return_address([*HEADERS, (name, dict(HEADERS)[name])]) == ADDRESS
    with pytest.raises(MalformedRecord, match=f"{name} is there twice, and says two things"):
        return_address([*HEADERS, (name, b"else")])


def test_a_deadline_of_another_zone_is_the_same_instant() -> None:
    there = timezone(timedelta(hours=-5))
    headers = request_headers(ADDRESS, LATER.astimezone(there))
    assert headers == HEADERS
    assert expiry_of(with_header(EXPIRY_TIME, b"2026-01-01T22:04:05.0006-05:00")) == LATER


@pytest.mark.parametrize(
    "value", [b"", b"soon", b"\xff", b"2026-01-02T00:00:00", b"9999-12-31T23:59:59-23:00"]
)
def test_a_deadline_that_is_no_time_is_refused(value: bytes) -> None:
    with pytest.raises(MalformedRecord, match="ce_expirytime"):
        expiry_of(with_header(EXPIRY_TIME, value))


def test_a_doubled_deadline_is_refused() -> None:
    with pytest.raises(MalformedRecord, match="ce_expirytime is there twice"):
        expiry_of([*HEADERS, (EXPIRY_TIME, b"2026-01-02T00:00:00Z")])


addresses = st.builds(
    ReturnAddress,
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.none() | st.integers(0, 2**31 - 1),
    st.binary(min_size=1, max_size=MAX_CORRELATION_BYTES),
)
instants = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(addresses, st.none() | instants)
def test_every_address_and_deadline_survives_the_wire(
    address: ReturnAddress, expires_at: datetime | None
) -> None:
    headers = request_headers(address, expires_at)
    assert return_address(headers) == address
    assert expiry_of(headers) == expires_at


@given(
    st.lists(
        st.tuples(
            st.sampled_from([CORRELATION_ID, REPLY_TOPIC, REPLY_PARTITION, EXPIRY_TIME, "x"]),
            st.none() | st.binary(max_size=30),
        )
    )
)
def test_whatever_comes_is_read_or_refused(headers: list[tuple[str, bytes | None]]) -> None:
    for read in (return_address, expiry_of):
        with contextlib.suppress(MalformedRecord):
            read(headers)
