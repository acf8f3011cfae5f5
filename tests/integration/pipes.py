"""Services joined by hand, without a broker: each delivery is in the test's power."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from domain.contracts import NewOrder
from domain.house_accounts import HouseAccounts
from domain.money import Money
from event_log.database import Place
from event_log.outbox import Relay
from services.batch import Service, handle_batch
from services.order import OrderService
from services.payment import PaymentService
from services.recorder import RecorderService
from services.warehouse import WarehouseService
from transport.records import Outgoing, Record

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PARTITIONS = 3


class Topics:
    """Topics in memory, partitioned by key: where published records lie."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], list[Record]] = {}

    def publish(self, records: Sequence[Outgoing]) -> None:
        for record in records:
            partition = sum(record.key or b"") % PARTITIONS
            log = self.records.setdefault((record.topic, partition), [])
            headers = tuple(record.headers)
            log.append(Record(record.topic, partition, len(log), record.key, record.body, headers))

    def of(self, topic: str) -> list[Record]:
        return [
            record for (name, _), log in self.records.items() if name == topic for record in log
        ]


class Shop:
    """All services over databases of their own, in one folder or by name."""

    def __init__(self, places: Path | Callable[[str], Place]) -> None:
        of = (lambda name: places / f"{name}.sqlite") if isinstance(places, Path) else places
        self.topics = Topics()
        self.order = OrderService(of("order"))
        self.payment = PaymentService(of("payment"), HouseAccounts(Money(30_000, "USD")))
        self.warehouse = WarehouseService(of("warehouse"))
        self.recorder = RecorderService(of("event_log"))

    @property
    def services(self) -> tuple[Service, ...]:
        return (self.order, self.payment, self.warehouse, self.recorder)

    def place(self, orders: Sequence[NewOrder]) -> int:
        new = self.order.place(orders, NOW)
        self.relay(self.order)
        return new

    def relay(self, service: Service) -> int:
        return Relay(service.database, self.topics).drain()

    def deliver(self, service: Service, records: Sequence[Record], batch: int = 500) -> None:
        for start in range(0, len(records), batch):
            handle_batch(service, records[start : start + batch], NOW)
        self.relay(service)

    def deliver_all(self, service: Service) -> None:
        for topic in service.subscriptions:
            self.deliver(service, self.topics.of(topic))

    def run(self) -> None:
        """Bring everything that was placed to its end."""
        self.deliver_all(self.payment)
        self.deliver_all(self.order)
        self.deliver_all(self.warehouse)
        self.deliver_all(self.order)
        self.deliver_all(self.recorder)
