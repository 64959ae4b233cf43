"""Rates and latencies under load, against budgets that the machine itself sets in the same moments."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from graphs import Collect, Map, chain, scheduler_of
from load import at_once, beside, finished
from timing import MS, SLOWDOWN, Ruler, report_latency

from graphflow import Message, Node, PriorityBand, Subgraph

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.measures
PRODUCERS = CONSUMERS = 4
WORKERS = 4


class Count(Node):
    """Counts, by who sent it."""

    inputs = "in"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.count = 0

    def on_message(self, port: str, msg: Message) -> None:
        self.count += 1


class Spread(Node):
    """Sends each message to one of its outputs, in turn."""

    inputs = "in"

    def __init__(self, name: str) -> None:
        super().__init__(name, outputs=[f"out{number}" for number in range(CONSUMERS)])
        self.turn = 0

    def on_message(self, port: str, msg: Message) -> None:
        self.turn += 1
        self.emit(f"out{self.turn % CONSUMERS}", msg.payload)


class Probe(Node):
    """Notes how long its messages were under way."""

    inputs = "in"

    def __init__(self) -> None:
        super().__init__("probe")
        self.seconds: list[float] = []

    def on_message(self, port: str, msg: Message) -> None:
        self.seconds.append(time.perf_counter() - msg.payload)


def many_to_many() -> tuple[Subgraph, list[Count], Probe]:
    spread, probe = Spread("spread"), Probe()
    counts = [Count(f"count{number}") for number in range(CONSUMERS)]
    graph = Subgraph.from_nodes("many", [spread, *counts, probe])
    graph.expose_input("in", "spread:in", capacity=256)
    for number, count in enumerate(counts):
        graph.connect(("spread", f"out{number}"), (count.name, "in"), capacity=256)
    graph.expose_input("probe", "probe:in", priority=PriorityBand.HIGH)
    return graph, counts, probe


def test_scheduler_loop_latency_under_load_with_budgets(
    times: Callable[[int], int], record_property: Callable[[str, object], None]
) -> None:
    """Four producers keep all workers busy. Then a node that gets ready is entered after what the nodes before it take,
    and what the machine adds: the budgets are the switch interval of the interpreter for each computing thread, and
    what a plain sleep is late by in the same moments."""
    graph, counts, probe = many_to_many()
    scheduler = scheduler_of(graph, workers=WORKERS, metrics=True)
    each = times(200_000)
    with scheduler, Ruler() as ruler:
        inlet, probes = scheduler.input("in"), scheduler.input("probe")

        def ask(over: threading.Event) -> None:
            while not over.wait(0.002):
                probes.put(time.perf_counter())

        began = time.perf_counter()
        with beside(ask):
            at_once([lambda: [inlet.put(number) for number in range(each)]] * PRODUCERS)
        rate = PRODUCERS * each / (time.perf_counter() - began)
        finished(scheduler, graph)
    latency = scheduler.snapshot().scheduler.loop_latency
    record_property("messages a second", round(rate))
    print(f"{rate:,.0f} messages a second into {CONSUMERS} consumers; {latency}")
    for lower, upper, count in latency.buckets:
        print(f"  {lower * 1e6:10.1f} to {upper * 1e6:10.1f} us {count:8d}")
    report_latency(record_property, "probe", probe.seconds)
    assert sum(count.count for count in counts) == PRODUCERS * each
    assert latency.count > 20 * min(1.0, each / 200_000)
    interval = (PRODUCERS + WORKERS) * 5 * MS
    budget = SLOWDOWN * (interval + 4 * ruler.noise)
    assert latency.quantile(0.5) < budget / 4, f"half wait longer than {budget / 4 / MS:.1f} ms"
    assert latency.quantile(0.99) < budget, f"one in a hundred waits longer than {budget / MS:.1f} ms"
    assert sorted(probe.seconds)[int(len(probe.seconds) * 0.99)] < 2 * budget


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_rate_holds_from_beginning_to_end(workers: int, times: Callable[[int], int]) -> None:
    """No part of the runtime gets slower with what has passed: the last fifth takes as long as the second."""
    last = Collect()
    graph = chain(Map("a"), Map("b"), last, capacity=64)
    graph.expose_input("in", "a:in", capacity=64)
    marks: list[float] = []
    part = times(100_000)
    with scheduler_of(graph, workers=workers) as scheduler:
        inlet = scheduler.input("in")
        for _ in range(5):
            began = time.process_time()
            for number in range(part):
                inlet.put(number)
            marks.append(time.process_time() - began)
        finished(scheduler, graph)
    assert len(last.seen) == 5 * part
    assert marks[4] < 3 * min(marks[1:4]) + 0.05, f"processor seconds of each fifth: {marks}"


def test_a_fast_graph_of_small_nodes_keeps_up_with_a_plain_queue(times: Callable[[int], int]) -> None:
    """A guard against a cliff, not a benchmark: a hop stays within 20 puts and gets of queue.Queue, in processor
    time."""
    import queue

    count = times(200_000)
    plain: queue.Queue[Any] = queue.Queue()
    began = time.process_time()
    for number in range(count):
        plain.put(number)
        plain.get()
    yardstick = time.process_time() - began
    last = Count("last")
    graph = chain(Map("a"), Map("b"), last, capacity=1024)
    graph.expose_input("in", "a:in")
    began = time.process_time()
    with scheduler_of(graph, workers=1) as scheduler:
        inlet = scheduler.input("in")
        for number in range(count):
            inlet.put(number)
        finished(scheduler, graph)
    taken = time.process_time() - began
    assert last.count == count
    print(f"{taken / yardstick:.1f} times a queue's put and get for three hops")
    assert taken < 20 * yardstick
