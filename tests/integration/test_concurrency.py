"""max_concurrency: several workers in one node, outputs in order or as they come, bounded."""

from __future__ import annotations

import hashlib
import itertools
import time
from typing import Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Map,
    Source,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    control,
    run_graph,
    scheduler_of,
)
from holding import Together, filled

from graphflow import ErrorPolicy, Message, Node, Subgraph, latest


def test_as_many_workers_as_asked_for_are_inside_and_no_more() -> None:
    node = Together("node", 3)
    graph, scheduler, last = filled(node, workers=6, items=20)
    node.expect_inside(0, 1, 2)
    node.let()
    assert last.expect(20) == list(range(20))
    report = scheduler.shutdown()
    assert_stopped_clean(graph, report)
    assert node.most == 3


def test_outputs_leave_in_the_order_of_the_inputs_whoever_is_done_first() -> None:
    node = Together("node", 4)
    graph, scheduler, last = filled(node, workers=4, items=4)
    node.expect_inside(0, 1, 2, 3)
    node.let(3)
    node.let(2)
    node.let(1)
    node.expect_inside(0)
    assert last.seen == []
    node.let(0)
    assert last.expect(4) == [0, 1, 2, 3]
    assert_stopped_clean(graph, scheduler.shutdown())


def test_the_window_is_bounded_a_slow_message_is_overtaken_by_no_more_than_the_others_inside() -> None:
    node = Together("node", 4)
    graph, scheduler, last = filled(node, workers=8, items=20)
    node.expect_inside(0, 1, 2, 3)
    node.let(1, 2, 3)
    node.expect_inside(0)  # the places of 1, 2 and 3 are taken until 0 has left
    assert scheduler.get_stats()["edges"]["input:in->node:in"]["depth"] == 16
    node.let()
    assert last.expect(20) == list(range(20))
    assert_stopped_clean(graph, scheduler.shutdown())


@pytest.mark.parametrize("ordered", [True, False])
def test_control_takes_the_next_free_place_before_the_data_that_waits_for_it(ordered: bool) -> None:
    node = Together("node", 2, ordered=ordered)
    graph, scheduler, last = filled(node, workers=4, items=6)
    node.expect_inside(0, 1)
    scheduler.input("in").put(control("now"))
    node.let(0)
    node.expect_inside(1, "now")
    node.let()
    assert set(last.expect(7)) == {"now", *range(6)}
    assert_stopped_clean(graph, scheduler.shutdown())


def test_unordered_outputs_leave_as_they_come() -> None:
    node = Together("node", 3, ordered=False)
    graph, scheduler, last = filled(node, workers=5, items=6)
    node.expect_inside(0, 1, 2)
    node.let(2)
    last.expect(1)
    node.expect_inside(0, 1, 3)
    node.let(1)
    last.expect(2)
    node.expect_inside(0, 3, 4)
    assert last.seen == [2, 1]
    node.let()
    assert sorted(last.expect(6)) == list(range(6))
    assert_stopped_clean(graph, scheduler.shutdown())


def test_a_failing_message_leaves_at_its_turn() -> None:
    class Fails(Together):
        outputs = ("out", "errors")
        error_policy = ErrorPolicy.dead_letter("errors")

        def on_message(self, port: str, msg: Message) -> None:
            super().on_message(port, msg)
            if msg.payload == 1:
                raise ValueError(msg.payload)

    node, letters = Fails("node", 3), Collect("letters")
    last = Collect()
    graph = chain(node, last)
    graph.add_node(letters)
    graph.connect("node:errors", "letters:in")
    graph.expose_input("in", "node:in")
    scheduler = scheduler_of(graph, workers=5)
    scheduler.start()
    scheduler.input("in").put_many([0, 1, 2])
    node.expect_inside(0, 1, 2)
    node.let(1, 2)
    node.expect_inside(0)
    assert letters.seen == []
    node.let(0)
    assert last.expect(3) == [0, 1, 2]
    assert letters.expect(1)[0].message.payload == 1
    assert_stopped_clean(graph, scheduler.shutdown())


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("capacity", [1, 8])
@pytest.mark.parametrize("workers", [2, 8])
def test_nothing_is_lost_or_doubled_under_load(
    workers: int, capacity: int, ordered: bool, fast_switching: None
) -> None:
    node, last = Map("node", lambda value: value), Collect()
    node.max_concurrency, node.ordered = 4, ordered
    graph = chain(Source("source", range(1000)), node, last, capacity=capacity)
    report = run_graph(graph, workers=workers)
    assert_stopped_clean(graph, report)
    assert (last.seen if ordered else sorted(last.seen)) == list(range(1000))


