"""Backpressure: producers wait without cost, nothing is lost, and policies that lose do it in the open."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Expand,
    Gate,
    Map,
    Remote,
    Source,
    Yield,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    edge_of,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import (
    BackpressureError,
    Block,
    Coalesce,
    Drop,
    Latest,
    Message,
    Node,
    Policy,
    Subgraph,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphflow import Edge


def test_a_blocked_pipeline_costs_no_cpu_and_no_worker() -> None:
    gate, free = Gate(), Collect("free")
    graph = Subgraph.from_nodes("g", [Source("source", range(500)), Map("map"), gate])
    graph.connect("source:out", "map:in", capacity=2)
    graph.connect("map:out", "gate:in", capacity=2)
    other = chain(Source("other", range(1000)), free, capacity=8)
    scheduler = scheduler_of(graph, other, workers=2)
    with scheduler:
        assert gate.entered.wait(DEADLINE_S)
        assert free.expect(1000) == list(range(1000))  # the one worker that is left does all the rest
        until(lambda: edge_of(graph, "source:out->map:in").is_full())
        cpu = time.process_time()
        assert threading.Event().wait(0.3) is False
        assert time.process_time() - cpu < 0.1
        gate.opened.set()
        report = scheduler.wait(DEADLINE_S)
    assert gate.seen == list(range(500))
    assert_stopped_clean(graph, report)


@pytest.mark.parametrize("capacity", [1, 5])
def test_at_every_moment_a_slow_consumer_bounds_what_is_in_flight(capacity: int) -> None:
    made = 0

    def count() -> Iterator[int]:
        nonlocal made
        while True:
            yield made
            made += 1

    gate = Gate()
    stages = [Map(f"m{number}") for number in range(4)]
    graph = chain(Source("source", count()), *stages, gate, capacity=capacity)
    with scheduler_of(graph, workers=4) as scheduler:
        assert gate.entered.wait(DEADLINE_S)
        edges = list(graph.edges)
        until(lambda: all(edge.is_full() for edge in edges))
        assert threading.Event().wait(0.02) is False
        # each edge is full, each node holds one it could not send, the gate handles one
        assert made <= len(edges) * capacity + len(stages) + 2
        assert all(edge.stats().peak_depth <= capacity for edge in edges)
        gate.opened.set()
        report = scheduler.shutdown(timeout=DEADLINE_S)
    assert gate.seen == list(range(len(gate.seen)))
    assert_stopped_clean(graph, report)


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("capacity", [1, 4])
@pytest.mark.parametrize(
    "policy", [Drop(), Latest(), Coalesce(lambda old, new: old + new)], ids=["drop", "latest", "coalesce"]
)
def test_policies_that_lose_count_what_they_lose(policy: Policy, capacity: int, workers: int) -> None:
    last = Collect()
    graph = chain(Source("source", [1] * 3000), Map("map"), last, capacity=capacity, policy=policy)
    report = run_graph(graph, workers=workers)
    assert_stopped_clean(graph, report)
    first, second = (edge.stats() for edge in graph.edges)
    assert first.offered == 3000
    assert second.offered == first.delivered
    assert len(last.seen) == second.delivered
    lost = {"Drop": "dropped", "Latest": "replaced", "Coalesce": "coalesced"}[type(policy).__name__]
    for stats in (first, second):
        assert stats.offered == stats.delivered + getattr(stats, lost)
        assert stats.blocked == 0
        assert stats.peak_depth <= capacity
    if lost == "coalesced":
        assert sum(last.seen) == 3000
    elif workers == 1 and capacity == 1:
        assert getattr(first, lost) > 0


def test_conflation_by_key_keeps_one_item_a_key_through_a_graph() -> None:
    last = Gate("last")
    merge = Coalesce(lambda old, new: (old[0], old[1] + new[1]), key=lambda item: item[0])
    items = [(key, 1) for _ in range(100) for key in "abc"]
    graph = chain(Source("source", items), last, capacity=3, policy=merge)
    with scheduler_of(graph) as scheduler:
        assert last.entered.wait(DEADLINE_S)
        until(lambda: edge_of(graph, "source:out->last:in").stats().offered == 300)
        assert edge_of(graph, "source:out->last:in").depth() <= 3
        last.opened.set()
        report = scheduler.wait(DEADLINE_S)
    totals: dict[str, int] = {}
    for key, number in last.seen:
        totals[key] = totals.get(key, 0) + number
    assert totals == {"a": 100, "b": 100, "c": 100}
    assert len(last.seen) <= 7
    assert_stopped_clean(graph, report)


def test_items_past_their_time_make_room_for_a_blocked_producer() -> None:
    """Nobody takes anything; the producer goes on all the same, because what waits expires."""
    last = Collect()
    graph = chain(Source("source", range(6)), last, capacity=1, ttl_s=0.01)
    scheduler = scheduler_of(graph)
    scheduler.pause(last)
    edge = edge_of(graph, "source:out->collect:in")
    with scheduler:
        until(lambda: edge.stats().offered == 6)
        until(lambda: edge.stats().expired == 6)
        scheduler.resume(last)
        report = scheduler.wait(DEADLINE_S)
    assert last.seen == []
    assert_stopped_clean(graph, report)


def test_byte_bounds_hold_back_and_lose_nothing() -> None:
    last = Collect()
    payloads = [bytes(size % 50) for size in range(400)]
    graph = chain(Source("source", payloads), Map("map"), last, max_bytes=64)
    report = run_graph(graph, workers=2)
    assert last.seen == payloads
    assert_stopped_clean(graph, report)


class Greedy(Node):
    """Ignores DEFERRED."""

    inputs = "in"
    outputs = "out"
    sent = 0

    def on_message(self, port: str, msg: Message) -> None:
        for _ in range(msg.payload):
            self.emit("out", self.sent)
            self.sent += 1


@pytest.mark.parametrize("workers", [1, 8])
def test_a_node_that_ignores_deferred_meets_its_limit_and_loses_nothing_it_was_told_was_sent(workers: int) -> None:
    greedy, last = Greedy("greedy"), Collect()
    graph = chain(Source("source", [100] * 5), greedy, last, capacity=4)
    report = run_graph(graph, workers=workers, outbox_limit=16)
    assert last.seen == list(range(greedy.sent))
    assert all(isinstance(error, BackpressureError) for error in report.errors["greedy"])
    assert report.error_counts["greedy"] == 5
    assert_stopped_clean(graph, report)


def depth_is(edge: Edge, depth: int) -> bool:
    return edge.depth() == depth


def test_raising_a_capacity_hands_the_room_to_a_deferred_node_at_once() -> None:
    remote, last = Remote(), Collect()
    graph = chain(remote, last, capacity=1)
    graph.expose_input("remote", "remote:calls")
    scheduler = scheduler_of(graph)
    scheduler.pause(last)
    with scheduler:
        remote.call(scheduler, lambda: [remote.emit("out", number) for number in range(10)])
        edge = edge_of(graph, "remote:out->collect:in")
        for capacity in (2, 5, 10):
            scheduler.set_capacity(edge.id, capacity)
            until(partial(depth_is, edge, capacity))
        scheduler.set_capacity(edge.id, 3)  # over-full until it drains
        assert edge.depth() == 10
        scheduler.resume(last)
        last.expect(10)
        report = scheduler.shutdown()
    assert last.seen == list(range(10))
    assert_stopped_clean(graph, report)


def test_capacities_that_change_all_the_time_lose_nothing(rng: Any) -> None:
    last = Collect()
    graph = chain(Source("source", range(4000)), Map("a"), Yield("b", lambda v: [v, v]), last, capacity=4)
    scheduler = scheduler_of(graph, workers=4)
    ids = [edge.id for edge in graph.edges]
    scheduler.start()
    while scheduler.is_running():
        scheduler.set_capacity(rng.choice(ids), rng.choice([1, 2, 7, 300])) if scheduler.is_running() else None
        scheduler.set_priority(rng.choice(ids), rng.choice([1, 2, 3]))
    report = scheduler.wait(DEADLINE_S)
    assert last.seen == [copy for value in range(4000) for copy in (value, value)]
    assert_stopped_clean(graph, report)


def test_pausing_and_resuming_all_the_time_loses_nothing(rng: Any) -> None:
    last = Collect()
    graph = chain(Source("source", range(3000)), Map("a"), Expand("b", lambda v: [v] * (v % 3)), last, capacity=2)
    scheduler = scheduler_of(graph, workers=2)
    scheduler.start()
    paused: list[str] = []
    for _ in range(300):
        name = rng.choice(["source", "a", "b", "collect"])
        scheduler.pause(name)
        paused.append(name)
        if len(paused) > 2:
            scheduler.resume(paused.pop(rng.randrange(3)))
    for name in paused:
        scheduler.resume(name)
    for name in ("source", "a", "b", "collect"):
        scheduler.resume(name)
    report = scheduler.wait(DEADLINE_S)
    assert last.seen == [v for v in range(3000) for _ in range(v % 3)]
    assert_stopped_clean(graph, report)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_a_mix_of_policies_on_a_fan_out_conserves_each_edge(workers: int) -> None:
    policies: list[Policy] = [Block(), Drop(), Latest(), Coalesce(lambda old, new: new)]
    consumers = [Collect(f"c{number}") for number in range(len(policies))]
    graph = Subgraph.from_nodes("g", [Source("source", range(2000)), *consumers])
    for consumer, policy in zip(consumers, policies, strict=True):
        graph.connect("source:out", (consumer.name, "in"), capacity=2, policy=policy)
    report = run_graph(graph, workers=workers)
    assert consumers[0].seen == list(range(2000))
    assert all(consumer.seen == sorted(consumer.seen) for consumer in consumers)
    assert consumers[2].seen[-1] == consumers[3].seen[-1] == 1999
    assert_stopped_clean(graph, report)
    assert_graph_conserved(graph)
