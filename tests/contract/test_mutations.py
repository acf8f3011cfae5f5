"""The program made wrong in what a record means: the contract's checks or the proof notice each.

That a service takes what was rolled back for said is a mutation of the fault harness too, on a real
broker: ``uncommitted`` in `tests.faults.changes`.
"""

from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.place import placing, read_purchases
from domain.contracts import NewOrder
from domain.errors import OutOfBounds
from domain.instants import instant_of
from domain.money import Money
from domain.purchases import PurchaseFile
from event_log.log import read
from reporting.proof import PartName
from reporting.proof_run import Databases, Proof
from services.batch import handle_batch
from services.order import OrderService
from services.recorder import RecorderService
from tests import expected
from tests.contract.conftest import Places
from tests.integration.pipes import NOW, Shop, Topics
from tests.unit.test_proof_world import MemoryTopics
from transport.records import Record, outgoing, understand
from transport.topics import ORDERS, TopicPartition

ORDER = NewOrder("test/1", "00042", datetime(2024, 4, 30, tzinfo=UTC), Money(1000, "USD"), 1, "x")

wrong = pytest.mark.parametrize("wrong", [False, True], ids=["right", "wrong"])


def record_of(order: NewOrder, offset: int = 0) -> Record:
    sent = outgoing(order, "/elsewhere", NOW)
    return Record(sent.topic, 0, offset, sent.key, sent.body, tuple(sent.headers))


def proved(places: Places, part: PartName, kafka: MemoryTopics) -> bool:
    databases = Databases(*(places.of(name) for name in ("event_log", "report", "order")))
    with closing(Proof(databases, settled=False)) as proof:
        proof.ask(kafka)
        return proof.run(part, lambda done, total: None).holds


@wrong
def test_rolled_back_orders_that_are_recorded_fail_the_proof(places: Places, wrong: bool) -> None:
    shop = Shop(places.of)
    shop.place(read_purchases(expected.DATA, "USD").orders[:5])
    shop.run()
    place, end = TopicPartition(ORDERS, 0), len(shop.topics.records[ORDERS, 0])
    # The topic has it, and a mark behind it: to whoever reads what is committed, two gaps.
    kafka = MemoryTopics(shop.topics, markers={place: 2})
    if wrong:
        handle_batch(shop.recorder, [record_of(ORDER, end)], NOW)
    for service in shop.services:
        service.database.close()
    assert proved(places, PartName.OFFSETS, kafka) is not wrong


@wrong
def test_orders_known_by_their_lines_are_charged_twice(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: bool
) -> None:
    by_what_it_says = PurchaseFile.order_from

    def by_its_line(self: PurchaseFile, number: int, line: str) -> NewOrder:
        order = by_what_it_says(self, number, line)
        return msgspec.structs.replace(order, order_id=f"{self.data_set}/{number}")

    if wrong:
        monkeypatch.setattr(PurchaseFile, "order_from", by_its_line)
    service, file = OrderService(places.of("order")), tmp_path / "purchases.txt"
    for between in ("\n\n", "\n"):
        file.write_text(f"00001 19970101 1 5.00{between}00002 19970101 1 20.00\n")
        purchases = read_purchases(file, "USD")
        with placing(service, file, purchases):
            service.place(purchases.orders, NOW)
    assert (service.known_orders() == 2) is not wrong
    service.database.close()


@wrong
@pytest.mark.parametrize(
    ("bound", "gone", "said"),
    [
        (
            "END",
            datetime.max.replace(tzinfo=UTC),
            {"ordered_at": datetime(9999, 12, 31, tzinfo=UTC)},
        ),
        ("LARGEST_AMOUNT", 2**63, {"amount": Money(2**63 - 1, "USD")}),
        ("is_canonical", lambda _customer: True, {"customer_id": "42"}),
    ],
)
def test_without_a_bound_what_breaks_it_comes_in(
    monkeypatch: pytest.MonkeyPatch, wrong: bool, bound: str, gone: Any, said: dict[str, Any]
) -> None:
    if wrong:
        monkeypatch.setattr(f"domain.bounds.{bound}", gone)
    with nullcontext() if wrong else pytest.raises(OutOfBounds):
        understand(record_of(msgspec.structs.replace(ORDER, **said)))


@wrong
def test_a_time_that_is_rounded_is_another_month_and_fails_the_proof(
    places: Places, monkeypatch: pytest.MonkeyPatch, wrong: bool
) -> None:
    finest = b"2024-04-30T23:59:59.999999999Z"
    made = record_of(ORDER)
    record = replace(made, value=(made.value or b"").replace(b"2024-04-30T00:00:00Z", finest))
    assert finest in (record.value or b"")
    if wrong:
        monkeypatch.setattr(
            "transport.codec.instant_of",
            lambda text: instant_of(text) + timedelta(microseconds=text.endswith("999Z")),
        )
    recorder = RecorderService(places.of("event_log"))
    handle_batch(recorder, [record], NOW)
    (event,) = read(recorder.database)
    recorder.database.close()
    monkeypatch.undo()
    assert event.business_time.month == (5 if wrong else 4)
    topics = Topics()
    topics.records[ORDERS, 0] = [record]
    assert proved(places, PartName.CHAIN, MemoryTopics(topics)) is not wrong
