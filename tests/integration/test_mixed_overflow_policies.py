"""Edges of one output with different policies, in a burst: each is bounded, and loses exactly what its policy says."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Source,
    assert_stopped_clean,
    edge_of,
    scheduler_of,
    until,
)

from graphflow import Coalesce, Drop, Latest, Policy, Subgraph

if TYPE_CHECKING:
    from graphflow import Edge

BURST = 2000


class Watch:
    """Looks at edges from another thread for as long as the test runs, and keeps the deepest it saw of each."""

    def __init__(self, edges: list[Edge[int]]) -> None:
        self.deepest = [0] * len(edges)
        self.looks = 0
        self._edges = edges
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.is_set():
            depths = [edge.depth() for edge in self._edges]
            self.deepest = [max(pair) for pair in zip(self.deepest, depths, strict=True)]
            self.looks += 1

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self.looks > 0)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(DEADLINE_S)


def add(old: int, new: int) -> int:
    return old + new


def fan_out(policies: dict[str, Policy], capacity: int) -> tuple[Subgraph, dict[str, Collect], list[Edge[int]]]:
    consumers = {name: Collect(name) for name in policies}
    graph = Subgraph.from_nodes("fan-out", [Source("source", range(BURST)), *consumers.values()])
    for name, policy in policies.items():
        graph.connect("source:out", (name, "in"), capacity=capacity, policy=policy)
    return graph, consumers, [edge_of(graph, f"source:out->{name}:in") for name in policies]


@pytest.mark.parametrize("capacity", [1, 5, 64])
def test_latest_and_drop_under_burst_with_bounded_depth(capacity: int) -> None:
    """Nobody takes anything during the burst, so what is left is known to the item."""
    graph, consumers, edges = fan_out({"latest": Latest(), "drop": Drop(), "merge": Coalesce(add)}, capacity)
    latest, drop, merge = edges
    scheduler = scheduler_of(graph)
    for name in consumers:
        scheduler.pause(name)
    with Watch(edges) as watch, scheduler:
        until(lambda: all(edge.stats().offered == BURST for edge in edges))
        assert [edge.depth() for edge in edges] == [capacity] * 3
        assert (latest.stats().replaced, latest.stats().dropped) == (BURST - capacity, 0)
        assert (drop.stats().dropped, drop.stats().replaced) == (BURST - capacity, 0)
        assert (merge.stats().coalesced, merge.stats().dropped) == (BURST - capacity, 0)
        for name in consumers:
            scheduler.resume(name)
        report = scheduler.wait(DEADLINE_S)
    assert max(watch.deepest) <= capacity
    assert [edge.stats().peak_depth for edge in edges] == [capacity] * 3
    assert consumers["latest"].seen == list(range(BURST - capacity, BURST))
    assert consumers["drop"].seen == list(range(capacity))
    assert consumers["merge"].seen == [*range(capacity - 1), sum(range(capacity - 1, BURST))]
    assert_stopped_clean(graph, report)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_burst_that_is_taken_meanwhile_keeps_every_edge_to_its_own_policy(workers: int) -> None:
    graph, consumers, edges = fan_out({"latest": Latest(), "drop": Drop(), "merge": Coalesce(add)}, 3)
    scheduler = scheduler_of(graph, workers=workers, max_batch_per_node=7)
    with Watch(edges) as watch, scheduler:
        report = scheduler.wait(DEADLINE_S)
    assert max(watch.deepest) <= 3
    assert consumers["latest"].seen[-1] == BURST - 1  # the newest is never lost
    assert consumers["drop"].seen[0] == 0  # nor what found room
    assert sum(consumers["merge"].seen) == sum(range(BURST))  # and a merge loses nothing
    for name in ("latest", "drop"):
        seen = consumers[name].seen
        assert seen == sorted(set(seen))
    assert_stopped_clean(graph, report)
