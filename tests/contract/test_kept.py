"""Strict where a record comes in, lenient for what is kept: the same on SQLite and on Postgres.

What earlier rules took in is put there by today's code with the reading of kept records in place
of that of incoming ones.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from sqlalchemy import Connection, update

from domain.contracts import NewOrder
from domain.money import Money
from event_log.database import Database, table_of
from event_log.log import append, last_position, read
from event_log.topic_ids import replace_topic_ids
from reporting.agreement import disagreements
from reporting.projections import all_projections
from reporting.projector import catch_up, open_projections
from reporting.proof import Failure
from reporting.proof_of_log import look, prove_rows
from reporting.report import report
from services.asked import Asked, keep_asked, unanswered
from services.batch import Service
from services.early import EarlyRow
from services.payment import AccountEventRow
from tests.contract.conftest import Places
from tests.integration.pipes import NOW, Shop
from tests.integration.scripted import accepted, new_order
from transport.records import Record, outgoing, understand_kept
from transport.topics import AUTHORIZATIONS, ORDERS, WAREHOUSE_REQUESTS, dead_letter_topic

LARGEST_KEPT = 2**63 - 1
END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
OF_EARLIER_RULES: dict[str, dict[str, object]] = {
    "amount": {"amount": Money(LARGEST_KEPT, "USD")},
    "time": {"ordered_at": END_OF_TIME},
    "customer": {"customer_id": "42"},
}


@pytest.fixture
def shop(places: Places) -> Iterator[Shop]:
    made = Shop(places.of)
    yield made
    for service in made.services:
        service.database.close()


@contextmanager
def earlier_rules() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.batch.understand", understand_kept)
        yield


def record_of(contract: object, offset: int = 0) -> Record:
    sent = outgoing(contract, "/test", NOW)  # type: ignore[arg-type]
    return Record(sent.topic, 0, offset, sent.key, sent.body, tuple(sent.headers))


def an_order(**fields: object) -> NewOrder:
    return msgspec.structs.replace(new_order(42), **fields)  # type: ignore[arg-type]


def reasons(shop: Shop, topic: str) -> list[bytes]:
    return [
        dict(letter.headers)["dead_letter_reason"] or b""
        for letter in shop.topics.of(dead_letter_topic(topic))
    ]


def take_in(shop: Shop, service: Service, records: Sequence[Record]) -> None:
    with earlier_rules():
        shop.deliver(service, records)


each_rule = pytest.mark.parametrize("rule", OF_EARLIER_RULES)


@each_rule
def test_what_breaks_a_bound_is_a_letter_and_its_neighbours_are_taken_in(
    shop: Shop, rule: str
) -> None:
    orders = [an_order(), an_order(**OF_EARLIER_RULES[rule]), an_order()]
    records = [record_of(order, at) for at, order in enumerate(orders)]
    for service in (shop.payment, shop.recorder):
        shop.deliver(service, records)
    assert [event.correlation_id for event in read(shop.recorder.database)] == [
        orders[0].order_id,
        orders[2].order_id,
    ]
    assert count(shop.payment.database, AccountEventRow) == 2
    assert len(reasons(shop, ORDERS)) == 2
    assert all(reason.startswith(b"OutOfBounds: ") for reason in reasons(shop, ORDERS))


@each_rule
def test_the_log_is_read_reported_and_proven_whatever_rules_it_was_recorded_by(
    shop: Shop, places: Places, rule: str
) -> None:
    kept = an_order(**OF_EARLIER_RULES[rule])
    decided = accepted(kept)
    take_in(shop, shop.recorder, [record_of(kept)])
    take_in(shop, shop.recorder, [record_of(decided)])
    # Another event by the same id: the recorded one is read to see that.
    other = msgspec.structs.replace(an_order(), order_id=kept.order_id, items=7)
    shop.deliver(shop.recorder, [record_of(other, 1)])
    assert last_position(shop.recorder.database) == 2
    (reason,) = reasons(shop, ORDERS)
    assert reason.startswith(b"IdReused: ")
    projections = open_projections(places.of("report"))
    assert catch_up(shop.recorder.database, projections) == 2
    for projection in all_projections().values():
        assert disagreements(shop.recorder.database, projections, projection) == []
    assert report(projections, "USD").totals.accepted.cents == kept.amount.cents
    projections.close()
    assert proof_failure(shop) is None


@each_rule
def test_an_account_with_what_was_decided_by_earlier_rules_decides_on(
    shop: Shop, rule: str
) -> None:
    kept = an_order(**OF_EARLIER_RULES[rule])
    take_in(shop, shop.payment, [record_of(kept)])
    later = an_order()
    shop.deliver(shop.payment, [record_of(later, 1)])
    decided = {
        dict(each.headers)["ce_correlationid"]: dict(each.headers)["ce_type"]
        for each in shop.topics.of(AUTHORIZATIONS)
    }
    assert decided[later.order_id.encode()] == b"shop.AuthorizationAccepted.v1"
    assert reasons(shop, ORDERS) == []


@pytest.mark.parametrize("rule", [*OF_EARLIER_RULES, "published"])
def test_what_was_kept_early_has_its_turn_and_is_no_letter(shop: Shop, rule: str) -> None:
    kept = an_order(**OF_EARLIER_RULES.get(rule, {}))
    early = record_of(accepted(kept))
    if rule == "published":
        written = {**dict(early.headers), "ce_time": b"20240501T100000Z"}
        early = replace(early, headers=tuple(written.items()))
    take_in(shop, shop.order, [early])
    assert count(shop.order.database, EarlyRow) == 1
    shop.place([kept])
    assert count(shop.order.database, EarlyRow) == 0
    assert len(shop.topics.of(WAREHOUSE_REQUESTS)) == 1
    assert reasons(shop, AUTHORIZATIONS) == []


def test_a_letter_for_what_was_kept_early_is_of_the_topic_that_it_lay_on(shop: Shop) -> None:
    """Records of a topic and of the one made anew lie at the same offset, and wait together."""
    orders = [an_order(), an_order()]
    lives = ["former-life", "new-life"]
    for order, life in zip(orders, lives, strict=True):
        shop.order.database.in_transaction(
            lambda connection, life=life: replace_topic_ids(connection, {AUTHORIZATIONS: life})
        )
        shop.deliver(shop.order, [record_of(accepted(order))])
    assert count(shop.order.database, EarlyRow) == 2

    def spoil(connection: Connection) -> None:
        connection.execute(update(table_of(EarlyRow)).values(body=b"{}"))

    shop.order.database.in_transaction(spoil)
    shop.place(orders)
    told = [dict(each.headers) for each in shop.topics.of(dead_letter_topic(AUTHORIZATIONS))]
    assert {each["dead_letter_offset"] for each in told} == {b"0"}
    assert {each["dead_letter_topic_id"] for each in told} == {life.encode() for life in lives}


@each_rule
def test_a_request_that_was_asked_by_earlier_rules_is_read(shop: Shop, rule: str) -> None:
    asked = Asked("1", an_order(**OF_EARLIER_RULES[rule]), NOW)

    def keep(connection: object) -> list[Asked]:
        keep_asked(connection, [asked], NOW)  # type: ignore[arg-type]
        return unanswered(connection, 0, None, 10)[0]  # type: ignore[arg-type]

    assert shop.order.database.in_transaction(keep) == [asked]


@pytest.mark.parametrize(
    ("written", "month"),
    [
        (b"2026-04-30T23:59:59.999999999Z", "2026-04"),
        (b"2026-05-01T01:59:59.9999999+02:00", "2026-04"),
        (b"2015-06-30T23:59:60Z", "2015-06"),
        (b"2026-05-01T00:00:00.000000000Z", "2026-05"),
    ],
)
def test_revenue_is_of_the_month_that_the_time_says_however_fine_it_is(
    shop: Shop, places: Places, written: bytes, month: str
) -> None:
    """Foreign bodies on both topics; the log's rows, the report and the checks of both agree."""
    order = an_order(amount=Money(12_345, "USD"))

    def foreign(contract: object) -> Record:
        record = record_of(contract)
        body = (record.value or b"").replace(b"2026-01-01T00:00:00Z", written)
        return replace(record, value=body)

    shop.deliver(shop.payment, [foreign(order)])
    (ours,) = shop.topics.of(AUTHORIZATIONS)
    assert month.encode() in (ours.value or b"")
    for said in (order, accepted(order)):
        shop.deliver(shop.recorder, [foreign(said)])
    # What the payment service says of it is the same event.
    shop.deliver(shop.recorder, [replace(ours, offset=7)])
    assert last_position(shop.recorder.database) == 2
    projections = open_projections(places.of("report"))
    catch_up(shop.recorder.database, projections)
    (only,) = report(projections, "USD").months
    assert (only.name, only.accepted.orders, only.accepted.cents) == (month, 1, 12_345)
    for projection in all_projections().values():
        assert disagreements(shop.recorder.database, projections, projection) == []
    projections.close()
    assert proof_failure(shop) is None


def test_a_time_that_was_rounded_into_the_next_month_is_found_by_the_proof(shop: Shop) -> None:
    """As the decoder of before did it."""
    first_of_may = datetime(2026, 5, 1, tzinfo=UTC)
    record = record_of(an_order(ordered_at=first_of_may))
    written = b"2026-04-30T23:59:59.999999999Z"
    body = (record.value or b"").replace(b"2026-05-01T00:00:00Z", written)
    rounded = understand_kept(record)
    delivery = replace(rounded, record=replace(record, value=body))
    database = shop.recorder.database
    database.in_transaction(lambda connection: append(connection, [delivery], NOW))
    failure = proof_failure(shop)
    assert failure is not None
    assert "ordered at 2026-04-30T23:59:59.999999Z" in failure.what


def proof_failure(shop: Shop) -> Failure | None:
    head = look(shop.recorder.database)  # type: ignore[arg-type]
    return prove_rows(shop.recorder.database, head, lambda *_: None).failure


def count(database: Database, model: type) -> int:
    table = table_of(model)  # type: ignore[arg-type]
    with database.reading() as connection:
        return len(connection.execute(table.select()).all())
