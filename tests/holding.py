"""Graphs that a test holds still: their last node stays inside its handler until the test opens it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from graphs import DEADLINE_S, Gate, chain, inlet, scheduler_of

if TYPE_CHECKING:
    from graphflow import Node, Scheduler, Subgraph


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
