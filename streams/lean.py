"""Faust with less to do for every record. What it costs is measured in `benchmarks/pipeline`.

Faust's consumer races the handing over of each message against "the flow was suspended" by
`wait_first`, which makes a task for each side and two more. Almost always the handing over is done
at its first step: then there is nothing to race. Its schema looks serializers up for bytes that
stay as they are, and its monitor keeps statistics that nobody reads here.
"""

import types
from collections.abc import Coroutine, Generator
from typing import Any

from faust import Event, Schema
from faust.sensors.monitor import Monitor
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from mode.threads import ServiceThread, WorkerThread

from transport.throttling import note_throttling


@types.coroutine
def _resumed(coro: Coroutine[Any, Any, Any], waiting_for: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that was stepped once and now waits for `waiting_for`."""
    while True:
        thrown: BaseException | None = None
        answer: Any = None
        try:
            answer = yield waiting_for
        except BaseException as error:  # noqa: BLE001 thrown on into the coroutine
            thrown = error
        try:
            waiting_for = coro.send(answer) if thrown is None else coro.throw(thrown)
        except StopIteration as stop:
            return stop.value


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


STOPS_WITHIN_SECONDS = 5.0
"""How long Faust may take to stop; without a broker it would take a minute."""


class _LeftBehind(WorkerThread):
    """A thread of Faust's that nobody waits for where it can't stop.

    Asked to stop while it starts, it may never do so; the process's end would wait for it.
    """

    def __init__(self, service: ServiceThread, **named: Any) -> None:
        super().__init__(service, **named)
        self.daemon = True

    def stop(self) -> None:
        self.is_stopped.wait(STOPS_WITHIN_SECONDS)


class CommittedConsumerThread(AIOKafkaConsumerThread):
    """Faust's client thread, reading only what is committed.

    Faust 0.15 asks for that only where its own transactions are on, and has no setting for it
    (`_create_worker_consumer` in faust/transport/drivers/aiokafka.py). Its client keeps the level
    until it starts.
    """

    Worker = _LeftBehind

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        assert consumer._isolation_level  # noqa: S101 another aiokafka may call it otherwise
        consumer._isolation_level = "read_committed"
        _hear_of_throttling(consumer._client)
        return consumer


def _hear_of_throttling(client: Any) -> None:
    """Have noted how long the broker makes a client wait: it reads that in no answer itself."""
    send = client.send

    async def hearing(*arguments: Any, **named: Any) -> Any:
        answer = await send(*arguments, **named)
        note_throttling(getattr(answer, "throttle_time_ms", 0) / 1000)
        return answer

    client.send = hearing


class EagerConsumer(Consumer):
    """Faust's consumer, whose `wait_first` takes the first step of what it waits for at once."""

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return CommittedConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:
        """Wait for the first of `coros`; the first one is stepped right here if it may be."""
        first, *others = coros
        eager = isinstance(first, Coroutine) and all(isinstance(o, Coroutine) for o in others)
        if not eager or self.suspend_flow.is_set() or self.should_stop:
            return await super().wait_first(*coros, timeout=timeout)
        try:
            waiting_for = first.send(None)
        except StopIteration:
            for other in others:
                other.close()
            return None
        rest = _awaited(_resumed(first, waiting_for))
        return await super().wait_first(rest, *others, timeout=timeout)


class EagerTransport(Transport):
    """Faust's aiokafka transport with the eager consumer."""

    Consumer = EagerConsumer


class RawSchema(Schema[Any, Any]):
    """Key and value as the bytes that they are; decoding is not Faust's here."""

    def compile(self, app: Any, **_: Any) -> Any:
        """A function that makes an event of a message."""

        async def decode(message: Any, *, propagate: bool = False) -> Event:
            return Event(app, message.key, message.value, message.headers, message)

        return decode


class QuietMonitor(Monitor):
    """A monitor that takes no notice of single records."""

    def on_message_in(self, *_: Any) -> None:
        """Take no notice."""

    def on_stream_event_in(self, *_: Any) -> None:
        """Take no notice."""

    def on_stream_event_out(self, *_: Any) -> None:
        """Take no notice."""

    def on_message_out(self, *_: Any) -> None:
        """Take no notice."""
