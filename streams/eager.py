"""A Faust consumer that hands over a message without making four tasks for it.

For each message Faust's consumer races the handing over against "the flow was suspended" by
`wait_first`, which makes a task for each side and two more. Almost always the handing over is done
at its first step: then there is nothing to race. Measured in `benchmarks/pipeline`.
"""

import types
from collections.abc import Coroutine, Generator
from typing import Any

from faust.transport.drivers.aiokafka import Consumer, Transport


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


class EagerConsumer(Consumer):
    """Faust's consumer, whose `wait_first` takes the first step of what it waits for at once."""

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
