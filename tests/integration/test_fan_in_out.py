"""Several edges out of a port and into one: copies, order, and fairness to each producer."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from graphs import Collect, Map, Source, assert_stopped_clean, run_graph, scheduler_of

from graphflow import Message, Node, Subgraph


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("capacity", [1, 8])
def test_many_producers_into_one_port_and_one_into_many(capacity: int, workers: int) -> None:
    sources = [Source(f"s{number}", [(number, n) for n in range(100)]) for number in range(20)]
    hub = Map("hub")
    ends = [Collect(f"e{number}") for number in range(20)]
    graph = Subgraph.from_nodes("star", [*sources, hub, *ends])
    for source in sources:
        graph.connect((source.name, "out"), "hub:in", capacity=capacity)
    for end in ends:
        graph.connect("hub:out", (end.name, "in"), capacity=capacity)
    report = run_graph(graph, workers=workers)
    assert_stopped_clean(graph, report)
    first = ends[0].seen
    assert len(first) == 2000
    for number in range(20):
        assert [n for who, n in first if who == number] == list(range(100))
    assert all(end.seen == first for end in ends)


def test_every_consumer_of_a_fan_out_gets_the_same_message_object() -> None:
    ends = [Collect(f"e{number}") for number in range(3)]
    graph = Subgraph.from_nodes("g", [Source("source", range(10)), *ends])
    for end in ends:
        graph.connect("source:out", (end.name, "in"))
    run_graph(graph)
    for copies in zip(*(end.messages for end in ends), strict=True):
        assert len({id(message) for message in copies}) == 1


class Ports(Node):
    """Counts what comes by port."""

    inputs = ("a", "b", "c")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.arrivals: list[str] = []

    def on_message(self, port: str, msg: Message) -> None:
        self.arrivals.append(port)


def test_the_inputs_of_a_node_share_its_turns() -> None:
    """With one worker and all inputs full, no input waits for another to run dry."""
    node = Ports("ports")
    graph = Subgraph.from_nodes("g", [node])
    for port in "abc":
        graph.expose_input(port, ("ports", port), capacity=1000)
    scheduler = scheduler_of(graph, workers=1)
    for port in "abc":
        scheduler.input(port).put_many(range(500))
        scheduler.input(port).close()
    scheduler.start()
    report = scheduler.wait(30)
    assert Counter(node.arrivals) == {"a": 500, "b": 500, "c": 500}
    first = Counter(node.arrivals[:300])
    assert all(90 <= first[port] <= 110 for port in "abc"), first
    assert_stopped_clean(graph, report)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_stacked_diamonds_deliver_every_path(workers: int) -> None:
    """Each layer doubles: 2**6 copies of each item arrive, through edges of capacity 1."""
    layers = 6
    nodes: list[Node] = [Source("source", range(10))]
    joins = [Map(f"join{layer}") for layer in range(layers)]
    arms = [[Map(f"l{layer}"), Map(f"r{layer}")] for layer in range(layers)]
    last = Collect()
    graph = Subgraph.from_nodes("diamonds", [*nodes, *joins, *(arm for pair in arms for arm in pair), last])
    before = "source"
    for layer in range(layers):
        for arm in arms[layer]:
            graph.connect((before, "out"), (arm.name, "in"), capacity=1)
            graph.connect((arm.name, "out"), (joins[layer].name, "in"), capacity=1)
        before = joins[layer].name
    graph.connect((before, "out"), "collect:in", capacity=1)
    report = run_graph(graph, workers=workers)
    assert Counter(last.seen) == dict.fromkeys(range(10), 2**layers)
    assert_stopped_clean(graph, report)


class Router(Node):
    """Sends each number where a seeded choice says."""

    inputs = "in"
    outputs = ("left", "right", "both")

    def __init__(self, name: str, rng: random.Random) -> None:
        super().__init__(name)
        self.rng = rng
        self.sent: dict[str, list[Any]] = {"left": [], "right": [], "both": []}

    def on_message(self, port: str, msg: Message) -> None:
        port = self.rng.choice(["left", "right", "both"])
        self.sent[port].append(msg.payload)
        self.emit(port, msg.payload)


def test_ports_go_where_they_are_connected(rng: random.Random) -> None:
    router, left, right = Router("router", rng), Collect("left"), Collect("right")
    graph = Subgraph.from_nodes("g", [Source("source", range(1000)), router, left, right])
    graph.connect("source:out", "router:in", capacity=3)
    for port, ends in (("left", [left]), ("right", [right]), ("both", [left, right])):
        for end in ends:
            graph.connect(("router", port), (end.name, "in"), capacity=3)
    report = run_graph(graph, workers=2)
    assert sorted(left.seen) == sorted(router.sent["left"] + router.sent["both"])
    assert sorted(right.seen) == sorted(router.sent["right"] + router.sent["both"])
    assert_stopped_clean(graph, report)
