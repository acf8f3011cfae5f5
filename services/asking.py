"""The order service as the payment service's client: what it keeps when it asks."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from domain.contracts import Authorization, AuthorizationFailed, Message, RecordRevenue
from domain.errors import ContractError
from domain.order import Order, OrderState, follow
from domain.requests import RequestStanding, after_giving_up, after_reply
from event_log.inbox import advance, next_offsets
from event_log.outbox import enqueue
from event_log.topic_ids import topic_ids
from services.asked import (
    Asked,
    keep_asked,
    keep_standings,
    partitions_unanswered,
    standings_of,
    unanswered,
)
from services.early import take_early
from services.order import SOURCE, OrderService, load_orders, save_orders
from transport.letters import dead_letters
from transport.records import Outgoing, Record, outgoing
from transport.topics import TopicPartition

NAME = "requester"
"""Under which name dead letters are written."""

Unusable = tuple[Record, ContractError]
"""A record of the reply partition that is no reply to anything, and why."""

Try = tuple[str, datetime]
"""One time that a request was asked: its correlation id, and the deadline of that time (UTC)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that was understood: to which request, what it says, its bytes, and its own id."""

    correlation_id: str
    said: Authorization | AuthorizationFailed
    body: bytes
    id: str | None


class Asking:
    """What happens in the order service's database when it asks and is answered."""

    def __init__(self, orders: OrderService) -> None:
        """Keep requests beside the orders of `orders`."""
        self.orders = orders
        self.database = orders.database

    def ask(self, connection: Connection, asked: Sequence[Asked], now: datetime) -> set[str]:
        """Decide to ask: orders and pending requests, in one transaction.

        Returns:
            The ids of the orders that were not known before.
        """
        known = load_orders(connection, {each.order.order_id for each in asked})
        new = {each.order.order_id for each in asked} - known.keys()
        save_orders(connection, [Order(each, OrderState.PLACED) for each in sorted(new)])
        self._give_their_turn(connection, new, now)
        keep_asked(connection, asked, now)
        return new

    def learn(self, connection: Connection, asked: Iterable[Asked], now: datetime) -> int:
        """Take in requests that were asked, and are not known; how many these were."""
        # Of one that was asked again the last time counts, which has the latest deadline.
        lasts = {each.correlation_id: each for each in asked}
        known = standings_of(connection, lasts)
        new = [each for each in lasts.values() if each.correlation_id not in known]
        self.ask(connection, new, now)
        return len(new)

    def take_replies(
        self,
        connection: Connection,
        replies: Sequence[Reply],
        offsets: Mapping[TopicPartition, int],
        now: datetime,
        unusable: Sequence[Unusable] = (),
    ) -> None:
        """Take replies in: orders, requests, ShipOrder and RecordRevenue, in one transaction.

        A reply to a request that nobody here has asked breaks no contract, and may be one to a
        former user of the partition: it is left alone. What is `unusable` becomes a dead letter.
        """
        standings = standings_of(connection, [reply.correlation_id for reply in replies])
        orders = load_orders(connection, {reply.said.order_id for reply in replies})
        changed: dict[str, Order] = {}
        settled: dict[str, RequestStanding] = {}
        out: list[Outgoing] = []
        for reply in replies:
            standing = standings.get(reply.correlation_id)
            if standing is None:
                continue
            after = after_reply(standing, reply.said)
            if after is not standing:
                standings[reply.correlation_id] = settled[reply.correlation_id] = after
            if isinstance(reply.said, AuthorizationFailed):
                continue
            before = orders.get(reply.said.order_id)
            order, message = follow(before, reply.said)
            if order is None or order is before:
                continue
            orders[order.order_id] = changed[order.order_id] = order
            # Nobody subscribes here: the order service itself tells who must know, and each
            # message carries the event as the payment service encoded it, to the byte.
            told: list[Message] = [RecordRevenue(reply.said)]
            if message is not None:
                told.append(message)
            out += [outgoing(each, SOURCE, now, cause=reply.id, body=reply.body) for each in told]
        save_orders(connection, changed.values())
        self._give_their_turn(connection, changed, now)
        keep_standings(connection, settled, now)
        if unusable:
            positions, lives = next_offsets(connection), topic_ids(connection)
            out += dead_letters(unusable, NAME, now, positions, lives)
        advance(connection, offsets, now)
        enqueue(connection, out)

    def _give_their_turn(
        self, connection: Connection, order_ids: Collection[str], now: datetime
    ) -> None:
        """Handle events that came before these orders were as far."""
        if early := take_early(connection, order_ids, now):
            enqueue(connection, self.orders.handle(connection, early, now).outgoing)

    def give_up(self, connection: Connection, tries: Collection[Try], now: datetime) -> None:
        """Note that the time of these tries is over; a request that was asked again goes on."""
        standings = standings_of(connection, {correlation_id for correlation_id, _ in tries})
        changed: dict[str, RequestStanding] = {}
        for correlation_id, deadline in tries:
            before = standings.get(correlation_id)
            if before is None:
                continue
            after = after_giving_up(before, deadline)
            if after is not before:
                standings[correlation_id] = changed[correlation_id] = after
        keep_standings(connection, changed, now)

    def partitions_unanswered(self) -> list[int]:
        """The reply partitions of those who asked, and were not answered yet."""
        return self.database.read(partitions_unanswered)

    def unanswered(self, reply_partition: int, most: int) -> Iterator[list[Asked]]:
        """What was asked from a partition, and nobody has answered yet, `most` at a time."""
        after = None
        while True:
            found, after = self.database.read(
                partial(unanswered, reply_partition=reply_partition, after=after, most=most)
            )
            if after is None:
                return
            yield found

    def next_offset(self, place: TopicPartition) -> int | None:
        """The offset after the last reply that was taken from a partition."""
        return self.database.read(next_offsets).get(place)
