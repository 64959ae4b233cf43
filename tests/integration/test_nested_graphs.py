"""Nested subgraphs run as if they were flat; their edges keep full path names."""

from __future__ import annotations

from typing import Any

import pytest
from graphs import Collect, Expand, Map, Source, assert_stopped_clean, chain, run_graph, scheduler_of

from graphflow import Message, Node, PutResult, Subgraph


def doubler(name: str, capacity: int = 2) -> Subgraph:
    """A subgraph with one exposed input and output: +1, then *2."""
    graph = Subgraph.from_nodes(name, [Map("plus", lambda v: v + 1), Map("times", lambda v: v * 2)])
    graph.connect("plus:out", "times:in", capacity=capacity)
    graph.expose_input("in", "plus:in")
    graph.expose_output("out", "times:out")
    return graph


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("capacity", [1, 8])
def test_nested_graphs_lose_nothing(capacity: int, workers: int) -> None:
    last = Collect()
    outer = Subgraph.from_nodes("outer", [Source("source", range(500)), last])
    outer.add_subgraph(doubler("one", capacity))
    outer.add_subgraph(doubler("two", capacity))
    outer.connect("source:out", "one:in", capacity=capacity)
    outer.connect("one:out", "two:in", capacity=capacity)
    outer.connect("two:out", "collect:in", capacity=capacity)
    report = run_graph(outer, workers=workers)
    assert last.seen == [((v + 1) * 2 + 1) * 2 for v in range(500)]
    assert {edge.id for edge in outer.edges} == {
        "source:out->one/plus:in",
        "one/plus:out->one/times:in",
        "one/times:out->two/plus:in",
        "two/plus:out->two/times:in",
        "two/times:out->collect:in",
    }
    assert all(edge.stats().delivered == 500 for edge in outer.edges)
    assert_stopped_clean(outer, report)


def test_three_levels_and_exposed_ports_of_exposed_ports() -> None:
    inner = doubler("inner")
    middle = Subgraph("middle")
    middle.add_subgraph(inner)
    middle.expose_input("in", "inner:in")
    middle.expose_output("out", "inner:out")
    outer = Subgraph("outer")
    outer.add_subgraph(middle)
    outer.expose_input("front", "middle:in", capacity=4)
    outer.expose_output("back", "middle:out", capacity=4)
    with scheduler_of(outer) as scheduler:
        scheduler.input("front").put_many([1, 2, 3])
        assert [scheduler.output("back").get(30).payload for _ in range(3)] == [4, 6, 8]
        report = scheduler.shutdown()
    assert {edge.id for edge in outer.edges} == {
        "input:front->middle/inner/plus:in",
        "middle/inner/plus:out->middle/inner/times:in",
        "middle/inner/times:out->output:back",
    }
    assert_stopped_clean(outer, report)


def test_a_node_added_under_another_name_emits_and_is_reported_under_it() -> None:
    class Fails(Map):
        def on_message(self, port: str, msg: Message) -> None:
            super().on_message(port, msg)
            if msg.payload == 1:
                raise ValueError

    last = Collect()
    inner = Subgraph("inner")
    inner.add_node(Fails("own_name"), name="renamed")
    inner.expose_input("in", "renamed:in")
    inner.expose_output("out", "renamed:out")
    outer = Subgraph.from_nodes("outer", [Source("source", range(3)), last])
    outer.add_subgraph(inner, name="part")
    outer.connect("source:out", "part:in")
    outer.connect("part:out", "collect:in")
    report = run_graph(outer)
    assert last.seen == [0, 1, 2]
    assert report.error_counts == {"part/renamed": 1}


def test_an_exposed_port_feeds_several_edges_and_takes_from_several() -> None:
    inner = Subgraph.from_nodes("inner", [Expand("twice", lambda v: [v, v])])
    inner.expose_input("in", "twice:in")
    inner.expose_output("out", "twice:out")
    ends = [Collect("left"), Collect("right")]
    outer = Subgraph.from_nodes("outer", [Source("s1", range(50)), Source("s2", range(50, 100)), *ends])
    outer.add_subgraph(inner)
    for source in ("s1", "s2"):
        outer.connect((source, "out"), "inner:in", capacity=2)
    for end in ends:
        outer.connect("inner:out", (end.name, "in"), capacity=2)
    report = run_graph(outer, workers=4)
    for end in ends:
        assert sorted(end.seen) == sorted([*range(100)] * 2)
    assert ends[0].seen == ends[1].seen
    assert_stopped_clean(outer, report)


def test_several_graphs_in_one_scheduler_run_side_by_side() -> None:
    ends = [Collect(f"end{number}") for number in range(5)]
    graphs = [chain(Source(f"s{n}", range(100)), Map(f"m{n}"), ends[n], capacity=3) for n in range(5)]
    alone = Lonely("lonely")
    scheduler = scheduler_of(*graphs, alone)
    report = scheduler.run()
    for graph, end in zip(graphs, ends, strict=True):
        assert end.seen == list(range(100))
        assert_stopped_clean(graph, report)
    assert alone.started == 1


class Lonely(Node):
    started = 0

    def on_start(self) -> None:
        self.started += 1


def test_two_schedulers_run_two_graphs_and_feed_each_other() -> None:
    first, second = doubler("first"), doubler("second")
    schedulers = [scheduler_of(first), scheduler_of(second)]
    with schedulers[0], schedulers[1]:
        schedulers[0].input("in").put(1)
        schedulers[1].input("in").put(schedulers[0].output("out").get(30))
        assert schedulers[1].output("out").get(30).payload == 10


class Bridge(Node):
    """Hands what it gets to another scheduler's input, without waiting."""

    inputs = "in"

    def __init__(self, name: str, target: Any) -> None:
        super().__init__(name)
        self.target = target

    def on_message(self, port: str, msg: Message) -> None:
        assert self.target.try_put(msg) is PutResult.OK


def test_a_node_feeds_another_scheduler() -> None:
    last = Collect()
    target = chain(Map("map"), last)
    target.expose_input("in", "map:in")
    second = scheduler_of(target)
    with second:
        run_graph(chain(Source("source", range(100)), Bridge("bridge", second.input("in"))))
        assert last.expect(100) == list(range(100))
        report = second.shutdown()
    assert_stopped_clean(target, report)
