"""What services do with deliveries: once, late, twice, out of turn, and broken."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from cli.place import read_purchases
from domain.contracts import NewOrder
from domain.errors import BrokerError
from domain.money import Money
from event_log.database import table_of
from event_log.inbox import next_offsets
from event_log.log import last_position, read
from event_log.outbox import Relay, waiting
from reporting.projector import catch_up, open_projections
from reporting.report import as_json, report
from services.batch import handle_batch
from services.early import EarlyRow
from services.order import OrderRow
from services.payment import AccountEventRow
from services.warehouse import ParcelRow
from tests import expected
from tests.integration.pipes import NOW, Shop, Topics
from transport.envelope import from_headers
from transport.records import Outgoing, Record, outgoing
from transport.topics import AUTHORIZATIONS, ORDERS, WAREHOUSE_REQUESTS, TopicPartition

ORDERS_IN_TEST = 600


@pytest.fixture(scope="module")
def orders() -> list[NewOrder]:
    return read_purchases(expected.DATA, "USD")[0][:ORDERS_IN_TEST]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def figures(shop: Shop, folder: Path) -> dict[str, object]:
    projections = open_projections(folder / "report.sqlite")
    catch_up(shop.recorder.database, projections)
    return as_json(report(projections, "USD"))


def rows(shop: Shop) -> dict[str, list[tuple[object, ...]]]:
    """Everything that services keep of orders, for comparing."""
    found = {}
    for service, model in (
        (shop.order, OrderRow),
        (shop.order, EarlyRow),
        (shop.payment, AccountEventRow),
        (shop.warehouse, ParcelRow),
    ):
        with service.database.reading() as connection:
            table = table_of(model)
            found[str(table.name)] = sorted(map(tuple, connection.execute(select(table))), key=str)
    return found


def events(shop: Shop) -> list[str]:
    return [event.event_id for event in read(shop.recorder.database)]


def test_orders_come_out_as_the_oracle_says(
    shop: Shop, orders: list[NewOrder], tmp_path: Path
) -> None:
    assert shop.place(orders) == ORDERS_IN_TEST
    shop.run()
    purchases = expected.purchases(ORDERS_IN_TEST)
    decided = expected.outcomes(purchases)
    wanted = expected.report(purchases, decided)
    found = figures(shop, tmp_path)
    assert found["months"] == wanted["months"]
    assert found["totals"] == wanted["totals"]
    assert found["position"] == len(events(shop))
    assert shop.order.open_orders() == 0
    accepted = {order_id for order_id, outcome in decided.items() if outcome == "accepted"}
    sent = Counter(
        from_headers(record.headers).correlation_id for record in shop.topics.of(WAREHOUSE_REQUESTS)
    )
    assert sent == Counter(accepted)


def test_every_delivery_twice_changes_nothing(
    shop: Shop, orders: list[NewOrder], tmp_path: Path
) -> None:
    shop.place(orders)
    shop.run()
    before = rows(shop), events(shop), figures(shop, tmp_path)
    lengths = {place: len(log) for place, log in shop.topics.records.items()}
    for service in shop.services:
        shop.deliver_all(service)
    assert (rows(shop), events(shop), figures(shop, tmp_path)) == before
    assert {place: len(log) for place, log in shop.topics.records.items()} == lengths


def test_orders_placed_again_are_published_again_and_change_nothing(
    shop: Shop, orders: list[NewOrder], tmp_path: Path
) -> None:
    shop.place(orders)
    shop.run()
    before = rows(shop), events(shop), figures(shop, tmp_path)
    assert shop.place(orders) == 0
    shop.run()
    assert len(shop.topics.of(ORDERS)) > 2 * ORDERS_IN_TEST
    assert (rows(shop), events(shop), figures(shop, tmp_path)) == before


def test_deliveries_repeated_and_shuffled_as_kafka_permits_give_the_same_end(
    shop: Shop, orders: list[NewOrder], tmp_path: Path
) -> None:
    """Partitions advance at any relative speed, and each may go back to an earlier offset."""
    chance = random.Random(4)
    shop.place(orders)
    for _ in range(6):
        for service in shop.services:
            logs = [
                log[start:]
                for (topic, _), log in shop.topics.records.items()
                if topic in service.subscriptions
                for start in [chance.randrange(len(log)) // 2 if chance.random() < 0.5 else 0]
            ]
            chance.shuffle(logs)
            while logs:
                log = chance.choice(logs)
                size = chance.randint(1, 200)
                shop.deliver(service, log[:size])
                del log[:size]
                logs = [left for left in logs if left]
    shop.run()
    purchases = expected.purchases(ORDERS_IN_TEST)
    wanted = expected.report(purchases, expected.outcomes(purchases))
    assert figures(shop, tmp_path)["totals"] == wanted["totals"]
    assert shop.order.open_orders() == 0
    assert rows(shop)["early"] == []


def test_an_authorization_before_its_order_waits_for_it(shop: Shop, orders: list[NewOrder]) -> None:
    first = orders[:50]
    shop.topics.publish([outgoing(order, "/elsewhere", NOW) for order in first])
    shop.deliver_all(shop.payment)
    shop.deliver(shop.order, shop.topics.of(AUTHORIZATIONS))
    assert shop.topics.of(WAREHOUSE_REQUESTS) == []
    assert len(rows(shop)["early"]) == 50
    shop.place(first)
    assert rows(shop)["early"] == []
    accepted = [o for o in expected.outcomes(expected.purchases(50)).values() if o == "accepted"]
    assert len(shop.topics.of(WAREHOUSE_REQUESTS)) == len(accepted)


def test_an_order_that_came_by_another_way_is_followed_too(
    shop: Shop, orders: list[NewOrder]
) -> None:
    shop.topics.publish([outgoing(order, "/elsewhere", NOW) for order in orders[:50]])
    shop.run()
    assert shop.order.known_orders() == 50
    assert shop.order.open_orders() == 0


def test_the_payload_of_ship_order_is_the_authorization_to_the_byte(
    shop: Shop, orders: list[NewOrder]
) -> None:
    shop.place(orders[:20])
    shop.deliver_all(shop.payment)
    for record in shop.topics.of(AUTHORIZATIONS):
        later = replace(record, value=(record.value or b"")[:-1] + b',"later":1}')
        shop.deliver(shop.order, [later])
    bodies = {record.value for record in shop.topics.of(WAREHOUSE_REQUESTS)}
    assert bodies
    assert all(body and body.endswith(b',"later":1}') for body in bodies)


def test_a_broken_record_is_a_dead_letter_and_its_neighbours_are_unharmed(
    shop: Shop, orders: list[NewOrder]
) -> None:
    first, second, third = (outgoing(order, "/shop/order", NOW) for order in orders[:3])
    broken = Outgoing(second.topic, b"\xff\x00", [*second.headers, ("x", b"\x80")], b"\xfe{")
    shop.topics.publish([first, broken, third])
    for service in (shop.payment, shop.order, shop.recorder):
        shop.deliver_all(service)
    assert len(rows(shop)["account_events"]) == 2
    letters = shop.topics.of("orders.dead-letter")
    assert [dict(letter.headers)["dead_letter_service"] for letter in letters] == [
        b"payment",
        b"order",
        b"recorder",
    ]
    for letter in letters:
        assert (letter.key, letter.value) == (broken.key, broken.body)
        assert list(letter.headers)[: len(broken.headers)] == broken.headers
        headers = dict(letter.headers)
        assert headers["dead_letter_topic"] == b"orders"
        assert b"MalformedRecord: shop.NewOrder.v1" in (headers["dead_letter_reason"] or b"")


def test_a_dead_letter_is_written_once_however_often_its_record_comes(
    shop: Shop, orders: list[NewOrder]
) -> None:
    bad = replace(outgoing(orders[0], "/shop/order", NOW), body=b"{}")
    shop.topics.publish([bad])
    for _ in range(3):
        shop.deliver_all(shop.payment)
    assert len(shop.topics.of("orders.dead-letter")) == 1


def test_an_order_in_another_currency_is_a_dead_letter_of_payment(
    shop: Shop, orders: list[NewOrder]
) -> None:
    fields = {name: getattr(orders[0], name) for name in orders[0].__struct_fields__}
    foreign = NewOrder(**{**fields, "amount": Money(100, "EUR")})
    shop.topics.publish([outgoing(foreign, "/shop/order", NOW)])
    shop.deliver_all(shop.payment)
    (letter,) = shop.topics.of("orders.dead-letter")
    assert b"CurrencyMismatch: order CDNOW_master/" in (
        dict(letter.headers)["dead_letter_reason"] or b""
    )


def test_a_key_that_contradicts_the_body_is_a_dead_letter(
    shop: Shop, orders: list[NewOrder]
) -> None:
    shop.topics.publish([replace(outgoing(orders[0], "/shop/order", NOW), key=b"99999")])
    shop.deliver_all(shop.payment)
    assert len(shop.topics.of("orders.dead-letter")) == 1
    assert rows(shop)["account_events"] == []


def test_an_event_of_an_unknown_type_is_kept_by_the_recorder_and_skipped_by_others(
    shop: Shop, orders: list[NewOrder]
) -> None:
    known = outgoing(orders[0], "/shop/order", NOW)
    headers = [
        (name, b"shop.OrderRefunded.v1" if name == "ce_type" else value)
        for name, value in known.headers
    ]
    shop.topics.publish([replace(known, headers=headers)])
    shop.deliver_all(shop.payment)
    shop.deliver_all(shop.order)
    assert shop.topics.of("orders.dead-letter") == []
    shop.deliver_all(shop.recorder)
    (letter,) = shop.topics.of("orders.dead-letter")
    assert b"UnknownType" in (dict(letter.headers)["dead_letter_reason"] or b"")


class Flaky(Topics):
    """Topics that fail after publishing a part, as a broker does that goes away."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 3

    def publish(self, records: list[Outgoing]) -> None:  # type: ignore[override]
        if self.failures:
            self.failures -= 1
            super().publish(records[: len(records) // 2])
            raise BrokerError("gone")
        super().publish(records)


def test_a_relay_that_fails_half_way_sends_again_and_nothing_is_lost_or_doubled(
    shop: Shop, orders: list[NewOrder], tmp_path: Path
) -> None:
    shop.topics = Flaky()
    shop.order.place(orders, NOW)
    for _ in range(3):
        with pytest.raises(BrokerError):
            shop.relay(shop.order)
        assert waiting(shop.order.database) == ORDERS_IN_TEST
    shop.relay(shop.order)
    assert waiting(shop.order.database) == 0
    assert len(shop.topics.of(ORDERS)) > 2 * ORDERS_IN_TEST
    shop.run()
    purchases = expected.purchases(ORDERS_IN_TEST)
    wanted = expected.report(purchases, expected.outcomes(purchases))
    assert figures(shop, tmp_path)["totals"] == wanted["totals"]


def test_the_outbox_is_published_in_the_order_of_commits(
    shop: Shop, orders: list[NewOrder]
) -> None:
    for start in range(0, 300, 100):
        shop.order.place(orders[start : start + 100], NOW)
    Relay(shop.order.database, shop.topics, batch=7).drain()
    for (_, partition), log in shop.topics.records.items():
        ids = [from_headers(record.headers).correlation_id for record in log]
        wanted = [
            order.order_id
            for order in orders[:300]
            if sum(order.customer_id.encode()) % 3 == partition
        ]
        assert ids == wanted


def test_a_failure_in_a_batch_leaves_no_trace_of_it(
    shop: Shop, orders: list[NewOrder], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.place(orders[:10])
    before = rows(shop)
    records = shop.topics.of(ORDERS)
    monkeypatch.setattr("services.batch.advance", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        handle_batch(shop.payment, records, NOW)
    assert rows(shop) == before
    assert waiting(shop.payment.database) == 0
    monkeypatch.undo()
    shop.deliver(shop.payment, records)
    assert len(rows(shop)["account_events"]) == 10


def test_positions_never_go_back(shop: Shop, orders: list[NewOrder]) -> None:
    shop.place(orders[:100])
    shop.deliver_all(shop.payment)
    with shop.payment.database.reading() as connection:
        before = next_offsets(connection)
    assert before == {
        TopicPartition(topic, partition): len(log)
        for (topic, partition), log in shop.topics.records.items()
        if topic == ORDERS
    }
    shop.deliver(shop.payment, [shop.topics.of(ORDERS)[0]])
    with shop.payment.database.reading() as connection:
        assert next_offsets(connection) == before


def test_repeats_are_noted_beside_the_log(shop: Shop, orders: list[NewOrder]) -> None:
    shop.place(orders[:10])
    shop.place(orders[:10])
    shop.deliver_all(shop.recorder)
    assert last_position(shop.recorder.database) == 10
    with shop.recorder.database.reading() as connection:
        repeats = connection.exec_driver_sql(
            'SELECT topic, partition, "offset", event_id FROM repeats'
        ).all()
    recorded: list[Record] = shop.topics.of(ORDERS)
    logged = {(e.topic, e.partition, e.offset) for e in read(shop.recorder.database)}
    assert {(r.topic, r.partition, r.offset) for r in recorded} == logged | {
        tuple(row[:3]) for row in repeats
    }


def test_events_out_of_turn_in_one_batch_have_their_turn_in_it(
    shop: Shop, orders: list[NewOrder]
) -> None:
    decided_as = expected.outcomes(expected.purchases(60))
    accepted = [o for o in orders[:60] if decided_as[o.order_id] == "accepted"][:20]
    shop.place(accepted)
    shop.deliver_all(shop.payment)
    decided = shop.topics.of(AUTHORIZATIONS)
    ahead = Shop(shop.order.database.path.parent / "ahead")
    ahead.place(accepted)
    ahead.run()
    shipped = [
        record
        for record in ahead.topics.of(ORDERS)
        if from_headers(record.headers).type == "shop.OrderShipped.v1"
    ]
    assert len(shipped) == len(decided) == 20
    shop.deliver(shop.order, [*shipped, *decided])
    assert shop.order.open_orders() == 0
    assert rows(shop)["early"] == []


def test_an_order_asked_again_under_another_event_id_gets_its_answer_and_is_charged_once(
    shop: Shop, orders: list[NewOrder]
) -> None:
    first = outgoing(orders[0], "/shop/order", NOW)
    other = [(name, b"other" if name == "ce_id" else value) for name, value in first.headers]
    shop.topics.publish([first, replace(first, headers=other)])
    shop.deliver_all(shop.payment)
    assert len(rows(shop)["account_events"]) == 1
    one, two = shop.topics.of(AUTHORIZATIONS)
    assert one.value == two.value
    assert from_headers(one.headers).id == from_headers(two.headers).id
    assert from_headers(two.headers).causation_id == "other"


def test_an_order_id_of_another_customer_is_a_dead_letter_also_within_a_batch(
    shop: Shop, orders: list[NewOrder]
) -> None:
    fields = {name: getattr(orders[0], name) for name in orders[0].__struct_fields__}
    stolen = NewOrder(**{**fields, "customer_id": "77777"})
    shop.topics.publish([outgoing(orders[0], "/shop/order", NOW)])
    first = shop.topics.of(ORDERS)
    shop.topics.publish([outgoing(stolen, "/shop/order", NOW)])
    both = shop.topics.of(ORDERS)
    other = [
        (name, b"other" if name == "ce_id" else value)
        for name, value in next(r for r in both if r not in first).headers
    ]
    forged = replace(next(r for r in both if r not in first), headers=tuple(other))
    shop.deliver(shop.payment, [*first, forged])
    shop.deliver(shop.payment, [replace(forged, offset=99, headers=tuple(first[0].headers))])
    assert len(rows(shop)["account_events"]) == 1
    letters = shop.topics.of("orders.dead-letter")
    assert b"OrderConflict: order CDNOW_master/" in (
        dict(letters[0].headers)["dead_letter_reason"] or b""
    )
