import contextlib
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.contracts import (
    AuthorizationAccepted,
    AuthorizationDeclined,
    AuthorizationFailed,
    AuthorizePayment,
    Contract,
    Failure,
    NewOrder,
    OrderShipped,
    Reason,
    RecordRevenue,
    ShipOrder,
)
from domain.errors import MalformedRecord, OutOfBounds, UnknownType
from domain.money import MAX_MINOR_UNITS, Money
from transport.codec import (
    MAX_BODY_BYTES,
    MAX_LEVELS,
    decode,
    decode_incoming,
    digest,
    encode,
    kept_decoder,
    type_name,
)

PAID = AuthorizationAccepted(
    "test/1", "00001", datetime(1997, 1, 1, tzinfo=UTC), Money(1177, "USD"), 1
)
NAME = type_name(PAID)
BODY = encode(PAID)

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=50)
money = st.builds(Money, st.integers(0, MAX_MINOR_UNITS), st.sampled_from(["USD", "EUR"]))
when = st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
who = st.from_regex(r"[0-9]{1,18}", fullmatch=True)
items = st.integers(1, 1_000_000)
accepted = st.builds(AuthorizationAccepted, text, who, when, money, items)
declined = st.builds(AuthorizationDeclined, text, who, when, money, items, st.sampled_from(Reason))
new_order = st.builds(NewOrder, text, who, when, money, items, text)
contracts = st.one_of(
    accepted,
    declined,
    new_order,
    st.builds(OrderShipped, text, who, when, items),
    st.builds(ShipOrder, accepted),
    st.builds(AuthorizePayment, new_order),
    st.builds(RecordRevenue, accepted | declined),
    st.builds(AuthorizationFailed, text, st.sampled_from(Failure), text, st.booleans()),
)


@given(contracts)
def test_what_is_encoded_is_decoded_the_same(contract: Contract) -> None:
    assert decode(type_name(contract), encode(contract)) == contract


def test_the_body_of_ship_order_is_the_encoded_authorization() -> None:
    assert encode(ShipOrder(PAID)) == BODY


def test_unknown_fields_are_allowed() -> None:
    assert decode(NAME, BODY[:-1] + b',"later":{"a":[1]}}') == PAID


def test_a_number_of_an_unknown_field_may_be_any_that_is_json() -> None:
    assert decode(NAME, BODY[:-1] + b',"later":1e400}') == PAID


