"""A thousand starts and stops, in every way that there is: threads and memory come back."""

from __future__ import annotations

import gc
import random
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Map, Ticker, Yield, assert_graph_conserved, scheduler_of
from load import at_once

from graphflow import EdgeClosed, Node, Subgraph

if TYPE_CHECKING:
    from collections.abc import Callable


def small_graph() -> Subgraph:
    nodes: list[Node] = [Map("map"), Yield("many", lambda v: [v, v]), Collect(), Ticker("tick", 1.0, lambda _: None)]
    graph = Subgraph.from_nodes("small", nodes)
    graph.connect("map:out", "many:in", capacity=2)
    graph.connect("many:out", "collect:in", capacity=2)
    graph.expose_input("in", "map:in", capacity=2)
    return graph


def forget(graph: Subgraph) -> None:
    collect: Any = graph.nodes["collect"]
    collect.messages.clear()
    collect.ports.clear()


@pytest.mark.untraced
def test_a_thousand_starts_and_stops(times: Callable[[int], int], rng: random.Random) -> None:
    graph = small_graph()
    scheduler = scheduler_of(graph, workers=2)
    cycles = times(1000)
    blocks = 0
    threads = threading.active_count()
    for cycle in range(cycles):
        scheduler.start()
        inlet = scheduler.input("in")
        for number in range(rng.randrange(8)):
            inlet.put(number, timeout=DEADLINE_S)
        report = scheduler.shutdown(drain=rng.random() < 0.5, timeout=DEADLINE_S)
        assert not report.timed_out, report
        assert not report.abandoned, report
        assert_graph_conserved(graph)
        forget(graph)
        if cycle == cycles // 3:
            gc.collect()
            blocks = sys.getallocatedblocks()
    gc.collect()
    assert threading.active_count() == threads
    assert sys.getallocatedblocks() - blocks < max(300, cycles), "less than a block or two a run"


def test_stops_race_with_everything(times: Callable[[int], int], rng: random.Random) -> None:
    """Four threads put, two stop, two look, from the first moment on."""
    for _ in range(times(150)):
        graph = small_graph()
        scheduler = scheduler_of(graph, workers=rng.choice([1, 2, 4]))
        drain = rng.random() < 0.5

        def put(scheduler: Any = scheduler) -> int:
            inlet = scheduler.input("in")
            accepted = 0
            try:
                for number in range(50):
                    inlet.put(number, timeout=DEADLINE_S)
                    accepted += 1
            except EdgeClosed:
                pass
            return accepted

        def stop(scheduler: Any = scheduler, drain: bool = drain) -> int:
            report = scheduler.shutdown(drain=drain, timeout=DEADLINE_S)
            assert report.complete or not drain, report
            return 0

        def look(scheduler: Any = scheduler) -> int:
            for _ in range(5):
                scheduler.snapshot()
                scheduler.get_stats()
            return 0

        scheduler.start()
        accepted = sum(at_once([put] * 4 + [stop] * 2 + [look] * 2))
        assert_graph_conserved(graph)
        stats = next(edge for edge in graph.edges if edge.id.startswith("input:")).stats()
        assert stats.offered == accepted
        assert stats.depth == 0
        collect: Any = graph.nodes["collect"]
        assert not drain or len(collect.seen) == 2 * accepted
