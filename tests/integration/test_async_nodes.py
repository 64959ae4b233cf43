"""Async hooks: one event loop of the scheduler's, one message at a time or several, order, room, emitting."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from coroutines import Expands, Waits, fed
from graphs import (
    DEADLINE_S,
    Collect,
    Source,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    control,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import Message, MessageType, Node, Scheduler, SchedulerStateError, Subgraph

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graphflow import PutResult


def test_every_hook_runs_on_one_loop_thread_even_the_plain_ones() -> None:
    seen: dict[str, tuple[int, str]] = {}

    def note(hook: str) -> None:
        asyncio.get_running_loop()  # raises where there is none
        seen[hook] = (threading.get_ident(), threading.current_thread().name)

    class All(Node):
        inputs, outputs = "in", "out"
        tick_interval_ms = 1.0
        ticked = False

        def on_start(self) -> None:
            note("on_start")

        async def on_message(self, port: str, msg: Message) -> None:
            await asyncio.sleep(0)
            note("on_message")
            raise ValueError("for on_error")

        async def on_error(self, exc: BaseException, msg: Message | None) -> None:
            await asyncio.sleep(0)
            note("on_error")

        def on_tick(self) -> None:
            note("on_tick")
            self.ticked = True

        async def on_drain(self) -> AsyncIterator[str]:
            note("on_drain")
            yield "last"

        async def on_stop(self) -> None:
            await asyncio.sleep(0)
            note("on_stop")

    first, second, last = All("first"), All("second"), Collect()
    graph = Subgraph.from_nodes("g", [first, second, last])
    graph.connect("first:out", "second:in")
    graph.connect("second:out", "collect:in")
    graph.expose_input("in", "first:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put(1)
        until(lambda: first.ticked and second.ticked)
    assert set(seen) == {"on_start", "on_message", "on_error", "on_tick", "on_drain", "on_stop"}
    assert len(set(seen.values())) == 1
    assert next(iter(seen.values()))[1] == "graphflow-loop"
    assert last.seen == ["last"]
    assert_graph_conserved(graph)


def test_a_plain_node_beside_it_stays_on_the_workers() -> None:
    threads: set[str] = set()

    class Plain(Node):
        inputs, outputs = "in", "out"

        def on_message(self, port: str, msg: Message) -> None:
            threads.add(threading.current_thread().name.rsplit("-", 1)[0])
            self.emit("out", msg.payload)

    node, last = Waits(), Collect()
    graph = chain(Source("source", range(20)), Plain("plain"), node, last)
    for number in range(20):
        node.gate(number).set()
    assert_stopped_clean(graph, run_graph(graph))
    assert threads == {"graphflow-worker"}
    assert last.seen == list(range(20))


def test_one_message_at_a_time_by_default() -> None:
    node = Waits()
    graph, scheduler, last = fed(node, [0, 1, 2])
    until(lambda: node.inside == [0])
    node.let_go(2, 1)
    assert scheduler.get_stats()["edges"]["input:in->waits:in"]["depth"] == 2
    node.let_go(0)
    assert last.expect(3) == [0, 1, 2]
    assert node.most == 1
    assert_stopped_clean(graph, scheduler.shutdown())


def test_as_many_at_once_as_asked_for_in_the_order_of_the_inputs() -> None:
    node = Waits(limit=3)
    graph, scheduler, last = fed(node, [0, 1, 2, 3, 4])
    until(lambda: node.inside == [0, 1, 2])
    node.let_go(2, 1, 3, 4)
    until(lambda: node.inside == [0])  # the window of three is full
    assert last.seen == []
    node.let_go(0)
    assert last.expect(5) == [0, 1, 2, 3, 4]
    assert node.most == 3
    assert_stopped_clean(graph, scheduler.shutdown())


def test_unordered_results_leave_as_they_come() -> None:
    node = Waits(limit=3, ordered=False)
    graph, scheduler, last = fed(node, [0, 1, 2])
    until(lambda: node.inside == [0, 1, 2])
    for place, payload in enumerate((2, 0, 1), start=1):
        node.let_go(payload)
        last.expect(place)
    assert last.seen == [2, 0, 1]
    assert_stopped_clean(graph, scheduler.shutdown())


def test_control_waits_for_the_handler_that_awaits_and_overtakes_what_is_queued() -> None:
    node = Waits()
    graph, scheduler, last = fed(node, [0, 1])
    until(lambda: node.inside == [0])
    scheduler.input("in").put(control("now"))
    node.let_go(0, 1)
    assert last.expect(3) == [0, "now", 1]
    assert_stopped_clean(graph, scheduler.shutdown())


@pytest.mark.parametrize("limit", [1, 4])
@pytest.mark.parametrize("capacity", [1, 8])
def test_nothing_is_lost_between_threads_and_the_loop(limit: int, capacity: int, fast_switching: None) -> None:
    class Hops(Node):
        inputs, outputs = "in", "out"
        max_concurrency = limit

        async def on_message(self, port: str, msg: Message) -> None:
            for _ in range(msg.payload % 3):
                await asyncio.sleep(0)
            self.emit("out", msg.payload)

    last = Collect()
    graph = chain(Source("source", range(500)), Hops("a"), Hops("b"), last, capacity=capacity)
    assert_stopped_clean(graph, run_graph(graph))
    assert last.seen == list(range(500))


def test_an_async_generator_stops_for_room_and_still_hears_control() -> None:
    node = Expands()
    graph = Subgraph.from_nodes("g", [node])
    graph.expose_input("in", "expands:in")
    graph.expose_output("out", "expands:out", capacity=4)
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put(100)
        until(lambda: scheduler.get_stats()["blocked_nodes"] == 1)
        assert node.yielded == 5  # four in the output, one deferred
        scheduler.input("in").put(control("hello"))
        until(lambda: node.heard == ["hello"])
        assert node.yielded == 5
        output = scheduler.output("out")
        assert [output.get(DEADLINE_S).payload for _ in range(100)] == list(range(100))
    assert_graph_conserved(graph)


@pytest.mark.parametrize("limit", [1, 3])
def test_async_generators_keep_the_order_of_messages(limit: int) -> None:
    node, last = Expands(), Collect()
    node.max_concurrency = limit
    graph = chain(Source("source", [5, 0, 9, 30, 1]), node, last, capacity=2)
    assert_stopped_clean(graph, run_graph(graph))
    assert last.seen == [*range(5), *range(9), *range(30), *range(1)]


def test_a_handler_that_ignores_deferred_fills_its_outbox_and_goes_on_when_there_is_room() -> None:
    answers: list[PutResult] = []

    class Floods(Node):
        inputs, outputs = "in", "out"

        async def on_message(self, port: str, msg: Message) -> None:
            for number in range(10):
                answers.append(self.emit("out", number))
                await asyncio.sleep(0)

    last = Collect()
    graph = chain(Source("source", [0]), Floods("floods"), last, capacity=2)
    assert_stopped_clean(graph, run_graph(graph))
    assert last.seen == list(range(10))


def test_what_is_emitted_inherits_the_trace_of_its_own_message_across_awaits() -> None:
    node = Waits(limit=2)
    graph, scheduler, last = fed(node, [])
    messages = [Message(MessageType.DATA, number) for number in range(2)]
    scheduler.input("in").put_many(messages)
    until(lambda: node.inside == [0, 1])
    node.let_go(1, 0)
    last.expect(2)
    assert [each.get_trace_id() for each in last.messages] == [each.get_trace_id() for each in messages]
    assert_stopped_clean(graph, scheduler.shutdown())


def test_a_task_of_the_handlers_own_may_not_emit() -> None:
    errors: list[BaseException] = []

    class Spawns(Node):
        inputs, outputs = "in", "out"

        async def emit_there(self) -> None:
            self.emit("out", 1)

        async def on_message(self, port: str, msg: Message) -> None:
            result = await asyncio.gather(self.emit_there(), return_exceptions=True)
            errors.extend(each for each in result if each is not None)
            self.emit("out", 2)

    last = Collect()
    graph = chain(Source("source", [0]), Spawns("spawns"), last)
    assert_stopped_clean(graph, run_graph(graph))
    assert last.seen == [2]
    assert [type(error) for error in errors] == [SchedulerStateError]


def test_a_blocking_call_on_the_loops_thread_is_refused_with_an_explanation() -> None:
    class Blocks(Waits):
        scheduler: Scheduler

        async def on_message(self, port: str, msg: Message) -> None:
            await super().on_message(port, msg)
            if msg.payload == 0:
                with pytest.raises(SchedulerStateError, match=r"put\(\) would wait .* use emit\(\)"):
                    self.scheduler.input("in").put("again")
                with pytest.raises(SchedulerStateError, match=r"wait\(\) on a thread of the scheduler itself"):
                    self.scheduler.wait()

    node, last = Blocks(), Collect()
    graph = chain(node, last)
    graph.expose_input("in", "waits:in", capacity=1)
    node.scheduler = scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put_many([0, 1])  # the second fills the input while the first awaits
        until(lambda: node.inside == [0] and graph_depth(scheduler) == 1)
        node.let_go(0, 1)
        assert last.expect(2) == [0, 1]
    assert_graph_conserved(graph)
    assert scheduler.wait().errors == {}


def graph_depth(scheduler: Scheduler) -> int:
    return sum(edge["depth"] for edge in scheduler.get_stats()["edges"].values())