@pytest.mark.parametrize("nested", [("[", "]"), ('{"a":', "}")])
def test_as_many_levels_as_are_allowed_are_read_and_not_one_more(nested: tuple[str, str]) -> None:
    def with_levels(levels: int) -> bytes:
        inner = nested[0] * (levels - 1) + "1" + nested[1] * (levels - 1)
        return BODY[:-1] + f',"later":{inner}}}'.encode()

    assert decode(NAME, with_levels(MAX_LEVELS)) == PAID
    for levels in (MAX_LEVELS + 1, 2 * MAX_LEVELS, 900, 100_000):
        with pytest.raises(MalformedRecord, match="more than 100 levels deep"):
            decode(NAME, with_levels(levels))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"1177", b"0"),
        (b"1177", b"9223372036854775807"),
        (b'"USD"', b'"EUR"'),
        (b"1997-01-01T00:00:00Z", b"0001-01-01T00:00:00Z"),
        (b"1997-01-01T00:00:00Z", b"9999-12-31T23:59:59Z"),
        (b"1997-01-01T00:00:00Z", b"1997-01-01T00:00:00+14:00"),
    ],
)
def test_what_is_at_the_edge_of_the_contract_is_accepted(old: bytes, new: bytes) -> None:
    """Zero among them: real purchases contain some."""
    changed = decode(NAME, BODY.replace(old, new))
    assert changed != PAID
    assert decode(NAME, encode(changed)) == changed


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"1177", b"-1", "cents"),
        (b"1177", b"11.77", "cents"),
        (b"1177", b'"1177"', "cents"),
        (b"1177", b"NaN", "shop.AuthorizationAccepted.v1"),
        (b"1177", b"Infinity", "shop.AuthorizationAccepted.v1"),
        (b"1177", b"1e400", "shop.AuthorizationAccepted.v1"),
        (b"1177", b"9223372036854775808", "cents"),
        (b"1177", b"true", "cents"),
        (b"1177", b"null", "cents"),
        (b'"USD"', b'"usd"', "currency"),
        (b'"USD"', b'"USD\\n"', "currency"),
        (b"1177", b"1177.0", "cents"),
        (b"1177", b"1e3", "cents"),
        (b"test/1", b"test\\u0000/1", "order_id has a NUL"),
        (b"1997-01-01T00:00:00Z", b"1997-01-01T00:00:00", "ordered_at"),
        (b"1997-01-01T00:00:00Z", b"0000-01-01T00:00:00Z", "ordered_at"),
        (b"1997-01-01T00:00:00Z", b"yesterday", "ordered_at"),
        (b"1997-01-01T00:00:00Z", b"0001-01-01T00:00:00+12:00", "outside the calendar"),
        (b"1997-01-01T00:00:00Z", b"9999-12-31T23:00:00-12:00", "outside the calendar"),
        (b'"00001"', b'"one"', "customer_id"),
        (b'"00001"', b'"00001\\n"', "customer_id"),
        (b'"00001"', '"٠٠٠٠١"'.encode(), "customer_id"),
        (b'"00001"', b"1", "customer_id"),
        (b'"items":1', b'"items":0', "items"),
        (b'"items":1', b'"item":1', "items"),
        (b'"items":1', b'"items":1,"items":1', "'items' twice"),
        (b'"items":1', b'"items":1,"later":1,"later":2', "'later' twice"),
        (b'"items":1', b'"items":1,"later":{"a":1,"a":1}', "'a' twice"),
        (b'"items":1', b'"items":1,"later":NaN', "shop.AuthorizationAccepted.v1"),
        (b'"items":1', b'"items":1,"later":' + b"[" * 5000 + b"]" * 5000, "shop.Auth"),
        (b"test/1", b"\xff", "shop.AuthorizationAccepted.v1"),
    ],
)
def test_a_body_that_breaks_the_contract_is_refused_and_says_where(
    old: bytes, new: bytes, why: str
) -> None:
    assert old in BODY
    with pytest.raises(MalformedRecord, match=why):
        decode(NAME, BODY.replace(old, new))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"{}", b"\x00", None])
def test_what_is_no_such_object_is_refused(body: bytes | None) -> None:
    with pytest.raises(MalformedRecord):
        decode(NAME, body)


def with_time(text: str) -> bytes:
    return BODY.replace(b"1997-01-01T00:00:00Z", text.encode())


def ordered_at(body: bytes) -> datetime:
    read = [each(NAME, body).ordered_at for each in (decode, decode_incoming)]  # type: ignore[union-attr]
    assert read[0] == read[1]
    assert read[0].tzinfo is UTC
    return read[0]


