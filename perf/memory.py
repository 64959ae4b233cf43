"""What things take up: bytes of Python objects and of the core's own, by making many and dividing."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphflow import Edge, Message, MessageType, Node, Scheduler, Subgraph

if TYPE_CHECKING:
    from figures import Figures

MANY = 2_000
QUEUED = 65_536  # a power of two: the ring of a full edge has no slot to spare


def each(make: Callable[[], Any], count: int) -> float:
    """Bytes that one of `count` things takes, which `make` makes and returns."""
    make()  # what is made once, whatever the number
    before_kept = python_bytes()
    kept = make()
    used = python_bytes() - before_kept
    del kept
    return used / count


def python_bytes() -> int:
    """Bytes that tracemalloc knows of: all that the core allocates goes through Python's allocators."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def edges(capacity: int) -> Callable[[], Any]:
    """Idle edges."""
    return lambda: [Edge("a", "out", "b", "in", capacity=capacity) for _ in range(MANY)]


def nodes() -> Any:
    """Nodes of a started graph, without their edges."""
    graph = Subgraph.from_nodes("many", [Node(f"n{number}", outputs="out") for number in range(MANY)])
    scheduler = Scheduler()
    scheduler.register(graph)
    return scheduler


def queued(item: Callable[[], Any]) -> Callable[[], Any]:
    """A full edge."""

    def make() -> Any:
        edge = Edge("a", "out", "b", "in", capacity=QUEUED)
        for _ in range(QUEUED):
            edge.put(item())
        return edge

    return make


def add_memory(figures: Figures) -> None:
    """The figures of this file, in bytes."""

    def add(name: str, make: Callable[[], Any], count: int) -> None:
        def measure() -> float:
            tracemalloc.start()
            try:
                return each(make, count)
            finally:
                tracemalloc.stop()

        figures.add(name, measure, "tight", unit="byte")

    payload = 1
    add("memory.idle_edge", edges(16), MANY)
    add("memory.idle_edge_of_a_million", edges(1_000_000), MANY)
    add("memory.registered_node", nodes, MANY)
    add("memory.queued_message", queued(lambda: Message(MessageType.DATA, payload)), QUEUED)
    add("memory.queued_raw_item", queued(lambda: payload), QUEUED)
