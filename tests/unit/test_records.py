"""Records as they come in: of our own making, and by the `cloudevents` package as a producer."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from domain.contracts import NewOrder, RecordRevenue, ShipOrder
from domain.errors import MalformedRecord, OutOfBounds
from domain.money import Money
from tests.unit.test_codec import PAID
from transport.codec import encode
from transport.records import Record, outgoing, understand, understand_kept

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = NewOrder("test/1", "00042", datetime(1997, 1, 1, tzinfo=UTC), Money(1000, "USD"), 1, "1 St")


def by_cloudevents(**said: Any) -> CloudEvent:
    """What a producer says that knows the standard, and of our extensions the one that must be."""
    attributes = {"id": "1", "source": "/web", "type": "shop.NewOrder.v1", "specversion": "1.0"}
    attributes["correlationid"] = ORDER.order_id
    return CloudEvent({**attributes, **said}, msgspec.json.decode(encode(ORDER)))


def record_of(message: KafkaMessage) -> Record:
    headers = message.headers
    assert isinstance(headers, Mapping)
    return Record("orders", 0, 7, b"00042", message.value, tuple(headers.items()))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"datacontenttype": "application/json"},
        {"datacontenttype": "Application/JSON; charset=UTF-8"},
        {"dataschema": "https://shop.example/order.json", "partitionkey": "00042"},
        {"subject": "an order", "time": NOW, "sampledrate": 30, "sequence": "x"},
        {"time": NOW.astimezone(timezone(timedelta(hours=-11)))},
    ],
)
def test_what_a_producer_of_the_standard_sends_is_understood(said: dict[str, Any]) -> None:
    found = understand(record_of(to_binary_event(by_cloudevents(**said))))
    assert found.payload == ORDER
    assert found.envelope.id == "1"
    assert found.envelope.time == said.get("time", found.envelope.time)
    assert found.envelope.subject == said.get("subject", "test/1")


def test_without_a_time_it_is_published_at_its_business_time() -> None:
    bare = record_of(to_binary_event(by_cloudevents()))
    bare = replace(bare, headers=tuple(pair for pair in bare.headers if pair[0] != "ce_time"))
    assert understand(bare).envelope.time == ORDER.ordered_at


def test_structured_mode_is_refused_by_its_name() -> None:
    with pytest.raises(MalformedRecord, match="CloudEvents in structured mode"):
        understand(record_of(to_structured_event(by_cloudevents())))


@pytest.mark.parametrize(
    "said",
    [ORDER, PAID, ShipOrder(PAID), RecordRevenue(PAID)],
    ids=lambda said: type(said).__name__,
)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"amount":{"cents":', b'"amount":{"cents":100000000'),
        (b"1997-01-01T", b"9999-12-31T"),
        (b"1997-01-01T", b"1969-12-31T"),
    ],
)
def test_each_bound_holds_for_what_comes_in_and_not_for_what_is_kept(
    said: Any, old: bytes, new: bytes
) -> None:
    sent = outgoing(said, "/test", NOW)
    good = Record(sent.topic, 0, 7, sent.key, sent.body, tuple(sent.headers))
    assert understand(good).payload == understand_kept(good).payload == said
    broken = replace(good, value=(good.value or b"").replace(old, new))
    assert understand_kept(broken).payload != said
    with pytest.raises(OutOfBounds):
        understand(broken)


def test_the_key_is_the_customer_in_the_one_form() -> None:
    sent = outgoing(ORDER, "/test", NOW)
    good = Record(sent.topic, 0, 7, sent.key, sent.body, tuple(sent.headers))
    other = replace(good, key=b"42", value=(good.value or b"").replace(b'"00042"', b'"42"'))
    with pytest.raises(OutOfBounds, match=r"customer_id '42' .* '00042'"):
        understand(other)
    with pytest.raises(MalformedRecord, match="the key is b'42', the body says customer '00042'"):
        understand(replace(good, key=b"42"))
