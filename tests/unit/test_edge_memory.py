"""References and storage: what is put comes back out with the references it had, and an idle edge is small."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import weakref
from typing import Any

import pytest
from edges import drained, make_edge, waiting_get, waiting_put

from graphflow import Coalesce, Drop, Edge, Latest, Message, MessageType, Node, PortSpec, Subgraph

pytestmark = pytest.mark.usefixtures("collected")

POLICIES: dict[str, dict[str, Any]] = {
    "block": {},
    "drop": {"policy": Drop()},
    "latest": {"policy": Latest()},
    "coalesce": {"policy": Coalesce(lambda old, new: new)},
    "keyed": {"policy": Coalesce(lambda old, new: new, key=lambda payload: 1)},
    "ttl": {"ttl_s": 3600},
    "bytes": {"max_bytes": 2, "sizeof": lambda payload: 1, "policy": Latest()},
}


class Thing:
    pass


def exercise(edge: Edge[Any], item: Any) -> None:
    """Everything one thread can do with an edge of capacity 2; leaves it empty."""
    for _ in range(4):
        edge.try_put(item)
    edge.put_many([item, item], timeout=0)
    for policy in (Drop(), Latest()) if not isinstance(edge.default_policy, Coalesce) else ():
        edge.try_put(item, policy)
    with pytest.raises(TypeError):
        edge.put(None)
    edge.put(Message(MessageType.CONTROL, item))
    edge.try_get()
    edge.get_many(1)
    edge.stats()
    edge.set_capacity(3)
    edge.set_capacity(2)
    drained(edge)
    edge.get_many(3)
    for timeout in (0, 1e-6):
        with pytest.raises(TimeoutError):
            edge.get(timeout=timeout)


@pytest.mark.parametrize("kind", POLICIES)
def test_the_references_to_an_item_return_to_what_they_were(kind: str) -> None:
    edge = make_edge(2, **POLICIES[kind])
    item = Thing()
    exercise(edge, item)
    before = sys.getrefcount(item)
    for _ in range(50):
        exercise(edge, item)
    assert sys.getrefcount(item) == before


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal")
@pytest.mark.parametrize("kind", POLICIES)
def test_the_references_to_none_do_not_drift(kind: str) -> None:
    edge = make_edge(2, **POLICIES[kind])
    item = Thing()
    rounds = 300
    exercise(edge, item)
    before = sys.getrefcount(None)
    for _ in range(rounds):
        exercise(edge, item)
    # A single reference lost or gained by any call would show `rounds` times.
    assert abs(sys.getrefcount(None) - before) < rounds // 2


def test_waiting_leaves_no_reference_behind() -> None:
    edge = make_edge(1)
    item = Thing()
    before = sys.getrefcount(item)
    for _ in range(5):
        edge.put(item)
        call = waiting_put(edge, item)
        edge.get()
        call.outcome()
        edge.get()
        getter = waiting_get(edge)
        edge.put(item)
        assert getter.outcome() is item
        del call, getter
    gc.collect()
    assert sys.getrefcount(item) == before


@pytest.mark.parametrize("kind", POLICIES)
def test_a_dropped_edge_releases_what_it_holds(kind: str) -> None:
    bounds = dict(POLICIES[kind])
    edge: Edge = Edge("a", "out", "b", "in", 2, default_policy=bounds.pop("policy", None), **bounds)
    item = Thing()
    gone = weakref.ref(item)
    edge.put(item)
    edge.put(Message(MessageType.CONTROL, item))
    del item
    assert gone() is not None
    del edge
    assert gone() is None


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("through", ["item", "message", "control"])
def test_an_item_that_refers_back_to_its_edge_is_collected(kind: str, through: str) -> None:
    bounds = dict(POLICIES[kind])
    edge: Edge = Edge("a", "out", "b", "in", 2, default_policy=bounds.pop("policy", None), **bounds)
    item: Any = Thing()
    item.edge = edge
    gone = weakref.ref(item)
    types = {"message": MessageType.DATA, "control": MessageType.CONTROL}
    edge.put(item if through == "item" else Message(types[through], item))
    del edge, item
    assert gone() is not None
    gc.collect()
    assert gone() is None


def cycle_through(part: str) -> weakref.ref[Thing]:
    """A thing that holds an edge which holds the thing, through one of the callbacks that an edge takes."""

    class Custom(Thing):
        def on_enqueue(self, capacity: int, size: int, item: object) -> Any:
            return thing

    def call(*arguments: object) -> Any:
        return thing

    bounds: dict[str, dict[str, Any]] = {
        "policy": {"default_policy": Custom()},
        "merge": {"default_policy": Coalesce(call)},
        "key": {"default_policy": Coalesce(max, key=call)},
        "sizeof": {"max_bytes": 10, "sizeof": call},
        "spec": {"spec": PortSpec("in", int, Custom())},
    }
    thing: Any = Thing()
    thing.edge = Edge("a", "out", "b", "in", **bounds[part])
    return weakref.ref(thing)


@pytest.mark.parametrize("part", ["policy", "merge", "key", "sizeof", "spec"])
def test_a_callback_that_refers_back_to_its_edge_is_collected(part: str) -> None:
    gc.disable()
    try:
        gone = cycle_through(part)
        assert gone() is not None
        gc.collect()
        assert gone() is None
    finally:
        gc.enable()


def test_an_edge_in_a_dropped_graph_is_collected_with_its_items() -> None:
    graph = Subgraph.from_nodes("g", [Node("a", outputs="out"), Node("b", inputs="in")])
    graph.connect("a:out", "b:in")
    item: Any = Thing()
    item.graph = graph
    gone = weakref.ref(item)
    next(iter(graph.edges)).put(item)
    del graph, item
    gc.collect()
    assert gone() is None


def test_a_resurrected_edge_still_works() -> None:
    kept: list[Edge] = []

    class Phoenix:
        def __init__(self, edge: Edge) -> None:
            self.edge = edge

        def __del__(self) -> None:
            kept.append(self.edge)

    edge: Edge | None = Edge("a", "out", "b", "in", 2)
    assert edge is not None
    edge.put(Phoenix(edge))
    edge.put("other")
    edge = None
    gc.collect()
    (again,) = kept
    assert again.try_put("full") is not None
    assert isinstance(again.get(), Phoenix)
    assert again.get() == "other"
    again.put("fresh")
    assert again.get() == "fresh"
    kept.clear()


def test_a_collection_finalizes_nothing_that_is_queued() -> None:
    finalized: list[int] = []

    class Watched:
        def __del__(self) -> None:
            finalized.append(1)

    edge = make_edge(100, Coalesce(lambda old, new: new), ttl_s=3600)
    for _ in range(50):
        edge.put(Watched())
    for _ in range(5):
        gc.collect()
    assert not finalized
    assert len(drained(edge)) == 50


def test_an_edge_is_not_copied_or_pickled() -> None:
    edge = make_edge()
    for act in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            act(edge)


IDLE = """
import resource, sys
from graphflow import Coalesce, Edge
edges = [Edge("a", "out", "b", "in", 1_000_000) for _ in range(10)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
edges += [Edge(f"a{n}", "out", "b", "in", 1_000_000, control_capacity=1_000_000) for n in range(9_000)]
edges += [
    Edge(f"a{n}", "out", "b", "in", 1_000_000, ttl_s=5, max_bytes=10**9, default_policy=Coalesce(max, key=id))
    for n in range(1_000)
]
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) // (1024 if sys.platform == "linux" else 1024**2))
"""


def test_ten_thousand_idle_edges_of_a_million_places_are_small() -> None:
    ran = subprocess.run([sys.executable, "-c", IDLE], capture_output=True, text=True, timeout=60, check=True)
    assert int(ran.stdout) < 50  # MB
