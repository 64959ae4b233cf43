"""Sixteen threads put, others read, resize, move edges between bands, pause and ask: nothing is lost."""

from __future__ import annotations

import random
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Map, Yield, control, edge_of, scheduler_of, until
from load import Pass, at_once, beside, finished

from graphflow import Message, Node, PriorityBand, Subgraph, drop, latest

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 16


def diamond(**options: Any) -> tuple[Subgraph, Collect]:
    last = Collect()
    graph = Subgraph.from_nodes("diamond", [Pass("head"), Pass("left"), Yield("right", lambda v: [v]), last])
    graph.expose_input("in", "head:in", capacity=4)
    for side in ("left", "right"):
        graph.connect("head:out", (side, "in"), capacity=4)
        graph.connect((side, "out"), "collect:in", capacity=4, **options)
    return graph, last


def put_all(inlet: Any, who: int, count: int) -> None:
    for number in range(count):
        inlet.put((who, number), timeout=DEADLINE_S)


def change(scheduler: Any, graph: Subgraph, rng: random.Random, over: threading.Event) -> None:
    """Change what can be changed, at random, until it is over; leave everything so that it can end."""
    edges, names = [edge.id for edge in graph.edges], list(graph.nodes)
    while not over.wait(0.0005):
        what = rng.randrange(5)
        if what == 0:
            scheduler.set_capacity(rng.choice(edges), rng.choice([1, 2, 8, 64]))
        elif what == 1:
            scheduler.set_priority(rng.choice(edges), rng.choice(list(PriorityBand)))
        elif what == 2:
            scheduler.pause(rng.choice(names))
        elif what == 3:
            for name in names:
                scheduler.resume(name)
        else:
            scheduler.snapshot()
            scheduler.get_stats()
            scheduler.flight_recording()
    for name in names:
        scheduler.resume(name)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_sixteen_threads_and_a_graph_that_changes_under_them(
    workers: int, times: Callable[[int], int], rng: random.Random
) -> None:
    graph, last = diamond()
    each = times(400)
    with scheduler_of(graph, workers=workers) as scheduler:
        inlet = scheduler.input("in")

        def put(who: int) -> None:
            for number in range(each):
                inlet.put((who, number), timeout=DEADLINE_S)
                if number % 50 == 0:
                    inlet.put(control((who, number, "control")), timeout=DEADLINE_S)

        with beside(lambda over: change(scheduler, graph, rng, over)):
            at_once(partial(put, who) for who in range(THREADS))
        finished(scheduler, graph)
    data = Counter(message.payload for message in last.messages if message.is_data() and len(message.payload) == 2)
    assert data == {(who, number): 2 for who in range(THREADS) for number in range(each)}


@pytest.mark.parametrize("policy", [drop, latest])
def test_lossy_edges_that_change_under_load_account_for_everything(
    policy: Any, times: Callable[[int], int], rng: random.Random
) -> None:
    graph, last = diamond(policy=policy())
    each = times(400)
    with scheduler_of(graph, workers=2) as scheduler:
        inlet = scheduler.input("in")
        with beside(lambda over: change(scheduler, graph, rng, over)):
            at_once(partial(put_all, inlet, who, each) for who in range(THREADS))
        finished(scheduler, graph)
    arrived = Counter(last.seen)
    assert max(arrived.values()) <= 2
    stats = [edge_of(graph, f"{side}:out->collect:in").stats() for side in ("left", "right")]
    assert sum(one.offered for one in stats) == 2 * THREADS * each
    assert sum(one.delivered for one in stats) == len(last.seen)


def test_readers_and_writers_of_one_graph(times: Callable[[int], int]) -> None:
    """Eight threads put, eight read what comes out; a slow output holds the graph back and loses nothing."""
    graph = Subgraph.from_nodes("through", [Map("a"), Map("b")])
    graph.connect("a:out", "b:in", capacity=2)
    graph.expose_input("in", "a:in", capacity=2)
    graph.expose_output("out", "b:out", capacity=2)
    each = times(300)
    with scheduler_of(graph, workers=2) as scheduler:
        inlet, outlet = scheduler.input("in"), scheduler.output("out")

        def write(who: int) -> list[Any]:
            for number in range(each):
                inlet.put((who, number), timeout=DEADLINE_S)
            return []

        def read() -> list[Any]:
            return [outlet.get(DEADLINE_S).payload for _ in range(each)]

        got = at_once([*(partial(write, who) for who in range(8)), *[read] * 8])
        finished(scheduler, graph)
    everything = [payload for part in got for payload in part]
    assert sorted(everything) == [(who, number) for who in range(8) for number in range(each)]


class Pierced(Node):
    """Notes how much data came before each control message, counted from when that was put."""

    inputs = "in"

    def __init__(self) -> None:
        super().__init__("pierced")
        self.data = 0
        self.controls: list[int] = []
        self.overtaken: list[int] = []
        self.came = threading.Semaphore(0)

    def on_message(self, port: str, msg: Message) -> None:
        if msg.is_data():
            self.data += 1
            return
        number, before = msg.payload
        self.controls.append(number)
        self.overtaken.append(self.data - before)
        self.came.release()


def test_control_overtakes_while_data_floods(times: Callable[[int], int]) -> None:
    """Preemption: however full the data, a control message passes all but what is handled while it is under way."""
    node = Pierced()
    graph = Subgraph.from_nodes("pierced", [Pass("map"), node])
    graph.connect("map:out", "pierced:in", capacity=1024)
    graph.expose_input("in", "map:in", capacity=1024)
    probes = times(100)
    with scheduler_of(graph, workers=2) as scheduler:
        inlet = scheduler.input("in")

        def flood(over: threading.Event) -> None:
            while not over.is_set():
                inlet.put_many(list(range(64)), timeout=DEADLINE_S)

        with beside(flood):
            until(lambda: node.data > 2000, DEADLINE_S)
            for number in range(probes):
                inlet.put(control((number, node.data)), timeout=DEADLINE_S)
                assert node.came.acquire(timeout=DEADLINE_S)
        finished(scheduler, graph)
    assert node.controls == list(range(probes)), "in order, none lost"
    middle = sorted(node.overtaken)[len(node.overtaken) // 2]
    assert middle < 1024, f"behind a whole edge of data: {node.overtaken}"
