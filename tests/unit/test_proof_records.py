"""What became of one offset, decided from what Kafka and the log have of it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.contracts import AuthorizationFailed, Failure, RecordRevenue
from domain.errors import MalformedRecord
from domain.identity import message_id_of
from domain.money import Money
from reporting.proof_letters import letter_in
from reporting.proof_records import (
    DEAD_LETTERS,
    NO_RECORD,
    NOT_YET,
    RECORDED,
    REPEATS,
    Difference,
    Recorded,
    Repeat,
    digest_of,
    fate_of,
)
from tests.unit.test_codec import BODY, PAID
from transport.codec import encode
from transport.envelope import Envelope, to_headers
from transport.letters import dead_letter
from transport.records import Record, outgoing
from transport.topics import TopicPartition

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def record_of(contract: object) -> Record:
    said = outgoing(contract, "/shop/payment", NOW, cause="a cause")  # type: ignore[arg-type]
    return Record(said.topic, 0, 7, said.key, said.body, tuple(said.headers))


RECORD = record_of(PAID)
ROW = Recorded(
    position=17,
    event_id=message_id_of(PAID),
    type="shop.AuthorizationAccepted",
    version=1,
    source="/shop/payment",
    subject=PAID.order_id,
    correlation_id=PAID.order_id,
    causation_id="a cause",
    business_time="1997-01-01T00:00:00Z",
    published_time="2026-01-01T00:00:00Z",
    body=BODY,
)
REPEAT = Repeat(ROW.event_id, 17, ROW.type, 1, BODY)
LETTER = digest_of(RECORD)
OTHER_AMOUNT = encode(
    type(PAID)(PAID.order_id, PAID.customer_id, PAID.ordered_at, Money(1, "USD"), PAID.items)
)
FAILED = AuthorizationFailed(PAID.order_id, Failure.EXPIRED, "too late", retryable=False)


def what(found: object) -> str:
    assert isinstance(found, Difference), found
    return found.what


@pytest.mark.parametrize(
    ("row", "repeat", "letter", "handled", "fate"),
    [
        (ROW, None, None, True, RECORDED),
        (ROW, None, LETTER, True, RECORDED),
        (None, REPEAT, None, True, REPEATS),
        (None, None, LETTER, True, DEAD_LETTERS),
        (None, None, None, False, NOT_YET),
    ],
)
def test_what_is_right(
    row: Recorded | None, repeat: Repeat | None, letter: bytes | None, handled: bool, fate: str
) -> None:
    assert fate_of(RECORD, row, repeat, letter, handled=handled) == fate


def test_a_message_is_recorded_as_the_event_that_it_carries() -> None:
    record = record_of(RecordRevenue(PAID))
    assert fate_of(record, ROW, None, None, handled=True) == RECORDED
    assert fate_of(record, None, REPEAT, None, handled=True) == REPEATS


@pytest.mark.parametrize(
    ("row", "repeat", "letter", "words"),
    [
        (None, None, None, "not in the log, no repeat and no dead letter"),
        (ROW, REPEAT, None, "recorded, position 17, and noted as a repeat too"),
        (None, None, b"another", "dead letter is another"),
        (None, REPEAT._replace(position=None, type=None), None, "the log has no such event"),
        (None, REPEAT._replace(event_id="x"), None, "repeat of event x, and Kafka's record is"),
        (None, REPEAT._replace(body=OTHER_AMOUNT), None, "repeat of position 17, and says else"),
        (None, REPEAT._replace(body=b"{"), None, "position 17, which can't be read"),
    ],
)
def test_what_is_wrong(
    row: Recorded | None, repeat: Repeat | None, letter: bytes | None, words: str
) -> None:
    assert words in what(fate_of(RECORD, row, repeat, letter, handled=True))


@pytest.mark.parametrize(
    ("row", "repeat", "letter", "words"),
    [
        (ROW, None, None, "the log has it, position 17, and Kafka has no record there"),
        (None, REPEAT, None, "noted a repeat, and Kafka has no record there"),
        (None, None, LETTER, "a dead letter about it, and Kafka has no record there"),
    ],
)
def test_what_kafka_does_not_have(
    row: Recorded | None, repeat: Repeat | None, letter: bytes | None, words: str
) -> None:
    assert words in what(fate_of(None, row, repeat, letter, handled=True))
    assert fate_of(None, None, None, None, handled=True) == NO_RECORD


@pytest.mark.parametrize("column", [name for name in Recorded._fields if name != "position"])
def test_any_column_that_differs_is_named(column: str) -> None:
    other = OTHER_AMOUNT if column == "body" else 2 if column == "version" else "another"
    found = fate_of(RECORD, ROW._replace(**{column: other}), None, None, handled=True)
    assert column in what(found)


def test_a_body_that_differs_is_named_with_the_byte_and_the_amount() -> None:
    found = fate_of(RECORD, ROW._replace(body=OTHER_AMOUNT), None, None, handled=True)
    assert isinstance(found, Difference)
    assert found.cents == 1 - 1177
    first = next(
        at for at, (one, two) in enumerate(zip(BODY, OTHER_AMOUNT, strict=False)) if one != two
    )
    assert f"from byte {first} on" in found.what
    for body in (b"", b"no JSON", BODY + b" ", "text"):
        found = fate_of(RECORD, ROW._replace(body=body), None, None, handled=True)  # type: ignore[arg-type]
        assert "body" in what(found)


@pytest.mark.parametrize(
    "record",
    [
        replace(RECORD, headers=()),
        replace(RECORD, key=b"2"),
        Record(
            "payment.replies",
            0,
            7,
            b"1",
            BODY,
            tuple(
                to_headers(
                    Envelope("id", "shop.AuthorizationAccepted.v1", "s", NOW, "x", "another")
                )
            ),
        ),
    ],
)
def test_a_record_that_the_recorder_refuses_is_neither_recorded_nor_a_repeat(
    record: Record,
) -> None:
    assert "breaks its contract" in what(fate_of(record, ROW, None, None, handled=True))
    assert "is no event" in what(fate_of(record, None, REPEAT, None, handled=True))


def test_a_reply_is_no_event() -> None:
    envelope = Envelope("id", "shop.AuthorizationFailed.v1", "s", NOW, "x", PAID.order_id)
    record = Record("orders", 0, 7, b"1", encode(FAILED), tuple(to_headers(envelope)))
    row = ROW._replace(body=encode(FAILED))
    assert "a reply, no event" in what(fate_of(record, row, None, None, handled=True))
    assert "a reply, no event" in what(fate_of(record, None, REPEAT, None, handled=True))


class TestLetters:
    """Which records are the recorder's dead letters, and about what."""

    def letter(self, record: Record, service: str = "recorder", topic_id: str = "") -> Record:
        made = dead_letter(record, service, MalformedRecord("why"), NOW, topic_id)
        return Record(made.topic, 0, 99, made.key, made.body, tuple(made.headers))

    def test_a_letter_says_what_it_is_about_and_has_its_bytes(self) -> None:
        found = letter_in(self.letter(RECORD), {})
        assert found == (TopicPartition("authorizations", 0), 7, digest_of(RECORD))

    def test_a_letter_of_another_service_is_none_of_the_recorders(self) -> None:
        assert letter_in(self.letter(RECORD, "order"), {}) is None
        assert letter_in(RECORD, {}) is None

    def test_a_letter_about_a_topic_of_the_same_name_made_anew_is_about_another_record(
        self,
    ) -> None:
        letter = self.letter(RECORD, topic_id="former")
        assert letter_in(letter, {"authorizations": "former"}) is not None
        assert letter_in(letter, {"authorizations": "present"}) is None

    def test_a_letter_about_a_letter_is_about_the_second(self) -> None:
        again = replace(self.letter(RECORD), topic="orders", partition=3, offset=5)
        found = letter_in(self.letter(again), {})
        assert found is not None
        assert (found.place, found.offset) == (TopicPartition("orders", 3), 5)

    @pytest.mark.parametrize("name", ["topic", "partition", "offset"])
    @pytest.mark.parametrize("value", [None, b"\xff"])
    def test_what_looks_like_a_letter_and_is_none_is_left_alone(
        self, name: str, value: bytes | None
    ) -> None:
        letter = self.letter(RECORD)
        headers = {**dict(letter.headers), f"dead_letter_{name}": value}
        found = letter_in(replace(letter, headers=tuple(headers.items())), {})
        assert found is None or found.place.topic == ""

    @pytest.mark.parametrize("name", ["partition", "offset"])
    @pytest.mark.parametrize("value", [b"-1", b"9" * 30, b"-" + b"9" * 30, b"9" * 5000, b"1e3"])
    def test_a_number_that_no_partition_has_is_about_nothing(self, name: str, value: bytes) -> None:
        letter = self.letter(RECORD)
        headers = {**dict(letter.headers), f"dead_letter_{name}": value}
        assert letter_in(replace(letter, headers=tuple(headers.items())), {}) is None

    def test_key_and_body_are_told_apart(self) -> None:
        digests = {
            digest_of(replace(RECORD, key=key, value=value))
            for key in (None, b"", b"a", b"ab", b"a+b")
            for value in (None, b"", b"b", b"ab", b"b-")
        }
        assert len(digests) == 25


