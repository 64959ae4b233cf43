"""aget and async iteration at one edge: who waits and who is given an item."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any

import pytest
from awaits import ends, in_another_thread, run, waiting
from edges import DEADLINE_S, Call, make_edge, waiting_get

from graphflow import Coalesce, Message, PutResult


def test_aget_waits_for_an_item_and_the_loop_runs_on() -> None:
    edge = make_edge(5)
    _, outlet = ends(edge)

    async def main() -> None:
        task = await waiting(edge, outlet.aget())
        for _ in range(3):
            await asyncio.sleep(0)
        assert not task.done()
        in_another_thread(edge.put, "item")
        message = await task
        assert isinstance(message, Message)
        assert message.payload == "item"
        with pytest.raises(TimeoutError, match="was empty"):
            await outlet.aget(timeout=0)
        with pytest.raises(TimeoutError, match="was empty"):
            await outlet.aget(timeout=0.01)

    run(main())


def test_getters_that_wait_are_each_given_an_item_in_their_order() -> None:
    edge = make_edge(10)
    _, outlet = ends(edge)

    async def main() -> None:
        tasks = [await waiting(edge, outlet.aget()) for _ in range(4)]
        in_another_thread(edge.put_many, range(4))
        assert [message.payload for message in await asyncio.gather(*tasks)] == [0, 1, 2, 3]

    run(main())


def test_a_get_of_a_thread_and_of_a_coroutine_wait_in_one_line() -> None:
    edge = make_edge(10)
    _, outlet = ends(edge)

    async def main() -> None:
        task = await waiting(edge, outlet.aget())
        call = waiting_get(edge)
        edge.put("one")
        assert (await task).payload == "one"
        assert not call.done()
        edge.put("two")
        assert call.outcome() == "two"

    run(main())


def test_async_for_ends_when_the_edge_is_closed_and_empty() -> None:
    edge = make_edge(5)
    _, outlet = ends(edge)

    async def main() -> None:
        async def read() -> list[Any]:
            return [message.payload async for message in outlet]

        reader = await waiting(edge, read())
        edge.put_many([1, 2, 3])
        edge.close()
        assert await reader == [1, 2, 3]
        assert await read() == []

    run(main())


def test_a_getter_behind_a_claimed_item_is_rung_when_the_claim_ends() -> None:
    """Getters that wait although items lie there, as the oldest is being merged into: each is given one."""
    edge = make_edge(2, Coalesce(lambda old, new: old + new))
    _, outlet = ends(edge)
    rounds = itertools.count()
    claimed, finish = threading.Event(), threading.Event()

    def merge(old: Any, new: Any) -> Any:
        if next(rounds) < 8:  # lose the look: another put merges first
            edge.try_put("x", Coalesce(lambda old, new: old + new))
        else:
            claimed.set()
            finish.wait(DEADLINE_S)
        return old + new

    async def main() -> None:
        edge.set_capacity(1)
        edge.put("a")
        call = Call(edge.try_put, "third", Coalesce(merge))
        await asyncio.to_thread(claimed.wait, DEADLINE_S)
        edge.set_capacity(4)  # when it has merged, it need not any more
        edge.put("second")
        tasks = [await waiting(edge, outlet.aget()) for _ in range(3)]
        finish.set()
        got = [message.payload for message in await asyncio.gather(*tasks)]
        assert got == ["a" + "x" * 8, "second", "third"]
        assert call.outcome() is PutResult.OK

    run(main())
