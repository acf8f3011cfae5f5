"""Events put into a log past every contract, as an earlier program or a foreign hand left them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from domain.contracts import AuthorizationAccepted, AuthorizationDeclined, Event, Reason
from domain.money import Money
from event_log import log
from event_log.database import Database
from event_log.log import last_position
from transport.envelope import from_headers
from transport.records import Delivery, Record, outgoing

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def accepted(order_id: str, day: str, cents: int) -> Event:
    ordered = datetime.fromisoformat(f"{day}T12:00Z")
    return AuthorizationAccepted(order_id, "00007", ordered, Money(cents, "USD"), 1)


def declined(order_id: str, day: str, cents: int) -> Event:
    ordered = datetime.fromisoformat(f"{day}T12:00Z")
    return AuthorizationDeclined(
        order_id, "00007", ordered, Money(cents, "USD"), 1, Reason.NO_FUNDS
    )


def deliveries(events: Sequence[Event], first_offset: int = 0) -> list[Delivery]:
    made = []
    for offset, event in enumerate(events, first_offset):
        sent = outgoing(event, "/test", NOW)
        record = Record(sent.topic, 0, offset, sent.key, sent.body, tuple(sent.headers))
        made.append(Delivery(record, from_headers(record.headers), event))
    return made


def unreadable(event: Event, offset: int, body: bytes = b'{"v": 2}') -> Delivery:
    """An event whose body no program of today reads."""
    (made,) = deliveries([event], offset)
    return replace(made, record=replace(made.record, value=body))


def put_unreadable(database: Database, event: Event, now: datetime = NOW) -> int:
    """Append one; returns its position."""
    made = unreadable(event, last_position(database))
    database.in_transaction(lambda connection: log.append(connection, [made], now))
    return last_position(database)


def put(database: Database, events: Sequence[Event], now: datetime = NOW) -> None:
    """Append events to a log."""
    coming = deliveries(events, first_offset=last_position(database))
    database.in_transaction(lambda connection: log.append(connection, coming, now))