def fate(record: Record, row: Recorded) -> str | Difference:
    return fate_of(record, row, None, None, handled=True)


def test_a_time_that_was_rounded_differs_from_what_kafka_says() -> None:
    """23:59:59.999999999 on 30 April is of April."""
    written = b"2026-04-30T23:59:59.999999999Z"
    body = BODY.replace(b"1997-01-01T00:00:00Z", written)
    record = replace(RECORD, value=body)
    row = ROW._replace(body=body, business_time="2026-04-30T23:59:59.999999Z")
    assert fate(record, row) == RECORDED
    rounded = row._replace(business_time="2026-05-01T00:00:00Z")
    assert what(fate(record, rounded)).startswith("business_time is '2026-05-01T00:00:00Z' in the")


@pytest.mark.parametrize(
    ("old", "new", "business_time"),
    [
        (b"1177", b"9223372036854775807", ROW.business_time),
        (b"1997-01-01T00:00:00Z", b"9999-12-31T00:00:00Z", "9999-12-31T00:00:00Z"),
        (b'"00001"', b'"1"', ROW.business_time),
    ],
)
def test_what_was_recorded_by_earlier_rules_is_no_difference(
    old: bytes, new: bytes, business_time: str
) -> None:
    body = BODY.replace(old, new)
    key = b"1" if new == b'"1"' else RECORD.key
    row = ROW._replace(body=body, business_time=business_time)
    assert fate(replace(RECORD, value=body, key=key), row) == RECORDED
