"""Errors in coroutines under every policy, and how a run ends that has coroutines under way."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from coroutines import Expands, Waits, fed
from graphs import (
    DEADLINE_S,
    Collect,
    Source,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import ErrorPolicy, Message, Node, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Breaks(Node):
    inputs: Any = "in"
    outputs: Any = ("out", "errors")

    def __init__(self, name: str, policy: ErrorPolicy, failures: int = 99) -> None:
        super().__init__(name)
        self.error_policy = policy
        self.failures = failures
        self.tried = 0
        self.seen_errors: list[Any] = []

    async def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", msg.payload)
        await asyncio.sleep(0)
        if msg.payload == "bad":
            self.tried += 1
            if self.tried <= self.failures:
                raise ValueError(f"attempt {self.tried}")

    async def on_error(self, exc: BaseException, msg: Message | None) -> None:
        await asyncio.sleep(0)
        self.seen_errors.append((str(exc), msg.payload if msg else None))


def broken(policy: ErrorPolicy, failures: int = 99) -> tuple[Breaks, Subgraph, Collect, Collect]:
    node, last, letters = Breaks("node", policy, failures), Collect(), Collect("letters")
    graph = Subgraph.from_nodes("g", [Source("source", ["a", "bad", "b"]), node, last, letters])
    graph.connect("source:out", "node:in")
    graph.connect("node:out", "collect:in")
    graph.connect("node:errors", "letters:in")
    return node, graph, last, letters


def test_an_error_is_the_nodes_own_and_on_error_is_awaited_first() -> None:
    node, graph, last, _ = broken(ErrorPolicy.CONTINUE)
    report = run_graph(graph)
    assert last.seen == ["a", "bad", "b"]  # sent before it raised
    assert node.seen_errors == [("attempt 1", "bad")]
    assert report.error_counts == {"node": 1}


def test_an_async_node_retries_in_order() -> None:
    node, graph, last, _ = broken(ErrorPolicy.retry(3, backoff_s=0.001), failures=2)
    assert_stopped_clean(graph, run_graph(graph))
    assert last.seen == ["a", "bad", "b"]
    assert node.tried == 3
    assert node.seen_errors == [("attempt 1", "bad"), ("attempt 2", "bad")]


def test_an_async_node_sends_dead_letters() -> None:
    _, graph, last, letters = broken(ErrorPolicy.retry(2, backoff_s=0, then=ErrorPolicy.dead_letter("errors")))
    assert_stopped_clean(graph, run_graph(graph))
    assert last.seen == ["a", "b"]
    assert [(letter.message.payload, letter.attempts) for letter in letters.seen] == [("bad", 2)]


def test_an_async_node_is_stopped_by_its_policy() -> None:
    _, graph, last, _ = broken(ErrorPolicy.STOP_NODE)
    run_graph(graph)
    assert last.seen == ["a", "bad"]


def test_an_async_node_stops_the_graph_by_its_policy() -> None:
    scheduler = scheduler_of(broken(ErrorPolicy.STOP_GRAPH)[1])
    with pytest.raises(ValueError, match="attempt 1"):
        scheduler.run()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_keyboard_interrupt_from_a_coroutine_leaves_run(error: type[BaseException]) -> None:
    class Exits(Node):
        inputs = "in"

        async def on_message(self, port: str, msg: Message) -> None:
            await asyncio.sleep(0)
            raise error("now")

    scheduler = scheduler_of(chain(Source("source", [1]), Exits("exits")))
    with pytest.raises(error):
        scheduler.run()


def test_a_cancelled_error_of_the_handlers_own_is_a_failed_message() -> None:
    class Cancels(Node):
        inputs, outputs = "in", "out"

        async def on_message(self, port: str, msg: Message) -> None:
            if msg.payload == 0:
                raise asyncio.CancelledError("mine")
            self.emit("out", msg.payload)

    last = Collect()
    graph = chain(Source("source", [0, 1]), Cancels("node"), last)
    scheduler = scheduler_of(graph)
    report = scheduler.run()
    assert last.seen == [1]
    assert report.error_counts == {"node": 1}
    assert scheduler.get_stats()["nodes"]["node"]["failed"] == 1


@pytest.mark.parametrize("hook", ["on_start", "on_drain", "on_stop"])
def test_an_error_in_a_life_cycle_hook_is_counted_and_the_run_ends(hook: str) -> None:
    async def fails(self: Node) -> None:
        await asyncio.sleep(0)
        raise LookupError(hook)

    node = type("Fails", (Waits,), {hook: fails})("node")
    last = Collect()
    graph = chain(Source("source", []), node, last)
    report = run_graph(graph)
    assert [str(error) for error in report.errors["node"]] == [hook]


def test_a_stop_that_runs_out_of_patience_cancels_who_awaits_and_still_stops_it() -> None:
    class Stops(Waits):
        stopped = False

        async def on_stop(self) -> None:
            self.stopped = True

    node = Stops(limit=2)
    graph, scheduler, _last = fed(node, [0, 1, 2])
    until(lambda: node.inside == [0, 1])
    begun = time.monotonic()
    report = scheduler.shutdown(timeout=0.6)
    assert time.monotonic() - begun < 5
    assert sorted(node.cancelled) == [0, 1]
    assert node.stopped
    assert report.timed_out
    assert not report.complete
    assert report.abandoned == ()
    assert report.undelivered == {"input:in->waits:in": 1}
    assert scheduler.get_stats()["nodes"]["waits"]["abandoned"] == 2
    assert_graph_conserved(graph)


def test_a_coroutine_that_ignores_its_cancellation_is_named_and_left_behind() -> None:
    class Ignores(Waits):
        deaf = True

        async def on_message(self, port: str, msg: Message) -> None:
            while self.deaf:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    self.cancelled.append(msg.payload)

    node = Ignores()
    graph, scheduler, _ = fed(node, [0])
    until(lambda: scheduler.get_stats()["nodes"]["waits"]["in_handler"] == 1)
    report = scheduler.shutdown(timeout=0.4)
    assert report.abandoned == ("waits",)
    assert not report.complete
    until(lambda: not any(thread.name == "graphflow-loop" for thread in threading.enumerate()))
    node.deaf = False
    assert_graph_conserved(graph)


def test_a_parked_generator_is_closed_by_a_stop_without_drain() -> None:
    node = Expands()
    graph = Subgraph.from_nodes("g", [node])
    graph.expose_input("in", "expands:in")
    graph.expose_output("out", "expands:out", capacity=4)
    scheduler = scheduler_of(graph)
    scheduler.start()
    scheduler.input("in").put(100)
    until(lambda: scheduler.get_stats()["blocked_nodes"] == 1)
    report = scheduler.shutdown(drain=False)
    assert report.undelivered == {"expands:out->output:out": 1}
    assert scheduler.get_stats()["nodes"]["expands"]["abandoned"] == 1
    assert_graph_conserved(graph)


def test_it_starts_again_with_a_fresh_loop() -> None:
    node = Waits()
    graph, scheduler, last = fed(node, [])
    first = node.loop
    scheduler.shutdown()
    node.let.clear()
    scheduler.start()
    scheduler.input("in").put(7)
    until(lambda: node.inside == [7])
    node.let_go(7)
    last.expect(1)
    assert node.loop is not first
    assert first is not None
    assert first.is_closed()
    assert_stopped_clean(graph, scheduler.shutdown())


def test_shutdown_from_an_async_hook_only_asks() -> None:
    class Asks(Node):
        inputs, outputs = "in", "out"
        scheduler: Scheduler

        async def on_message(self, port: str, msg: Message) -> None:
            report = self.scheduler.shutdown()
            self.emit("out", report.complete)

    node, last = Asks("asks"), Collect()
    graph = chain(node, last)
    graph.expose_input("in", "asks:in")
    node.scheduler = scheduler = scheduler_of(graph)
    scheduler.start()
    scheduler.input("in").put(1)
    assert scheduler.wait(DEADLINE_S).complete
    assert last.seen == [False]


def test_an_idle_loop_sleeps() -> None:
    node = Waits()
    _, scheduler, _ = fed(node, [])
    loop_thread = next(thread for thread in threading.enumerate() if thread.name == "graphflow-loop")
    until(loop_thread.is_alive)
    cpu = time.process_time()
    threading.Event().wait(0.5)
    cpu = time.process_time() - cpu
    scheduler.shutdown()
    assert cpu < 0.1


def test_a_cancelled_error_of_on_stops_own_is_an_error_of_the_node() -> None:
    class Cancels(Waits):
        async def on_stop(self) -> None:
            raise asyncio.CancelledError("mine")

    report = run_graph(chain(Source("source", []), Cancels("node"), Collect()))
    assert [type(error) for error in report.errors["node"]] == [asyncio.CancelledError]


def test_a_source_clears_up_in_its_own_time_when_the_run_stops() -> None:
    class Clears(Node):
        outputs = "out"
        cleared = False

        async def produce(self) -> AsyncIterator[int]:
            try:
                yield 1
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.02)
                self.cleared = True

    node, last = Clears("source"), Collect()
    graph = chain(node, last)
    scheduler = scheduler_of(graph)
    scheduler.start()
    last.expect(1)
    report = scheduler.shutdown(drain=False, timeout=DEADLINE_S)
    assert node.cleared
    assert report.errors == {}