def test_a_generator_in_a_concurrent_node_leaves_whole_and_in_order() -> None:
    class Expand(Node):
        inputs, outputs = "in", "out"
        max_concurrency = 3

        def on_message(self, port: str, msg: Message) -> Any:
            for number in range(msg.payload % 4):
                yield (msg.payload, number)

    last = Collect()
    graph = chain(Source("source", range(60)), Expand("node"), last, capacity=2)
    assert_stopped_clean(graph, run_graph(graph, workers=4))
    assert last.seen == [(payload, number) for payload in range(60) for number in range(payload % 4)]


def test_control_is_handled_while_others_are_inside_and_before_further_data() -> None:
    class Listens(Together):
        def on_message(self, port: str, msg: Message) -> None:
            if msg.is_control():
                self.emit("out", control(msg.payload))
            else:
                super().on_message(port, msg)

    node = Listens("node", 3)
    graph, scheduler, last = filled(node, workers=4, items=2)
    node.expect_inside(0, 1)
    scheduler.input("in").put(control("now"))
    assert last.expect(1) == ["now"]  # it did not wait for the order of the data
    node.let()
    assert last.expect(3) == ["now", 0, 1]
    assert_stopped_clean(graph, scheduler.shutdown())


def test_a_slow_reader_holds_a_concurrent_node_back() -> None:
    node = Map("node")
    node.max_concurrency = 4
    graph = Subgraph.from_nodes("g", [node])
    graph.expose_input("in", "node:in", capacity=4)
    graph.expose_output("out", "node:out", capacity=2)
    scheduler = scheduler_of(graph, workers=4)
    with scheduler:
        accepted = scheduler.input("in").put_many(range(1000), timeout=0.2)
        # On the way: two in the output, four on the input, at most four calls' outputs in the outbox.
        assert accepted <= 2 + 4 + 4
        answers = [scheduler.output("out").get(DEADLINE_S).payload for _ in range(accepted)]
        assert answers == list(range(accepted))
    assert_graph_conserved(graph)


def test_overflow_policies_apply_when_a_call_leaves() -> None:
    node = Map("node")
    node.max_concurrency = 2
    graph = Subgraph.from_nodes("g", [Source("source", range(100)), node])
    graph.connect("source:out", "node:in")
    graph.expose_output("out", "node:out", capacity=3, policy=latest())
    scheduler = scheduler_of(graph, workers=2)
    report = scheduler.run()
    assert [message.payload for message in scheduler.output("out")] == [97, 98, 99]
    assert report.complete
    assert_graph_conserved(graph)


def test_each_input_of_a_concurrent_node_keeps_its_own_order() -> None:
    class Two(Node):
        inputs, outputs = ("a", "b"), "out"
        max_concurrency = 4

        def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", (port, msg.payload))

    node, last = Two("node"), Collect()
    graph = Subgraph.from_nodes("g", [Source("first", range(300)), Source("second", range(300)), node, last])
    graph.connect("first:out", "node:a", capacity=4)
    graph.connect("second:out", "node:b", capacity=4)
    graph.connect("node:out", "collect:in", capacity=4)
    assert_stopped_clean(graph, run_graph(graph, workers=4))
    for port in "ab":
        assert [payload for where, payload in last.seen if where == port] == list(range(300))


@pytest.mark.alone
def test_two_workers_hash_in_one_node_at_the_same_time() -> None:
    """How much faster that is depends on the cores that the machine has to give just now, which a benchmark compares
    with bare threads; here both must be seen inside the hash, which releases the GIL, most of the time."""
    spans: list[tuple[float, float]] = []

    class Hash(Node):
        inputs, outputs = "in", "out"
        max_concurrency = 2

        def on_message(self, port: str, msg: Message) -> None:
            begun = time.perf_counter()
            digest = hashlib.sha256(msg.payload).hexdigest()
            spans.append((begun, time.perf_counter()))
            self.emit("out", digest)

    last = Collect()
    graph = chain(Source("source", [bytes(2_000_000)] * 30), Hash("hash"), last)
    assert_stopped_clean(graph, run_graph(graph, workers=2))
    assert len(last.seen) == 30
    spans.sort()
    both = sum(max(0.0, min(end, after_end) - after) for (_, end), (after, after_end) in itertools.pairwise(spans))
    whole = max(end for _, end in spans) - spans[0][0]
    print(f"both workers were inside for {both / whole:.0%} of the time")
    assert both > whole / 10  # by one worker it is nothing at all
