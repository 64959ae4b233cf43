"""A node that several workers run, when something ends: its life-cycle hooks run alone, and nothing inside is lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Map,
    Source,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    run_graph,
    scheduler_of,
    until,
)
from holding import Together, filled

from graphflow import ErrorPolicy, Message, Node, PutResult, Subgraph


def test_life_cycle_hooks_run_alone() -> None:
    log: list[str] = []

    class Lives(Together):
        def on_start(self) -> None:
            log.append(f"start {len(self.inside)}")

        def on_drain(self) -> Any:
            log.append(f"drain {len(self.inside)}")
            yield from range(5)

        def on_stop(self) -> None:
            log.append(f"stop {len(self.inside)}")

    node, last = Lives("node", 4), Collect()
    graph = chain(Source("source", range(8)), node, last, capacity=1)
    scheduler = scheduler_of(graph, workers=8)
    scheduler.start()
    node.expect_inside(0, 1, 2, 3)
    node.let()
    report = scheduler.wait(DEADLINE_S)
    assert log == ["start 0", "drain 0", "stop 0"]
    assert last.seen == [*range(8), *range(5)]
    assert_stopped_clean(graph, report)


def test_nobody_enters_while_on_drain_runs() -> None:
    class Drains(Node):
        inputs, outputs = "in", "out"
        max_concurrency = 2

        def __init__(self) -> None:
            super().__init__("node")
            self.draining = False
            self.met = threading.Event()

        def on_message(self, port: str, msg: Message) -> None:
            if self.draining:
                self.met.set()

        def on_drain(self) -> None:
            self.draining = True
            for number in range(3):  # each comes back around the cycle, and the second finds no room at once
                self.emit("out", number)
                self.met.wait(0.05)
            self.draining = False

    node, echo = Drains(), Map("echo")
    graph = Subgraph.from_nodes("g", [node, echo])
    graph.connect("node:out", "echo:in", capacity=1)
    graph.connect("echo:out", "node:in", capacity=1)
    assert_stopped_clean(graph, run_graph(graph, workers=4))
    assert not node.met.is_set()


def test_stop_node_lets_the_others_finish_before_on_stop() -> None:
    log: list[Any] = []

    class Stops(Together):
        error_policy = ErrorPolicy.STOP_NODE

        def on_message(self, port: str, msg: Message) -> None:
            super().on_message(port, msg)
            if msg.payload == 0:
                raise ValueError(msg.payload)

        def on_stop(self) -> None:
            log.append(set(self.inside))

    node = Stops("node", 2)
    graph, scheduler, last = filled(node, workers=3, items=10)
    node.expect_inside(0, 1)
    node.let(0)
    until(lambda: graph.edges and scheduler.get_stats()["edges"]["input:in->node:in"]["depth"] == 0)
    assert log == []
    node.let()
    assert last.expect(2) == [0, 1]
    until(lambda: log)
    assert log == [set()]
    report = scheduler.shutdown()
    assert_graph_conserved(graph)
    assert report.error_counts == {"node": 1}
    assert {edge.stats().dropped_closed for edge in graph.edges if edge.id == "input:in->node:in"} == {8}


def test_a_stop_without_drain_waits_for_those_inside_and_counts_the_rest() -> None:
    node = Together("node", 3)
    graph, scheduler, _last = filled(node, workers=3, items=10)
    node.expect_inside(0, 1, 2)
    stopping = threading.Thread(target=scheduler.shutdown, kwargs={"drain": False, "timeout": DEADLINE_S})
    stopping.start()
    until(lambda: scheduler.get_stats()["status"] == "stopping")
    node.let()
    stopping.join(DEADLINE_S)
    report = scheduler.wait(0)
    assert_graph_conserved(graph)
    assert report.undelivered == {"input:in->node:in": 7, "node:out->collect:in": 3}
    counts = scheduler.get_stats()["nodes"]["node"]
    assert (counts["handled"], counts["in_handler"]) == (3, 0)


def test_what_stands_behind_a_handler_that_never_returned_is_counted_as_undelivered() -> None:
    node = Together("node", 3)
    graph, scheduler, last = filled(node, workers=4, items=3)
    node.expect_inside(0, 1, 2)
    node.let(1, 2)
    node.expect_inside(0)
    report = scheduler.shutdown(drain=False, timeout=0.3)
    assert report.abandoned == ("node",)
    assert report.undelivered == {"node:out->collect:in": 2}
    assert last.seen == []
    assert_graph_conserved(graph)
    node.let()
    until(lambda: not scheduler.is_running() and not node.inside)


def test_a_policy_that_exits_while_calls_leave_stops_the_graph_and_the_rest_still_leaves() -> None:
    class Exits:
        def on_enqueue(self, capacity: int, size: int, item: object) -> PutResult:
            raise SystemExit("in a policy")

    node, last = Map("node"), Collect()
    node.max_concurrency = 2
    graph = Subgraph.from_nodes("g", [node, last])
    graph.expose_input("in", "node:in")
    graph.connect("node:out", "collect:in", policy=Exits())
    scheduler = scheduler_of(graph, workers=2)
    scheduler.start()
    scheduler.input("in").put(1)
    with pytest.raises(SystemExit, match="in a policy"):
        scheduler.wait(DEADLINE_S)
    assert_graph_conserved(graph)
