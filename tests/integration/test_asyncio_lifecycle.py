"""A graph started and stopped from event loops."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from awaits import comes_true, event_set, into_gate, run, through
from edges import Call
from graphs import DEADLINE_S, Collect, Source, assert_graph_conserved, assert_stopped_clean, chain, scheduler_of, until

from graphflow import EdgeClosed, Message, Node, SchedulerStateError, ShutdownReport


class SlowStart(Node):
    """Its on_start waits until the test lets it go."""

    inputs = "in"

    def __init__(self) -> None:
        super().__init__("slow")
        self.entered = threading.Event()
        self.opened = threading.Event()

    def on_start(self) -> None:
        self.entered.set()
        self.opened.wait(DEADLINE_S)

    def on_message(self, port: str, msg: Message) -> None:
        pass


# ------------------------------------------------------------------------------------------------ stopping


@pytest.mark.parametrize("drain", [True, False])
def test_ashutdown_drains_or_not_while_the_loop_runs_on(drain: bool) -> None:
    scheduler, graph, gate = into_gate(shutdown_timeout_s=DEADLINE_S)

    async def main() -> None:
        await asyncio.to_thread(scheduler.start)
        scheduler.input("in").put_many(range(5))
        await event_set(gate.entered)
        stop = asyncio.create_task(scheduler.ashutdown(drain=drain))
        await comes_true(lambda: scheduler.get_stats()["status"] in ("draining", "stopping"))
        assert not stop.done()
        gate.opened.set()
        report = await stop
        assert not scheduler.is_running()
        assert report.reason == "shutdown"
        assert gate.seen == (list(range(5)) if drain else [0])
        assert report.undelivered == ({} if drain else {"input:in->gate:in": 4})
        assert await scheduler.ashutdown() is report

    run(main())
    assert_graph_conserved(graph)


def test_a_putter_that_waits_is_freed_by_the_stop() -> None:
    scheduler, graph, gate = into_gate(capacity=1)

    async def main() -> None:
        async with scheduler:
            scheduler.input("in").put_many([1])
            await event_set(gate.entered)
            scheduler.input("in").put_many([2])
            putter = asyncio.create_task(scheduler.input("in").aput(3))
            await asyncio.sleep(0)
            stop = asyncio.create_task(scheduler.ashutdown())
            with pytest.raises(EdgeClosed):
                await putter
            gate.opened.set()
            assert (await stop).complete

    run(main())
    assert gate.seen == [1, 2]
    assert_graph_conserved(graph)


def test_ashutdown_reports_a_hook_that_does_not_return_within_its_timeout() -> None:
    scheduler, graph, gate = into_gate(shutdown_timeout_s=DEADLINE_S)

    async def main() -> None:
        await asyncio.to_thread(scheduler.start)
        scheduler.input("in").put(1)
        await event_set(gate.entered)
        report = await scheduler.ashutdown(timeout=0.1)
        assert report.timed_out
        assert report.abandoned == ("gate",)
        gate.opened.set()

    run(main())
    assert_graph_conserved(graph)


@pytest.mark.parametrize("bad", [-1, float("nan"), "1"])
def test_a_bad_timeout_stops_nothing(bad: Any) -> None:
    scheduler, graph = through()

    async def main() -> None:
        async with scheduler:
            with pytest.raises((ValueError, TypeError), match="timeout"):
                await scheduler.ashutdown(timeout=bad)
            assert scheduler.get_stats()["status"] == "running"

    run(main())
    assert_graph_conserved(graph)


def test_shutdowns_of_coroutines_loops_and_threads_all_get_the_same_report() -> None:
    scheduler, graph, gate = into_gate(shutdown_timeout_s=DEADLINE_S)

    async def stop_twice() -> list[ShutdownReport]:
        return list(await asyncio.gather(scheduler.ashutdown(), scheduler.ashutdown()))

    scheduler.start()
    scheduler.input("in").put_many(range(3))
    assert gate.entered.wait(DEADLINE_S)
    loops = [Call(asyncio.run, stop_twice()) for _ in range(2)]
    thread = Call(scheduler.shutdown)
    until(lambda: len(scheduler._run.ended._futures) == 4)  # type: ignore[union-attr]
    gate.opened.set()
    reports = [thread.result(DEADLINE_S), *(each for loop in loops for each in loop.result(DEADLINE_S))]
    assert all(report is reports[0] for report in reports)
    assert reports[0].complete
    assert gate.seen == [0, 1, 2]
    assert_graph_conserved(graph)


def test_a_cancelled_ashutdown_leaves_the_stop_under_way() -> None:
    scheduler, graph, gate = into_gate(shutdown_timeout_s=DEADLINE_S)

    async def main() -> None:
        await asyncio.to_thread(scheduler.start)
        scheduler.input("in").put_many(range(3))
        await event_set(gate.entered)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(scheduler.ashutdown(), 0.01)
        assert scheduler.get_stats()["status"] == "draining"
        gate.opened.set()
        await comes_true(lambda: not scheduler.is_running())
        assert (await scheduler.ashutdown()).complete

    run(main())
    assert gate.seen == [0, 1, 2]
    assert_graph_conserved(graph)


def test_ashutdown_before_the_run_is_remembered() -> None:
    scheduler, graph = through()

    async def main() -> None:
        assert (await scheduler.ashutdown()).complete
        assert scheduler.run(signals=()).complete

    run(main())
    assert_graph_conserved(graph)


# ------------------------------------------------------------------------------------------------ async with


def test_async_with_starts_and_drains() -> None:
    scheduler, graph = through()

    async def main() -> None:
        async with scheduler as entered:
            assert entered is scheduler
            assert scheduler.is_running()
            for number in range(5):
                await scheduler.input("in").aput(number)
        assert not scheduler.is_running()
        assert [message.payload async for message in scheduler.output("out")] == list(range(5))
        async with scheduler:  # again, with fresh state
            await scheduler.input("in").aput("again")
            assert (await scheduler.output("out").aget(DEADLINE_S)).payload == "again"

    run(main())
    assert_graph_conserved(graph)


def test_an_error_in_the_body_stops_without_draining_and_leaves() -> None:
    scheduler, graph, gate = into_gate(shutdown_timeout_s=DEADLINE_S)

    async def fail() -> None:
        async with scheduler:
            scheduler.input("in").put_many(range(5))
            await event_set(gate.entered)
            asyncio.get_running_loop().call_later(0.01, gate.opened.set)
            raise ZeroDivisionError

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await fail()
        assert not scheduler.is_running()

    run(main())
    assert gate.seen == [0]
    assert_graph_conserved(graph)


def test_entering_waits_for_on_start_while_the_loop_runs_on() -> None:
    slow = SlowStart()
    scheduler = scheduler_of(slow)

    async def main() -> None:
        async def enter() -> None:
            async with scheduler:
                assert slow.opened.is_set()

        task = asyncio.create_task(enter())
        await event_set(slow.entered)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        slow.opened.set()
        await task

    run(main())


def test_a_cancelled_entry_leaves_nothing_running() -> None:
    slow = SlowStart()
    scheduler = scheduler_of(slow, shutdown_timeout_s=DEADLINE_S)
    entered = []

    async def main() -> None:
        async def enter() -> None:
            async with scheduler:
                entered.append(True)

        task = asyncio.create_task(enter())
        await event_set(slow.entered)
        task.cancel()
        asyncio.get_running_loop().call_later(0.01, slow.opened.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not scheduler.is_running()
        assert (await scheduler.ashutdown()).reason == "interrupted"

    run(main())
    assert not entered


def test_entering_twice_is_refused_and_the_first_run_goes_on() -> None:
    scheduler, graph = through()

    async def main() -> None:
        async with scheduler:
            with pytest.raises(SchedulerStateError, match="not running"):
                async with scheduler:
                    pass
            assert scheduler.is_running()

    run(main())
    assert_graph_conserved(graph)


def test_a_graph_that_ends_by_itself_ends_under_async_with() -> None:
    sink = Collect()
    graph = chain(Source("source", range(5)), sink)
    scheduler = scheduler_of(graph)

    async def main() -> None:
        async with scheduler:
            await comes_true(lambda: not scheduler.is_running())
        report = await scheduler.ashutdown()
        assert report.reason == "completed"
        assert_stopped_clean(graph, report)

    run(main())
    assert sink.seen == list(range(5))
