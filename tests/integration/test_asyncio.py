"""A graph fed and read from event loops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from awaits import accepted, comes_true, event_set, into_gate, run, through
from edges import Call
from graphs import (
    DEADLINE_S,
    Map,
    Remote,
    Source,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    edge_of,
    scheduler_of,
)

from graphflow import EdgeClosed, PutResult, SchedulerStateError, Subgraph

if TYPE_CHECKING:
    import random


# ------------------------------------------------------------------------------------------------ backpressure


def test_a_producer_is_suspended_at_capacity_and_resumed_by_the_consumer() -> None:
    scheduler, graph, gate = into_gate(capacity=3)
    edge = edge_of(graph, "input:in->gate:in")
    sent: list[int] = []

    async def produce() -> None:
        for number in range(50):
            await scheduler.input("in").aput(number)
            sent.append(number)

    async def main() -> None:
        async with scheduler:
            producer = asyncio.create_task(produce())
            await event_set(gate.entered)
            await comes_true(lambda: len(sent) == 4)  # one is inside the handler, three queued
            for _ in range(20):
                await asyncio.sleep(0)  # the loop is free, the producer waits
            assert len(sent) == 4
            assert edge.depth() == 3
            gate.opened.set()
            await producer
        assert gate.seen == list(range(50))

    run(main())
    assert edge.stats().peak_depth == 3
    assert_graph_conserved(graph)


def test_sixteen_tasks_of_one_loop_lose_nothing_and_keep_their_order() -> None:
    scheduler, graph = through(capacity=4)
    tasks, each = 16, 50

    async def produce(task: int) -> None:
        for number in range(each):
            assert await scheduler.input("in").aput((task, number)) is PutResult.OK

    async def main() -> None:
        async with scheduler:
            producers = [asyncio.create_task(produce(task)) for task in range(tasks)]
            outlet = scheduler.output("out")
            got = [(await outlet.aget(DEADLINE_S)).payload for _ in range(tasks * each)]
            await asyncio.gather(*producers)
            report = await scheduler.ashutdown()
        _assert_complete(got, tasks, each)
        assert_stopped_clean(graph, report)

    run(main())


def test_four_loops_in_four_threads_lose_nothing_and_keep_their_order() -> None:
    scheduler, graph = through(capacity=4)
    loops, tasks, each = 4, 4, 30

    async def produce(task: int) -> None:
        for number in range(each):
            await scheduler.input("in").aput((task, number), timeout=DEADLINE_S)

    async def produce_all(loop: int) -> None:
        await asyncio.gather(*(produce(loop * tasks + task) for task in range(tasks)))

    async def consume(count: int) -> list[Any]:
        return [(await scheduler.output("out").aget(DEADLINE_S)).payload for _ in range(count)]

    with scheduler:
        producers = [Call(asyncio.run, produce_all(loop)) for loop in range(loops)]
        consumers = [Call(asyncio.run, consume(loops * tasks * each // 2)) for _ in range(2)]
        got = [item for consumer in consumers for item in consumer.result(DEADLINE_S)]
        for producer in producers:
            producer.result(DEADLINE_S)
        report = scheduler.shutdown()
    assert sorted(got) == [(task, number) for task in range(loops * tasks) for number in range(each)]
    assert_stopped_clean(graph, report)


def _assert_complete(got: list[Any], tasks: int, each: int) -> None:
    assert len(got) == tasks * each
    for task in range(tasks):
        assert [number for other, number in got if other == task] == list(range(each))


def test_a_slow_async_reader_holds_the_graph_back() -> None:
    made: list[int] = []

    def produce() -> Any:
        for number in range(100):
            made.append(number)
            yield number

    graph = chain(Source("source", produce()), Map("map"), capacity=2)
    graph.expose_output("out", "map:out", capacity=2)
    scheduler = scheduler_of(graph)
    edge = edge_of(graph, "map:out->output:out")

    async def main() -> None:
        async with scheduler:
            await comes_true(edge.is_full)
            await comes_true(lambda: scheduler.get_stats()["runnable_nodes"] == 0)
            held_at = len(made)
            assert held_at <= 10  # two on each edge, and one or two at each node
            got = []
            async for message in scheduler.output("out"):
                got.append(message.payload)
                assert len(made) - len(got) <= 10
            assert got == list(range(100))

    run(main())
    assert edge.stats().peak_depth == 2
    assert_graph_conserved(graph)


def test_async_for_ends_with_the_graph_and_what_is_left_stays_readable() -> None:
    graph = chain(Source("source", range(10)), Map("map"))
    graph.expose_output("out", "map:out")
    scheduler = scheduler_of(graph)

    async def main() -> None:
        async with scheduler:
            await comes_true(lambda: not scheduler.is_running())
        assert [message.payload async for message in scheduler.output("out")] == list(range(10))
        with pytest.raises(EdgeClosed):
            await scheduler.output("out").aget()

    run(main())
    assert_graph_conserved(graph)


def test_readers_of_several_loops_share_the_messages() -> None:
    graph = chain(Source("source", range(300)), Map("map"), capacity=8)
    graph.expose_output("out", "map:out", capacity=8)
    scheduler = scheduler_of(graph)

    async def read() -> list[Any]:
        return [message.payload async for message in scheduler.output("out")]

    with scheduler:
        readers = [Call(asyncio.run, read()) for _ in range(3)]
        threads = [Call(lambda: [message.payload for message in scheduler.output("out")])]
        got = [reader.result(DEADLINE_S) for reader in [*readers, *threads]]
    assert sorted(item for each in got for item in each) == list(range(300))
    for each in got:
        assert each == sorted(each)
    assert_graph_conserved(graph)


def test_what_randomly_cancelled_puts_say_is_what_the_graph_delivers(rng: random.Random) -> None:
    scheduler, graph = through(capacity=2)
    said: dict[int, bool] = {}

    async def put(number: int) -> None:
        try:
            await scheduler.input("in").aput(number)
            said[number] = True
        except asyncio.CancelledError as error:
            said[number] = accepted(error)

    async def main() -> None:
        async with scheduler:

            async def read() -> list[Any]:
                return [message.payload async for message in scheduler.output("out")]

            reader = asyncio.create_task(read())
            puts = [asyncio.create_task(put(number)) for number in range(300)]
            await asyncio.sleep(0)
            for victim in rng.sample(puts, 200):
                victim.cancel()
                if rng.random() < 0.3:
                    await asyncio.sleep(0.0005)
            await asyncio.gather(*puts)
            report = await scheduler.ashutdown()
            assert sorted(await reader) == sorted(number for number, was_in in said.items() if was_in)
        assert len(said) == 300
        assert_stopped_clean(graph, report)

    run(main())


# ------------------------------------------------------------------------------------------------ inside a hook


@pytest.mark.parametrize("call", ["aput", "aget"])
def test_waiting_on_a_thread_of_the_scheduler_is_refused(call: str) -> None:
    remote = Remote()
    graph = Subgraph.from_nodes("graph", [remote, Map("map")])
    graph.expose_input("remote", "remote:calls")
    graph.expose_input("in", "map:in", capacity=1)
    graph.connect("remote:out", "map:in")
    graph.expose_output("out", "map:out")
    scheduler = scheduler_of(graph)
    scheduler.pause("map")

    async def wait() -> Any:
        if call == "aget":
            return await scheduler.output("out").aget()
        assert await scheduler.input("in").aput(1) is PutResult.OK  # it need not wait
        return await scheduler.input("in").aput(2)

    advice = {
        "aput": r"aput\(\) would wait .* use emit\(\) .* try_put\(\)",
        "aget": r"aget\(\) would wait .* try_get\(\)",
    }
    with scheduler, pytest.raises(SchedulerStateError, match=advice[call]):
        remote.call(scheduler, lambda: asyncio.run(wait()))
    assert_graph_conserved(graph)


def test_ashutdown_inside_a_hook_only_asks() -> None:
    remote = Remote()
    graph = chain(remote)
    graph.expose_input("remote", "remote:calls")
    scheduler = scheduler_of(graph)
    scheduler.start()
    asked = remote.call(scheduler, lambda: asyncio.run(scheduler.ashutdown()))
    assert (asked.complete, asked.timed_out, asked.reason) == (False, False, "stopping")
    assert scheduler.wait(DEADLINE_S).complete
    assert_graph_conserved(graph)
