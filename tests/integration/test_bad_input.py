"""Bad records on every topic: each a dead letter with its reason, or accepted for a reason."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import or_, select

from cli.composition import SERVICES
from cli.settings import Settings
from domain.contracts import (
    AuthorizationFailed,
    AuthorizePayment,
    Contract,
    Event,
    Failure,
    Message,
    NewOrder,
    OrderShipped,
    RecordRevenue,
    ShipOrder,
)
from domain.house_accounts import HouseAccounts
from domain.identity import message_id_of
from domain.money import Money
from event_log.database import table_of
from event_log.inbox import InboxRow, next_offsets
from event_log.log import EventRow, RepeatRow
from event_log.outbox import OutboxRow
from request_reply.correlation import ReturnAddress, request_headers
from services.asked import Asked
from services.asking import Asking, Reply
from services.batch import Service, handle_batch
from services.early import KEPT_BY, EarlyRow
from services.order import OrderRow, OrderService
from services.payment import AccountEventRow, PaymentService
from services.recorder import RecorderService
from services.warehouse import ParcelRow, WarehouseService
from tests.conftest import Home
from tests.integration.pipes import NOW, Shop
from tests.integration.scripted import accepted, new_order
from tests.integration.test_contract import customer
from tests.integration.test_pipeline import records
from tests.integration.test_responder import Bench
from tests.integration.test_styles import running, servers_of, settings_of
from tests.waiting import wait_for
from transport.clients import producer_client
from transport.cluster import ClusterView
from transport.codec import encode, type_name
from transport.records import Record, outgoing
from transport.topics import (
    AUTHORIZATIONS,
    ORDERS,
    PAYMENT_REPLIES,
    PAYMENT_REQUESTS,
    REPORTING_REQUESTS,
    WAREHOUSE_REQUESTS,
    dead_letter_topic,
)

READERS = {
    ORDERS: {"order", "payment", "recorder"},
    AUTHORIZATIONS: {"order", "recorder"},
    WAREHOUSE_REQUESTS: {"warehouse"},
    PAYMENT_REQUESTS: {"responder"},
    REPORTING_REQUESTS: {"recorder"},
}
READERS_OF_ALL_TYPES = {
    **READERS,
    ORDERS: {"recorder"},
    AUTHORIZATIONS: {"recorder"},
}
"""Who takes a record of whatever type; the others leave alone what is not of theirs."""

NOBODY: Mapping[str, set[str]] = {topic: set() for topic in READERS}

Change = Callable[[Record], Record]


def said_on(topic: str, order: NewOrder) -> Event | Message:
    """What a topic carries of an order."""
    paid = accepted(order)
    by_topic: dict[str, Event | Message] = {
        ORDERS: order,
        AUTHORIZATIONS: paid,
        WAREHOUSE_REQUESTS: ShipOrder(paid),
        PAYMENT_REQUESTS: AuthorizePayment(order),
        REPORTING_REQUESTS: RecordRevenue(paid),
    }
    return by_topic[topic]


def good(topic: str, order: NewOrder, offset: int = 0) -> Record:
    """A record that breaks nothing."""
    sent = outgoing(said_on(topic, order), "/test", NOW)
    headers = list(sent.headers)
    if topic == PAYMENT_REQUESTS:
        headers += request_headers(ReturnAddress(PAYMENT_REPLIES, 0, uuid4().bytes), None)
    return Record(topic, 0, offset, sent.key, sent.body, tuple(headers))


def some_order(**fields: Any) -> NewOrder:
    return new_order(customer(), **fields)


def header_of(record: Record, name: str) -> bytes | None:
    return dict(record.headers).get(name)


def with_header(name: str, value: bytes | None) -> Change:
    def change(record: Record) -> Record:
        headers = tuple((n, value if n == name else v) for n, v in record.headers)
        return replace(record, headers=headers)

    return change


def without(name: str) -> Change:
    return lambda record: replace(
        record, headers=tuple(pair for pair in record.headers if pair[0] != name)
    )


def twice(name: str) -> Change:
    return lambda record: replace(
        record, headers=(*record.headers, (name, header_of(record, name)))
    )


def more_header(name: str, value: bytes | None) -> Change:
    return lambda record: replace(record, headers=(*record.headers, (name, value)))


def with_key(key: bytes | None) -> Change:
    return lambda record: replace(record, key=key)


def with_body(body: bytes | None) -> Change:
    return lambda record: replace(record, value=body)


def with_field(name: str, text: str) -> Change:
    """Put JSON text, or what is none, into a field of the body."""

    def change(record: Record) -> Record:
        try:
            body = json.loads(record.value or b"")
        except ValueError:
            return record
        if not isinstance(body, dict):
            return record
        where = body.get("amount") if name in ("cents", "currency") else body
        if not isinstance(where, dict):
            return record
        mark = "here it is to be"
        where[name] = mark
        changed = json.dumps(body).replace(json.dumps(mark), text)
        return replace(record, value=changed.encode(errors="replace"))

    return change


def with_customer(written: str) -> Change:
    """The same customer as it may be written elsewhere, in key and body."""
    return both(with_field("customer_id", f'"{written}"'), with_key(written.encode()))


def without_field(name: str) -> Change:
    def change(record: Record) -> Record:
        body = json.loads(record.value or b"")
        del body[name]
        return replace(record, value=json.dumps(body).encode())

    return change


def with_new_id(record: Record) -> Record:
    return with_header("ce_id", str(uuid4()).encode())(record)


def both(one: Change, other: Change) -> Change:
    return lambda record: other(one(record))


def with_more(text: str) -> Change:
    """Put JSON text, or what is none, at the end of the body's object."""
    return lambda record: replace(record, value=(record.value or b"")[:-1] + f",{text}}}".encode())


