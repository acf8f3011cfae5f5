"""A batch of records, from bytes to commit: the same for every service and every Kafka client."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import ClassVar, Protocol

from sqlalchemy import Connection

from domain.errors import ContractError, MalformedRecord, UnknownType
from event_log.database import Database
from event_log.inbox import (
    advance,
    mark_handled,
    next_offsets,
    not_yet_handled,
    refuse_behind,
)
from event_log.outbox import enqueue
from event_log.topic_ids import topic_ids
from services.telemetry import Phases, telemetry
from transport.codec import type_name
from transport.letters import dead_letters
from transport.records import (
    Delivery,
    Outgoing,
    Record,
    understand,
)
from transport.topics import TOPICS, TopicPartition

Subscriptions = Mapping[str, frozenset[str] | None]
"""By topic, the CloudEvents types a service handles; `None` is all, and none may be unknown."""


_CARRIED = {topic.name: frozenset(topic.carries) for topic in TOPICS}


@dataclass
class Handled:
    """What came of some deliveries: what to publish, and what was refused, with the reason.

    `repeats` are those that a service without an inbox found to have come before.
    """

    outgoing: list[Outgoing] = field(default_factory=list)
    refused: list[tuple[Record, ContractError]] = field(default_factory=list)
    repeats: list[Delivery] = field(default_factory=list)


class Service(Protocol):
    """A service: its name, its database, what it subscribes to, and what it does with it."""

    name: ClassVar[str]
    database: Database
    subscriptions: ClassVar[Subscriptions]
    inbox: ClassVar[bool]
    """Whether handled events are noted in an inbox; a service may have a better place."""

    def handle(
        self, connection: Connection, deliveries: Sequence[Delivery], now: datetime
    ) -> Handled:
        """Carry out `deliveries` in the transaction of `connection`."""


@dataclass
class Spent:
    """Seconds that batches took, by phase, and how many records they had."""

    records: int = 0
    batches: int = 0
    decode: float = 0.0
    decide: float = 0.0
    commit: float = 0.0


def handle_batch(
    service: Service,
    records: Sequence[Record],
    now: datetime | None = None,
    spent: Spent | None = None,
    reached: Mapping[TopicPartition, int] | None = None,
) -> int:
    """Take `records` into a service: state, inbox, outbox and positions in one transaction.

    A record that breaks its contract becomes a dead letter in that same transaction; its
    neighbours are unharmed. Records that were handled before change nothing.

    Args:
        service: the service.
        records: what to take in.
        now: the time (UTC, aware); `None` for when the transaction holds the write lock, however
            long that was waited for.
        spent: is told how long it took.
        reached: positions that the database must have come to, for what it lacks would be skipped.

    Returns:
        How many records wait in the outbox because of this batch.

    Raises:
        StoreBehind: the database has not come to `reached`; nothing has changed.
        StoreError: the database can't be written; nothing has changed.
    """
    started = perf_counter()
    steps = telemetry().steps(service.name, records)
    deliveries, broken = _understand_all(service, records)
    steps.take((delivery.record, delivery.payload) for delivery in deliveries)
    decoded = perf_counter()
    decided = decoded
    fresh: Sequence[Delivery] = deliveries
    refused: list[tuple[Record, ContractError]] = []
    handled = Handled()

    def work(connection: Connection) -> int:
        nonlocal decided, fresh, refused, handled
        at = now or service.database.now(connection)
        before = next_offsets(connection)
        refuse_behind(service.database, before, reached or {})
        refused = list(broken)
        if service.inbox:
            fresh, reused = not_yet_handled(connection, deliveries)
            refused += [(delivery.record, why) for delivery, why in reused]
        handled = service.handle(connection, fresh, at)
        refused += handled.refused
        lives = topic_ids(connection) if refused else {}
        letters = dead_letters(refused, service.name, at, before, lives)
        count = enqueue(connection, [*handled.outgoing, *letters])
        if service.inbox:
            # What was refused had no effect: sent again, mended or not, it is to have one.
            without = {id(record) for record, _ in handled.refused}
            mark_handled(connection, [each for each in fresh if id(each.record) not in without])
        advance(connection, offsets_after(records), at)
        decided = perf_counter()
        return count

    with steps:
        waiting = service.database.in_transaction(work)
    phases = Phases(decoded - started, decided - decoded, perf_counter() - decided)
    steps.done(refused, lambda: _repeated(deliveries, fresh, handled), phases)
    if spent is not None:
        spent.records += len(records)
        spent.batches += 1
        spent.decode += phases.decode
        spent.decide += phases.decide
        spent.commit += phases.commit
    return waiting


def _repeated(
    deliveries: Iterable[Delivery], fresh: Iterable[Delivery], handled: Handled
) -> set[int]:
    known = {id(delivery.record) for delivery in deliveries}
    new = {id(delivery.record) for delivery in fresh}
    return (known - new) | {id(delivery.record) for delivery in handled.repeats}


def _understand_all(
    service: Service, records: Iterable[Record]
) -> tuple[list[Delivery], list[tuple[Record, ContractError]]]:
    deliveries: list[Delivery] = []
    broken: list[tuple[Record, ContractError]] = []
    for record in records:
        wanted = service.subscriptions[record.topic]
        if wanted is not None and _type_of(record) not in wanted:
            continue
        try:
            deliveries.append(understand_carried(record))
        except ContractError as error:
            broken.append((record, error.kept()))
    return deliveries, broken


def understand_carried(record: Record) -> Delivery:
    """Decode a record as a service takes it in: its topic must carry what it says.

    Raises:
        UnknownType: there is no contract of its type, or its topic carries no such record.
        MalformedRecord: envelope, body or key break the contract.
    """
    delivery = understand(record)
    carried = _CARRIED[record.topic]
    if type(delivery.payload) not in carried:
        raise UnknownType(
            f"{delivery.envelope.type} does not belong on topic {record.topic}, which carries "
            + ", ".join(sorted(type_name(kind) for kind in carried))
        )
    # SQLite ends a text in JSON there, so that no look-up by such an id would find it; Postgres has
    # no text with one.
    said = delivery.envelope
    if "\0" in f"{said.id}{said.source}{said.subject}{said.causation_id}":
        named = {"id": said.id, "source": said.source, "subject": said.subject}
        name = next((each for each, value in named.items() if "\0" in value), "causationid")
        raise MalformedRecord(f"header ce_{name} has a NUL character")
    return delivery


def _type_of(record: Record) -> str:
    for name, value in record.headers:
        if name == "ce_type":
            return (value or b"").decode(errors="replace")
    return ""


def offsets_after(records: Iterable[Record]) -> dict[TopicPartition, int]:
    """For each partition, the offset after the last of these records."""
    offsets: dict[TopicPartition, int] = {}
    for record in records:
        place = TopicPartition(record.topic, record.partition)
        offsets[place] = max(offsets.get(place, 0), record.offset + 1)
    return offsets
