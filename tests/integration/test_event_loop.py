"""The event loop of a scheduler: begun or not at all, stopped by what nobody may catch, and nothing kept by it."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from coroutines import Waits, fed
from graphs import DEADLINE_S, Collect, Source, assert_graph_conserved, assert_stopped_clean, chain, scheduler_of

from graphflow import Message, Node, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def loop_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.endswith("-loop")]


def fails_to_start(scheduler: Scheduler) -> None:
    with pytest.raises(OSError, match="too many open files"):
        scheduler.start()


@pytest.mark.parametrize(
    ("module", "function", "granted"),
    [(asyncio, "new_event_loop", 0), (socket, "socketpair", 1)],  # the first pair is the event loop's own
)
def test_a_start_that_gets_no_loop_raises_and_leaves_no_trace(
    module: Any, function: str, granted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    real = getattr(module, function)

    def refuse() -> Any:
        calls.append(None)
        if len(calls) > granted:
            raise OSError("too many open files")
        return real()

    node, last = Waits(), Collect()
    graph = chain(node, last)
    scheduler = scheduler_of(graph)
    with monkeypatch.context() as patch:
        patch.setattr(module, function, refuse)
        fails_to_start(scheduler)
    gc.collect()  # a socket or a loop that was left open warns here, and a warning fails the test
    assert not scheduler.is_running()
    assert_stopped_clean(graph, scheduler.run())


@pytest.mark.parametrize("refused", range(4))
def test_a_start_that_gets_no_thread_closes_the_loop_and_leaves_no_trace(
    refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = chain(Waits(), Collect())
    scheduler = scheduler_of(graph, workers=2)
    begun: list[threading.Thread] = []
    start = threading.Thread.start

    def start_some(thread: threading.Thread) -> None:
        if len(begun) == refused:
            raise OSError("too many open files")
        begun.append(thread)
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_some)
        fails_to_start(scheduler)
    gc.collect()  # a socket or a loop that was left open warns here, and a warning fails the test
    assert loop_threads() == []
    assert_stopped_clean(graph, scheduler.run())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_exit_in_a_task_of_the_users_own_stops_the_graph_and_leaves_run(error: type[BaseException]) -> None:
    class Spawns(Waits):
        stopped = False

        async def on_start(self) -> None:
            self.task = asyncio.ensure_future(self.exit())

        async def exit(self) -> None:
            raise error("now")

        async def on_stop(self) -> None:
            await asyncio.sleep(0)
            self.stopped = True

    node = Spawns()
    graph = chain(node, Collect())
    graph.expose_input("in", "waits:in")
    scheduler = scheduler_of(graph)
    with pytest.raises(error, match="now"):
        scheduler.run(signals=())
    assert node.stopped
    assert_graph_conserved(graph)
    assert node.task.done()
    node.task.exception()


def test_what_was_handled_is_freed_without_the_garbage_collector(collected: None) -> None:
    class Payload:
        pass

    class Handles(Node):
        inputs: Any = "in"

        async def on_message(self, port: str, msg: Message) -> None:
            await asyncio.sleep(0)

    alive: weakref.WeakSet[Payload] = weakref.WeakSet()

    def items() -> Any:
        for _ in range(50):
            payload = Payload()
            alive.add(payload)
            yield payload

    graph = chain(Source("source", items()), Handles("handles"))
    scheduler = scheduler_of(graph)
    gc.disable()
    try:
        report = scheduler.run()
        assert len(alive) == 0
    finally:
        gc.enable()
    assert_stopped_clean(graph, report)


def test_a_generator_that_cannot_be_closed_does_not_keep_the_loop() -> None:
    class Leaves(Node):
        inputs, outputs = "in", "out"

        async def on_message(self, port: str, msg: Message) -> None:
            self.values = self.endless()
            self.emit("out", await self.values.__anext__())

        async def endless(self) -> AsyncIterator[int]:
            try:
                yield 1
            finally:
                await asyncio.Event().wait()

    node = Leaves("node")
    graph, scheduler, last = fed(node, [0])
    assert last.expect(1) == [1]
    assert_stopped_clean(graph, scheduler.shutdown())
    for thread in threading.enumerate():
        if thread.name.endswith("-loop"):
            thread.join(DEADLINE_S)
    assert loop_threads() == []


def test_a_source_that_has_ended_is_not_ended_again_by_the_drain() -> None:
    class Ends(Node):
        outputs = "out"

        async def produce(self) -> AsyncIterator[int]:
            yield 1

    last = Collect()
    graph = Subgraph.from_nodes("g", [Ends("ends"), Waits(), last])
    graph.connect("ends:out", "collect:in")
    graph.expose_input("in", "waits:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        last.expect(1)
        report = scheduler.shutdown(timeout=DEADLINE_S)
    assert_stopped_clean(graph, report)