def with_byte(at: int, new: bytes) -> Change:
    def change(record: Record) -> Record:
        body = record.value or b"."
        here = at % len(body)
        return replace(record, value=body[:here] + new + body[here + 1 :])

    return change


def as_contract(contract: Callable[[NewOrder], Contract]) -> Change:
    """Another well-formed contract of the same order, in the same envelope but for its type."""

    def change(record: Record) -> Record:
        body = json.loads(record.value or b"")
        order = replace_order(body)
        said = contract(order)
        typed = with_header("ce_type", type_name(said).encode())(record)
        return replace(typed, value=encode(said))

    return change


def replace_order(body: Mapping[str, Any]) -> NewOrder:
    order = new_order(int(body["customer_id"]))
    return NewOrder(
        body["order_id"],
        body["customer_id"],
        order.ordered_at,
        order.amount,
        order.items,
        order.billing_address,
    )


def shipped(order: NewOrder) -> OrderShipped:
    return OrderShipped(order.order_id, order.customer_id, order.ordered_at, order.items)


def undecided(order: NewOrder) -> AuthorizationFailed:
    return AuthorizationFailed(order.order_id, Failure.REFUSED, "refused", False)


@dataclass(frozen=True)
class Case:
    """Something bad: what is done to a good record, who refuses it by topic, and in what words.

    Where nobody refuses it, `why` says why it is accepted.
    """

    name: str
    change: Change
    why: str
    refused_by: Mapping[str, set[str]] = field(default_factory=lambda: READERS)
    topics: tuple[str, ...] = tuple(READERS)
    of_neighbour: bool = False
    """Whether it is made of the record before it, and so has its ids."""


ALL_TYPES = READERS_OF_ALL_TYPES
PAYMENT_ALONE = {**NOBODY, ORDERS: {"payment"}, PAYMENT_REQUESTS: {"responder"}}
NOT_BY_ID = {**READERS, PAYMENT_REQUESTS: set()}
"""A request is told by its correlation id and its order, and not by its CloudEvents id."""

