"""Shapes that block elsewhere: everything is delivered, in order where there is one way, on any number of workers.

Plain chains, diamonds and fan-outs are in test_lossless_pipelines.py and test_fan_in_out.py.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Expand,
    Map,
    Source,
    Yield,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    control,
    edge_of,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import Message, Node, Subgraph

each_number_of_workers = pytest.mark.parametrize("workers", [1, 2, 8])


class Pass(Node):
    """Passes on every message as it is."""

    inputs: Any = "in"
    outputs: Any = "out"

    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", msg)


@each_number_of_workers
def test_control_goes_through_a_chain_of_200_nodes_that_are_all_parked(workers: int) -> None:
    """Every edge is full and every node holds what it could not send; the last one takes no data."""
    last = Collect()
    graph = chain(Source("source", range(1000)), *(Pass(f"n{number}") for number in range(198)), last, capacity=1)
    graph.expose_input("control", "n0:in")
    scheduler = scheduler_of(graph, workers=workers)
    scheduler.pause(last)
    with scheduler:
        until(lambda: scheduler.get_stats()["blocked_nodes"] == 199)
        until(lambda: scheduler.get_stats()["runnable_nodes"] == 0)
        for number in range(20):
            scheduler.input("control").put(control(("control", number)))
        assert last.expect(20) == [("control", number) for number in range(20)]
        assert scheduler.get_stats()["blocked_nodes"] == 199
        scheduler.resume(last)
        assert last.expect(1020)[20:] == list(range(1000))
        report = scheduler.shutdown(timeout=DEADLINE_S)
    assert_stopped_clean(graph, report)


def once(value: int) -> list[int]:
    return [value]


def twice(value: int) -> list[int]:
    return [value, value]


def if_odd(value: int) -> list[int]:
    return [value] if value % 2 else []


@each_number_of_workers
@pytest.mark.parametrize("capacity", [1, 7])
def test_a_chain_of_200_nodes_that_suspend_loses_nothing(workers: int, capacity: int) -> None:
    """Each handler is a generator; a few make two of a message, as many let only odd numbers through."""
    last = Collect()
    expected = list(range(20))
    nodes: list[Node] = []
    for number in range(198):
        kind = {0: twice, 30: if_odd}.get(number % 60, once)
        nodes.append(Yield(f"n{number}", kind))
        expected = [copy for value in expected for copy in kind(value)]
    graph = chain(Source("source", range(20)), *nodes, last, capacity=capacity)
    report = run_graph(graph, workers=workers, max_batch_per_node=1)
    assert last.seen == expected
    assert len(expected) > 20
    assert_stopped_clean(graph, report)


@each_number_of_workers
def test_one_consumer_of_500_that_stands_still_holds_the_source_and_loses_nothing(workers: int) -> None:
    consumers = [Collect(f"c{number}") for number in range(500)]
    graph = Subgraph.from_nodes("wide", [Source("source", range(20)), *consumers])
    for consumer in consumers:
        graph.connect("source:out", (consumer.name, "in"), capacity=2)
    scheduler = scheduler_of(graph, workers=workers)
    scheduler.pause("c250")
    with scheduler:
        for consumer in consumers:
            if consumer.name != "c250":
                assert consumer.expect(3) == [0, 1, 2]  # two are in the edge that is full, one is deferred
        until(lambda: scheduler.get_stats()["runnable_nodes"] == 0)
        assert edge_of(graph, "source:out->c250:in").is_full()
        assert {len(consumer.seen) for consumer in consumers} == {0, 3}
        scheduler.resume("c250")
        report = scheduler.wait(DEADLINE_S)
    assert all(consumer.seen == list(range(20)) for consumer in consumers)
    assert_stopped_clean(graph, report)


@each_number_of_workers
@pytest.mark.parametrize("capacity", [1, 3])
def test_ways_of_different_length_meet_again(workers: int, capacity: int) -> None:
    """From nothing to forty nodes between, and one that sends thrice what it gets."""
    last = Collect()
    graph = Subgraph.from_nodes("g", [Source("source", range(200)), Expand("thrice", lambda v: [v] * 3), last])
    graph.connect("source:out", "collect:in", capacity=capacity)
    graph.connect("source:out", "thrice:in", capacity=capacity)
    graph.connect("thrice:out", "collect:in", capacity=capacity)
    for length in (1, 5, 40):
        way = [Map(f"w{length}_{number}") for number in range(length)]
        for node in way:
            graph.add_node(node)
        ends = ["source", *(node.name for node in way), "collect"]
        for before, after in pairwise(ends):
            graph.connect((before, "out"), (after, "in"), capacity=capacity)
    report = run_graph(graph, workers=workers)
    assert Counter(last.seen) == dict.fromkeys(range(200), 7)
    assert_stopped_clean(graph, report)


class Countdown(Node):
    """Sends each (value, rounds) back to itself until no rounds are left."""

    inputs: Any = "in"
    outputs: Any = ("again", "out")

    def on_message(self, port: str, msg: Message) -> None:
        value, rounds = msg.payload
        self.emit("again", (value, rounds - 1)) if rounds else self.emit("out", value)


@each_number_of_workers
@pytest.mark.parametrize("length", [0, 1, 10])
def test_a_feedback_loop_with_exactly_the_room_that_it_needs_ends(workers: int, length: int) -> None:
    """All that the source sends can stand in the loop's first edge at once; every other edge holds one."""
    count = 30
    loop, last = Countdown("loop"), Collect()
    ring = [Map(f"r{number}") for number in range(length)]
    graph = Subgraph.from_nodes("g", [Source("source", [(n, n) for n in range(count)]), loop, last, *ring])
    graph.connect("source:out", "loop:in", capacity=1)
    graph.connect("loop:out", "collect:in", capacity=1)
    ends = [("loop", "again"), *((node.name, "out") for node in ring)]
    for number, (end, target) in enumerate(zip(ends, [*(node.name for node in ring), "loop"], strict=True)):
        graph.connect(end, (target, "in"), capacity=count if number == 0 else 1)
    report = run_graph(graph, workers=workers)
    assert sorted(last.seen) == list(range(count))
    assert_stopped_clean(graph, report)
    back = [edge for edge in graph.edges if edge.source_node == ends[-1][0] and edge.target_node == "loop"]
    assert [edge.stats().delivered for edge in back] == [sum(range(count))]


@each_number_of_workers
def test_a_loop_that_fills_up_stands_still_and_can_be_stopped(workers: int) -> None:
    """More goes around than there is room for. What is left is counted, and nothing else in the graph is held up."""
    double = Expand("double", lambda value: [value, value])
    other = Collect("other")
    graph = Subgraph.from_nodes("g", [Source("source", range(3)), double, Source("free", range(500)), other])
    graph.connect("source:out", "double:in", capacity=2)
    graph.connect("double:out", "double:in", capacity=4)
    graph.connect("free:out", "other:in", capacity=2)
    with scheduler_of(graph, workers=workers) as scheduler:
        assert other.expect(500) == list(range(500))
        until(lambda: edge_of(graph, "double:out->double:in").is_full())
        until(lambda: scheduler.get_stats()["runnable_nodes"] == 0)
        report = scheduler.shutdown(timeout=0.5)
    assert report.timed_out
    assert not report.complete
    assert report.undelivered["double:out->double:in"] >= 4
    assert_graph_conserved(graph)
