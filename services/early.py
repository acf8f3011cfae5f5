"""Events that arrived before their order was known, or before their turn: kept until it comes."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, select
from sqlmodel import Field, SQLModel

from domain.errors import ContractError
from event_log.database import Int64, pack_headers, table_of, unpack_headers
from event_log.inbox import InboxRow
from event_log.outbox import enqueue
from event_log.statements import among, insert_new
from event_log.topic_ids import topic_ids
from transport.letters import dead_letter
from transport.records import Delivery, Outgoing, Record, understand_kept

KEPT_BY = "order"
"""The service that keeps early events, and that writes their dead letters."""


class EarlyRow(SQLModel, table=True):
    """A record whose turn has not come, as it was received.

    `topic_id` says of which topic of that name it is (KIP-516); one made anew has offsets from 0
    again. It is empty where that was not known.
    """

    __tablename__ = "early"
    event_id: str = Field(primary_key=True)
    order_id: str = Field(index=True)
    topic: str
    topic_id: str
    partition: int
    offset: int = Field(sa_type=Int64)
    key: bytes | None
    headers: bytes
    body: bytes | None


_early = table_of(EarlyRow)
_inbox = table_of(InboxRow)


def keep_early(connection: Connection, deliveries: Iterable[Delivery]) -> None:
    """Keep events until their order gets there."""
    deliveries = list(deliveries)
    lives = topic_ids(connection) if deliveries else {}
    rows = [
        {
            "event_id": delivery.envelope.id,
            "order_id": delivery.envelope.correlation_id,
            "topic": delivery.record.topic,
            "topic_id": lives.get(delivery.record.topic, ""),
            "partition": delivery.record.partition,
            "offset": delivery.record.offset,
            "key": delivery.record.key,
            "headers": pack_headers(delivery.record.headers),
            "body": delivery.record.value,
        }
        for delivery in deliveries
    ]
    if rows:
        connection.execute(insert_new(connection, _early), rows)


def take_early(connection: Connection, order_ids: Collection[str], now: datetime) -> list[Delivery]:
    """Take out what was kept for these orders, in the order in which it arrived.

    It was understood when it was kept, perhaps by earlier rules, and rules that were added since
    don't hold for it. What can't be understood any more all the same becomes a dead letter, and
    holds nobody up. Its event counts as never handled then, so that it can be sent again, mended.
    """
    if connection.execute(select(_early.c.event_id).limit(1)).first() is None:
        return []
    theirs = among(_early.c.order_id, order_ids)
    taken: list[Delivery] = []
    letters: list[Outgoing] = []
    spoilt: list[str] = []
    for row in connection.execute(select(_early).where(theirs)):
        headers = tuple(unpack_headers(row.headers))
        record = Record(row.topic, row.partition, row.offset, row.key, row.body, headers)
        try:
            taken.append(understand_kept(record))
        except ContractError as why:
            letters.append(dead_letter(record, KEPT_BY, why, now, row.topic_id))
            spoilt.append(row.event_id)
    if letters:
        enqueue(connection, letters)
        connection.execute(delete(_inbox).where(among(_inbox.c.event_id, spoilt)))
    connection.execute(delete(_early).where(theirs))
    return taken
