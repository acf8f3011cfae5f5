"""An event log of real purchases, recorded by the real recorder, without a broker."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from domain.authorization import Account, authorize
from domain.contracts import Contract, NewOrder
from domain.house_accounts import HouseAccounts, house_address
from domain.money import Money
from services.batch import handle_batch
from services.recorder import RecorderService
from tests.expected import Purchase
from transport.records import Record, outgoing

HOUSE = HouseAccounts(Money(300_00, "USD"))
BATCH = 2000


class SmallLog:
    """Records purchases and their authorizations as the pipeline does."""

    def __init__(self, home: Path) -> None:
        self._recorder = RecorderService(home / "databases" / "event_log.sqlite")
        self._accounts: dict[str, Account] = {}
        self._next_offset: dict[str, int] = {}

    def append(self, purchases: Iterable[Purchase]) -> None:
        records: list[Record] = []
        for purchase in purchases:
            order = _order(purchase)
            account = self._accounts.setdefault(
                order.customer_id, Account(HOUSE.terms_of(order.customer_id))
            )
            answer = authorize(account, order)
            account.apply(answer)
            records += [self._record(order, "/shop/order"), self._record(answer, "/shop/payment")]
        for first in range(0, len(records), BATCH):
            handle_batch(self._recorder, records[first : first + BATCH], datetime.now(UTC))

    def close(self) -> None:
        self._recorder.database.close()

    def _record(self, contract: Contract, source: str) -> Record:
        sent = outgoing(contract, source, datetime.now(UTC))
        offset = self._next_offset.get(sent.topic, 0)
        self._next_offset[sent.topic] = offset + 1
        return Record(sent.topic, 0, offset, sent.key, sent.body, tuple(sent.headers))


def _order(purchase: Purchase) -> NewOrder:
    customer = f"{purchase.customer:05}"
    return NewOrder(
        order_id=purchase.order_id,
        customer_id=customer,
        ordered_at=datetime.strptime(purchase.date, "%Y%m%d").replace(tzinfo=UTC),
        amount=Money(purchase.cents, "USD"),
        items=purchase.cds,
        billing_address=house_address(customer),
    )
