"""The payment service: accounts, event-sourced, and the authorizations they give."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from sqlalchemy import Connection, select
from sqlmodel import Field, SQLModel

from domain.authorization import Account, account_from, authorize
from domain.contracts import Authorization, NewOrder
from domain.errors import ContractError
from domain.house_accounts import HouseAccounts
from event_log.database import Database, among, table_of
from event_log.inbox import InboxRow, PositionRow
from event_log.outbox import OutboxRow
from services.batch import Handled, Subscriptions
from transport.codec import decode, encode, type_name
from transport.records import Delivery, outgoing
from transport.topics import ORDERS

SOURCE = "/shop/payment"


class AccountEventRow(SQLModel, table=True):
    """An authorization event of an account; `id` is their order. One per order, ever."""

    __tablename__ = "account_events"
    id: int | None = Field(default=None, primary_key=True)
    customer_id: str = Field(index=True)
    order_id: str = Field(unique=True)
    type: str
    body: bytes


_account_events = table_of(AccountEventRow)


class PaymentService:
    """Consumes NewOrder, publishes AuthorizationAccepted or AuthorizationDeclined."""

    name: ClassVar[str] = "payment"
    inbox: ClassVar[bool] = True
    subscriptions: ClassVar[Subscriptions] = {ORDERS: frozenset({type_name(NewOrder)})}

    def __init__(self, path: Path, accounts: HouseAccounts) -> None:
        """Keep accounts in the database at `path`, with terms from `accounts`."""
        self.database = Database(path, [AccountEventRow, InboxRow, OutboxRow, PositionRow])
        self._accounts = accounts

    def handle(
        self, connection: Connection, deliveries: Sequence[Delivery], now: datetime
    ) -> Handled:
        """Decide every order, and keep and publish the decisions."""
        orders = [(d, d.payload) for d in deliveries if isinstance(d.payload, NewOrder)]
        accounts = self._load(connection, {order.customer_id for _, order in orders})
        handled = Handled()
        decided: list[Authorization] = []
        for delivery, order in orders:
            account = accounts[order.customer_id]
            known = order.order_id in account.answers
            try:
                answer = authorize(account, order)
            except ContractError as error:
                handled.refused.append((delivery.record, error))
                continue
            if not known:
                account.apply(answer)
                decided.append(answer)
            handled.outgoing.append(outgoing(answer, SOURCE, now, cause=delivery.envelope))
        _keep(connection, decided)
        return handled

    def _load(self, connection: Connection, customers: set[str]) -> dict[str, Account]:
        columns = (_account_events.c.customer_id, _account_events.c.type, _account_events.c.body)
        rows = connection.execute(
            select(*columns)
            .where(among(_account_events.c.customer_id, customers))
            .order_by(_account_events.c.id)
        )
        history: dict[str, list[Authorization]] = {customer: [] for customer in customers}
        for customer, kind, body in rows:
            history[customer].append(decode(kind, body))  # type: ignore[arg-type]
        return {
            customer: account_from(self._accounts.terms_of(customer), events)
            for customer, events in history.items()
        }


def _keep(connection: Connection, events: Iterable[Authorization]) -> None:
    rows = [
        {
            "customer_id": event.customer_id,
            "order_id": event.order_id,
            "type": type_name(event),
            "body": encode(event),
        }
        for event in events
    ]
    if rows:
        connection.execute(_account_events.insert(), rows)
