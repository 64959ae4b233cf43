"""meridian-runtime: nodes, edges with policies, a scheduler.

With a full edge that blocks it never ends, so its capacity is one that no edge here reaches.
"""

from __future__ import annotations

import time
from typing import Any

from meridian.core import Message, MessageType, Node, Port, PortDirection, Scheduler, SchedulerConfig, Subgraph
from meridian.core.policies import Block
from meridian.core.ports import PortSpec

from peers import double, increment

PACKAGE = "meridian-runtime"
MESSAGES = 2_000
A_TICK = 500


def port(name: str, direction: Any) -> Any:
    """A port for integers."""
    return Port(name, direction, spec=PortSpec(name, int))


class Numbers(Node):  # type: ignore[misc]
    """The source: some numbers each tick."""

    def __init__(self, count: int) -> None:
        super().__init__("numbers", [], [port("out", PortDirection.OUTPUT)])
        self.left = iter(range(count))

    def _handle_tick(self) -> None:
        for _ in range(A_TICK):
            number = next(self.left, None)
            if number is None:
                return
            self.emit("out", Message(MessageType.DATA, number))


class Map(Node):  # type: ignore[misc]
    """A map."""

    def __init__(self, name: str, function: Any) -> None:
        super().__init__(name, [port("in", PortDirection.INPUT)], [port("out", PortDirection.OUTPUT)])
        self.function = function

    def _handle_message(self, _: str, message: Any) -> None:
        self.emit("out", Message(MessageType.DATA, self.function(message.payload)))


class Sum(Node):  # type: ignore[misc]
    """The sink: it stops the scheduler after the last."""

    def __init__(self, count: int, scheduler: Any) -> None:
        super().__init__("sum", [port("in", PortDirection.INPUT)], [])
        self.left = count
        self.total = 0
        self.scheduler = scheduler

    def _handle_message(self, _: str, message: Any) -> None:
        self.total += message.payload
        self.left -= 1
        if self.left == 0:
            self.scheduler.shutdown()


def run(count: int) -> tuple[float, int]:
    """Run the graph until the last number has come."""
    settings = {"tick_interval_ms": 1, "idle_sleep_ms": 0, "max_batch_per_node": 256, "shutdown_timeout_s": 0.2}
    scheduler = Scheduler(SchedulerConfig(**settings))
    sink = Sum(count, scheduler)
    graph = Subgraph.from_nodes("peer", [Numbers(count), Map("increment", increment), Map("double", double), sink])
    for source, target in (("numbers", "increment"), ("increment", "double"), ("double", "sum")):
        graph.connect((source, "out"), (target, "in"), capacity=100_000, policy=Block())
    scheduler.register(graph)
    began = time.perf_counter()
    scheduler.run()
    return time.perf_counter() - began, sink.total
