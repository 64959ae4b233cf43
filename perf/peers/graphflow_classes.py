"""graphflow with nodes written as classes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from graphflow import Message, Node, Scheduler, Subgraph
from peers import CAPACITY, double, increment

PACKAGE = "graphflow"
MESSAGES = 300_000


class Numbers(Node):
    """The source."""

    outputs = "out"

    def __init__(self, count: int) -> None:
        super().__init__("numbers")
        self.count = count

    def produce(self) -> Iterator[int]:
        """The numbers."""
        yield from range(self.count)


class Increment(Node):
    """The first map."""

    inputs, outputs = "in", "out"

    def on_message(self, port: str, msg: Message) -> None:
        """Adds one."""
        self.emit("out", increment(msg.payload))


class Double(Node):
    """The second."""

    inputs, outputs = "in", "out"

    def on_message(self, port: str, msg: Message) -> None:
        """Doubles it."""
        self.emit("out", double(msg.payload))


class Sum(Node):
    """The sink."""

    inputs = "in"
    total = 0

    def on_message(self, port: str, msg: Message) -> None:
        """Adds it up."""
        self.total += msg.payload


def run(count: int) -> tuple[float, int]:
    """Run the graph to its end."""
    sink = Sum("sum")
    graph = Subgraph.from_nodes("peer", [Numbers(count), Increment("increment"), Double("double"), sink])
    for source, target in (("numbers", "increment"), ("increment", "double"), ("double", "sum")):
        graph.connect((source, "out"), (target, "in"), capacity=CAPACITY)
    scheduler = Scheduler()
    scheduler.register(graph)
    began = time.perf_counter()
    scheduler.run()
    return time.perf_counter() - began, sink.total
