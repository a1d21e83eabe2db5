"""The queue: what is added while it is worked on, tries after failures, and wake-ups, which no failure puts off."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from aiqms.controllers.queue import Queue


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def worked(queue: Queue, within: float = 5) -> float:
    """Seconds until there is something to work on; it is worked on."""
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(within):
        queue.done(await queue.get())
    return asyncio.get_running_loop().time() - began


async def idle(queue: Queue, seconds: float) -> None:
    with pytest.raises(TimeoutError):
        await worked(queue, seconds)


async def test_what_is_added_while_it_is_worked_on_is_worked_on_again() -> None:
    queue = Queue()
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    assert len(queue) == 0
    queue.done(key)
    assert len(queue) == 1


async def test_each_failure_doubles_the_pause_until_it_succeeds() -> None:
    queue = Queue()
    assert [queue.failed("a") for _ in range(3)] == [0.05, 0.1, 0.2]
    assert [queue.failed("b") for _ in range(13)][-2:] == [60, 60]
    queue.succeeded("a")
    assert queue.failed("a") == 0.05
    queue.close()


async def test_a_failure_puts_no_wake_up_off() -> None:
    queue = Queue()
    for _ in range(12):
        queue.failed("a")
    queue.wake("a", soon(0.05))
    assert queue.failed("a") == 60
    assert await worked(queue) < 1
    queue.close()


async def test_a_wake_up_far_off_puts_no_other_try_off() -> None:
    queue = Queue()
    queue.wake("a", soon(3600))
    queue.failed("a")
    assert await worked(queue) < 1
    queue.close()


async def test_what_succeeded_is_not_tried_again_and_woken_all_the_same() -> None:
    queue = Queue()
    queue.failed("a")
    queue.succeeded("a")
    await idle(queue, 0.2)
    queue.wake("a", soon(0.01))
    assert await worked(queue) < 1
    queue.close()


async def test_a_wake_up_takes_the_place_of_the_one_before_and_none_takes_it_away() -> None:
    queue = Queue()
    queue.wake("a", soon(0.02))
    queue.wake("a", soon(3600))
    await idle(queue, 0.1)
    queue.wake("a", soon(0.02))
    queue.wake("a", None)
    await idle(queue, 0.1)
    queue.close()


async def test_a_closed_queue_is_silent() -> None:
    queue = Queue()
    queue.failed("a")
    queue.wake("a", soon(0.02))
    queue.close()
    await idle(queue, 0.2)