CASES = (
    Case("not UTF-8", with_body(b'{"order_id":"\xff"}'), "utf-8"),
    Case("no text at all", with_body(bytes(range(256))), "malformed"),
    Case("not JSON", with_body(b"{"), "truncated"),
    Case("no object", with_body(b"[]"), "Expected `object`"),
    Case("empty", with_body(b""), "truncated"),
    Case("tombstone", with_body(None), "tombstone"),
    Case("NaN", with_field("cents", "NaN"), "invalid character"),
    Case("infinity", with_field("cents", "-Infinity"), "invalid"),
    Case("1e400", with_field("cents", "1e400"), "out of range"),
    Case("duplicate key", with_more('"items":1'), "the key 'items' twice"),
    Case("200 levels", with_more('"later":' + "[" * 200 + "]" * 200), "more than 100 levels deep"),
    Case("100,000 levels", with_more('"later":' + "[" * 100_000), "more than 100 levels deep"),
    Case("field missing", without_field("items"), "missing required field `items`"),
    Case("field of another type", with_field("items", '"1"'), "Expected `int`, got `str`"),
    Case("null field", with_field("customer_id", "null"), "Expected `str`, got `null`"),
    Case("no items", with_field("items", "0"), "Expected `int` >= 1"),
    Case("negative amount", with_field("cents", "-1"), "Expected `int` >= 0"),
    Case("fraction of a cent", with_field("cents", "10.5"), "Expected `int`, got `float`"),
    Case("over 63 bits", with_field("cents", str(2**63)), "Expected `int` <= 9223372036854775807"),
    Case("over 64 bits", with_field("cents", str(2**64)), "cents"),
    Case("unknown currency", with_field("currency", '"XYZ"'), "'XYZ' is no code of ISO 4217"),
    Case("currency and more", with_field("currency", '"USD\\n"'), "[A-Z]{3}"),
    Case("no order", with_field("order_id", '""'), "order_id"),
    Case(
        "NUL in the order",
        both(with_field("order_id", '"a\\u0000"'), with_header("ce_correlationid", b"a\0")),
        "order_id has a NUL",
    ),
    Case("customer and more", with_field("customer_id", '"1\\n"'), "customer_id"),
    Case("year 0", with_field("ordered_at", '"0000-01-01T00:00:00Z"'), "ordered_at"),
    Case("naive time", with_field("ordered_at", '"2026-01-01T00:00:00"'), "ordered_at"),
    Case(
        "before the calendar",
        with_field("ordered_at", '"0001-01-01T00:00:00+12:00"'),
        "outside the calendar",
    ),
    Case(
        "after the calendar",
        with_field("ordered_at", '"9999-12-31T23:00:00-12:00"'),
        "outside the calendar",
    ),
    Case("no key", with_key(None), "the key is None"),
    Case("empty key", with_key(b""), "the key is b''"),
    Case("another's key", with_key(b"77"), "the key is b'77', the body says customer"),
    Case("another order in the headers", with_header("ce_correlationid", b"test/0"), "test/0"),
    Case("header missing", without("ce_id"), "no header ce_id"),
    Case("header doubled", more_header("ce_id", b"x"), "ce_id is there twice, and says two things"),
    Case("header doubled in the same words", twice("ce_id"), "it says one thing", NOBODY),
    Case("header oversized", with_header("ce_source", b"/" * 1025), "1025 bytes; 1024 at most"),
    Case("header empty", with_header("ce_source", b""), "header ce_source is empty"),
    Case("header null", with_header("ce_source", None), "header ce_source is empty"),
    Case("header not UTF-8", with_header("ce_subject", b"\xff"), "header ce_subject is not UTF-8"),
    Case("another CloudEvents", with_header("ce_specversion", b"0.3"), "'0.3' is not 1.0"),
    Case("another media type", with_header("content-type", b"text/xml"), "'text/xml' is not"),
    Case("naive header time", with_header("ce_time", b"2026-01-01T00:00:00"), "no time zone"),
    Case("header year 0", with_header("ce_time", b"0000-01-01T00:00:00Z"), "not a time"),
    Case("no header time", with_header("ce_time", b"yesterday"), "not a time of RFC 3339"),
    Case(
        "header time after the calendar",
        with_header("ce_time", b"9999-12-31T23:00:00-12:00"),
        "outside the calendar",
    ),
    Case("NUL in the id", with_header("ce_id", b"a\0"), "ce_id has a NUL", NOT_BY_ID),
    Case("NUL in the source", with_header("ce_source", b"/\0"), "ce_source has a NUL", NOT_BY_ID),
    Case("NUL in the subject", with_header("ce_subject", b"\0"), "ce_subject has a NUL", NOT_BY_ID),
    Case(
        "NUL in the cause",
        more_header("ce_causationid", b"\0"),
        "ce_causationid has a NUL",
        NOT_BY_ID,
        (ORDERS,),
    ),
    Case("no type", without("ce_type"), "no header ce_type", ALL_TYPES),
    Case("two types", more_header("ce_type", b"x"), "header ce_type is there twice"),
    Case("type null", with_header("ce_type", None), "header ce_type is empty", ALL_TYPES),
    Case("type not UTF-8", with_header("ce_type", b"\xff"), "ce_type is not UTF-8", ALL_TYPES),
    Case("unknown type", with_header("ce_type", b"shop.Perhaps.v1"), "shop.Perhaps.v1", ALL_TYPES),
    Case("unknown version", with_header("ce_type", b"shop.NewOrder.v9"), "NewOrder.v9", ALL_TYPES),
    Case(
        "ShipOrder",
        as_contract(lambda o: ShipOrder(accepted(o))),
        "shop.ShipOrder.v1 does not belong on topic",
        ALL_TYPES,
        (ORDERS, AUTHORIZATIONS, REPORTING_REQUESTS),
    ),
    Case(
        "OrderShipped",
        as_contract(shipped),
        "shop.OrderShipped.v1 does not belong on topic",
        ALL_TYPES,
        (AUTHORIZATIONS, WAREHOUSE_REQUESTS, REPORTING_REQUESTS),
    ),
    Case(
        "NewOrder",
        as_contract(lambda o: o),
        "shop.NewOrder.v1 does not belong on topic",
        ALL_TYPES,
        (AUTHORIZATIONS, WAREHOUSE_REQUESTS, REPORTING_REQUESTS),
    ),
    Case(
        "authorization",
        as_contract(accepted),
        "does not belong on topic",
        ALL_TYPES,
        (ORDERS, WAREHOUSE_REQUESTS, REPORTING_REQUESTS),
    ),
    Case(
        "reply",
        as_contract(undecided),
        "shop.AuthorizationFailed.v1 does not belong on topic",
        ALL_TYPES,
        (ORDERS, AUTHORIZATIONS, WAREHOUSE_REQUESTS, REPORTING_REQUESTS),
    ),
    Case(
        "request for another",
        as_contract(lambda o: o),
        "which is all that is answered",
        ALL_TYPES,
        (PAYMENT_REQUESTS,),
    ),
    Case(
        "no return address",
        without("kafka_replyTopic"),
        "nobody to reply to",
        READERS,
        (PAYMENT_REQUESTS,),
    ),
    Case(
        "two return addresses",
        more_header("kafka_correlationId", b"x"),
        "is there twice",
        READERS,
        (PAYMENT_REQUESTS,),
    ),
    Case(
        "return address elsewhere",
        with_header("kafka_replyTopic", b"orders"),
        "replies may not go to topic 'orders'",
        READERS,
        (PAYMENT_REQUESTS,),
    ),
    Case(
        "return address nowhere",
        with_header("kafka_replyPartition", b"\x7f\xff\xff\xff"),
        "there is none",
        READERS,
        (PAYMENT_REQUESTS,),
    ),
    Case(
        "deadline that is none",
        more_header("ce_expirytime", b"soon"),
        "ce_expirytime",
        READERS,
        (PAYMENT_REQUESTS,),
    ),
    Case("another currency", with_field("currency", '"EUR"'), "CurrencyMismatch", PAYMENT_ALONE),
    Case("amount zero", with_field("cents", "0"), "real purchases contain some", NOBODY),
    *(
        Case(f"ordered at {when}", with_field("ordered_at", f'"{when}"'), "up to 2100-01-01 (UTC)")
        for when in (
            *("9999-12-31T00:00:00Z", "0001-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
            *("1969-12-31T23:59:59.999999999Z", "2099-12-31T23:00:00-01:00"),
        )
    ),
    *(
        Case(f"ordered at {when}", with_field("ordered_at", f'"{when}"'), "within", NOBODY)
        for when in (
            *("1970-01-01T00:00:00Z", "2099-12-31T23:59:59.999999999Z"),
            *("2100-01-01T00:00:00+01:00", "2016-12-31T23:59:60Z", "2026-01-01t00:00:00z"),
        )
    ),
    *(
        Case(f"ordered at {when}", with_field("ordered_at", f'"{when}"'), "not a time of RFC 3339")
        for when in ("20240501T100000Z", "2024-W18-3T10:00:00Z", "2024-05-01T10:00:00+0200")
    ),
    *(
        Case(
            f"published at {when}", with_header("ce_time", when.encode()), "not a time of RFC 3339"
        )
        for when in ("20240501T100000Z", "2024-W18-3T10:00:00Z", "2024-05-01T10:00:00+00:00:30")
    ),
    *(
        Case(f"published at {when}", with_header("ce_time", when.encode()), "RFC 3339", NOBODY)
        for when in ("2016-12-31T23:59:60Z", "2024-05-01t10:00:00.123456789z")
    ),
    Case("largest amount", with_field("cents", str(10**11)), "the bound itself", NOBODY),
    Case(
        "amount beyond its bound",
        with_field("cents", str(10**11 + 1)),
        "larger than 100000000000 minor units",
    ),
    Case("63 bits", with_field("cents", str(2**63 - 1)), "larger than 100000000000 minor units"),
    *(
        Case(f"customer {written}", with_customer(written), "not in the one form")
        for written in ("42", "0042", "000042")
    ),
    *(
        Case(f"media type {media}", with_header("content-type", media.encode()), why, readers)
        for media, why, readers in (
            ("Application/JSON; charset=UTF-8", "RFC 2045: in any case", NOBODY),
            ("application/json; charset=latin1", "another character set than UTF-8", READERS),
            ("application/cloudevents+json", "structured mode", READERS),
            ("application/cloudevents-batch+json", "batched mode", READERS),
        )
    ),
    Case(
        "structured mode",
        lambda record: replace(
            record,
            headers=(
                ("content-type", b"application/cloudevents+json; charset=UTF-8"),
                *(pair for pair in record.headers if pair[0].startswith("kafka_")),
            ),
        ),
        "structured mode",
        ALL_TYPES,
    ),
    *(
        Case(f"no {name}", without(name), "CloudEvents leaves it open", NOBODY)
        for name in ("ce_time", "ce_subject", "content-type")
    ),
    Case("unknown field", with_more('"later":1e400'), "a later version may add some", NOBODY),
    Case("unknown header", more_header("x", b"\xff"), "of other standards", NOBODY),
    Case(
        "another time of publishing",
        with_header("ce_time", b"9999-12-31T23:59:59Z"),
        "nothing is decided by it",
        NOBODY,
    ),
    Case(
        "id used again",
        with_field("items", "2"),
        "was used before, with another body",
        of_neighbour=True,
        topics=tuple(READERS.keys() - {PAYMENT_REQUESTS}),
    ),
    Case(
        "order asked again",
        with_field("items", "2"),
        "another order by the same id",
        of_neighbour=True,
        topics=(PAYMENT_REQUESTS,),
    ),
    Case(
        "order placed again",
        both(with_field("items", "2"), with_new_id),
        "another order by the same id",
        PAYMENT_ALONE,
        (ORDERS,),
        of_neighbour=True,
    ),
    Case("repeat", lambda record: record, "a repeat is no fault", NOBODY, of_neighbour=True),
)


def kept_of(service: Service, order_ids: Sequence[str]) -> list[tuple[Any, ...]]:
    """Everything that a service keeps of orders, but for where it was read."""
    found: list[tuple[Any, ...]] = []
    with service.database.reading() as connection:
        for model, names in KEEPS[type(service)]:
            table = table_of(model)
            columns = [table.c[name] for name in names]
            found += connection.execute(select(*columns).where(columns[0].in_(order_ids))).all()
    return sorted(found, key=str)


KEEPS: dict[type, list[tuple[type[Any], list[str]]]] = {
    OrderService: [
        (OrderRow, ["order_id", "state", "reason"]),
        (EarlyRow, ["order_id", "event_id", "body"]),
    ],
    PaymentService: [(AccountEventRow, ["order_id", "type", "body"])],
    WarehouseService: [(ParcelRow, ["order_id", "customer_id", "items"])],
    RecorderService: [(EventRow, ["correlation_id", "event_id", "type", "body"])],
}

Row = tuple[str, bytes | None, bytes, bytes | None]


class Twins:
    """A service that gets bad records among good ones, and one that gets the good ones only."""

    def __init__(self, folder: Path, name: str) -> None:
        self.service: Service = getattr(Shop(folder / "one"), name)
        self.other: Service = getattr(Shop(folder / "two"), name)
        self._offsets = count()
        self._seen = {id(self.service): 0, id(self.other): 0}

    def sent(self, service: Service) -> list[Row]:
        """What a service has put into its outbox since it was asked last."""
        table = table_of(OutboxRow)
        columns = (table.c.topic, table.c.key, table.c.headers, table.c.body)
        with service.database.reading() as connection:
            rows = connection.execute(select(table.c.id, *columns).order_by(table.c.id)).all()
        new = [row for row in rows if row.id > self._seen[id(service)]]
        self._seen[id(service)] = rows[-1].id if rows else 0
        return [(row.topic, row.key, row.headers, row.body) for row in new]

    def check(self, topic: str, change: Change) -> bool:
        """Whether what was changed is refused; its neighbours are handled either way."""
        first, bad, last = (good(topic, some_order(), next(self._offsets)) for _ in range(3))
        bad = change(bad)
        ids = [(header_of(each, "ce_correlationid") or b"").decode() for each in (first, last)]
        handle_batch(self.service, [first, bad, last], NOW)
        handle_batch(self.other, [first, last], NOW)
        sent = self.sent(self.service)
        letters = [row for row in sent if row[0] == dead_letter_topic(topic)]
        of_good = [row for row in sent if any(each.encode() in row[2] for each in ids)]
        assert of_good == self.sent(self.other)
        assert kept_of(self.service, ids) == kept_of(self.other, ids) != []
        assert [(row[1], row[3]) for row in letters] in ([], [(bad.key, bad.value)])
        assert letters or self.took(bad)
        # Again, after a crash say; and by somebody who publishes it once more.
        handle_batch(self.service, [first, bad, last], NOW)
        assert self.sent(self.service) == []
        handle_batch(self.service, [replace(bad, offset=next(self._offsets))], NOW)
        self.sent(self.service)
        self._give_turn()
        return bool(letters)

    def took(self, record: Record) -> bool:
        """Whether a record was handled, or is none of this service's."""
        wanted = self.service.subscriptions[record.topic]
        kind = next((v or b"" for n, v in record.headers if n == "ce_type"), b"")
        if wanted is not None and kind.decode(errors="replace") not in wanted:
            return True
        tables = [InboxRow] if self.service.inbox else [EventRow, RepeatRow]
        identity = (header_of(record, "ce_id") or b"").decode(errors="replace")
        with self.service.database.reading() as connection:
            for table in map(table_of, tables):
                here = (table.c.topic == record.topic) & (table.c.offset == record.offset)
                query = select(table.c.event_id).where(or_(here, table.c.event_id == identity))
                if connection.execute(query).first() is not None:
                    return True
        return False

    def _give_turn(self) -> None:
        """What was kept early gets its turn: the order is placed."""
        if isinstance(self.service, OrderService):
            with self.service.database.reading() as connection:
                waiting = connection.execute(select(table_of(EarlyRow).c.order_id)).scalars().all()
            orders = [replace_order({"order_id": each, "customer_id": "00001"}) for each in waiting]
            self.service.place(orders, NOW)
            with self.service.database.reading() as connection:
                assert connection.execute(select(table_of(EarlyRow))).all() == []
            self.sent(self.service)


names = st.sampled_from(
    [
        *("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject"),
        *("ce_correlationid", "content-type", "ce_causationid", "ce_expirytime"),
        *("kafka_correlationId", "kafka_replyTopic", "kafka_replyPartition"),
    ]
)
types = st.sampled_from([type_name(kind).encode() for kind in Contract.__args__])
values = st.none() | st.binary(max_size=30) | st.text(max_size=10).map(str.encode) | types
fields = st.sampled_from(
    ["order_id", "customer_id", "ordered_at", "amount", "cents", "currency", "items", "later"]
)
texts = (
    st.sampled_from(["NaN", "1e400", "-1", "0", "1.5", str(2**64), "{}", "[]", '"a\\u0000b"'])
    | st.sampled_from(['"EUR"', '"1\\n"', '"9999-12-31T23:59:59-01:00"', '"\\ud800"', "[" * 150])
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5
    ).map(json.dumps)
)
one_change = st.one_of(
    st.builds(with_header, names, values),
    st.builds(without, names),
    st.builds(twice, names),
    st.builds(more_header, names | st.text(max_size=5), values),
    st.builds(with_key, st.none() | st.binary(max_size=10)),
    st.builds(with_body, st.none() | st.binary(max_size=40)),
    st.builds(with_field, fields, texts),
    st.builds(with_byte, st.integers(0, 400), st.binary(max_size=3)),
)
changes = st.lists(one_change, min_size=1, max_size=3)
many = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def all_of(made: Sequence[Change]) -> Change:
    def change(record: Record) -> Record:
        for each in made:
            record = each(record)
        return record

    return change


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("order", ORDERS),
        ("order", AUTHORIZATIONS),
        ("payment", ORDERS),
        ("warehouse", WAREHOUSE_REQUESTS),
        ("recorder", ORDERS),
        ("recorder", AUTHORIZATIONS),
        ("recorder", REPORTING_REQUESTS),
    ],
)
class TestWhateverComesToAService:
    """In one process, by `handle_batch`: it never raises, and neighbours are handled as ever."""

    @many
    @given(made=changes)
    @example(made=[with_header("ce_id", b"a\0b")])
    @example(made=[with_field("order_id", '"a\\u0000b"'), with_header("ce_correlationid", b"a\0b")])
    @example(made=[with_more('"later":' + "[" * 950 + "]" * 950)])
    @example(made=[as_contract(undecided)])
    @example(made=[as_contract(lambda order: ShipOrder(accepted(order)))])
    def test_a_good_record_that_was_changed(
        self, tmp_path_factory: pytest.TempPathFactory, name: str, topic: str, made: list[Change]
    ) -> None:
        twins_of(tmp_path_factory, name, topic).check(topic, all_of(made))

    @many
    @given(
        key=st.none() | st.binary(max_size=20),
        body=st.none() | st.binary(max_size=100),
        headers=st.lists(st.tuples(names | st.text(max_size=10), values), max_size=12),
    )
    def test_any_bytes(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        name: str,
        topic: str,
        key: bytes | None,
        body: bytes | None,
        headers: list[tuple[str, bytes | None]],
    ) -> None:
        def change(record: Record) -> Record:
            return replace(record, key=key, value=body, headers=tuple(headers))

        twins_of(tmp_path_factory, name, topic).check(topic, change)

    def test_each_case_of_the_table(self, tmp_path: Path, name: str, topic: str) -> None:
        twins = Twins(tmp_path, name)
        for case in CASES:
            if topic in case.topics and not case.of_neighbour:
                refused = name in case.refused_by[topic]
                assert twins.check(topic, case.change) == refused, case.name


