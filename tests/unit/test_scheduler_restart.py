"""A scheduler that starts again: fresh counts, open ends, and what keeps it from starting."""

from __future__ import annotations

import threading

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Gate,
    Map,
    Source,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    edge_of,
    scheduler_of,
    until,
)

from graphflow import EdgeClosed, GraphValidationError, Scheduler, SchedulerStateError, Subgraph


def test_a_stopped_scheduler_runs_again_with_fresh_counts() -> None:
    source, last = Source("source", [1, 2, 3]), Collect()
    graph = chain(source, Map("map"), last)
    edges = list(graph.edges)
    scheduler = scheduler_of(graph)
    for times in (1, 2, 3):
        scheduler.start()
        report = scheduler.wait(DEADLINE_S)
        assert report.complete
        assert last.seen == [1, 2, 3] * times
        assert list(graph.edges) == edges  # the very objects
        assert [edge.stats().offered for edge in edges] == [3, 3]
        assert_stopped_clean(graph, report)


def test_inputs_and_outputs_open_again_with_the_next_run() -> None:
    graph = chain(Map("map"))
    graph.expose_input("in", "map:in")
    graph.expose_output("out", "map:out")
    scheduler = scheduler_of(graph)
    for number in range(3):
        with scheduler:
            scheduler.input("in").put(number)
            assert scheduler.output("out").get(DEADLINE_S).payload == number
            scheduler.shutdown()
        with pytest.raises(EdgeClosed):
            scheduler.input("in").put("closed")
        assert edge_of(graph, "input:in->map:in").stats().offered == 1
        assert_graph_conserved(graph)


def test_more_may_be_registered_between_runs() -> None:
    scheduler = Scheduler()
    seen = []
    for number in range(3):
        last = Collect(f"last{number}")
        scheduler.register(Subgraph.from_nodes(f"g{number}", [last]))
        graph = Subgraph.from_nodes(f"s{number}", [Source(f"source{number}", [number])])
        scheduler.register(graph)
        assert scheduler.run().complete
        seen.append(scheduler.get_stats()["nodes_count"])
    assert seen == [2, 4, 6]


def test_a_hook_that_outlived_its_run_keeps_the_scheduler_from_starting_until_it_returns() -> None:
    gate = Gate()
    graph = chain(gate)
    graph.expose_input("in", "gate:in")
    scheduler = scheduler_of(graph)
    scheduler.start()
    scheduler.input("in").put(1)
    assert gate.entered.wait(DEADLINE_S)
    report = scheduler.shutdown(timeout=0.1)
    assert report.abandoned == ("gate",)
    assert not report.complete
    with pytest.raises(SchedulerStateError, match="gate"):
        scheduler.start()
    gate.opened.set()
    until(lambda: not any(thread.name.startswith("graphflow") for thread in threading.enumerate()))
    with scheduler:  # the node is free again
        scheduler.input("in").put(2)
        gate.expect(2)


def test_a_node_in_two_live_graphs_is_refused() -> None:
    node = Map("node")
    first, second = Scheduler(), Scheduler()
    for number, scheduler in enumerate((first, second)):
        graph = Subgraph.from_nodes(f"g{number}", [node])
        graph.expose_input("in", "node:in")
        scheduler.register(graph)
    with first:
        with pytest.raises(GraphValidationError, match=r"DUP_NODE.*node.*another scheduler"):
            second.start()
        assert not second.is_running()
    with second:
        assert second.is_running()


def test_thread_that_cannot_be_started_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    last = Collect()
    graph = chain(Map("map"), last)
    graph.expose_input("in", "map:in")
    scheduler = scheduler_of(graph, workers=4)
    scheduler.input("in").put_many([1, 2, 3])
    original = threading.Thread.start
    for allowed in range(5):
        left = allowed

        def start(thread: threading.Thread) -> None:
            nonlocal left
            if left == 0:
                raise RuntimeError("can't start new thread")
            left -= 1
            original(thread)

        monkeypatch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            scheduler.start()
        monkeypatch.setattr(threading.Thread, "start", original)
        assert not scheduler.is_running()
        assert not any(node.is_live() for node in graph.nodes.values())
    with scheduler:
        assert last.expect(3) == [1, 2, 3]  # what was put before is still there
        scheduler.input("in").put(4)
        report = scheduler.shutdown()
    assert last.seen == [1, 2, 3, 4]
    assert_stopped_clean(graph, report)
