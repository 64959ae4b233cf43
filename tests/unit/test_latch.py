"""An event that is set once, for threads and coroutines."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from edges import DEADLINE_S, Call, wait_until

from graphflow.core.sync.latch import Latch


async def arrived(latch: Latch) -> str:
    await asyncio.wait_for(latch.arrival(), DEADLINE_S)
    return "arrived"


def test_coroutines_of_several_loops_and_threads_all_go_on() -> None:
    latch = Latch()

    async def several() -> list[str]:
        return list(await asyncio.gather(*(arrived(latch) for _ in range(3))))

    loops = [Call(asyncio.run, several()) for _ in range(3)]
    thread = Call(latch.wait, DEADLINE_S)
    wait_until(lambda: len(latch._futures) == 9)
    latch.set()
    assert [loop.outcome() for loop in loops] == [["arrived"] * 3] * 3
    assert thread.outcome() is True


def test_who_comes_after_it_was_set_does_not_wait() -> None:
    latch = Latch()
    latch.set()
    latch.set()
    assert asyncio.run(arrived(latch)) == "arrived"
    assert not latch._futures


def test_a_set_between_looking_and_waiting_is_not_missed(fast_switching: None) -> None:
    for _ in range(200):
        latch = Latch()
        setter = Call(latch.set)
        assert asyncio.run(arrived(latch)) == "arrived"
        setter.outcome()


def test_one_that_is_cancelled_is_forgotten() -> None:
    latch = Latch()
    refs: list[weakref.ref[Any]] = []

    async def main() -> None:
        task = asyncio.create_task(latch.arrival())
        await asyncio.sleep(0)
        assert len(latch._futures) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        refs.extend([weakref.ref(task), weakref.ref(asyncio.get_running_loop())])

    asyncio.run(main())
    gc.collect()
    assert not latch._futures
    assert [ref() for ref in refs] == [None, None]


def test_a_closed_loop_keeps_nobody_from_going_on() -> None:
    latch = Latch()
    loop = asyncio.new_event_loop()
    left: Any = loop.create_task(latch.arrival())
    loop.run_until_complete(asyncio.sleep(0))
    call = Call(asyncio.run, arrived(latch))
    wait_until(lambda: len(latch._futures) == 2)
    loop.close()
    latch.set()
    assert call.outcome() == "arrived"
    left._log_destroy_pending = False
    left.get_coro().close()