_twins: dict[tuple[str, str], Twins] = {}


def twins_of(folders: pytest.TempPathFactory, name: str, topic: str) -> Twins:
    """One pair for all the examples of a service and a topic: databases take a while to make."""
    if (name, topic) not in _twins:
        _twins[name, topic] = Twins(folders.mktemp(f"{name}-{topic}"), name)
    return _twins[name, topic]


class TestWhateverIsAskedOfTheResponder:
    """In one process: it answers, or writes a letter, or both; and its neighbours are answered."""

    @many
    @given(made=changes)
    @example(made=[with_header("ce_id", b"\xff")])
    @example(made=[without("kafka_correlationId")])
    def test_a_good_request_that_was_changed(self, bench: Bench, made: list[Change]) -> None:
        self.check(bench, all_of(made))

    @many
    @given(
        key=st.none() | st.binary(max_size=20),
        body=st.none() | st.binary(max_size=100),
        headers=st.lists(st.tuples(names | st.text(max_size=10), values), max_size=12),
    )
    def test_any_bytes(
        self,
        bench: Bench,
        key: bytes | None,
        body: bytes | None,
        headers: list[tuple[str, bytes | None]],
    ) -> None:
        self.check(bench, lambda r: replace(r, key=key, value=body, headers=tuple(headers)))

    def check(self, bench: Bench, change: Change) -> None:
        start = next(_offsets)
        orders = [some_order() for _ in range(3)]
        first, bad, last = (
            good(PAYMENT_REQUESTS, order, 3 * start + at) for at, order in enumerate(orders)
        )
        bad = change(bad)
        before = len(bench.published)
        bench.responder.answer([first, bad, last])
        of_bad = [
            each
            for each in bench.published[before:]
            if each.body not in (encode(accepted(orders[0])), encode(accepted(orders[2])))
        ]
        assert len(bench.published) - before - len(of_bad) == 2
        letters = [each for each in of_bad if each.topic == dead_letter_topic(PAYMENT_REQUESTS)]
        assert 1 <= len(of_bad) <= 2
        assert [(each.key, each.body) for each in letters] in ([], [(bad.key, bad.value)])
        # Again, after a crash say: the same replies, and no more letters.
        before, replies = len(bench.published), len(of_bad) - len(letters) + 2
        bench.responder.answer([first, bad, last])
        assert len(bench.published) - before == replies


