"""What a process is changed to do: die at the worst moments, be slow, or be wrong.

Each change is made inside the service's own process, before it runs. `DEATHS` and `TROUBLES` are
what production does to a right program; `MUTATIONS` make the program wrong, and must be found.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from uuid import uuid4

import event_log.log
import event_log.outbox
import services.batch
import services.order
import services.payment
import streams.intake
import streams.lean
import streams.worker
import transport.records
from event_log.database import Database
from transport.clients import Publisher
from transport.records import Outgoing

Change = Callable[[random.Random], None]

ODDS = 0.25
"""How likely a process dies at each passing of the moment that is chosen for it."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before_commit(chance: random.Random) -> None:
    """Everything is decided and written, and the transaction is lost."""
    advance = services.batch.advance

    def dying(*arguments: Any) -> None:
        advance(*arguments)
        if chance.random() < ODDS:
            _die()

    services.batch.advance = dying


def after_commit(chance: random.Random) -> None:
    """The transaction is kept, and Kafka isn't told."""
    handle = streams.intake.handle_batch

    def dying(*arguments: Any, **named: Any) -> int:
        count = handle(*arguments, **named)
        if chance.random() < ODDS:
            _die()
        return count

    streams.intake.handle_batch = dying


def before_mark(chance: random.Random) -> None:
    """The outbox is published, and isn't marked."""
    publish = Publisher.publish

    def dying(self: Publisher, records: Sequence[Outgoing]) -> None:
        publish(self, records)
        if chance.random() < ODDS:
            _die()

    Publisher.publish = dying  # type: ignore[method-assign]