LAST_OF_APRIL = datetime(2026, 4, 30, 23, 59, 59, 999999, UTC)


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-04-30T23:59:59.999999999Z", LAST_OF_APRIL),
        ("2026-04-30T23:59:59.9999995Z", LAST_OF_APRIL),
        ("2026-05-01T01:59:59.99999999+02:00", LAST_OF_APRIL),
        ("2026-05-01T01:59:59.999999+02:00", LAST_OF_APRIL),
        ("2099-12-31T23:59:59.999999999Z", datetime(2099, 12, 31, 23, 59, 59, 999999, UTC)),
        ("2026-04-30t23:59:59z", datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC)),
        ("2026-04-30 23:59:59+00:00", datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 999999, UTC)),
        ("\\u0031997-01-01T00:00:00.0000009Z", datetime(1997, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_any_of_rfc_3339_and_cut_as_in_the_headers(
    written: str, instant: datetime
) -> None:
    assert ordered_at(with_time(written)) == instant


@pytest.mark.parametrize(
    "body",
    [
        # Whatever else has such a name or such a text, wherever the field itself is.
        b'{"ordered_at" : "%s","later":{"ordered_at":"1999-01-01T00:00:00.9999999Z"}, ' + BODY[1:],
        BODY[:-1] + b',"later":[{"ordered_at":"x"}],"ordered\\u005fat":"%s"}',
        b'\n{ "later":"\\"ordered_at\\":\\"1999-01-01T00:00:00Z\\"","ordered_at":\t"%s" , '
        + BODY[1:],
    ],
)
def test_the_time_is_found_wherever_it_is(body: bytes) -> None:
    alone = body.replace(b'"ordered_at":"1997-01-01T00:00:00Z",', b"")
    written = alone.replace(b"%s", b"2026-04-30T23:59:59.999999999Z")
    assert written.count(b"1997-01") == 0
    assert ordered_at(written) == LAST_OF_APRIL


@pytest.mark.parametrize("extra", ["", " ", "0", "9999999"])
def test_one_instant_is_one_thing_however_it_is_written(extra: str) -> None:
    """So a repeat is known as one: the digest tells whether two say the same."""
    there = "1997-01-01T02:00:00+02:00"
    bodies = [with_time(there), with_time(there) + b" ", with_time("1997-01-01T00:00:00.000000Z")]
    bodies.append(with_time(f"1997-01-01T00:00:00.000000{extra.strip()}Z"))
    assert {digest(decode_incoming(NAME, body)) for body in bodies} == {digest(PAID)}


@pytest.mark.parametrize(
    "written",
    [
        *("2024-05-01T10:00:00+0200", "20240501T100000Z", "2024-W18-3T10:00:00Z"),
        *("2016-12-31T23:58:60Z", "2024-05-01T10:00:00+00:00:30", "2024-05-01T10:00Z"),
        "2024-05-01T24:00:00Z",
    ],
)
def test_what_is_no_time_of_rfc_3339_is_refused_where_it_comes_in(written: str) -> None:
    with pytest.raises(MalformedRecord, match=r"ordered_at '.*' is not a time of RFC 3339"):
        decode_incoming(NAME, with_time(written))


def test_what_was_taken_in_by_earlier_rules_is_read_all_the_same() -> None:
    """Each of them was in the contract once."""
    earlier = {
        b"1177": b"9223372036854775807",
        b'"00001"': b'"1"',
        b"1997-01-01T00:00:00Z": b"9999-12-31T00:00:00Z",
    }
    for old, new in earlier.items():
        body = BODY.replace(old, new)
        read = decode(NAME, body)
        assert encode(read) == body
        assert kept_decoder(AuthorizationAccepted)(body) == read
        with pytest.raises(OutOfBounds):
            decode_incoming(NAME, body)
    there = with_time("1997-01-01T02:00:00+0200")
    assert decode(NAME, there) == kept_decoder(AuthorizationAccepted)(there) == PAID
    with pytest.raises(MalformedRecord):
        decode_incoming(NAME, there)


def test_a_leap_second_that_was_taken_in_is_read_by_every_reader() -> None:
    body = with_time("2016-12-31T23:59:60Z")
    assert kept_decoder(AuthorizationAccepted)(body) == decode(NAME, body)
    with pytest.raises(msgspec.DecodeError):
        kept_decoder(AuthorizationAccepted)(b"{")


@pytest.mark.parametrize("contract", [ShipOrder(PAID), RecordRevenue(PAID)])
def test_what_a_message_carries_has_the_same_bounds(contract: Contract) -> None:
    body = encode(contract)
    assert decode_incoming(type_name(contract), body) == contract
    with pytest.raises(OutOfBounds, match=r"amount\.cents"):
        decode_incoming(type_name(contract), body.replace(b"1177", b"100000000001"))


def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(MalformedRecord, match="at most"):
        decode(NAME, b" " * (MAX_BODY_BYTES + 1))


@pytest.mark.parametrize("name", ["", "shop.NewOrder.v2", "shop.newOrder.v1", "NewOrder"])
def test_a_type_without_a_contract_is_refused(name: str) -> None:
    with pytest.raises(UnknownType, match=r"known are shop\.NewOrder\.v1"):
        decode(name, BODY)


@given(st.binary(max_size=300))
@example(b'{"a":1,"a":1}')
def test_any_bytes_are_decoded_or_refused_by_name(body: bytes) -> None:
    with contextlib.suppress(MalformedRecord):
        decode(NAME, body)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=20))
def test_any_json_is_decoded_or_refused_by_name(value: object) -> None:
    with contextlib.suppress(MalformedRecord):
        decode(NAME, msgspec.json.encode(value))