_offsets = count()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    path = tmp_path_factory.mktemp("responder") / "payment.sqlite"
    return Bench(PaymentService(path, HouseAccounts(Money(30_000, "USD"))))


class TestEarlyEvents:
    """Events before their order is known: kept, over a restart too, until their turn comes."""

    def test_they_are_kept_and_have_their_turn(self, tmp_path: Path) -> None:
        orders = [some_order() for _ in range(3)]
        shop = Shop(tmp_path)
        early = [good(AUTHORIZATIONS, order, at) for at, order in enumerate(orders)]
        shop.deliver(shop.order, [*early, *(parcel_of(order, at) for at, order in ways(orders))])
        assert len(kept_of(shop.order, [order.order_id for order in orders])) == 6
        assert shop.order.known_orders() == 0
        again = Shop(tmp_path)
        for at, order in ways(orders):
            again.deliver(again.order, [replace(good(ORDERS, order), offset=10 + at)])
        assert again.order.known_orders() == 3
        assert again.order.open_orders() == 0
        assert len(again.topics.of(WAREHOUSE_REQUESTS)) == 3
        assert waiting_early(again.order) == []

    @pytest.mark.parametrize("way", ["placed", "asked"])
    def test_they_have_their_turn_however_the_order_becomes_known(
        self, tmp_path: Path, way: str
    ) -> None:
        order, shop = some_order(), Shop(tmp_path)
        shop.deliver(shop.order, [good(AUTHORIZATIONS, order), parcel_of(order, 0)])
        if way == "placed":
            shop.place([order])
        else:
            asked = Asked(message_id_of(AuthorizePayment(order)), order, NOW)
            asking = Asking(shop.order)
            shop.order.database.in_transaction(lambda c: asking.ask(c, [asked], NOW))
            shop.relay(shop.order)
        assert shop.order.open_orders() == 0
        assert waiting_early(shop.order) == []
        assert len(shop.topics.of(WAREHOUSE_REQUESTS)) == 1

    def test_a_parcel_that_left_early_has_its_turn_when_the_reply_comes(
        self, tmp_path: Path
    ) -> None:
        order, shop = some_order(), Shop(tmp_path)
        asked = Asked(message_id_of(AuthorizePayment(order)), order, NOW)
        asking = Asking(shop.order)
        shop.order.database.in_transaction(lambda c: asking.ask(c, [asked], NOW))
        shop.deliver(shop.order, [parcel_of(order, 0)])
        assert waiting_early(shop.order) == [order.order_id]
        paid = accepted(order)
        reply = Reply(asked.correlation_id, paid, encode(paid), "1")
        shop.order.database.in_transaction(lambda c: asking.take_replies(c, [reply], {}, NOW))
        assert waiting_early(shop.order) == []
        assert shop.order.open_orders() == 0

    @pytest.mark.parametrize("way", ["delivered", "placed", "asked"])
    def test_one_that_can_not_be_handled_any_more_is_a_letter_and_holds_nobody_up(
        self, tmp_path: Path, way: str
    ) -> None:
        """As when a former version of the contracts allowed more."""
        orders = [some_order() for _ in range(2)]
        shop = Shop(tmp_path)
        shop.deliver(
            shop.order, [good(AUTHORIZATIONS, order, at) for at, order in enumerate(orders)]
        )
        spoil_early(shop.order, orders[0])
        if way == "delivered":
            shop.deliver(shop.order, [good(ORDERS, each, at) for at, each in enumerate(orders)])
        elif way == "placed":
            shop.place(orders)
        else:
            asking = Asking(shop.order)
            asked = [Asked(message_id_of(AuthorizePayment(o)), o, NOW) for o in orders]
            shop.order.database.in_transaction(lambda c: asking.ask(c, asked, NOW))
            shop.relay(shop.order)
        assert waiting_early(shop.order) == []
        assert [
            header_of(sent, "ce_correlationid") for sent in shop.topics.of(WAREHOUSE_REQUESTS)
        ] == [orders[1].order_id.encode()]
        (letter,) = shop.topics.of(dead_letter_topic(AUTHORIZATIONS))
        assert (letter.key, letter.value) == (orders[0].customer_id.encode(), SPOILT)
        assert header_of(letter, "dead_letter_service") == OrderService.name.encode()
        assert b"required field `ordered_at`" in (header_of(letter, "dead_letter_reason") or b"")
        shop.deliver(shop.order, [good(AUTHORIZATIONS, orders[0], 9)])
        assert len(shop.topics.of(WAREHOUSE_REQUESTS)) == 2, "sent again, mended"


