"""Every snapshot taken from another thread while a graph works accounts for each message on each edge."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from counting import unaccounted
from graphs import DEADLINE_S, Collect, Map, Source, assert_graph_conserved, scheduler_of
from timing import SLOWDOWN

from graphflow import (
    Block,
    Coalesce,
    Drop,
    EdgeSnapshot,
    Latest,
    Message,
    Node,
    NodeSnapshot,
    Scheduler,
    Snapshot,
    Subgraph,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

MESSAGES = 6000 // SLOWDOWN
MONOTONIC_EDGE = ("offered", "enqueued", "delivered", "dropped", "replaced", "coalesced", "expired", "blocked")
MONOTONIC_NODE = ("messages", "handled", "errors", "turns", "ticks")


class Burst(Map):
    """Three for one, as a generator: it is suspended when there is no room."""

    def on_message(self, port: str, msg: Message) -> Any:
        yield from (msg.payload, msg.payload, msg.payload)


class Wide(Map):
    max_concurrency = 2


class Awaits(Node):
    inputs: Any = "in"
    outputs: Any = "out"

    async def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", msg.payload)


def all_kinds() -> Subgraph:
    """A graph with every policy, bound and kind of node."""
    nodes: list[Node] = [Source("source", range(MESSAGES)), Map("fan"), Burst("burst"), Wide("wide"), Awaits("awaits")]
    graph = Subgraph.from_nodes("kinds", nodes)
    graph.connect("source:out", "fan:in", capacity=8)
    policies: dict[str, dict[str, Any]] = {
        "block": {"policy": Block(), "capacity": 3},
        "drop": {"policy": Drop(), "capacity": 2},
        "latest": {"policy": Latest(), "capacity": 2},
        "coalesce": {"policy": Coalesce(lambda old, new: new), "capacity": 1},
        "keyed": {"policy": Coalesce(lambda old, new: new, key=lambda value: value % 5), "capacity": 5},
        "sized": {"max_bytes": 40, "sizeof": lambda value: 8, "capacity": 100},
        "aged": {"ttl_s": 0.0005, "capacity": 100},
    }
    for name, options in policies.items():
        sink = Collect(name)
        graph.add_node(sink)
        graph.connect("fan:out", f"{name}:in", **options)
    for name in ("burst", "wide", "awaits"):
        sink = Collect(f"after_{name}")
        graph.add_node(sink)
        graph.connect("fan:out", f"{name}:in", capacity=4)
        graph.connect(f"{name}:out", f"after_{name}:in", capacity=2)
    return graph


def looks(scheduler: Scheduler, over: threading.Event) -> Iterator[Snapshot]:
    """Snapshots one after the other, and one more when it is over. Between two the graph gets the interpreter."""
    while not over.wait(0.0005):
        yield scheduler.snapshot()
    yield scheduler.snapshot()


@pytest.mark.parametrize("metrics", [False, True], ids=["counters", "metrics"])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.usefixtures("fast_switching")
def test_each_edge_is_conserved_in_every_snapshot(workers: int, metrics: bool) -> None:
    graph = all_kinds()
    scheduler = scheduler_of(graph, workers=workers, metrics=metrics)
    over = threading.Event()
    faults: list[str] = []
    seen = [0, 0]

    def watch(me: int) -> None:
        before: Snapshot | None = None
        for snapshot in looks(scheduler, over):
            seen[me] += 1
            for edge in snapshot.edges.values():
                if unaccounted(edge):
                    faults.append(f"{edge.id} has lost count: {edge}")
                if edge.depth > edge.peak_depth or edge.depth > edge.capacity + edge.control_capacity:
                    faults.append(f"{edge.id} is out of bounds: {edge}")
            if before is not None:
                faults.extend(backward(before, snapshot))
            before = snapshot

    threads = [threading.Thread(target=watch, args=(number,)) for number in range(2)]
    scheduler.start()
    for thread in threads:
        thread.start()
    try:
        scheduler.wait(DEADLINE_S)
    finally:
        over.set()
        for thread in threads:
            thread.join(DEADLINE_S)
        scheduler.shutdown(drain=False)
    assert not faults, faults[:3]
    assert min(seen) >= 10
    assert_graph_conserved(graph)


def backward(before: Snapshot, after: Snapshot) -> list[str]:
    """The counters that ran backwards between two snapshots of one run."""
    pairs: list[tuple[str, EdgeSnapshot | NodeSnapshot, EdgeSnapshot | NodeSnapshot, tuple[str, ...]]] = []
    pairs += [(edge_id, before.edges[edge_id], edge, MONOTONIC_EDGE) for edge_id, edge in after.edges.items()]
    pairs += [(path, before.nodes[path], node, MONOTONIC_NODE) for path, node in after.nodes.items()]
    return [
        f"{name}.{field}: {getattr(old, field)} -> {getattr(new, field)}"
        for name, old, new, fields in pairs
        for field in fields
        if getattr(new, field) < getattr(old, field)
    ]


def test_snapshots_during_stops_and_restarts_are_whole(rng: random.Random) -> None:
    graph = Subgraph.from_nodes("g", [Map("a"), Collect("b")])
    graph.connect("a:out", "b:in", capacity=3)
    graph.expose_input("in", "a:in", capacity=5)
    scheduler = scheduler_of(graph, workers=2, metrics=True)
    over = threading.Event()
    faults: list[str] = []

    def watch() -> None:
        for snapshot in looks(scheduler, over):
            faults.extend(f"{edge}" for edge in snapshot.edges.values() if unaccounted(edge))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for _ in range(30):
            with scheduler:
                for number in range(rng.randrange(200)):
                    scheduler.input("in").put(number, timeout=DEADLINE_S)
                scheduler.shutdown(drain=rng.random() < 0.5)
    finally:
        over.set()
        thread.join(DEADLINE_S)
    assert not faults, faults[:3]
