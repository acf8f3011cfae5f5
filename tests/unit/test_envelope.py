from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import MalformedRecord
from transport.envelope import MAX_ATTRIBUTE_BYTES, Envelope, from_headers, to_headers

ENVELOPE = Envelope(
    "id-1", "shop.NewOrder.v1", "/shop/order", datetime(2026, 1, 2, tzinfo=UTC), "a/1", "a/1", "c"
)
HEADERS = to_headers(ENVELOPE)


def with_header(name: str, value: bytes | None) -> list[tuple[str, bytes | None]]:
    return [(n, value if n == name else v) for n, v in HEADERS]


def test_an_envelope_is_read_as_it_was_written() -> None:
    assert from_headers(HEADERS) == ENVELOPE


def test_headers_of_others_are_left_alone_even_doubled() -> None:
    others = [("traceparent", b"\xff"), ("traceparent", None)]
    assert from_headers([*others, *HEADERS]) == ENVELOPE


def test_a_time_of_another_zone_is_the_same_instant() -> None:
    there = timezone(timedelta(hours=2))
    envelope = from_headers(with_header("ce_time", b"2026-01-02T02:00:00+02:00"))
    assert envelope == ENVELOPE
    assert to_headers(Envelope("i", "t", "s", datetime(2026, 1, 2, 2, tzinfo=there), "a", "a"))[
        4
    ] == ("ce_time", b"2026-01-02T00:00:00Z")


@pytest.mark.parametrize("name", [name for name, _ in HEADERS if name != "ce_causationid"])
def test_a_missing_attribute_is_named(name: str) -> None:
    with pytest.raises(MalformedRecord, match=f"no header {name}"):
        from_headers([(n, v) for n, v in HEADERS if n != name])


@pytest.mark.parametrize("name", [name for name, _ in HEADERS])
@pytest.mark.parametrize(
    ("value", "why"),
    [(b"", "empty"), (None, "empty"), (b"\xff", "UTF-8"), (b"x" * 2000, "bytes")],
)
def test_a_wrong_attribute_is_named(name: str, value: bytes | None, why: str) -> None:
    with pytest.raises(MalformedRecord, match=f"header {name} .*{why}"):
        from_headers(with_header(name, value))


@pytest.mark.parametrize("name", [name for name, _ in HEADERS])
def test_a_doubled_attribute_is_named(name: str) -> None:
    with pytest.raises(MalformedRecord, match=f"header {name} is there twice"):
        from_headers([*HEADERS, (name, b"x")])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_specversion", b"0.3"),
        ("content-type", b"text/plain"),
        ("ce_time", b"2026-01-02T00:00:00"),
        ("ce_time", b"yesterday"),
        ("ce_time", b"0000-01-01T00:00:00Z"),
        ("ce_time", b"9999-12-31T23:59:59-23:00"),
    ],
)
def test_a_value_that_means_nothing_is_refused(name: str, value: bytes) -> None:
    with pytest.raises(MalformedRecord):
        from_headers(with_header(name, value))


def test_a_media_type_may_have_parameters() -> None:
    value = b"application/json; charset=utf-8"
    assert from_headers(with_header("content-type", value)) == ENVELOPE


attribute = st.text(st.characters(codec="utf-8"), min_size=1, max_size=MAX_ATTRIBUTE_BYTES // 4)
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.builds(Envelope, attribute, attribute, attribute, instants, attribute, attribute))
def test_every_envelope_survives_the_wire(envelope: Envelope) -> None:
    assert from_headers(to_headers(envelope)) == envelope