SPOILT = b'{"order_id":"1","customer_id":"1","amount":{"cents":1,"currency":"XYZ"}}'


def ways(orders: Sequence[NewOrder]) -> list[tuple[int, NewOrder]]:
    return list(enumerate(orders))


def parcel_of(order: NewOrder, offset: int) -> Record:
    return replace(
        as_contract(shipped)(good(ORDERS, order, offset)),
        headers=tuple(outgoing(shipped(order), "/test", NOW).headers),
    )


def waiting_early(service: OrderService) -> list[str]:
    with service.database.reading() as connection:
        return list(connection.execute(select(table_of(EarlyRow).c.order_id)).scalars())


def spoil_early(service: OrderService, order: NewOrder) -> None:
    table = table_of(EarlyRow)
    spoil = table.update().where(table.c.order_id == order.order_id).values(body=SPOILT)
    service.database.in_transaction(lambda connection: connection.execute(spoil))


Processes = dict[str, "subprocess.Popen[str]"]
Place = tuple[str, int, int]


@pytest.fixture(scope="module")
def shop(module_home: Home) -> Iterator[tuple[Home, Processes]]:
    """All services as processes on the home's own broker."""
    with running(module_home, "order", "payment", "responder", "warehouse", "recorder") as made:
        yield module_home, made


