"""Graphs that a test holds still: a node of theirs stays inside its handler until the test lets it go on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from graphs import DEADLINE_S, Collect, Gate, chain, inlet, scheduler_of

from graphflow import Message, Node

if TYPE_CHECKING:
    from graphflow import Scheduler, Subgraph


def gated(*, workers: int = 2, **exposed: Any) -> tuple[Gate, Scheduler]:
    """A gate whose input is exposed as "in", and the scheduler, not started."""
    gate = Gate()
    return gate, scheduler_of(inlet(gate, **exposed), workers=workers)


def gated_row(*nodes: Node, capacity: int = 100, **config: Any) -> tuple[Scheduler, Gate, Subgraph]:
    """input in -> nodes -> gate, and the scheduler, not started."""
    gate = Gate()
    row = [*nodes, gate]
    graph = chain(*row, capacity=capacity)
    graph.expose_input("in", (row[0].name, "in"))
    return scheduler_of(graph, **config), gate, graph


def held(gate: Gate, scheduler: Scheduler) -> None:
    """The gate is inside its handler."""
    scheduler.input("in").put("first")
    assert gate.entered.wait(DEADLINE_S)


def open_later(gate: Gate, seconds: float = 0.05) -> threading.Timer:
    """Open the gate while the test itself waits for what that lets happen."""
    timer = threading.Timer(seconds, gate.opened.set)
    timer.start()
    return timer


class Together(Node):
    """Holds every message until the test lets it go; keeps count of who is inside."""

    inputs: Any = "in"
    outputs: Any = "out"

    def __init__(self, name: str, limit: int, *, ordered: bool = True) -> None:
        super().__init__(name)
        self.max_concurrency = limit
        self.ordered = ordered
        self.inside: set[Any] = set()
        self.most = 0
        self.allowed: set[Any] = set()
        self.all_allowed = False
        self._changed = threading.Condition()

    def on_message(self, port: str, msg: Message) -> None:
        with self._changed:
            self.inside.add(msg.payload)
            self.most = max(self.most, len(self.inside))
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self.all_allowed or msg.payload in self.allowed, DEADLINE_S):
                raise AssertionError(f"{msg.payload} was never let go")
            self.inside.discard(msg.payload)
            self._changed.notify_all()
        self.emit("out", msg.payload)

    def let(self, *payloads: Any) -> None:
        with self._changed:
            self.allowed.update(payloads)
            self.all_allowed = self.all_allowed or not payloads
            self._changed.notify_all()

    def expect_inside(self, *payloads: Any) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self.inside == set(payloads), DEADLINE_S):
                raise AssertionError(f"inside: {self.inside}, not {payloads}")


def filled(node: Together, workers: int, items: int, **options: Any) -> tuple[Subgraph, Scheduler, Collect]:
    """input in -> node -> collect, started, with that many numbers put in."""
    last = Collect()
    graph = chain(node, last, **options)
    graph.expose_input("in", (node.name, "in"))
    scheduler = scheduler_of(graph, workers=workers)
    scheduler.start()
    scheduler.input("in").put_many(range(items))
    return graph, scheduler, last
