"""What a hop costs: one message over one edge into one node, in a graph that runs from start to end.

The caller of run() only waits, so the CPU time of the process is that of the worker.
"""

from __future__ import annotations

import gc
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pairing import Clock, Measured, add_ratio

from graphflow import Message, Node, Scheduler, SchedulerConfig, Subgraph
from graphflow.nodes import filter_node, map_node, node, sink_node, source_node

if TYPE_CHECKING:
    from figures import Figures

MESSAGES = 30_000
HOPS = 3
# Graphs that are mostly idle: one line of four nodes is busy, the others have inputs that nothing comes from.
SIZES = (100, 1_000, 10_000)


class Count(Node):
    """Sends numbers."""

    outputs = "out"

    def produce(self) -> Iterator[int]:
        """The numbers."""
        yield from range(MESSAGES)


class Pass(Node):
    """Sends on what it gets."""

    inputs, outputs = "in", "out"

    def on_message(self, port: str, msg: Message) -> None:
        """Sends it on."""
        self.emit("out", msg.payload)


class Swallow(Node):
    """Takes all."""

    inputs = "in"

    def on_message(self, port: str, msg: Message) -> None:
        """Does nothing with it."""


def same(payload: int) -> int:
    """What it is given."""
    return payload


def line(first: Node, second: Node, third: Node, last: Node) -> Subgraph:
    """The four in a row."""
    row = (first, second, third, last)
    graph = Subgraph.from_nodes("line", row)
    for source, target in itertools.pairwise(row):
        graph.connect((source.name, "out"), (target.name, "in"))
    return graph


def of_classes() -> Subgraph:
    """Nodes as their authors write them most often."""
    return line(Count("source"), Pass("a"), Pass("b"), Swallow("sink"))


def of_maps() -> Subgraph:
    """The same with compiled steps."""
    numbers = source_node(range(MESSAGES))
    return line(numbers, map_node(same, "a"), map_node(same, "b"), sink_node(deque(maxlen=0).append, "sink"))


def of_filters() -> Subgraph:
    """The same with filters that let all pass."""
    numbers = source_node(range(1, MESSAGES + 1))
    return line(numbers, filter_node(same, "a"), filter_node(same, "b"), sink_node(deque(maxlen=0).append, "sink"))


def of_functions() -> Subgraph:
    """The same with decorated functions."""
    numbers, made = source_node(range(MESSAGES)), node(same)
    return line(numbers, made, made.another("b"), sink_node(deque(maxlen=0).append, "sink"))


def among_idle(size: int) -> Measured:
    """The classes in a graph of `size`; what is counted begins with the first message and ends with the last."""

    def work(n: int, clock: Clock) -> float:
        times = []

        class Begin(Count):
            def produce(self) -> Iterator[int]:
                """The numbers."""
                times.append(clock())
                return super().produce()

        class End(Swallow):
            def on_message(self, port: str, msg: Message) -> None:
                """Takes all, and notes when the last comes."""
                if msg.payload == MESSAGES - 1:
                    times.append(clock())

        graph = line(Begin("source"), Pass("a"), Pass("b"), End("sink"))
        for number in range(size - len(graph.nodes)):
            graph.add_node(Swallow(f"idle{number}"))
        scheduler = Scheduler(SchedulerConfig(workers=1))
        scheduler.register(graph)
        gc.collect()  # the graph before is not to make this one's memory cold
        logging.disable(logging.WARNING)  # of the inputs that are not connected
        scheduler.run()
        logging.disable(logging.NOTSET)
        return times[1] - times[0]

    return work


def running(make: Callable[[], Subgraph], **config: Any) -> Measured:
    """Whole runs; one operation is one hop of one message. Registering and starting are not counted."""

    settings: dict[str, Any] = {"workers": 1, **config}

    def work(n: int, clock: Clock) -> float:
        spent = 0.0
        for _ in range(max(1, n // (MESSAGES * HOPS))):
            scheduler = Scheduler(SchedulerConfig(**settings))
            scheduler.register(make())
            began = clock()
            scheduler.run()
            spent += clock() - began
        return spent

    return work


def add_hops(figures: Figures) -> None:
    """The figures of this file."""
    hops = MESSAGES * HOPS
    classes = running(of_classes)
    clock = time.process_time
    add_ratio(figures, "hop.class", classes, hops, clock=clock)
    # These go up by a tenth when the other core is busy; their instructions are held tightly (instructions.py).
    for name, make in {"compiled_map": of_maps, "compiled_filter": of_filters, "function": of_functions}.items():
        add_ratio(figures, f"hop.{name}", running(make), hops, clock=clock, hold="loose")
    with_metrics = running(of_classes, metrics=True)
    add_ratio(figures, "hop.metrics_on", with_metrics, hops, yard=classes, yards=hops, clock=clock, hold="overhead")
    for workers in (2, 4):
        many = running(of_classes, workers=workers)
        add_ratio(figures, f"hop.{workers}_workers", many, hops, yard=classes, yards=hops, clock=clock, hold="loose")
    for size in SIZES:
        few, idle = among_idle(4), among_idle(size)
        add_ratio(figures, f"hop.among_{size}", idle, hops, yard=few, yards=hops, clock=clock, hold="none", times=1)
