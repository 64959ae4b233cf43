"""produce() as an async generator: held back by full edges, ended where it awaits by a drain."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from coroutines import fed
from graphs import (
    DEADLINE_S,
    Collect,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import Message, Node, Subgraph

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Feeds(Node):
    outputs: Any = "out"

    def __init__(self, name: str, count: int) -> None:
        super().__init__(name)
        self.count = count
        self.sent = 0
        self.closed = threading.Event()
        self.on_my_own = threading.Event()

    async def produce(self) -> AsyncIterator[int]:
        try:
            for number in range(self.count):
                self.sent = number + 1
                yield number
                if number % 10 == 0:
                    await asyncio.sleep(0)
            self.on_my_own.set()
            await asyncio.Event().wait()
        finally:
            self.closed.set()


def test_an_async_source_sends_all_and_ends_by_itself() -> None:
    class Ends(Node):
        outputs = "out"

        async def produce(self) -> AsyncIterator[int]:
            for number in range(300):
                yield number
                if number % 50 == 0:
                    await asyncio.sleep(0.001)

    last = Collect()
    graph = chain(Ends("source"), last, capacity=3)
    assert_stopped_clean(graph, run_graph(graph))
    assert last.seen == list(range(300))


def test_an_async_source_is_held_back_by_a_full_edge() -> None:
    source = Feeds("source", 100)
    graph = Subgraph.from_nodes("g", [source])
    graph.expose_output("out", "source:out", capacity=4)
    scheduler = scheduler_of(graph)
    with scheduler:
        until(lambda: scheduler.get_stats()["blocked_nodes"] == 1)
        assert source.sent == 5
        output = scheduler.output("out")
        assert [output.get(DEADLINE_S).payload for _ in range(100)] == list(range(100))
    assert source.closed.is_set()
    assert_graph_conserved(graph)


def test_a_drain_ends_a_source_that_awaits_its_next_value() -> None:
    source, last = Feeds("source", 5), Collect()
    graph = chain(source, last)
    scheduler = scheduler_of(graph)
    scheduler.start()
    assert source.on_my_own.wait(DEADLINE_S)
    report = scheduler.shutdown(timeout=DEADLINE_S)
    assert_stopped_clean(graph, report)
    assert source.closed.is_set()
    assert last.seen == list(range(5))
    assert report.failed_sources == ()


def test_messages_and_ticks_of_a_source_go_on_while_it_awaits() -> None:
    class Both(Node):
        inputs, outputs = "in", "out"
        tick_interval_ms = 2.0
        ticks = 0

        async def produce(self) -> AsyncIterator[str]:
            yield "produced"
            await asyncio.Event().wait()

        async def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", msg.payload)

        def on_tick(self) -> None:
            self.ticks += 1

    node = Both("both")
    graph, scheduler, last = fed(node, ["put"])
    assert sorted(last.expect(2)) == ["produced", "put"]
    until(lambda: node.ticks >= 3)
    assert_stopped_clean(graph, scheduler.shutdown())


def test_a_source_that_raises_has_failed_and_a_coroutine_is_none() -> None:
    class Breaks(Node):
        outputs = "out"

        async def produce(self) -> AsyncIterator[int]:
            yield 1
            raise OSError("gone")

    class NoSource(Node):
        outputs = "out"

        async def on_start(self) -> None:
            """Puts the node on the event loop."""

        def produce(self) -> Any:
            return self.never()

        async def never(self) -> None:
            raise AssertionError("never awaited")

    graph = Subgraph.from_nodes("g", [Breaks("breaks"), NoSource("none"), Collect()])
    graph.connect("breaks:out", "collect:in")
    graph.connect("none:out", "collect:in")
    report = run_graph(graph)
    assert report.failed_sources == ("breaks", "none")
    assert "is a coroutine; it must yield" in str(report.errors["none"][0])
