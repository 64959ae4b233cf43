"""Block pipelines deliver everything once and in order, whatever the capacity and the number of workers."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from graphs import Collect, Expand, Map, Source, Yield, assert_stopped_clean, chain, edge_of, run_graph

from graphflow import Edge, Message, Node, PutResult, Subgraph

if TYPE_CHECKING:
    pass

CAPACITIES = (1, 2, 8, 256)
WORKERS = (1, 2, 8)


def copies(value: int) -> list[int]:
    """None, one or many of a number."""
    return [value] * (0, 1, 7)[value % 3]


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("capacity", CAPACITIES)
def test_block_pipeline_delivers_everything_in_order(capacity: int, workers: int) -> None:
    count = 1500
    last = Collect()
    graph = chain(Source("source", range(count)), Map("a"), Map("b"), Map("c"), last, capacity=capacity)
    report = run_graph(graph, workers=workers)
    assert_stopped_clean(graph, report)
    assert report.reason == "completed"
    assert last.seen == list(range(count))
    for edge in graph.edges:
        stats = edge.stats()
        assert stats.offered == stats.delivered == count
        assert stats.peak_depth <= capacity


@pytest.mark.parametrize("expand", [Expand, Yield])
@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("capacity", CAPACITIES)
def test_handlers_that_emit_none_one_or_many_lose_nothing(capacity: int, workers: int, expand: type[Expand]) -> None:
    count = 300
    last = Collect()
    graph = chain(
        Source("source", range(count)),
        expand("many", copies),
        Map("a"),
        expand("again", lambda v: [v, -v]),
        last,
        capacity=capacity,
    )
    report = run_graph(graph, workers=workers)
    assert_stopped_clean(graph, report)
    expected = [each for value in range(count) for copy in copies(value) for each in (copy, -copy)]
    assert last.seen == expected


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("capacity", CAPACITIES)
def test_two_producers_into_one_port_keep_each_ones_order(capacity: int, workers: int) -> None:
    count = 800
    last = Collect()
    sources = [Source(name, [(name, number) for number in range(count)]) for name in ("left", "right")]
    graph = Subgraph.from_nodes("fan_in", [*sources, last])
    for source in sources:
        graph.connect((source.name, "out"), "collect:in", capacity=capacity)
    report = run_graph(graph, workers=workers)
    assert_stopped_clean(graph, report)
    for name in ("left", "right"):
        assert [number for origin, number in last.seen if origin == name] == list(range(count))
    assert Counter(last.ports) == {"in": 2 * count}


class Merge(Node):
    """Passes on what comes from either side."""

    inputs = ("left", "right")
    outputs = "out"

    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", (port, msg.payload))


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("capacity", CAPACITIES)
def test_diamond_neither_deadlocks_nor_loses(capacity: int, workers: int) -> None:
    count = 600
    source, left, right, merge, last = (
        Source("source", range(count)),
        Map("left"),
        Expand("right", copies),
        Merge("merge"),
        Collect(),
    )
    graph = Subgraph.from_nodes("diamond", [source, left, right, merge, last])
    for src, dst in (
        ("source:out", "left:in"),
        ("source:out", "right:in"),
        ("left:out", "merge:left"),
        ("right:out", "merge:right"),
        ("merge:out", "collect:in"),
    ):
        graph.connect(src, dst, capacity=capacity)
    report = run_graph(graph, workers=workers)
    assert_stopped_clean(graph, report)
    assert [value for port, value in last.seen if port == "left"] == list(range(count))
    assert [value for port, value in last.seen if port == "right"] == [
        copy for value in range(count) for copy in copies(value)
    ]


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("capacity", [1, 8])
def test_chain_of_200_nodes_ends(capacity: int, workers: int) -> None:
    last = Collect()
    middle = [Map(f"n{number}", lambda value: value + 1) for number in range(198)]
    graph = chain(Source("source", range(100)), *middle, last, capacity=capacity)
    report = run_graph(graph, workers=workers)
    assert_stopped_clean(graph, report)
    assert last.seen == [value + 198 for value in range(100)]


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("capacity", [1, 8])
def test_fan_out_to_500_consumers_gives_each_everything(capacity: int, workers: int) -> None:
    consumers = [Collect(f"c{number}") for number in range(500)]
    graph = Subgraph.from_nodes("wide", [Source("source", range(20)), *consumers])
    for consumer in consumers:
        graph.connect("source:out", (consumer.name, "in"), capacity=capacity)
    report = run_graph(graph, workers=workers)
    assert_stopped_clean(graph, report)
    assert all(consumer.seen == list(range(20)) for consumer in consumers)


class Loop(Node):
    """Sends each number around until it is used up."""

    inputs = ("in", "back")
    outputs = ("again", "out")

    def on_message(self, port: str, msg: Message) -> None:
        value, rounds = msg.payload
        if rounds == 0:
            self.emit("out", value)
        else:
            self.emit("again", (value, rounds - 1))


@pytest.mark.parametrize("workers", WORKERS)
def test_feedback_loop_with_enough_room_ends(workers: int) -> None:
    count = 60
    loop, step, last = Loop("loop"), Map("step"), Collect()
    graph = Subgraph.from_nodes("cycle", [Source("source", [(n, 5) for n in range(count)]), loop, step, last])
    graph.connect("source:out", "loop:in", capacity=4)
    graph.connect("loop:again", "step:in", capacity=count)
    graph.connect("step:out", "loop:back", capacity=count)
    graph.connect("loop:out", "collect:in", capacity=1)
    report = run_graph(graph, workers=workers)
    assert_stopped_clean(graph, report)
    assert sorted(last.seen) == list(range(count))
    assert edge_of(graph, "step:out->loop:back").stats().delivered == 5 * count


def test_random_graph_conserves_every_message(rng: Any) -> None:
    """Layers of nodes with random edges, capacities and emissions, on random numbers of workers."""
    for _ in range(12):
        layers: list[list[Node]] = [[Source(f"s{n}", range(rng.randrange(200))) for n in range(rng.randrange(1, 3))]]
        graph = Subgraph("random")
        for depth in range(rng.randrange(1, 5)):
            fan = rng.randrange(3)
            kind = rng.choice([Expand, Yield])
            layers.append([kind(f"n{depth}_{n}", lambda v, fan=fan: [v] * fan) for n in range(rng.randrange(1, 4))])
        layers.append([Collect(f"end{n}") for n in range(rng.randrange(1, 3))])
        for layer in layers:
            for node in layer:
                graph.add_node(node)
        for before, after in itertools.pairwise(layers):
            for target in after:
                for source in rng.sample(before, rng.randrange(1, len(before) + 1)):
                    graph.connect((source.name, "out"), (target.name, "in"), capacity=rng.choice([1, 2, 8, 256]))
        report = run_graph(graph, workers=rng.choice(WORKERS), max_batch_per_node=rng.choice([1, 3, 64]))
        assert_stopped_clean(graph, report)
        assert all(edge.stats().offered == edge.stats().delivered for edge in graph.edges)


def test_edges_report_their_peak_depth() -> None:
    last = Collect()
    source = Source("source", range(50))
    graph = chain(source, last, capacity=10)
    run_graph(graph, workers=1, max_batch_per_node=64)
    edge: Edge = edge_of(graph, "source:out->collect:in")
    assert edge.stats().peak_depth == 10  # one worker: the source fills the edge before the sink gets a turn
    assert edge.stats().blocked > 0


def test_every_member_of_put_result_is_truthy() -> None:
    assert all(PutResult)