class Sender:
    """Produces records as they are, and knows where they came to lie."""

    def __init__(self, servers: str) -> None:
        self._producer = producer_client(servers)
        self._places: dict[int, Place] = {}

    def send(self, record: Record) -> int:
        """Send a record to its partition; the number by which its place is found."""
        number = len(self._places)
        self._places[number] = (record.topic, record.partition, -1)

        def delivered(error: object, message: Any) -> None:
            assert error is None
            self._places[number] = (message.topic(), message.partition(), message.offset())

        headers: list[tuple[str, str | bytes | None]] = list(record.headers)
        self._producer.produce(
            record.topic,
            record.value,
            record.key,
            partition=record.partition,
            headers=headers,
            on_delivery=delivered,
        )
        return number

    def places(self) -> dict[int, Place]:
        assert self._producer.flush(60) == 0
        return self._places


@dataclass(frozen=True)
class Bad:
    """A record of the table as it was sent, and its number."""

    case: Case
    record: Record
    number: int

    @property
    def name(self) -> str:
        return f"{self.case.name} on {self.record.topic}"


@dataclass(frozen=True)
class Run:
    """What was sent, and what became of it: letters by where their record lay."""

    home: Home
    processes: Processes
    bad: list[Bad]
    good: dict[str, list[NewOrder]]
    places: dict[int, Place]
    letters: dict[Place, list[Any]]


def told(letter: Any, name: str) -> str:
    return dict(letter.headers())[f"dead_letter_{name}"].decode()


def all_is_done(shop_settings: Settings, servers: str) -> bool:
    """Whether every service has taken in all that there is, and published all that follows."""
    positions: dict[str, dict[Any, int]] = {}
    for name, make in SERVICES.items():
        service = make(shop_settings)
        with service.database.reading() as connection:
            table = table_of(OutboxRow)
            unsent = select(table.c.id).where(table.c.published.is_(False)).limit(1)
            if connection.execute(unsent).first() is not None:
                return False
            positions[name] = next_offsets(connection)
    # Read after the positions: so what is published meanwhile is seen.
    for topic, readers in READERS.items():
        for place, end in ClusterView(servers).ends([topic]).items():
            for reader in readers:
                reached = positions["payment" if reader == "responder" else reader]
                if reached.get(place, 0) < end:
                    return False
    return True


@pytest.fixture(scope="module")
def run(shop: tuple[Home, Processes]) -> Run:
    """Every case on every topic, each between two good records of its partition; all at once."""
    home, processes = shop
    servers = servers_of(home)
    sender = Sender(servers)
    bad: list[Bad] = []
    fine: dict[str, list[NewOrder]] = {topic: [] for topic in READERS}
    for number, case in enumerate(CASES):
        for topic in case.topics:
            orders = [some_order() for _ in range(3)]
            sent = [replace(good(topic, order), partition=number % 4) for order in orders]
            changed = case.change(sent[0 if case.of_neighbour else 1])
            sender.send(sent[0])
            bad.append(Bad(case, changed, sender.send(changed)))
            sender.send(sent[2])
            fine[topic] += [orders[0], orders[2]]
            if not any(case.refused_by.values()) and not case.of_neighbour:
                fine[topic].append(orders[1])
    places = sender.places()
    made = settings_of(home)
    wait_for(lambda: all_is_done(made, servers), "all records are taken in", 120)
    letters: dict[Place, list[Any]] = {}
    for topic in READERS:
        for letter in records(servers, dead_letter_topic(topic)):
            lay = told(letter, "topic"), int(told(letter, "partition")), int(told(letter, "offset"))
            letters.setdefault(lay, []).append(letter)
    return Run(home, processes, bad, fine, places, letters)


