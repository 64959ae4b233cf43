"""What a stop does with what is in flight, edge by edge: a drain delivers what each policy kept, a stop counts it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Gate,
    Map,
    Remote,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    edge_of,
    scheduler_of,
    until,
)

from graphflow import Block, Coalesce, Drop, EdgeClosed, Latest, Node, Policy, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOM = 3
SENT = 10
POLICIES: dict[str, Policy] = {
    "block": Block(),
    "drop": Drop(),
    "latest": Latest(),
    "merge": Coalesce(lambda old, new: old + new),
}
# Of ten items on an edge with room for three, what a drain delivers and what a stop finds.
KEPT: dict[str, list[int]] = {
    "block": list(range(SENT)),  # those without room wait in the producer's outbox
    "drop": [0, 1, 2],
    "latest": [7, 8, 9],
    "merge": [0, 1, sum(range(2, SENT))],
}


class Noted:
    """Notes the life-cycle hooks of a node in a list that all nodes share."""

    name: str
    events: list[tuple[str, str]]

    def on_start(self) -> None:
        self.events.append(("on_start", self.name))

    def on_drain(self) -> None:
        self.events.append(("on_drain", self.name))

    def on_stop(self) -> None:
        self.events.append(("on_stop", self.name))


class Fan(Noted, Remote):
    """Sends what the test asks for."""


class End(Noted, Collect):
    """Keeps what arrives."""


class InFlight:
    """A running graph: fan sent ten items to one paused consumer a policy, over edges with room for three."""

    def __init__(self, stuck: str | None = None, workers: int = 2) -> None:
        self.events: list[tuple[str, str]] = []
        self.gate = Gate(stuck or "unused")
        self.ends = {name: End(name) for name in KEPT if name != stuck}
        fan = Fan("fan")
        fan.events = self.events
        for end in self.ends.values():
            end.events = self.events
        self.graph = Subgraph.from_nodes("g", [fan, *([self.gate] if stuck else []), *self.ends.values()])
        for name in KEPT:
            self.graph.connect("fan:out", (name, "in"), capacity=ROOM, policy=POLICIES[name])
        self.graph.expose_input("fan", "fan:calls")
        self.scheduler: Scheduler = scheduler_of(self.graph, workers=workers)
        for name in KEPT:
            self.scheduler.pause(name)
        self.scheduler.start()
        fan.call(self.scheduler, lambda: [fan.emit("out", number) for number in range(SENT)])

    def edge_id(self, name: str) -> str:
        return f"fan:out->{name}:in"

    def happened(self, event: str) -> list[str]:
        return [name for each, name in self.events if each == event]


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_graceful_shutdown_respects_policies_and_timeout_and_ordering(workers: int) -> None:
    flight = InFlight(workers=workers)
    assert [edge_of(flight.graph, flight.edge_id(name)).depth() for name in KEPT] == [ROOM] * len(KEPT)
    started = time.monotonic()
    report = flight.scheduler.shutdown(timeout=DEADLINE_S)
    assert time.monotonic() - started < DEADLINE_S
    assert {name: end.seen for name, end in flight.ends.items()} == KEPT
    assert sorted(flight.happened("on_drain")) == sorted(["fan", *KEPT])
    assert flight.happened("on_drain")[0] == "fan"  # upstream first
    assert flight.happened("on_stop") == flight.happened("on_start")[::-1]
    assert max(n for n, event in enumerate(flight.events) if event[0] == "on_drain") < min(
        n for n, event in enumerate(flight.events) if event[0] == "on_stop"
    )
    assert (report.reason, report.timed_out) == ("shutdown", False)
    assert_stopped_clean(flight.graph, report)


def test_a_stop_without_drain_finds_what_each_policy_kept() -> None:
    flight = InFlight()
    report = flight.scheduler.shutdown(drain=False)
    assert report.undelivered == {flight.edge_id(name): len(kept) for name, kept in KEPT.items()}
    assert [end.seen for end in flight.ends.values()] == [[]] * len(KEPT)
    assert flight.happened("on_drain") == []
    assert flight.happened("on_stop") == flight.happened("on_start")[::-1]
    assert (report.complete, report.timed_out) == (False, False)
    assert_graph_conserved(flight.graph)


@pytest.mark.parametrize("stuck", KEPT)
def test_a_handler_that_never_returns_keeps_back_only_its_own_edge(stuck: str) -> None:
    """The drain runs out of time: the report says what stayed on the one edge, and the others had theirs."""
    flight = InFlight(stuck)
    started = time.monotonic()
    report = flight.scheduler.shutdown(timeout=1.0)
    try:
        assert time.monotonic() - started < DEADLINE_S / 2  # ends by itself; how punctually is tested elsewhere
        assert (report.complete, report.timed_out, report.abandoned) == (False, True, (stuck,))
        assert report.undelivered == {flight.edge_id(stuck): len(KEPT[stuck]) - 1}  # one is inside the handler
        assert stuck in str(report)
        assert {name: end.seen for name, end in flight.ends.items()} == {
            name: kept for name, kept in KEPT.items() if name != stuck
        }
        assert set(flight.happened("on_stop")) == {"fan", *flight.ends}  # but not of the one that is stuck
        assert_graph_conserved(flight.graph)
    finally:
        flight.gate.opened.set()


class Buffer(Map):
    """Sends nothing before it is drained."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.held: list[Any] = []

    def on_message(self, port: str, msg: Any) -> None:
        self.held.append(msg.payload)

    def on_drain(self) -> None:
        for value in self.held:
            self.emit("out", value)


