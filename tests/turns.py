"""Nodes that record whose turn it was, for tests of the order in which a scheduler gives turns."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, Self

from graphs import DEADLINE_S, Gate, assert_graph_conserved, scheduler_of

from graphflow import Message, Node, PriorityBand, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Log = list[tuple[str, Any]]

CONTROL, HIGH, NORMAL = PriorityBand.CONTROL, PriorityBand.HIGH, PriorityBand.NORMAL


class Turns:
    """The order in which nodes were given turns, of which the first `wanted` are looked at.

    With two workers the handlers go in lockstep: each of those turns waits for one of another node. So no worker runs
    ahead while the machine holds the other one up, and shares can be compared exactly.
    """

    def __init__(self, wanted: int, workers: int = 1) -> None:
        assert wanted % workers == 0, "a turn would wait for one that is not looked at"
        self.log: Log = []
        self.wanted = wanted
        self.workers = workers
        self._number = itertools.count()
        self._meeting = threading.Barrier(workers)

    def take(self, name: str, payload: Any) -> None:
        number = next(self._number)
        if number < self.wanted:
            self.log.append((name, payload))
            self._meeting.wait(DEADLINE_S)

    @property
    def names(self) -> list[str]:
        assert len(self.log) == self.wanted
        return [name for name, _ in self.log]


class Turn(Node):
    """Writes its name and each payload down; `then` is called after that."""

    inputs = "in"
    outputs = "out"

    def __init__(self, name: str, turns: Turns, then: Callable[[Turn, Message], object] | None = None) -> None:
        super().__init__(name)
        self.turns = turns
        self.then = then

    def on_message(self, port: str, msg: Message) -> None:
        self.turns.take(self.name, msg.payload)
        if self.then is not None:
            self.then(self, msg)


def saturated(graph: Subgraph, turns: Turns, bands: dict[str, PriorityBand], **config: Any) -> list[str]:
    """Run the graph with every exposed input of `bands` so full that it never runs dry; whose the turns were."""
    for name, band in bands.items():
        graph.expose_input(name, (name, "in"), capacity=turns.wanted, priority=band)
    scheduler = scheduler_of(graph, workers=turns.workers, **config)
    finish(scheduler, {name: range(turns.wanted) for name in bands})
    assert_graph_conserved(graph)
    return turns.names


def finish(scheduler: Scheduler, inputs: dict[str, Iterable[Any]]) -> None:
    """Fill and close the inputs, then run until everything is handled."""
    for name, items in inputs.items():
        offered = list(items)
        assert scheduler.input(name).put_many(offered, timeout=0) == len(offered)
        scheduler.input(name).close()
    scheduler.start()
    assert scheduler.wait(DEADLINE_S).complete


class Held:
    """A graph whose only worker is held inside a handler, so that a test can line nodes up behind it.

    with Held(graph) as held:
        held.scheduler.input("a").put(1)        # waits for its turn
    ...                                         # by here the turns were taken, and the run has ended
    """

    def __init__(self, graph: Subgraph, **config: Any) -> None:
        self.gate = Gate("held")
        self.graph = graph
        graph.add_node(self.gate)
        graph.expose_input("held", "held:in", priority=CONTROL)
        self.scheduler = scheduler_of(graph, workers=1, **config)

    def __enter__(self) -> Self:
        self.scheduler.start()
        self.scheduler.input("held").put("hold")
        assert self.gate.entered.wait(DEADLINE_S)
        return self

    def __exit__(self, *failure: object) -> None:
        self.gate.opened.set()
        report = self.scheduler.shutdown(timeout=DEADLINE_S)
        assert report.complete, report
        assert_graph_conserved(self.graph)
