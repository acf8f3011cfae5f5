"""The payment service: accounts, event-sourced, and the authorizations they give."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import ClassVar

from sqlalchemy import Connection, select
from sqlmodel import Field, SQLModel

from domain.authorization import Account, account_from, authorize, is_answer_to
from domain.contracts import Authorization, NewOrder
from domain.errors import ContractError, OrderConflict
from domain.house_accounts import HouseAccounts
from event_log.database import Database, Int64, Place, table_of
from event_log.inbox import InboxRow, PositionRow
from event_log.outbox import OutboxRow
from event_log.statements import among
from event_log.topic_ids import TopicRow
from services.batch import Handled, Subscriptions
from services.heartbeat import HeartbeatRow
from transport.codec import decode, encode, type_name
from transport.records import Delivery, outgoing
from transport.topics import ORDERS

SOURCE = "/shop/payment"


class AccountEventRow(SQLModel, table=True):
    """An authorization event of an account; `id` is their order. One per order, ever."""

    __tablename__ = "account_events"
    id: int | None = Field(default=None, primary_key=True, sa_type=Int64)
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

    def __init__(self, place: Place, accounts: HouseAccounts) -> None:
        """Keep accounts in the database at `place`, with terms from `accounts`."""
        self.database = Database(
            place, [AccountEventRow, InboxRow, OutboxRow, PositionRow, TopicRow, HeartbeatRow]
        )
        self._accounts = accounts

    def handle(
        self, connection: Connection, deliveries: Sequence[Delivery], now: datetime
    ) -> Handled:
        """Decide every order, and keep and publish the decisions."""
        orders = [(d, d.payload) for d in deliveries if isinstance(d.payload, NewOrder)]
        answers = self.decide(connection, [order for _, order in orders])
        handled = Handled()
        for (delivery, _), answer in zip(orders, answers, strict=True):
            if isinstance(answer, ContractError):
                handled.refused.append((delivery.record, answer))
            elif answer is not None:
                handled.outgoing.append(outgoing(answer, SOURCE, now, cause=delivery.envelope.id))
        return handled

    def decide(
        self,
        connection: Connection,
        orders: Sequence[NewOrder],
        may_decide: Callable[[NewOrder], bool] = lambda order: True,
    ) -> list[Authorization | ContractError | None]:
        """Authorize orders one after the other, and keep the new decisions.

        An order that was asked before, in whatever way, gets the answer it got.

        Args:
            connection: a transaction that holds the write lock.
            orders: the orders.
            may_decide: whether an order that has no answer yet may still get one.

        Returns:
            For each order its answer, why it was refused, or `None` where it was not to be decided.
        """
        accounts = self._load(connection, {order.customer_id for order in orders})
        owners = _owners(connection, [order.order_id for order in orders])
        answers: list[Authorization | ContractError | None] = []
        decided: list[Authorization] = []
        for order in orders:
            account = accounts[order.customer_id]
            known = account.answers.get(order.order_id)
            if known is not None and not is_answer_to(known, order):
                answers.append(
                    OrderConflict(
                        f"order {order.order_id} was decided for {known.amount.cents} minor units "
                        f"of {known.amount.currency} and {known.items} items, ordered "
                        f"{known.ordered_at.isoformat()}; this is another order by the same id"
                    )
                )
                continue
            if known is not None or not may_decide(order):
                answers.append(known)
                continue
            owner = owners.setdefault(order.order_id, order.customer_id)
            try:
                if owner != order.customer_id:
                    raise OrderConflict(
                        f"order {order.order_id} of customer {order.customer_id} is an order of "
                        f"customer {owner} already"
                    )
                answer = authorize(account, order)
            except ContractError as error:
                answers.append(error.kept())
                continue
            account.apply(answer)
            decided.append(answer)
            answers.append(answer)
        _keep(connection, decided)
        return answers

    def learn(self, connection: Connection, decisions: Iterable[Authorization]) -> int:
        """Keep decisions that are known from elsewhere, each order's first; how many were new."""
        firsts = {each.order_id: each for each in reversed(list(decisions))}
        known = _owners(connection, list(firsts))
        new = [each for each in reversed(firsts.values()) if each.order_id not in known]
        _keep(connection, new)
        return len(new)

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


def _owners(connection: Connection, order_ids: Sequence[str]) -> dict[str, str]:
    """By order id, the customer whose account has decided it."""
    columns = (_account_events.c.order_id, _account_events.c.customer_id)
    rows = connection.execute(select(*columns).where(among(_account_events.c.order_id, order_ids)))
    return {row.order_id: row.customer_id for row in rows}


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
