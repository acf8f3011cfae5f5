from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import MalformedRecord
from transport.envelope import (
    MAX_ATTRIBUTE_BYTES,
    Envelope,
    attributes_of,
    envelope_of,
    from_headers,
    parse_time,
    to_headers,
)

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


REQUIRED = ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_correlationid")
OPTIONAL = ("ce_time", "ce_subject", "ce_causationid", "content-type")


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_attribute_is_named(name: str) -> None:
    with pytest.raises(MalformedRecord, match=f"no header {name}"):
        from_headers([(n, v) for n, v in HEADERS if n != name])


def test_the_attributes_that_the_standard_leaves_open_may_be_missing() -> None:
    """CloudEvents 1.0.2, section 3.1.2: the business time stands in, and the order as subject."""
    assert {*REQUIRED, *OPTIONAL} == {name for name, _ in HEADERS}
    least = [(n, v) for n, v in HEADERS if n in REQUIRED]
    ordered_at = datetime(1997, 1, 1, tzinfo=UTC)
    assert envelope_of(attributes_of(least), ordered_at) == replace(
        ENVELOPE, time=ordered_at, subject=ENVELOPE.correlation_id, causation_id=None
    )
    with pytest.raises(MalformedRecord, match="no header ce_time"):
        from_headers(least)


def test_the_attributes_that_others_may_add_are_left_alone() -> None:
    """The optional ones of the standard, its documented extensions, and whatever else."""
    more = [
        *(("ce_dataschema", b"urn:x"), ("ce_datacontenttype", b"text/xml")),
        *(("ce_partitionkey", b"00001"), ("ce_traceparent", b""), ("ce_sampledrate", None)),
        *(("CE_ID", b"another"), ("Content-Type", b"text/xml"), ("ce-id", b"another")),
    ]
    assert from_headers([*more, *HEADERS]) == ENVELOPE


@pytest.mark.parametrize("name", [name for name, _ in HEADERS])
@pytest.mark.parametrize(
    ("value", "why"),
    [(b"", "empty"), (None, "empty"), (b"\xff", "UTF-8"), (b"x" * 2000, "bytes")],
)
def test_a_wrong_attribute_is_named(name: str, value: bytes | None, why: str) -> None:
    with pytest.raises(MalformedRecord, match=f"header {name} .*{why}"):
        from_headers(with_header(name, value))


@pytest.mark.parametrize("name", [name for name, _ in HEADERS])
def test_an_attribute_may_say_the_same_twice_and_not_two_things(name: str) -> None:
    assert from_headers([*HEADERS, (name, dict(HEADERS)[name])]) == ENVELOPE
    for headers in ([*HEADERS, (name, b"x")], [(name, b"x"), *HEADERS]):
        with pytest.raises(MalformedRecord, match=f"header {name} is there twice"):
            from_headers(headers)


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


@pytest.mark.parametrize(
    "value",
    [
        *("application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"),
        *('APPLICATION/JSON ; Charset="Utf-8"', "application/json; charset=us-ascii"),
        *("application/json;", "application/json; profile=x", " application/json "),
    ],
)
def test_a_media_type_is_read_in_any_case_and_with_parameters(value: str) -> None:
    assert from_headers(with_header("content-type", value.encode())) == ENVELOPE


@pytest.mark.parametrize(
    ("value", "why"),
    [
        *(("text/json", "is not application/json"), ("application/jsonx", "is not application/js")),
        *(("application/json/x", "is not app"), (";", "is not app"), ("application", "is not app")),
        ("application/json; charset=iso-8859-1", "another character set than UTF-8"),
        ("application/json; charset=utf-16", "another character set than UTF-8"),
        ("application/json; charset=", "another character set than UTF-8"),
        ("application/cloudevents+json", "CloudEvents in structured mode"),
        ("Application/CloudEvents+JSON; charset=UTF-8", "CloudEvents in structured mode"),
        ("application/cloudevents", "CloudEvents in structured mode"),
        ("application/cloudevents+avro", "CloudEvents in structured mode"),
        ("application/cloudevents-batch+json", "CloudEvents in batched mode"),
    ],
)
def test_another_body_is_refused_by_its_name(value: str, why: str) -> None:
    """Also where it has no attributes in its headers, as structured mode may have."""
    alone = [("content-type", value.encode())]
    for headers in (with_header("content-type", value.encode()), alone):
        with pytest.raises(MalformedRecord, match=why) as caught:
            from_headers(headers)
        assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        (b"2026-04-30T23:59:59.999999999Z", datetime(2026, 4, 30, 23, 59, 59, 999999, UTC)),
        (b"2026-04-30t23:59:59z", datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC)),
        (b"2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 999999, UTC)),
    ],
)
def test_a_time_is_any_of_rfc_3339_and_cut(written: bytes, time: datetime) -> None:
    assert from_headers(with_header("ce_time", written)).time == time


@pytest.mark.parametrize(
    "written",
    [b"20240501T100000Z", b"2024-W18-3T10:00:00Z", b"2024-05-01T10:00:00+00:00:30"],
)
def test_what_only_looks_like_rfc_3339_is_refused_where_it_comes_in_alone(written: bytes) -> None:
    headers = with_header("ce_time", written)
    with pytest.raises(MalformedRecord, match=r"ce_time .* is not a time of RFC 3339"):
        from_headers(headers)
    assert envelope_of(attributes_of(headers), None, kept=True).time.year == 2024
    assert parse_time("2024-05-01T10:00Z", "--as-of", lenient=True) == datetime(
        2024, 5, 1, 10, tzinfo=UTC
    )


@pytest.mark.parametrize("typed", ["2024-05-01", "2024-05-01T10:00", "yesterday", "10:00Z", ""])
def test_what_is_no_instant_is_refused_of_people_too(typed: str) -> None:
    with pytest.raises(MalformedRecord, match="--as-of"):
        parse_time(typed, "--as-of", lenient=True)


attribute = st.text(st.characters(codec="utf-8"), min_size=1, max_size=MAX_ATTRIBUTE_BYTES // 4)
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.builds(Envelope, attribute, attribute, attribute, instants, attribute, attribute))
def test_every_envelope_survives_the_wire(envelope: Envelope) -> None:
    assert from_headers(to_headers(envelope)) == envelope
    assert from_headers([*to_headers(envelope), *to_headers(envelope)]) == envelope
