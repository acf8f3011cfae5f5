"""How Faust is bounded in bytes: its queue, and what is in hand."""

import asyncio
from types import SimpleNamespace
from typing import Any

from mode.utils.queues import FlowControlEvent

from streams.bounded import WAITING_BYTES, ByteQueue, Hand, fetcher
from streams.bounded import _BoundedResult as BoundedResult
from transport.bounds import BATCH_BYTES, FETCHED_BYTES, batches


def of_size(size: int) -> Any:
    return SimpleNamespace(message=SimpleNamespace(serialized_value_size=size))


def queue() -> ByteQueue:
    control = FlowControlEvent(initially_suspended=False)
    return ByteQueue(maxsize=1000, flow_control=control, clear_on_resume=True)


async def blocked(task: "asyncio.Task[Any]") -> bool:
    done, _ = await asyncio.wait({task}, timeout=0.01)
    return not done


def test_a_queue_is_full_by_bytes_and_takes_more_as_it_is_emptied() -> None:
    async def play() -> None:
        made, large = queue(), of_size(WAITING_BYTES // 2)
        await made.put(large)
        await made.put(large)
        assert made.full()
        third = asyncio.create_task(made.put(of_size(1)))
        assert await blocked(third)
        assert made.get_nowait() is large
        await third
        made.get_nowait()
        assert not made.full()
        # One that is larger than all of it is taken when there is room for any.
        await made.put(of_size(2 * WAITING_BYTES))
        assert made.full()

    asyncio.run(play())


def test_a_queue_that_is_thrown_away_has_room_and_nobody_waits_for_it() -> None:
    """As at a rebalance."""

    async def play() -> None:
        made = queue()
        await made.put(of_size(WAITING_BYTES))
        waiting = asyncio.create_task(made.put(of_size(1)))
        assert await blocked(waiting)
        made.clear()
        assert not await blocked(waiting)
        assert made.empty()
        await made.put(of_size(WAITING_BYTES - 1))
        assert not made.full()

    asyncio.run(play())


def test_a_hand_takes_no_more_than_a_batch_may_have_until_it_is_emptied() -> None:
    async def play() -> None:
        stream = SimpleNamespace(current_event=of_size(BATCH_BYTES - 1))
        hand = Hand(stream)
        assert hand(b"first") == b"first"
        stream.current_event = of_size(1)
        assert hand(b"fits") == b"fits"
        later = asyncio.create_task(hand(b"later"))
        assert await blocked(later)
        hand.empty()
        assert await later == b"later"
        hand.empty()
        stream.current_event = of_size(3 * BATCH_BYTES)
        assert hand(b"huge") == b"huge"

    asyncio.run(play())


def test_what_was_fetched_is_handed_over_by_bytes_with_headers_and_keys_counted() -> None:
    def record(offset: int, part: str) -> Any:
        large = b"x" * (FETCHED_BYTES // 2)
        parts = {"key": b"", "value": b"", "headers": ()}
        parts[part] = ((("name", large),)) if part == "headers" else large
        return SimpleNamespace(offset=offset, **parts)

    parts = ["key", "value", "headers", "value", "value"]
    records = [record(offset, part) for offset, part in enumerate(parts)]
    result = BoundedResult(None, assignment=None, partition_records=iter(records), backoff=0)
    result.check_assignment = lambda _tp: True
    result._update_position = lambda: None
    assert issubclass(BoundedResult, fetcher.FetchResult)
    assert [each.offset for each in result.getall(100)] == [0, 1]
    assert [each.offset for each in result.getall(100)] == [2, 3]
    assert [each.offset for each in result.getall(100)] == [4]
    assert result.getall(100) == []
    assert not result.has_more()


def test_a_batch_ends_by_count_or_by_bytes() -> None:
    sizes = [1, 2, 3, BATCH_BYTES, 4, BATCH_BYTES - 4, 2 * BATCH_BYTES, 5]
    found = list(batches(iter(sizes), 3, lambda size: size))
    assert found == [sizes[:3], sizes[3:4], sizes[4:6], sizes[6:7], sizes[7:]]
    assert list(batches([], 3, len)) == []
