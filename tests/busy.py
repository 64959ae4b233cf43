"""Graphs that never rest, of every kind of node, and plain loops of Python to hold beside them."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graphs import scheduler_of

from graphflow import ErrorPolicy, Message, Node, Scheduler, Subgraph
from graphflow.nodes import map_node, sink_node, source_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Loop(Node):
    """Sends itself whatever it gets, and calls `seen` with the time."""

    inputs = "in"
    outputs = "out"

    def __init__(self, name: str, seen: Callable[[float], object]) -> None:
        super().__init__(name)
        self.seen = seen

    def on_message(self, port: str, msg: Message) -> Any:
        self.seen(time.perf_counter())
        self.emit("out", msg.payload)


class Generate(Loop):
    def on_message(self, port: str, msg: Message) -> Any:
        self.seen(time.perf_counter())
        yield msg.payload


class Retry(Loop):
    error_policy = ErrorPolicy.retry(2)


class Concurrent(Loop):
    max_concurrency = 2


class Dedicated(Loop):
    dedicated = True


class OnLoop(Loop):
    async def on_message(self, port: str, msg: Message) -> Any:
        self.seen(time.perf_counter())
        self.emit("out", msg.payload)


class Endless(Node):
    """A source that always has more."""

    outputs = "out"

    def __init__(self, name: str, seen: Callable[[float], object]) -> None:
        super().__init__(name)
        self.seen = seen

    def produce(self) -> Iterator[int]:
        for number in itertools.count():
            self.seen(time.perf_counter())
            yield number


def _loop(cls: type[Loop]) -> Callable[[Subgraph, str, Callable[[float], object]], None]:
    def add(graph: Subgraph, name: str, seen: Callable[[float], object]) -> None:
        graph.add_node(cls(name, seen))
        graph.connect((name, "out"), (name, "in"), capacity=8)
        graph.expose_input(name, (name, "in"))

    return add


def _function(graph: Subgraph, name: str, seen: Callable[[float], object]) -> None:
    def step(value: int) -> int:
        seen(time.perf_counter())
        return value

    graph.add_node(map_node(step, name))
    graph.connect((name, "out"), (name, "in"), capacity=8)
    graph.expose_input(name, (name, "in"))


def _endless(graph: Subgraph, name: str, seen: Callable[[float], object]) -> None:
    graph.add_node(Endless(name, seen))
    graph.add_node(sink_node(lambda value: None, f"{name}-sink"))
    graph.connect((name, "out"), (f"{name}-sink", "in"), capacity=64)


def _backlog(graph: Subgraph, name: str, seen: Callable[[float], object]) -> None:
    """A function with more to do than it will ever get done, as its source is all in C."""

    def step(value: float) -> None:
        seen(time.perf_counter())

    graph.add_node(source_node(itertools.repeat(1.0), f"{name}-source"))
    graph.add_node(sink_node(step, name))
    graph.connect((f"{name}-source", "out"), (name, "in"), capacity=100_000)


def _in_c(graph: Subgraph, name: str, seen: Callable[[float], object]) -> None:
    """No frame of Python anywhere: the source's next() and the sink's function are C."""
    graph.add_node(source_node(iter(time.perf_counter, None), f"{name}-source"))
    graph.add_node(map_node(float, f"{name}-map"))
    graph.add_node(sink_node(seen, name))
    graph.connect((f"{name}-source", "out"), (f"{name}-map", "in"), capacity=1024)
    graph.connect((f"{name}-map", "out"), (name, "in"), capacity=1024)


KINDS = {
    "class": _loop(Loop),
    "function": _function,
    "generator": _loop(Generate),
    "retrying": _loop(Retry),
    "concurrent": _loop(Concurrent),
    "dedicated": _loop(Dedicated),
    "async": _loop(OnLoop),
    "source": _endless,
    "backlog": _backlog,
    "in c": _in_c,
}


@contextmanager
def busy(
    kind: str, workers: int, seen: Callable[[float], object], *, nodes: int | None = None, extra: Node | None = None
) -> Iterator[tuple[Scheduler, Subgraph]]:
    """A running graph with as many busy nodes of the kind as workers (or `nodes`), and an `extra` one with an input of
    its name for one item."""
    graph = Subgraph("busy")
    if extra is not None:
        graph.add_node(extra)
        graph.expose_input(extra.name, (extra.name, "in"), capacity=1)
    for number in range(workers if nodes is None else nodes):
        KINDS[kind](graph, f"node{number}", seen)
    with scheduler_of(graph, workers=workers) as scheduler:
        for name in graph.exposed_inputs:
            if extra is None or name != extra.name:
                scheduler.input(name).put_many([1, 2, 3])
        yield scheduler, graph
        scheduler.shutdown(drain=False)


@contextmanager
def plain_loops(count: int) -> Iterator[None]:
    """As many threads that compute in Python and never wait."""
    over = threading.Event()

    def turn() -> None:
        while not over.is_set():
            pass

    threads = [threading.Thread(target=turn) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
