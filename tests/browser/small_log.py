"""An event log of real purchases, recorded by the real recorder, without a broker."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from domain.authorization import Account, authorize
from domain.contracts import (
    AuthorizationAccepted,
    AuthorizePayment,
    Event,
    Message,
    NewOrder,
    RecordRevenue,
    ShipOrder,
)
from domain.house_accounts import HouseAccounts, house_address
from domain.identity import message_id_of, reply_id
from domain.money import Money
from domain.warehouse import pack
from domain.warehouse import ship as shipped
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

    def append(
        self, purchases: Iterable[Purchase], *, ship: bool = False, asked: bool = False
    ) -> None:
        """Record purchases: with their parcels if they `ship`, as requests if `asked`."""
        self.append_orders(map(order_of, purchases), ship=ship, asked=asked)

    def append_orders(
        self, orders: Iterable[NewOrder], *, ship: bool = False, asked: bool = False
    ) -> None:
        records: list[Record] = []
        for order in orders:
            account = self._accounts.setdefault(
                order.customer_id, Account(HOUSE.terms_of(order.customer_id))
            )
            answer = authorize(account, order)
            account.apply(answer)
            if asked:
                request = UUID(message_id_of(AuthorizePayment(order)))
                cause = reply_id(order.order_id, request.bytes)
                records.append(self._record(RecordRevenue(answer), "/shop/order", cause))
            else:
                records += [
                    self._record(order, "/shop/order"),
                    self._record(answer, "/shop/payment", message_id_of(order)),
                ]
            if ship and isinstance(answer, AuthorizationAccepted):
                message = ShipOrder(answer)
                parcel = shipped(pack(message), message)
                records.append(self._record(parcel, "/shop/warehouse", message_id_of(message)))
        for first in range(0, len(records), BATCH):
            handle_batch(self._recorder, records[first : first + BATCH], datetime.now(UTC))

    def close(self) -> None:
        self._recorder.database.close()

    def _record(self, contract: Event | Message, source: str, cause: str | None = None) -> Record:
        sent = outgoing(contract, source, datetime.now(UTC), cause)
        offset = self._next_offset.get(sent.topic, 0)
        self._next_offset[sent.topic] = offset + 1
        return Record(sent.topic, 0, offset, sent.key, sent.body, tuple(sent.headers))


def order_of(purchase: Purchase) -> NewOrder:
    customer = f"{purchase.customer:05}"
    return NewOrder(
        order_id=purchase.order_id,
        customer_id=customer,
        ordered_at=datetime.strptime(purchase.date, "%Y%m%d").replace(tzinfo=UTC),
        amount=Money(purchase.cents, "USD"),
        items=purchase.cds,
        billing_address=house_address(customer),
    )
