"""A cancelled aput says whether its item is in, and a cancelled aget has taken nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from awaits import POLICIES, accepted, cancelled, ends, in_another_thread, run, waiting
from edges import DEADLINE_S, Call, drained, make_edge, waiting_get

from graphflow import PutResult

if TYPE_CHECKING:
    import random


@pytest.mark.parametrize("kind", POLICIES)
def test_a_put_cancelled_while_it_waits_is_out(kind: str) -> None:
    edge = make_edge(1, POLICIES[kind]())
    inlet, _ = ends(edge)

    async def main() -> None:
        edge.put("first")
        quitter = await waiting(edge, inlet.aput("quitter"))
        patient = await waiting(edge, inlet.aput("patient"))
        assert not accepted(await cancelled(quitter))
        edge.get()
        assert await patient is PutResult.OK
        assert drained(edge) == ["patient"]

    run(main())


def test_a_put_cancelled_after_its_item_was_moved_in_is_in() -> None:
    edge = make_edge(1)
    inlet, _ = ends(edge)

    async def main() -> None:
        edge.put("first")
        task = await waiting(edge, inlet.aput("second"))
        assert in_another_thread(edge.get) == "first"  # the loop stands still: rung, not resumed
        assert accepted(await cancelled(task))
        assert drained(edge) == ["second"]

    run(main())


@pytest.mark.parametrize("kind", ["custom", "keyed"])
def test_a_put_cancelled_after_it_was_called_back_is_out_and_the_next_goes_in(kind: str) -> None:
    edge = make_edge(1, POLICIES[kind]())
    inlet, _ = ends(edge)

    async def main() -> None:
        edge.put("first")
        quitter = await waiting(edge, inlet.aput("quitter"))
        patient = await waiting(edge, inlet.aput("patient"))
        assert in_another_thread(edge.get) == "first"
        assert not accepted(await cancelled(quitter))
        assert await patient is PutResult.OK
        assert drained(edge) == ["patient"]

    run(main())


def test_a_put_cancelled_before_it_begins_puts_nothing() -> None:
    edge = make_edge(5)
    inlet, _ = ends(edge)

    async def main() -> None:
        error = await cancelled(asyncio.create_task(inlet.aput("never")))
        assert "accepted" not in vars(error)
        assert edge.stats().offered == 0

    run(main())


def test_a_put_of_a_task_that_is_cancelled_already_is_in_if_it_need_not_wait() -> None:
    edge = make_edge(1)
    inlet, _ = ends(edge)

    async def main() -> None:
        answers = []

        async def cancel_and_put(item: str) -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            answers.append(await inlet.aput(item))

        await asyncio.wait([asyncio.create_task(cancel_and_put("in"))])
        assert answers == [PutResult.OK]
        with pytest.raises(asyncio.CancelledError) as caught:
            await asyncio.create_task(cancel_and_put("out"))
        assert not accepted(caught.value)
        assert drained(edge) == ["in"]

    run(main())


def cause_of(error: BaseException) -> BaseException | None:
    """What asyncio.timeout() turned into a TimeoutError; early patches of 3.11 set no cause."""
    return error.__cause__ or error.__context__


def test_the_verdict_is_found_behind_a_timeout_of_asyncio() -> None:
    edge = make_edge(1)
    inlet, _ = ends(edge)

    async def put_within(seconds: float, item: str) -> None:
        async with asyncio.timeout(seconds):
            await inlet.aput(item)

    async def main() -> None:
        edge.put("first")
        with pytest.raises(TimeoutError) as caught:
            await put_within(0.01, "out")
        assert not accepted(cause_of(caught.value))
        task = await waiting(edge, put_within(0.01, "in"))
        threading.Event().wait(0.03)  # the loop stands still past the time, so that is what it finds first
        assert in_another_thread(edge.get) == "first"
        with pytest.raises(TimeoutError) as caught:
            await task
        assert accepted(cause_of(caught.value))
        assert drained(edge) == ["in"]

    run(main())


def test_the_verdict_is_found_behind_wait_for() -> None:
    edge = make_edge(1)
    inlet, _ = ends(edge)

    async def main() -> None:
        edge.put("first")
        with pytest.raises(TimeoutError) as caught:
            await asyncio.wait_for(inlet.aput("out"), 0.01)
        assert not accepted(cause_of(caught.value))
        assert drained(edge) == ["first"]

    run(main())


def test_an_aget_cancelled_after_its_ring_hands_the_item_to_the_next() -> None:
    edge = make_edge(5)
    _, outlet = ends(edge)

    async def main() -> None:
        quitter = await waiting(edge, outlet.aget())
        patient = await waiting(edge, outlet.aget())
        in_another_thread(edge.put, "item")  # the first is rung, and not resumed
        await cancelled(quitter)
        assert (await patient).payload == "item"

    run(main())


def test_an_aget_cancelled_after_its_ring_hands_the_item_to_a_thread() -> None:
    edge = make_edge(5)
    _, outlet = ends(edge)

    async def main() -> None:
        quitter = await waiting(edge, outlet.aget())
        call = waiting_get(edge)
        edge.put("item")
        await cancelled(quitter)
        assert call.outcome() == "item"

    run(main())


def test_an_aget_cancelled_while_it_waits_takes_nothing() -> None:
    edge = make_edge(5)
    _, outlet = ends(edge)

    async def main() -> None:
        await cancelled(await waiting(edge, outlet.aget()))
        edge.put("item")
        assert (await outlet.aget(timeout=0)).payload == "item"

    run(main())


@pytest.mark.parametrize("kind", POLICIES)
def test_what_many_cancelled_puts_say_is_what_comes_out(kind: str, rng: random.Random, fast_switching: None) -> None:
    edge = make_edge(2, POLICIES[kind]())
    inlet, _ = ends(edge)
    count = 200
    taken: list[Any] = []
    stop = threading.Event()

    def take() -> None:
        while not stop.is_set() or edge.depth():
            taken.extend(edge.get_many(3, timeout=0.001))

    async def main() -> None:
        said: dict[int, bool] = {}

        async def put(number: int) -> None:
            try:
                await inlet.aput(number)
            except asyncio.CancelledError as error:
                said[number] = accepted(error)
            else:
                said[number] = True

        taker = Call(take)
        tasks = [asyncio.create_task(put(number)) for number in range(count)]
        await asyncio.sleep(0)
        for victim in rng.sample(tasks, count):
            if rng.random() < 0.5:
                victim.cancel()
            if rng.random() < 0.2:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        stop.set()
        await asyncio.to_thread(taker.outcome)
        assert len(said) == count
        assert sorted(taken) == sorted(number for number, was_in in said.items() if was_in)

    run(main())


def test_many_cancelled_agets_lose_nothing(rng: random.Random, fast_switching: None) -> None:
    edge = make_edge(4)
    _, outlet = ends(edge)
    count = 300
    taken: list[Any] = []

    async def main() -> None:
        async def get() -> None:
            taken.append((await outlet.aget()).payload)

        putter = Call(edge.put_many, range(count), DEADLINE_S)
        while len(taken) < count:
            tasks = [asyncio.create_task(get()) for _ in range(min(8, count - len(taken)))]
            for task in tasks:
                await asyncio.sleep(0)
                if rng.random() < 0.5:
                    task.cancel()
            await asyncio.wait(tasks, timeout=0.001)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert await asyncio.to_thread(putter.outcome) == count
        assert sorted(taken) == list(range(count))

    run(main())