@pytest.mark.parametrize("policy", list(KEPT))
def test_what_on_drain_sends_goes_by_the_policy_of_its_edge(policy: str) -> None:
    """A buffer that is flushed while its consumer is busy: the edge keeps what it would have kept at any time."""
    gate = Gate()
    graph = Subgraph.from_nodes("g", [Buffer("buffer"), gate])
    graph.connect("buffer:out", "gate:in", capacity=ROOM, policy=POLICIES[policy])
    graph.expose_input("busy", "gate:in")
    graph.expose_input("in", "buffer:in")
    scheduler = scheduler_of(graph)
    edge = edge_of(graph, "buffer:out->gate:in")
    with scheduler, ThreadPoolExecutor(1) as pool:
        scheduler.input("busy").put("busy")
        assert gate.entered.wait(DEADLINE_S)
        scheduler.input("in").put_many(range(SENT))
        stopping = pool.submit(scheduler.shutdown, timeout=DEADLINE_S)
        until(lambda: edge.depth() == ROOM)
        until(lambda: policy == "block" or edge.stats().offered == SENT)
        gate.opened.set()
        report = stopping.result(DEADLINE_S)
    assert gate.seen == ["busy", *KEPT[policy]]
    assert_stopped_clean(graph, report)


def test_a_restart_after_a_stop_without_drain_begins_empty() -> None:
    """What an earlier run left undelivered does not come back, and neither do its counts or closed ends."""
    gate = Gate()
    graph = chain(Map("map"), gate, capacity=2)
    graph.expose_input("in", "map:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put_many(range(8))
        assert gate.entered.wait(DEADLINE_S)
        scheduler.pause("gate")
        gate.opened.set()
        first = scheduler.shutdown(drain=False)
    left = sum(first.undelivered.values())
    assert left == 8 - len(gate.seen) > 0
    assert_graph_conserved(graph)
    before = len(gate.seen)
    with pytest.raises(EdgeClosed):
        scheduler.input("in").put("between")
    scheduler.resume("gate")  # a pause is a setting, which stays
    with scheduler:
        stats = scheduler.get_stats()
        assert [(edge["offered"], edge["depth"]) for edge in stats["edges"].values()] == [(0, 0)] * 2
        assert scheduler.input("in").put_many(["new", "run"], DEADLINE_S) == 2
        gate.expect(before + 2)
        second = scheduler.shutdown(timeout=DEADLINE_S)
    assert gate.seen[before:] == ["new", "run"]
    assert_stopped_clean(graph, second)


class Endless(Node):
    """A source that notes how its generator was ended."""

    outputs = "out"
    ended = ""

    def produce(self) -> Iterator[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
        except GeneratorExit:
            self.ended = "closed"
            raise


@pytest.mark.parametrize("drain", [True, False])
def test_a_stop_closes_a_source_and_what_it_had_sent_is_delivered_or_counted(drain: bool) -> None:
    source, last = Endless("source"), Collect()
    graph = chain(source, Map("map"), last, capacity=4)
    with scheduler_of(graph) as scheduler:
        last.expect(20)
        report = scheduler.shutdown(drain=drain, timeout=DEADLINE_S)
    assert source.ended == "closed"
    assert last.seen == list(range(len(last.seen)))
    sent = edge_of(graph, "source:out->map:in").stats().offered
    assert sent == len(last.seen) + sum(report.undelivered.values())
    assert not (drain and report.undelivered)
    assert_graph_conserved(graph)
