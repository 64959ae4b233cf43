"""Threads that begin together, and graphs that are checked when they have ended."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graphs import DEADLINE_S, Map, assert_graph_conserved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from graphflow import Message, Scheduler, ShutdownReport, Snapshot, Subgraph


class Pass(Map):
    """Passes on what it gets, control as control."""

    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", msg if msg.is_control() else msg.payload)


def at_once(functions: Iterable[Callable[[], Any]]) -> list[Any]:
    """Call each on a thread of its own, all begun at a barrier; what they returned, or the first error."""
    functions = list(functions)
    barrier = threading.Barrier(len(functions))

    def begin(function: Callable[[], Any]) -> Any:
        barrier.wait(DEADLINE_S)
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [future.result(4 * DEADLINE_S) for future in [pool.submit(begin, function) for function in functions]]


@contextmanager
def beside(function: Callable[[threading.Event], object]) -> Iterator[None]:
    """Run `function(over)` on a thread while the block runs; an error of its is raised at the end."""
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(function, over)
        try:
            yield
        finally:
            over.set()
        future.result(DEADLINE_S)


def finished(scheduler: Scheduler, graph: Subgraph) -> ShutdownReport:
    """Drain, and check that every message was counted, on edges and in nodes."""
    report = scheduler.shutdown(timeout=2 * DEADLINE_S)
    assert report.complete, report
    assert_graph_conserved(graph)
    assert_nodes_conserved(scheduler.snapshot())
    return report


def assert_nodes_conserved(snapshot: Snapshot) -> None:
    """Of every message that was delivered to a node it is known what became of it."""
    for node in snapshot.nodes.values():
        delivered = sum(edge.delivered for edge in snapshot.edges.values() if edge.target == node.path)
        became = node.messages + node.in_handler + node.held
        assert delivered == became, f"{node.path}: {delivered} delivered, {became} accounted for: {node}"
