"""aput at one edge: who waits, who is woken, and what is refused."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from awaits import POLICIES, OkPolicy, accepted, cancelled, ends, in_another_thread, run, waiting
from edges import DEADLINE_S, drained, make_edge, waiting_put

from graphflow import Coalesce, Drop, Edge, EdgeClosed, Latest, Message, MessageType, PortSpec, PutResult, SchemaError
from graphflow.runtime.handles import Input

if TYPE_CHECKING:
    pass

# ------------------------------------------------------------------------------------------------ putting


@pytest.mark.parametrize("kind", POLICIES)
def test_aput_waits_for_room_and_the_loop_runs_on(kind: str) -> None:
    edge = make_edge(1, POLICIES[kind]())
    inlet, _ = ends(edge)

    async def main() -> None:
        assert await inlet.aput("first") is PutResult.OK
        task = await waiting(edge, inlet.aput("second"))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not task.done()
        assert edge.get() == "first"
        assert await task is PutResult.OK
        assert drained(edge) == ["second"]

    run(main())


@pytest.mark.parametrize("kind", POLICIES)
def test_waiting_aputs_are_served_longest_waiting_first(kind: str) -> None:
    edge = make_edge(2, POLICIES[kind]())
    inlet, outlet = ends(edge)

    async def main() -> None:
        edge.put_many([-2, -1])
        tasks = [await waiting(edge, inlet.aput(number)) for number in range(6)]
        assert [(await outlet.aget()).payload for _ in range(8)] == list(range(-2, 6))
        assert await asyncio.gather(*tasks) == [PutResult.OK] * 6

    run(main())


@pytest.mark.parametrize("kind", POLICIES)
def test_threads_and_coroutines_wait_in_one_line(kind: str) -> None:
    edge = make_edge(1, POLICIES[kind]())
    inlet, _ = ends(edge)

    async def main() -> None:
        edge.put(-1)
        tasks, calls = [], []
        for number in range(0, 8, 2):
            tasks.append(await waiting(edge, inlet.aput(number)))
            calls.append(waiting_put(edge, number + 1))
        taken = [await asyncio.to_thread(edge.get, DEADLINE_S) for _ in range(9)]
        assert taken == list(range(-1, 8))
        assert await asyncio.gather(*tasks) == [PutResult.OK] * 4
        assert [call.outcome() for call in calls] == [PutResult.OK] * 4

    run(main())


def test_an_aput_does_not_overtake_one_that_waits() -> None:
    edge = make_edge(1, OkPolicy())
    inlet, _ = ends(edge)

    async def main() -> None:
        edge.put("first")
        task = await waiting(edge, inlet.aput("waited"))
        assert edge.try_get() == "first"  # it is called back, and has not run yet
        newcomer = await waiting(edge, inlet.aput("newcomer"))
        assert await task is PutResult.OK
        assert edge.get() == "waited"
        assert await newcomer is PutResult.OK
        assert drained(edge) == ["newcomer"]

    run(main())


def test_room_for_several_is_given_to_several() -> None:
    edge = make_edge(64)
    inlet, _ = ends(edge)

    async def main() -> None:
        edge.put_many(range(64))
        tasks = [await waiting(edge, inlet.aput(number)) for number in range(64, 128)]
        assert edge.get_many(60) == list(range(60))
        assert await asyncio.gather(*tasks[:60]) == [PutResult.OK] * 60
        assert not any(task.done() for task in tasks[60:])
        edge.set_capacity(100)
        assert await asyncio.gather(*tasks[60:]) == [PutResult.OK] * 4
        assert drained(edge) == list(range(60, 128))

    run(main())


def test_those_let_in_at_once_are_woken_in_their_order() -> None:
    edge = make_edge(1)
    inlet, _ = ends(edge)
    woken: list[int] = []

    async def put(number: int) -> None:
        await inlet.aput(number)
        woken.append(number)

    async def main() -> None:
        edge.put(-1)
        tasks = [await waiting(edge, put(number)) for number in range(5)]
        edge.set_capacity(10)
        await asyncio.gather(*tasks)
        assert woken == list(range(5))

    run(main())


def test_policies_that_never_wait_answer_an_aput_at_once() -> None:
    async def main() -> None:
        for policy, answer in (
            (Drop(), PutResult.DROPPED),
            (Latest(), PutResult.REPLACED),
            (Coalesce(lambda old, new: old + new), PutResult.COALESCED),
        ):
            inlet, _ = ends(make_edge(1, policy))
            assert await inlet.aput("a") is PutResult.OK
            assert await inlet.aput("b", timeout=0) is answer

    run(main())


def test_an_aput_of_a_queued_key_is_merged_while_another_waits_for_room() -> None:
    edge = make_edge(1, Coalesce(lambda old, new: (old[0], old[1] + new[1]), key=lambda payload: payload[0]))
    inlet, _ = ends(edge)

    async def main() -> None:
        await inlet.aput(("a", 1))
        other = await waiting(edge, inlet.aput(("b", 1)))
        assert await inlet.aput(("a", 2)) is PutResult.COALESCED
        assert edge.get() == ("a", 3)
        assert await other is PutResult.OK
        assert drained(edge) == [("b", 1)]

    run(main())


def test_a_policy_that_blocks_although_there_is_room_is_asked_again_at_each_room() -> None:
    class HalfFull:
        def on_enqueue(self, capacity: int, size: int, item: object) -> PutResult:
            return PutResult.OK if size < capacity // 2 else PutResult.BLOCKED

    edge = make_edge(4, HalfFull())
    inlet, _ = ends(edge)

    async def main() -> None:
        edge.put_many([1, 2])
        tasks = [await waiting(edge, inlet.aput(number)) for number in (3, 4)]
        edge.get()
        assert await tasks[0] is PutResult.OK
        await asyncio.sleep(0.01)
        assert not tasks[1].done()
        edge.get()
        assert await tasks[1] is PutResult.OK
        assert drained(edge) == [3, 4]

    run(main())


def test_an_aput_waits_for_bytes_and_a_smaller_one_goes_on_when_it_leaves() -> None:
    edge = make_edge(10, max_bytes=6)
    inlet, _ = ends(edge)

    async def main() -> None:
        edge.put("aaaa")
        large = await waiting(edge, inlet.aput("bbbbb"))
        small = await waiting(edge, inlet.aput("cc"))
        assert not accepted(await cancelled(large))
        assert await small is PutResult.OK
        with pytest.raises(ValueError, match="can never fit"):
            await inlet.aput("x" * 7)
        assert drained(edge) == ["aaaa", "cc"]

    run(main())


def test_an_aput_gets_the_room_of_an_item_that_expires() -> None:
    edge = make_edge(1, ttl_s=0.05)
    inlet, _ = ends(edge)

    async def main() -> None:
        await inlet.aput("old")
        assert await inlet.aput("new") is PutResult.OK  # nobody takes anything
        assert edge.stats().offered == 2

    run(main())


def test_control_messages_wait_in_a_line_of_their_own() -> None:
    edge = make_edge(1, control_capacity=1)
    inlet, outlet = ends(edge)

    async def main() -> None:
        edge.put("data")
        await inlet.aput(Message(MessageType.CONTROL, 1))
        data = await waiting(edge, inlet.aput("more"))
        lane = await waiting(edge, inlet.aput(Message(MessageType.CONTROL, 2)))
        assert (await outlet.aget()).payload == 1
        assert await lane is PutResult.OK
        assert not data.done()
        assert [(await outlet.aget()).payload for _ in range(3)] == [2, "data", "more"]
        assert await data is PutResult.OK

    run(main())


# ------------------------------------------------------------------------------------------------ what is refused


def test_aput_checks_item_and_timeout_as_put_does_and_changes_nothing() -> None:
    edge = make_edge(5, spec=PortSpec("in", int))
    inlet, outlet = ends(edge)

    async def main() -> None:
        for bad, error in ((-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (1e30, OverflowError)):
            with pytest.raises(error):
                await inlet.aput(1, timeout=bad)  # type: ignore[arg-type]
            with pytest.raises(error):
                await outlet.aget(timeout=bad)  # type: ignore[arg-type]
        with pytest.raises(SchemaError):
            await inlet.aput("text")
        with pytest.raises(TypeError, match="bare None"):
            await inlet.aput(None)
        assert edge.stats().offered == 0

    run(main())


@pytest.mark.parametrize("kind", POLICIES)
def test_an_aput_that_times_out_left_its_item_outside(kind: str) -> None:
    edge = make_edge(1, POLICIES[kind]())
    inlet, _ = ends(edge)

    async def main() -> None:
        edge.put("first")
        loop = asyncio.get_running_loop()
        for timeout in (0, 0.03):
            started = loop.time()
            with pytest.raises(TimeoutError, match="was not put"):
                await inlet.aput("late", timeout)
            assert loop.time() - started >= timeout * 0.9
        patient = await waiting(edge, inlet.aput("patient", timeout=DEADLINE_S))
        with pytest.raises(TimeoutError):
            await inlet.aput("late", 0.01)
        assert edge.get() == "first"
        assert await patient is PutResult.OK
        assert drained(edge) == ["patient"]

    run(main())


def test_an_aput_whose_time_is_up_but_whose_item_was_moved_in_succeeds() -> None:
    edge = make_edge(1)
    inlet, _ = ends(edge)

    async def main() -> None:
        edge.put("first")
        task = await waiting(edge, inlet.aput("second", timeout=0.02))
        assert in_another_thread(edge.get) == "first"
        threading.Event().wait(0.03)  # the loop stands still past the time
        assert await task is PutResult.OK

    run(main())


@pytest.mark.parametrize("kind", POLICIES)
def test_closing_frees_those_that_wait(kind: str) -> None:
    edge = make_edge(1, POLICIES[kind]())
    inlet, outlet = ends(edge)

    async def main() -> None:
        edge.put("first")
        tasks = [await waiting(edge, inlet.aput(number)) for number in range(3)]
        in_another_thread(inlet.close)
        for task in tasks:
            with pytest.raises(EdgeClosed):
                await task
        with pytest.raises(EdgeClosed):
            await inlet.aput("more")
        assert (await outlet.aget()).payload == "first"
        with pytest.raises(EdgeClosed):
            await outlet.aget()

    run(main())


def test_closing_right_after_room_was_made_frees_all_and_counts_right() -> None:
    for policy in POLICIES.values():
        edge = make_edge(1, policy())
        inlet, _ = ends(edge)

        async def main(edge: Edge = edge, inlet: Input = inlet) -> None:
            edge.put("first")
            tasks = [await waiting(edge, inlet.aput(number)) for number in range(2)]
            edge.get()  # a putter is moved in, or called back
            edge.close()  # before it has run
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(outcomes[1], EdgeClosed)
            assert [outcome for outcome in outcomes if outcome is PutResult.OK] == [PutResult.OK] * edge.depth()

        run(main())
