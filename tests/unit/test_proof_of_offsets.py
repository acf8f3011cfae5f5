"""What Kafka has and the log has not, or the other way round, and what is only on its way."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from cli.place import read_purchases
from domain.contracts import NewOrder
from reporting.proof_of_offsets import topics_behind
from reporting.proof_run import Proof
from reporting.proof_topics import Span
from services.batch import handle_batch
from tests import expected
from tests.integration.pipes import NOW, Shop
from tests.unit.test_proof_world import (
    ORDERS_PLACED,
    MemoryTopics,
    World,
    checked,
    failing,
    notes,
    what,
    where,
    world,
)
from transport.codec import decode
from transport.records import Record
from transport.topics import AUTHORIZATIONS, ORDERS, TopicPartition

__all__ = ["world"]


class TestKafka:
    """What Kafka has and the log has not, or the other way round."""

    def publish(self, world: World, count: int) -> None:
        orders = read_purchases(expected.DATA, "USD")[0]
        world.shop.place(orders[ORDERS_PLACED : ORDERS_PLACED + count])

    def test_what_the_recorder_has_not_come_to_is_no_failure_until_all_is_settled(
        self, world: World
    ) -> None:
        self.publish(world, 10)
        parts = world.prove()
        assert failing(parts) == set()
        assert checked(parts["offsets"])["not_recorded_yet"] == 10
        assert "not recorded yet, from offset" in notes(parts["offsets"])
        parts = world.prove(settled=True)
        assert failing(parts) == {"offsets", "orders"}
        assert "not recorded yet" in what(parts["offsets"])

    def test_a_record_that_says_else_than_the_log(self, world: World) -> None:
        place, records = next(iter(world.shop.topics.records.items()))
        was = records[3]
        records[3] = replace(was, value=(was.value or b"").replace(b'"cents":', b'"cents":1'))
        assert records[3] != was
        parts = world.prove()
        assert failing(parts) == {"offsets"}
        assert where(parts["offsets"]) == f"{place[0]}[{place[1]}]@3"

    def test_another_key_than_the_body_says(self, world: World) -> None:
        place, records = next(iter(world.shop.topics.records.items()))
        records[2] = replace(records[2], key=b"99999")
        parts = world.prove()
        assert where(parts["offsets"]) == f"{place[0]}[{place[1]}]@2"
        assert "the key is b'99999'" in what(parts["offsets"])

    def test_repeats_are_accounted_for(self, world: World) -> None:
        again = world.shop.topics.of(ORDERS)[:5]
        world.shop.place(
            [decode("shop.NewOrder.v1", each.value) for each in again]  # type: ignore[misc]
        )
        world.shop.deliver_all(world.shop.recorder)
        parts = world.prove(settled=True)
        assert failing(parts) == set()
        assert checked(parts["offsets"])["repeats"] == 5

    def test_dead_letters_are_accounted_for_and_named(self, world: World) -> None:
        place = (ORDERS, 0)
        log = world.shop.topics.records[place]
        log.append(Record(ORDERS, 0, len(log), b"1", b"no order", ()))
        world.shop.deliver_all(world.shop.recorder)
        parts = world.prove(settled=True)
        assert failing(parts) == set()
        assert checked(parts["offsets"])["dead_letters"] == 1
        assert f"{ORDERS}[0]: 1 dead letters, from offset {len(log) - 1} on" in notes(
            parts["offsets"]
        )
        log[-1] = replace(log[-1], value=b"another")
        parts = world.prove()
        assert where(parts["offsets"]) == f"{ORDERS}[0]@{len(log) - 1}"
        assert "body of its dead letter is another" in what(parts["offsets"])

    def test_a_dead_letter_that_is_not_sent_yet_counts_and_one_of_another_service_does_not(
        self, world: World
    ) -> None:
        log = world.shop.topics.records[ORDERS, 0]
        log.append(Record(ORDERS, 0, len(log), b"1", b"no order", ()))
        handle_batch(world.shop.recorder, log[-1:], NOW)
        parts = world.prove()
        assert checked(parts["offsets"])["dead_letters"] == 1
        with world.tamper() as database:
            database.execute("DELETE FROM outbox")
        parts = world.prove()
        assert where(parts["offsets"]) == f"{ORDERS}[0]@{len(log) - 1}"

    def test_what_retention_deleted_is_named_and_the_log_stands_by_its_chain(
        self, world: World
    ) -> None:
        place = TopicPartition(ORDERS, 0)
        world.kafka.low[place] = 11
        parts = world.prove(settled=True)
        assert failing(parts) == set()
        assert checked(parts["offsets"])["deleted"] == {
            "offsets": 11,
            "recorded": 11,
            "repeats": 0,
            "dead_letters": 0,
            "unknown": 0,
        }
        assert "retention deleted offsets before 11: 11 recorded" in notes(parts["offsets"])

    def test_what_retention_deleted_and_nobody_has_is_named(self, world: World) -> None:
        with world.tamper() as log:
            log.execute(
                'DELETE FROM event_log WHERE topic = ? AND partition = 0 AND "offset" IN (4, 5)',
                (ORDERS,),
            )
        world.kafka.low[TopicPartition(ORDERS, 0)] = 11
        parts = world.prove()
        assert "chain" in failing(parts)
        assert parts["offsets"].holds
        assert "2 unknown (first 4)" in notes(parts["offsets"])

    def test_an_offset_without_a_record_is_no_failure_unless_the_log_has_one(
        self, world: World
    ) -> None:
        log = world.shop.topics.records[ORDERS, 0]
        last = log[-1]
        log[-1] = replace(last, offset=last.offset + 3)
        parts = world.prove()
        assert where(parts["offsets"]) == f"{ORDERS}[0]@{last.offset}"
        assert "Kafka has no record there" in what(parts["offsets"])
        log[-1] = last
        log.append(replace(last, offset=last.offset + 3))
        with world.tamper() as database:
            event_id = dict(last.headers)["ce_id"]
            database.execute(
                "INSERT INTO repeats VALUES (?, ?, ?, ?)",
                (ORDERS, 0, last.offset + 3, (event_id or b"").decode()),
            )
        parts = world.prove()
        assert failing(parts) == set()
        assert checked(parts["offsets"])["without_record"] == 2

    def test_a_partition_may_end_with_offsets_that_hold_no_record(self, world: World) -> None:
        world.kafka.markers[TopicPartition(ORDERS, 0)] = 5000
        parts = world.prove(settled=True)
        assert failing(parts) == set()
        assert checked(parts["offsets"])["without_record"] == 5000
        with closing(Proof(world.databases, settled=False)) as proof:
            assert topics_behind(world.kafka, proof.head) == frozenset()
            self.publish(world, 1)
            assert topics_behind(world.kafka, proof.head) == {ORDERS}

    def test_retention_may_be_at_work_while_it_is_read(self, world: World) -> None:
        place = TopicPartition(ORDERS, 0)
        records, kafka = world.kafka.records, world.kafka

        def deleting(read: TopicPartition, span: Span) -> Iterator[list[Record]]:
            if read == place:
                kafka.low[place] = 10
            return records(read, Span(max(span.low, kafka.low.get(read, 0)), span.end))

        kafka.records = deleting  # type: ignore[method-assign]
        parts = world.prove()
        assert failing(parts) == set()
        assert checked(parts["offsets"])["deleted"]["recorded"] == 10

    def test_a_partition_that_is_not_there(self, world: World) -> None:
        del world.shop.topics.records[AUTHORIZATIONS, 0]
        parts = world.prove()
        assert failing(parts) == {"offsets"}
        assert "Kafka has no such partition" in what(parts["offsets"])

    def test_what_may_still_be_recorded_is_no_failure(self, world: World) -> None:
        """The recorder has taken shipments in, and not yet the authorizations before them."""
        self.publish(world, 20)
        shop = world.shop
        shop.deliver_all(shop.payment)
        shop.deliver_all(shop.order)
        shop.deliver_all(shop.warehouse)
        shop.deliver(shop.recorder, shop.topics.of(ORDERS))
        parts = world.prove()
        assert failing(parts) == set()
        assert "authorization is not recorded yet" in notes(parts["shipments"])
        assert "shipments" in failing(world.prove(offline=True))
        shop.deliver_all(shop.recorder)
        assert failing(world.prove()) == set()


def test_offline_leaves_offsets_out_and_says_so(world: World) -> None:
    parts = world.prove(offline=True)
    assert parts["offsets"].holds is None
    assert parts["offsets"].skipped == "Kafka was not asked"
    assert failing(parts) == set()


def test_orders_in_flight_are_open_and_a_failure_only_when_all_is_settled(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    orders: list[NewOrder] = read_purchases(expected.DATA, "USD")[0][:30]
    shop.place(orders)
    shop.deliver_all(shop.recorder)
    world = World(tmp_path, shop, MemoryTopics(shop.topics))
    parts = world.prove()
    assert failing(parts) == set()
    sums = checked(parts["orders"])["currencies"]["USD"]
    assert sums["placed"] == sums["open"]
    assert sums["open"]["orders"] == 30
    assert failing(world.prove(settled=True)) == {"orders"}
    shop.deliver_all(shop.payment)
    shop.deliver_all(shop.recorder)
    parts = world.prove()
    assert failing(parts) == set()
    assert checked(parts["shipments"])["under_way"] > 0
    assert failing(world.prove(settled=True)) == {"orders", "shipments"}