@pytest.mark.slow
class TestEveryCaseOnEveryTopic:
    """On the broker itself, by the services as processes."""

    def test_it_is_refused_once_by_each_who_should_and_by_nobody_else(self, run: Run) -> None:
        for bad in run.bad:
            found = run.letters.get(run.places[bad.number], [])
            refused_by = Counter(told(letter, "service") for letter in found)
            assert refused_by == Counter(bad.case.refused_by[bad.record.topic]), bad.name
        refused = {run.places[bad.number] for bad in run.bad}
        assert run.letters.keys() <= refused, "a good record is a dead letter"

    def test_a_person_can_read_why(self, run: Run) -> None:
        for bad in run.bad:
            for letter in run.letters.get(run.places[bad.number], []):
                reason = told(letter, "reason")
                assert bad.case.why in reason, (bad.name, reason)
                assert reason.isprintable(), (bad.name, reason)
                assert len(reason) < 500, (bad.name, reason)

    def test_a_letter_has_bytes_key_and_headers_as_they_came(self, run: Run) -> None:
        for bad in run.bad:
            for letter in run.letters.get(run.places[bad.number], []):
                assert letter.value() == bad.record.value, bad.name
                assert letter.key() == bad.record.key, bad.name
                theirs = [h for h in letter.headers() if not h[0].startswith("dead_letter_")]
                assert theirs == list(bad.record.headers), bad.name

    def test_all_good_neighbours_and_all_that_is_accepted_are_handled(self, run: Run) -> None:
        home = run.home
        recorded = {
            (topic, order_id)
            for topic, order_id in home.rows(
                "event_log", "SELECT topic, correlation_id FROM event_log"
            )
        }
        placed = {order_id for (order_id,) in home.rows("order", "SELECT order_id FROM orders")}
        early = {order_id for (order_id,) in home.rows("order", "SELECT order_id FROM early")}
        packed = {
            order_id for (order_id,) in home.rows("warehouse", "SELECT order_id FROM parcels")
        }
        decided = home.decisions()
        for topic, orders in run.good.items():
            for order in orders:
                where = (topic, order.order_id)
                assert topic not in RecorderService.subscriptions or where in recorded, where
                assert topic != ORDERS or order.order_id in placed, where
                assert topic not in (ORDERS, PAYMENT_REQUESTS) or order.order_id in decided, where
                assert topic != AUTHORIZATIONS or order.order_id in early, where
                assert topic != WAREHOUSE_REQUESTS or order.order_id in packed, where

    def test_every_good_request_is_answered(self, run: Run) -> None:
        replies = records(servers_of(run.home), PAYMENT_REPLIES)
        answered = {
            dict(reply.headers())["ce_correlationid"].decode()
            for reply in replies
            if dict(reply.headers())["ce_type"] != b"shop.AuthorizationFailed.v1"
        }
        assert answered >= {order.order_id for order in run.good[PAYMENT_REQUESTS]}

    def test_what_does_not_belong_on_a_topic_has_no_effect(self, run: Run) -> None:
        for bad in run.bad:
            if "belong on topic" in bad.case.why:
                order_id = (header_of(bad.record, "ce_correlationid") or b"").decode()
                for database, what in (
                    ("event_log", "event_log WHERE correlation_id"),
                    ("order", "orders WHERE order_id"),
                    ("order", "early WHERE order_id"),
                    ("warehouse", "parcels WHERE order_id"),
                    ("payment", "account_events WHERE order_id"),
                ):
                    assert run.home.count(database, f"{what} = '{order_id}'") == 0, bad.name

    def test_no_service_ended(self, run: Run) -> None:
        assert {name: process.poll() for name, process in run.processes.items()} == dict.fromkeys(
            run.processes
        )


@pytest.mark.slow
def test_early_events_outlive_a_kill_and_one_that_is_spoilt_stops_nobody(
    shop: tuple[Home, Processes],
) -> None:
    home, processes = shop
    servers = servers_of(home)
    order = OrderService(settings_of(home).database("order"))
    orders = [some_order() for _ in range(4)]
    ids = {each.order_id for each in orders}

    def early() -> set[str]:
        return ids.intersection(waiting_early(order))

    sender = Sender(servers)
    for each in orders:
        sender.send(good(AUTHORIZATIONS, each))
    sender.places()
    wait_for(lambda: early() == ids, "all are kept")
    processes["order"].kill()
    processes["order"].wait()
    spoil_early(order, orders[0])
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes["order"] = home.start("run", "order", **quiet)
    for each in orders:
        sender.send(good(ORDERS, each))
    sender.places()
    made = settings_of(home)
    wait_for(lambda: all_is_done(made, servers), "all are taken in", 120)
    assert early() == set()
    others = ids - {orders[0].order_id}
    assert {states_in(home)[each] for each in others} == {"shipped"}
    # Sent again, mended.
    sender.send(good(AUTHORIZATIONS, orders[0]))
    sender.places()
    wait_for(lambda: states_in(home)[orders[0].order_id] == "shipped", "the order is shipped")
    (letter,) = [
        letter
        for letter in records(servers, dead_letter_topic(AUTHORIZATIONS))
        if letter.key() == orders[0].customer_id.encode()
    ]
    assert told(letter, "service") == KEPT_BY == OrderService.name
    assert processes["order"].poll() is None


def states_in(home: Home) -> dict[str, str]:
    return dict(home.rows("order", "SELECT order_id, state FROM orders"))
