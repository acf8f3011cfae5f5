"""Faust's own request and reply: an agent that yields, and `ask`.

``python -m benchmarks.request_reply.faust_ask SERVERS TOPIC REPLIES IN_FLIGHT SECONDS WARMUP``
prints its figures as one JSON line.

Agent and asker share a process, as in Faust's guide: with faust-streaming 0.15.3 an app in
client-only mode subscribes to nothing and raises, or hears of no reply. `ask` has no timeout, so
each one is waited for `LOST_AFTER_SECONDS` here, and what never came is counted.
"""

import asyncio
import json
import logging
import sys
from contextlib import suppress
from time import perf_counter
from typing import Any

import faust
import msgspec

from benchmarks.request_reply.load import Figures, an_order, figures
from domain.contracts import AuthorizationAccepted, NewOrder

LOST_AFTER_SECONDS = 5.0
START_SECONDS = 20.0

_decode = msgspec.json.Decoder(NewOrder).decode
_encode = msgspec.json.Encoder().encode


async def measure(agent: Any, in_flight: int, seconds: float, warmup: float) -> Figures:
    """Keep `in_flight` requests under way for `warmup` and `seconds`, and measure."""
    took: list[tuple[float, float]] = []
    lost = 0

    async def ask(wait: float) -> None:
        nonlocal lost
        order = an_order()
        asked = perf_counter()
        try:
            sent = agent.ask(value=_encode(order), key=order.customer_id.encode())
            await asyncio.wait_for(sent, wait)
        except TimeoutError:
            lost += 1
            return
        now = perf_counter()
        took.append((now, now - asked))

    while not took:
        # A shorter wait would cancel the start of the reply consumer, which is tried once.
        await ask(START_SECONDS)
    lost = 0
    await asyncio.gather(*(ask(LOST_AFTER_SECONDS) for _ in range(in_flight)))
    began = perf_counter()

    async def lane() -> None:
        while perf_counter() - began < warmup + seconds:
            await ask(LOST_AFTER_SECONDS)

    await asyncio.gather(*(lane() for _ in range(in_flight)))
    return figures(took, began + warmup, seconds) | {"lost": float(lost)}


def main() -> None:
    """Run agent and asker in one worker, and end."""
    logging.basicConfig(level=logging.ERROR)
    servers, topic, replies, in_flight, seconds, warmup = sys.argv[1:]
    app = faust.App(
        "faust-ask",
        broker=f"kafka://{servers}",
        reply_to=replies,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        store="memory://",
        stream_wait_empty=False,
    )

    @app.agent(app.topic(topic, value_serializer="raw", key_serializer="raw"))
    async def answer(stream: Any) -> Any:
        async for body in stream:
            order = _decode(body)
            said = AuthorizationAccepted(
                order.order_id, order.customer_id, order.ordered_at, order.amount, order.items
            )
            yield msgspec.to_builtins(said)

    worker = faust.Worker(app, redirect_stdouts=False, override_logging=False, quiet=True)

    @app.task
    async def asking() -> None:
        found = await measure(answer, int(in_flight), float(seconds), float(warmup))
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
        # The worker would run on; it is a process of its own, with nothing to keep.
        await worker.stop()

    with suppress(SystemExit):
        worker.execute_from_commandline()


if __name__ == "__main__":
    main()
