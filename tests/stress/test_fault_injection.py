"""Handlers that fail and dawdle at random, edges that close under load: every message is accounted for."""

from __future__ import annotations

import random
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, assert_graph_conserved, scheduler_of
from load import assert_nodes_conserved, at_once, beside, finished

from graphflow import EdgeClosed, ErrorPolicy, Message, Node, Subgraph

if TYPE_CHECKING:
    from collections.abc import Callable

POLICIES: dict[str, Callable[[], ErrorPolicy]] = {
    "continue": lambda: ErrorPolicy.CONTINUE,
    "retry": lambda: ErrorPolicy.retry(3, backoff_s=0.0005),
    "dead letter": lambda: ErrorPolicy.dead_letter("errors"),
    "retry, then dead letter": lambda: ErrorPolicy.retry(2, backoff_s=0.0005, then=ErrorPolicy.dead_letter("errors")),
}


class Unreliable(Node):
    """Passes on, but fails now and then, and takes its time now and then."""

    inputs = "in"
    outputs = ("out", "errors")

    def __init__(self, name: str, seed: int, workers: int = 1) -> None:
        super().__init__(name)
        self.seed = seed
        self.max_concurrency = workers

    def on_message(self, port: str, msg: Message) -> None:
        draw = random.Random(f"{self.seed} {msg.payload} {time.perf_counter_ns() % 7}").random()
        if draw < 0.02:
            time.sleep(0.001)
        self.emit("out", msg.payload)
        if draw > 0.8:
            raise ValueError(msg.payload)


def put_all(inlet: Any, who: int, count: int) -> None:
    for number in range(count):
        inlet.put((who, number), timeout=DEADLINE_S)


def graph_of(policy: str, seed: int, workers: int) -> tuple[Subgraph, Collect, Collect]:
    last, letters = Collect(), Collect("letters")
    nodes = [Unreliable(f"u{number}", seed + number, workers) for number in range(3)]
    graph = Subgraph.from_nodes("unreliable", [*nodes, last, letters])
    graph.expose_input("in", "u0:in", capacity=8)
    for node, following in zip(nodes, [*nodes[1:], last], strict=True):
        node.error_policy = POLICIES[policy]()
        graph.connect((node.name, "out"), (following.name, "in"), capacity=8)
        graph.connect((node.name, "errors"), "letters:in", capacity=8)
    return graph, last, letters


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("policy", POLICIES)
def test_random_errors_lose_nothing_uncounted(
    policy: str, workers: int, times: Callable[[int], int], seed: int
) -> None:
    graph, last, letters = graph_of(policy, seed, workers)
    each = max(times(150), 30)  # with fewer, a seed may draw next to no errors
    with scheduler_of(graph, workers=4) as scheduler:
        inlet = scheduler.input("in")
        at_once(partial(put_all, inlet, who, each) for who in range(8))
        report = finished(scheduler, graph)
        snapshot = scheduler.snapshot()
    assert sum(report.error_counts.values()) > 8 * each // 20
    lettered = sum(node.dead_lettered for node in snapshot.nodes.values())
    assert len(letters.seen) == lettered
    assert (lettered > 0) is ("dead letter" in policy)
    failed = sum(node.failed for node in snapshot.nodes.values())
    if policy != "continue" and policy != "dead letter":  # staged: a failed message has sent nothing on
        assert len(last.seen) + lettered + failed == 8 * each
        assert len(set(last.seen)) == len(last.seen), "delivered twice"
    else:  # emitted before it failed
        assert sorted(last.seen) == [(who, number) for who in range(8) for number in range(each)]


def test_edges_that_close_under_load(times: Callable[[int], int], rng: random.Random) -> None:
    """Inner edges and the input are closed while eight threads put: what comes after is dropped, and counted."""
    for _ in range(times(25)):
        graph, _, _ = graph_of("continue", rng.randrange(1000), 1)
        victims = rng.sample([edge for edge in graph.edges if edge.source_node != "input"], 2)
        with scheduler_of(graph, workers=2) as scheduler:
            inlet = scheduler.input("in")

            def close(over: threading.Event, victims: Any = victims) -> None:
                for edge in victims:
                    over.wait(0.002)
                    edge.close()

            def put(inlet: Any = inlet) -> int:
                accepted = 0
                try:
                    for number in range(60):
                        inlet.put(number, timeout=DEADLINE_S)
                        accepted += 1
                        if number == 50:
                            inlet.close()
                except EdgeClosed:
                    pass
                return accepted

            with beside(close):
                accepted = sum(at_once([put] * 8))
            report = scheduler.shutdown(timeout=DEADLINE_S)
        assert report.complete, report
        assert_graph_conserved(graph)
        assert_nodes_conserved(scheduler.snapshot())
        assert next(edge for edge in graph.edges if edge.source_node == "input").stats().offered == accepted


def test_a_node_that_is_stopped_under_load(times: Callable[[int], int]) -> None:
    """STOP_NODE while eight threads put: its queue is dropped and counted, putters are let go."""

    class Dies(Collect):
        error_policy = ErrorPolicy.STOP_NODE

        def on_message(self, port: str, msg: Message) -> None:
            super().on_message(port, msg)
            if len(self.messages) == 40:
                raise ValueError

    for _ in range(times(60)):
        node = Dies("dies")
        graph = Subgraph.from_nodes("g", [node])
        graph.expose_input("in", "dies:in", capacity=4)
        with scheduler_of(graph, workers=2) as scheduler:
            inlet = scheduler.input("in")

            def put(inlet: Any = inlet) -> int:
                accepted = 0
                try:
                    while True:
                        inlet.put(accepted, timeout=DEADLINE_S)
                        accepted += 1
                except EdgeClosed:
                    return accepted

            accepted = sum(at_once([put] * 8))
            scheduler.shutdown(timeout=DEADLINE_S)
        stats = next(iter(graph.edges)).stats()
        assert (stats.offered, stats.delivered) == (accepted, 40)
        assert stats.dropped_closed == accepted - 40
        assert_nodes_conserved(scheduler.snapshot())
