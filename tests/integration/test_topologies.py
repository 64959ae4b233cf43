"""Graphs of every shape: deep, wide, diamonds, loops. No deadlock, no loss, whatever the workers and the capacities."""

from __future__ import annotations

from typing import Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Map,
    Remote,
    Source,
    Ticker,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    control,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import BackpressureError, Message, Node, Subgraph

WORKERS = pytest.mark.parametrize("workers", [1, 2, 8])


@WORKERS
@pytest.mark.parametrize("capacity", [1, 16])
def test_a_chain_of_200_nodes(capacity: int, workers: int) -> None:
    last = Collect()
    graph = chain(
        Source("source", range(50)),
        *(Map(f"n{number}", lambda value: value + 1) for number in range(200)),
        last,
        capacity=capacity,
    )
    assert_stopped_clean(graph, run_graph(graph, workers=workers))
    assert last.seen == [number + 200 for number in range(50)]


@WORKERS
def test_a_fan_out_to_500_consumers_of_which_some_are_slow_to_come_by(workers: int) -> None:
    source = Source("source", range(20))
    lasts = [Collect(f"c{number}") for number in range(500)]
    graph = Subgraph.from_nodes("wide", [source, *lasts])
    for number, last in enumerate(lasts):
        graph.connect("source:out", (last.name, "in"), capacity=1 + number % 3)
    assert_stopped_clean(graph, run_graph(graph, workers=workers))
    assert all(last.seen == list(range(20)) for last in lasts)


@WORKERS
@pytest.mark.parametrize("capacity", [1, 8])
def test_diamonds_in_a_row_meet_again_with_all_they_were_sent(capacity: int, workers: int) -> None:
    """Each diamond doubles: a branch whose edge is full must not keep the other from moving."""
    levels = 4
    graph = Subgraph("diamonds")
    graph.add_node(Source("source", range(10)))
    before = "source:out"
    for level in range(levels):
        for side in "ab":
            graph.add_node(Map(f"{side}{level}"))
            graph.connect(before, f"{side}{level}:in", capacity=capacity)
        graph.add_node(Map(f"join{level}"))
        for side in "ab":
            graph.connect(f"{side}{level}:out", f"join{level}:in", capacity=capacity)
        before = f"join{level}:out"
    last = Collect()
    graph.add_node(last)
    graph.connect(before, "collect:in", capacity=capacity)
    assert_stopped_clean(graph, run_graph(graph, workers=workers))
    assert sorted(last.seen) == sorted(list(range(10)) * 2**levels)


@WORKERS
def test_a_feedback_loop_with_enough_room_runs_to_its_end(workers: int) -> None:
    class Collatz(Node):
        """Sends a number round until it is one."""

        inputs, outputs = "in", ("again", "done")

        def on_message(self, port: str, msg: Message) -> None:
            start, value, steps = msg.payload
            if value == 1:
                self.emit("done", (start, steps))
            else:
                self.emit("again", (start, value // 2 if value % 2 == 0 else 3 * value + 1, steps + 1))

    last = Collect()
    graph = Subgraph.from_nodes("loop", [Source("source", [(n, n, 0) for n in range(1, 60)]), Collatz("node"), last])
    graph.connect("source:out", "node:in", capacity=4)
    graph.connect("node:again", "node:in", capacity=100)
    graph.connect("node:done", "collect:in", capacity=4)
    assert_stopped_clean(graph, run_graph(graph, workers=workers))
    assert dict(last.seen)[27] == 111
    assert sorted(start for start, _ in last.seen) == list(range(1, 60))


@WORKERS
def test_many_sources_into_one_input_keep_their_own_order(workers: int) -> None:
    last = Collect()
    sources = [Source(f"s{number}", [(number, index) for index in range(40)]) for number in range(50)]
    graph = Subgraph.from_nodes("in", [*sources, last])
    for source in sources:
        graph.connect((source.name, "out"), "collect:in", capacity=2)
    assert_stopped_clean(graph, run_graph(graph, workers=workers))
    for number in range(50):
        assert [index for who, index in last.seen if who == number] == list(range(40))


def test_a_parked_node_still_gets_its_control_messages() -> None:
    node = Remote("node")
    graph = Subgraph.from_nodes("g", [node])
    graph.expose_input("node", "node:calls")
    graph.expose_output("out", "node:out", capacity=1)
    with scheduler_of(graph, workers=1) as scheduler:
        for number in range(3):
            node.emit_there(scheduler, number)
        assert scheduler.get_stats()["blocked_nodes"] == 1
        assert node.call(scheduler, lambda: "heard") == "heard"  # a control message
        assert scheduler.get_stats()["blocked_nodes"] == 1
        output = scheduler.output("out")
        assert [output.get(DEADLINE_S).payload for _ in range(3)] == [0, 1, 2]
    assert_graph_conserved(graph)


@WORKERS
def test_a_tick_driven_node_that_ignores_deferred_meets_its_limit_and_loses_nothing(workers: int) -> None:
    refused: list[int] = []
    sent: list[int] = []

    def burst(ticker: Ticker) -> None:
        for number in range(20):
            value = ticker.count * 100 + number
            try:
                ticker.emit("out", value)
            except BackpressureError:
                refused.append(value)
            else:
                sent.append(value)

    ticker, last = Ticker("ticker", 1.0, burst), Collect()
    graph = chain(ticker, last, capacity=2)
    scheduler = scheduler_of(graph, workers=workers, outbox_limit=5)
    with scheduler:
        until(lambda: ticker.count >= 5)
    assert_stopped_clean(graph, scheduler.wait())
    assert refused
    assert last.seen == sent
    most = max(sum(value // 100 == tick for value in sent) for tick in range(1, ticker.count + 1))
    assert most <= 2 + 5  # what the edge and the outbox hold


@WORKERS
def test_control_runs_ahead_through_a_blocked_chain(workers: int) -> None:
    class Passes(Node):
        inputs: Any = "in"
        outputs: Any = "out"

        def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", msg)

    nodes = [Passes(f"n{number}") for number in range(5)]
    graph = chain(Source("source", range(1000)), *nodes, capacity=2)
    graph.expose_input("control", "n0:in")
    graph.expose_output("out", "n4:out", capacity=2)
    with scheduler_of(graph, workers=workers) as scheduler:
        until(lambda: scheduler.get_stats()["blocked_nodes"] == 6)
        scheduler.input("control").put(control("now"))
        output = scheduler.output("out")
        until(lambda: scheduler.get_stats()["edges"]["n4:out->output:out"]["depth"] == 3)
        assert output.get(DEADLINE_S).payload == "now"
        assert [output.get(DEADLINE_S).payload for _ in range(1000)] == list(range(1000))
    assert_graph_conserved(graph)
