"""One service of one contender: ``python -m benchmarks.pipeline.contender KIND NAME``.

`ours` is the project's worker. `documented` is Faust as its guide shows it: an event at a time,
its changes committed, what follows sent with the app's producer, the event acknowledged by leaving
the loop's body. `floor` has the same handlers and the same database commits under a plain
confluent-kafka batch loop. Each says at its end, as one JSON line, where its time went.
"""

import json
import logging
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import perf_counter, process_time
from typing import Any

import faust
from sqlalchemy import Connection

from cli.composition import SERVICES, publisher, wait_for_topics, worker
from cli.settings import Settings
from domain.principals import Principal
from event_log.inbox import advance
from event_log.outbox import Relay
from services.batch import Handled, Service, Spent, handle_batch
from transport.clients import consumer_client
from transport.records import Outgoing, Record, record_of, understand
from transport.topics import TopicPartition


class TimedPublisher:
    """A publisher that knows how long it took."""

    def __init__(self, servers: str) -> None:
        self._publisher = publisher(servers)
        self.seconds = 0.0

    def publish(self, records: Sequence[Outgoing]) -> None:
        """Publish `records`, and add to the seconds."""
        began = perf_counter()
        self._publisher.publish(records)
        self.seconds += perf_counter() - began


def ours(settings: Settings, name: str) -> tuple[Spent, float]:
    """The project's own worker."""
    timed: list[TimedPublisher] = []

    def publishes(servers: str) -> TimedPublisher:
        timed.append(TimedPublisher(servers))
        return timed[0]

    made = worker(settings, name, publishes)
    made.run()
    return made.intake.spent, timed[0].seconds


def floor(settings: Settings, name: str) -> tuple[Spent, float]:
    """A plain batch loop: consume, handle and commit, publish, commit offsets."""
    service = SERVICES[name](settings)
    servers, _ = wait_for_topics(settings, Principal(name))
    spent = Spent()
    timed = TimedPublisher(servers)
    relay = Relay(service.database, timed)
    consumer = consumer_client(servers, f"shop-{name}")
    consumer.subscribe(list(service.subscriptions))
    running = True

    def stop(*_: object) -> None:
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    while running:
        messages = consumer.consume(settings.batch, timeout=settings.batch_within)
        records = [record_of(message) for message in messages if message.error() is None]
        if records:
            if handle_batch(service, records, spent=spent):
                relay.drain()
            consumer.commit(asynchronous=False)
    consumer.close()
    return spent, timed.seconds


def documented(settings: Settings, name: str) -> tuple[Spent, float]:
    """Faust by its guide."""
    service: Service = SERVICES[name](settings)
    servers, _ = wait_for_topics(settings, Principal(name))
    spent = Spent()
    if name == "order":
        # `shop place` leaves its orders to whoever relays the order service's outbox.
        Relay(service.database, publisher(servers)).drain()
    data = settings.home / "faust" / name
    data.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        f"shop-{name}",
        broker=f"kafka://{servers}",
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        datadir=data,
    )

    @app.agent(app.topic(*service.subscriptions, key_serializer="raw", value_serializer="raw"))
    async def process(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            record = Record(
                message.topic,
                message.partition,
                message.offset,
                message.key,
                message.value,
                tuple(message.headers or ()),
            )
            for out in _handle_one(service, record, spent):
                await app.send(
                    app.topic(out.topic, key_serializer="raw", value_serializer="raw"),
                    key=out.key,
                    value=out.body,
                    headers=dict(out.headers),
                )

    made = faust.Worker(app, redirect_stdouts=False, override_logging=False, quiet=True)
    with suppress(SystemExit):
        made.execute_from_commandline()
    return spent, 0.0


def _handle_one(service: Service, record: Record, spent: Spent) -> list[Outgoing]:
    """The same handler, in a transaction of its own: no inbox, no outbox, one commit."""
    kind = dict(record.headers)["ce_type"] or b""
    wanted = service.subscriptions[record.topic]
    if wanted is not None and kind.decode() not in wanted:
        return []
    delivery = understand(record)
    spent.records += 1
    spent.batches += 1

    def work(connection: Connection) -> Handled:
        now = datetime.now(UTC)
        handled = service.handle(connection, [delivery], now)
        # Only so that the benchmark can see how far it is.
        place = TopicPartition(record.topic, record.partition)
        advance(connection, {place: record.offset + 1}, now)
        return handled

    return service.database.in_transaction(work).outgoing


def main() -> None:
    """Run one service until SIGTERM, then print where its time went."""
    logging.basicConfig(level=logging.ERROR)
    kind, name = sys.argv[1:3]
    spent, produce = {"ours": ours, "floor": floor, "documented": documented}[kind](
        Settings(), name
    )
    print(
        json.dumps(
            {
                "service": name,
                "records": spent.records,
                "batches": spent.batches,
                "decode": spent.decode,
                "decide": spent.decide,
                "commit": spent.commit,
                "produce": produce,
                "processor": process_time(),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
