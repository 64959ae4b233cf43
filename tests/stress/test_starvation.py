"""Patterns that would starve a node, an edge or a thread if anything could."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

import pytest
from graphs import DEADLINE_S, Collect, Map, control, scheduler_of, until
from load import beside, finished

from graphflow import Message, Node, PriorityBand, Subgraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Endless(Node):
    """A source that always has more, and counts what it gave."""

    outputs = "out"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.given = 0

    def produce(self) -> Iterator[int]:
        while True:
            self.given += 1
            yield self.given


class Count(Node):
    inputs = "in"
    outputs = "out"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.count = self.controls = self.ticks = 0

    def on_message(self, port: str, msg: Message) -> None:
        if msg.is_control():
            self.controls += 1
        else:
            self.count += 1


class Ticking(Count):
    tick_interval_ms = 5.0

    def on_tick(self) -> None:
        self.ticks += 1


def test_every_band_moves_while_the_highest_is_never_empty(times: Callable[[int], int]) -> None:
    """Three endless sources of their own band: each gets turns, the higher the more."""
    graph = Subgraph("bands")
    counts = {}
    for band in PriorityBand:
        count = Count(band.name)
        graph.add_node(Endless(f"source-{band.name}"))
        graph.add_node(count)
        graph.connect((f"source-{band.name}", "out"), (band.name, "in"), capacity=8, priority=band)
        counts[band] = count
    enough = times(3000)
    with scheduler_of(graph, workers=2) as scheduler:
        until(lambda: min(count.count for count in counts.values()) > enough, 2 * DEADLINE_S)
        finished(scheduler, graph)


@pytest.mark.parametrize("workers", [1, 2])
def test_no_sibling_falls_behind(workers: int, times: Callable[[int], int]) -> None:
    """Twenty equal nodes, one of which is fed ten times as much: while the others have work, each gets its share."""
    graph = Subgraph("siblings")
    nodes = [Count(f"n{number}") for number in range(20)]
    for node in nodes:
        graph.add_node(Endless(f"source-{node.name}"))
        graph.add_node(node)
        graph.connect((f"source-{node.name}", "out"), (node.name, "in"), capacity=4)
    for extra in range(9):
        graph.add_node(Endless(f"more{extra}"))
        graph.connect((f"more{extra}", "out"), ("n0", "in"), capacity=4)
    enough = times(300)
    with scheduler_of(graph, workers=workers) as scheduler:
        until(lambda: sum(node.count for node in nodes) > 40 * enough, 2 * DEADLINE_S)
        counts = [node.count for node in nodes[1:]]
        finished(scheduler, graph)
    assert min(counts) > max(counts) / 4, counts


def test_ticks_and_data_go_on_under_a_flood_of_control(lasting: Callable[[float], float]) -> None:
    node, other = Ticking("flooded"), Count("other")
    graph = Subgraph.from_nodes("flood", [node, other, Endless("source"), Endless("more")])
    graph.connect("source:out", "flooded:in", capacity=4)
    graph.connect("more:out", "other:in", capacity=4)
    graph.expose_input("control", "flooded:in", capacity=1)
    with scheduler_of(graph, workers=2) as scheduler:
        inlet = scheduler.input("control")

        def flood(over: threading.Event) -> None:
            while not over.is_set():
                inlet.put(control(0))

        with beside(flood):
            pause = threading.Event()
            pause.wait(lasting(2.0))
            before = (node.count, node.ticks, other.count, node.controls)
            until(lambda: node.count > before[0] + 50 and other.count > before[2] + 50, 2 * DEADLINE_S)
            until(lambda: node.ticks > before[1] + 3 and node.controls > before[3] + 500, 2 * DEADLINE_S)
        finished(scheduler, graph)


def test_a_thread_at_a_full_input_is_let_in_in_its_turn(times: Callable[[int], int]) -> None:
    """One patient thread against fifteen greedy ones: it stands in line like everybody."""
    last = Collect()
    graph = Subgraph.from_nodes("line", [Map("map"), last])
    graph.connect("map:out", "collect:in", capacity=1)
    graph.expose_input("in", "map:in", capacity=1)
    rounds = times(200)
    with scheduler_of(graph, workers=2) as scheduler:
        inlet = scheduler.input("in")

        def greedy(over: threading.Event, who: int) -> None:
            while not over.is_set():
                inlet.put(who, timeout=DEADLINE_S)

        over = threading.Event()
        crowd = [threading.Thread(target=greedy, args=(over, who)) for who in range(1, 16)]
        for thread in crowd:
            thread.start()
        for _ in range(rounds):
            inlet.put(0, timeout=DEADLINE_S)
        over.set()
        for thread in crowd:
            thread.join(DEADLINE_S)
        finished(scheduler, graph)
    places = [place for place, who in enumerate(last.seen) if who == 0]
    assert len(places) == rounds
    gaps = [later - earlier for earlier, later in itertools.pairwise(places)]
    assert sorted(gaps)[int(len(gaps) * 0.9)] <= 64, "nine times in ten it waits for a round or a few, not for ever"