def half_published(chance: random.Random) -> None:
    """Some of a batch of the outbox is published, the rest is not."""
    publish = Publisher.publish

    def dying(self: Publisher, records: Sequence[Outgoing]) -> None:
        if chance.random() < ODDS:
            publish(self, records[: len(records) // 2])
            _die()
        publish(self, records)

    Publisher.publish = dying  # type: ignore[method-assign]


DEATHS: dict[str, Change] = {
    "before-commit": before_commit,
    "after-commit": after_commit,
    "before-mark": before_mark,
    "half-published": half_published,
}


def thrice(chance: random.Random) -> None:
    """Everything is published three times, in pieces: each key's records keep their order."""
    publish = Publisher.publish

    def repeating(self: Publisher, records: Sequence[Outgoing]) -> None:
        start = 0
        while start < len(records):
            end = start + chance.randint(1, 40)
            for _ in range(3):
                publish(self, records[start:end])
            start = end

    Publisher.publish = repeating  # type: ignore[method-assign]


def slow_database(chance: random.Random) -> None:
    """Each transaction takes up to half a second more, with the write lock held."""
    in_transaction = Database.in_transaction

    def slowly(self: Database, work: Callable[[Any], Any]) -> Any:
        def waiting(connection: Any) -> Any:
            found = work(connection)
            time.sleep(chance.random() / 2)
            return found

        return in_transaction(self, waiting)

    Database.in_transaction = slowly  # type: ignore[method-assign]


def wild_clock(chance: random.Random) -> None:
    """The clock is set back and ahead by up to two days, again and again."""

    class Wild(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(hours=chance.uniform(-48, 48))

    Database.now = lambda *_: Wild.now(UTC)  # type: ignore[method-assign]


TROUBLES: dict[str, Change] = {
    "thrice": thrice,
    "slow-database": slow_database,
    "wild-clock": wild_clock,
}


def ack_first(chance: random.Random) -> None:
    """Wrong: offsets are committed before the work is, and the database isn't asked for them."""
    worker = streams.worker.Worker

    async def consume(self: Any, stream: Any) -> None:
        loop = asyncio.get_running_loop()
        settings = self._settings
        async for events in stream.noack_take(settings.batch, within=settings.within):
            for event in events:
                await stream.ack(event)
            await self.app.consumer.commit()
            if chance.random() < ODDS:
                _die()
            records = [streams.worker._record(event.message) for event in events]
            await loop.run_in_executor(self._thread, self.intake.take, records)

    worker._consume = consume  # type: ignore[method-assign]
    streams.intake.Intake._fetch_what_was_skipped = lambda *_: None  # type: ignore[method-assign]


def no_inbox(_chance: random.Random) -> None:
    """Wrong: what was handled is handled again."""
    services.batch.not_yet_handled = lambda _connection, deliveries: (list(deliveries), [])
    services.batch.mark_handled = lambda *_: None


def random_ids(_chance: random.Random) -> None:
    """Wrong: an event has another id each time it is said."""
    transport.records.message_id_of = lambda _contract: str(uuid4())


def mark_first(chance: random.Random) -> None:
    """Wrong: the outbox is marked before it is published."""
    publish = Publisher.publish

    def late(self: Publisher, records: Sequence[Outgoing]) -> None:
        _late.append((self, records))

    _late: list[tuple[Publisher, Sequence[Outgoing]]] = []
    drain = event_log.outbox.Relay.drain

    def draining(self: Any) -> int:
        count = drain(self)
        for waiting in _late:
            if chance.random() < ODDS:
                _die()
            publish(*waiting)
        _late.clear()
        return count

    Publisher.publish = late  # type: ignore[method-assign]
    event_log.outbox.Relay.drain = draining  # type: ignore[method-assign]


def no_outbox(chance: random.Random) -> None:
    """Wrong: published straight after the commit, from memory."""
    handle = streams.intake.handle_batch
    made: dict[str, Publisher] = {}
    kept: list[Outgoing] = []

    def enqueue(_connection: Any, records: Any) -> int:
        kept.extend(records)
        return 0

    def publishing(service: Any, records: Any, **named: Any) -> int:
        kept.clear()
        count = handle(service, records, **named)
        if chance.random() < ODDS:
            _die()
        servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
        made.setdefault(servers, Publisher(servers)).publish(kept)
        return count

    services.batch.enqueue = enqueue
    streams.intake.handle_batch = publishing


def publish_first(chance: random.Random) -> None:
    """Wrong: published before the commit that decides it."""
    made: dict[str, Publisher] = {}

    def enqueue(_connection: Any, records: Any) -> int:
        servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
        made.setdefault(servers, Publisher(servers)).publish(list(records))
        if chance.random() < ODDS:
            _die()
        return 0

    services.batch.enqueue = enqueue


def lower_limit(_chance: random.Random) -> None:
    """Wrong: an account may be charged 50.00 less than was agreed."""
    authorize = services.payment.authorize

    def stricter(account: Any, order: Any) -> Any:
        terms = agreed = account.terms
        lower = type(terms.monthly_limit)(terms.monthly_limit.cents - 5000, "USD")
        account.terms = type(terms)(terms.closed, terms.billing_address, lower)
        decided = authorize(account, order)
        account.terms = agreed
        return decided

    services.payment.authorize = stricter


def unchained(_chance: random.Random) -> None:
    """Wrong: a row's hash leaves the row before it out."""
    chain = event_log.log.chain
    event_log.log.chain = lambda _before, row: chain(event_log.log.GENESIS, row)


def repeats_forgotten(_chance: random.Random) -> None:
    """Wrong: the recorder passes repeats over without a trace."""
    split = event_log.log._split

    def forgetful(*arguments: Any) -> Any:
        new, _repeats, reused = split(*arguments)
        return new, [], reused

    event_log.log._split = forgetful


def uncommitted(_chance: random.Random) -> None:
    """Wrong: what is not committed yet, or rolled back, is taken for said."""
    del streams.lean.CommittedConsumerThread._create_worker_consumer


MUTATIONS: dict[str, Change] = {
    "ack-first": ack_first,
    "no-inbox": no_inbox,
    "random-ids": random_ids,
    "mark-first": mark_first,
    "no-outbox": no_outbox,
    "publish-first": publish_first,
    "lower-limit": lower_limit,
    "unchained": unchained,
    "repeats-forgotten": repeats_forgotten,
    "uncommitted": uncommitted,
}

CHANGES: dict[str, Change] = DEATHS | TROUBLES | MUTATIONS
