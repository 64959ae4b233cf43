"""What a snapshot says of an edge: what its policy did, how long it was blocked, what it holds."""

from __future__ import annotations

import time
from typing import Any

import pytest
from edges import waiting_put
from graphs import DEADLINE_S, Gate, control, scheduler_of, until
from holding import gated, held

from graphflow import (
    Block,
    Coalesce,
    Drop,
    EdgeSnapshot,
    ErrorPolicy,
    Latest,
    Message,
    PriorityBand,
    PutResult,
    Subgraph,
)


@pytest.mark.parametrize(
    ("policy", "field"),
    [(Drop(), "dropped"), (Latest(), "replaced"), (Coalesce(lambda old, new: new), "coalesced"), (Block(), "blocked")],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_what_a_policy_did_is_counted_and_named(policy: Any, field: str) -> None:
    gate, scheduler = gated(capacity=2, policy=policy)
    with scheduler:
        held(gate, scheduler)
        for number in range(5):
            scheduler.input("in").try_put(number)
        edge = scheduler.snapshot().edges["input:in->gate:in"]
        assert edge.policy == type(policy).__name__
        assert (getattr(edge, field), edge.depth, edge.peak_depth) == (3, 2, 2)
        entered = {"dropped": 3, "replaced": 6, "coalesced": 3, "blocked": 3}[field]
        assert edge.enqueued == entered
        gate.opened.set()


def test_what_a_stopped_node_leaves_in_its_queue_had_entered_it() -> None:
    class Stops(Gate):
        error_policy = ErrorPolicy.STOP_NODE

        def on_message(self, port: str, msg: Message) -> None:
            super().on_message(port, msg)
            raise ValueError

    stops = Stops("stops")
    graph = Subgraph.from_nodes("g", [stops])
    graph.expose_input("in", "stops:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put_many(range(4))
        assert stops.entered.wait(DEADLINE_S)
        stops.opened.set()
        until(lambda: scheduler.snapshot().nodes["stops"].state == "stopped")
        edge = scheduler.snapshot().edges["input:in->stops:in"]
    assert (edge.offered, edge.enqueued, edge.delivered, edge.dropped, edge.dropped_closed) == (4, 4, 1, 3, 3)


def test_blocked_time_runs_from_the_refusal_to_the_next_room() -> None:
    gate, scheduler = gated(capacity=1)
    with scheduler:
        held(gate, scheduler)
        inlet = scheduler.input("in")
        assert inlet.try_put(1) is PutResult.OK
        assert not scheduler.snapshot().edges["input:in->gate:in"].blocked_now
        began = time.monotonic()
        assert inlet.try_put(2) is PutResult.BLOCKED
        now = scheduler.snapshot().edges["input:in->gate:in"]
        assert (now.blocked_now, now.blocked) == (True, 1)
        until(lambda: scheduler.snapshot().edges["input:in->gate:in"].blocked_s > 0.02)
        gate.opened.set()
        gate.expect(2)
        ended = time.monotonic()
        edge = scheduler.snapshot().edges["input:in->gate:in"]
        assert not edge.blocked_now
        assert 0.02 < edge.blocked_s <= ended - began
        assert scheduler.snapshot().edges["input:in->gate:in"].blocked_s == edge.blocked_s


def test_an_edge_with_waiting_putters_is_blocked_until_the_last_is_in() -> None:
    _, scheduler = gated(capacity=1)
    scheduler.pause("gate")
    with scheduler:
        edge = scheduler.input("in").edge
        edge.put(1)
        calls = [waiting_put(edge, number) for number in range(2)]

        def seen() -> EdgeSnapshot:
            return scheduler.snapshot().edges["input:in->gate:in"]

        assert (seen().blocked, seen().blocked_now) == (2, True)
        assert edge.try_get() is not None
        assert (seen().offered, seen().depth, seen().blocked_now) == (2, 1, True)  # the other one waits still
        assert edge.try_get() is not None
        assert [call.outcome() for call in calls] == [PutResult.OK, PutResult.OK]
        assert edge.try_get() is not None
        assert not seen().blocked_now
        assert seen().blocked_s > 0


def test_a_full_control_lane_is_blocked_time_too() -> None:
    gate, scheduler = gated(control_capacity=1)
    with scheduler:
        held(gate, scheduler)
        inlet = scheduler.input("in")
        assert inlet.try_put(control(1)) is PutResult.OK
        assert inlet.try_put(control(2)) is PutResult.BLOCKED
        until(lambda: scheduler.snapshot().edges["input:in->gate:in"].blocked_s > 0.01)
        gate.opened.set()
        gate.expect(2)
        edge = scheduler.snapshot().edges["input:in->gate:in"]
    assert not edge.blocked_now
    assert edge.blocked_s > 0.01


def test_more_capacity_ends_the_blocked_time() -> None:
    gate, scheduler = gated(capacity=1)
    with scheduler:
        held(gate, scheduler)
        scheduler.input("in").put(1)
        scheduler.input("in").try_put(2)
        scheduler.set_capacity("input:in->gate:in", 5)
        assert not scheduler.snapshot().edges["input:in->gate:in"].blocked_now
        gate.opened.set()


def test_closing_ends_the_blocked_time() -> None:
    gate, scheduler = gated(capacity=1)
    with scheduler:
        held(gate, scheduler)
        scheduler.input("in").put(1)
        scheduler.input("in").try_put(2)
        scheduler.input("in").close()
        edge = scheduler.snapshot().edges["input:in->gate:in"]
        assert (edge.blocked_now, edge.closed) == (False, True)
        gate.opened.set()


def test_the_band_is_the_one_the_edge_is_in_now() -> None:
    _, scheduler = gated()
    with scheduler:
        scheduler.set_priority("input:in->gate:in", PriorityBand.CONTROL)
        assert scheduler.snapshot().edges["input:in->gate:in"].band == "control"


def test_bytes_of_the_queue_are_shown() -> None:
    gate, scheduler = gated(max_bytes=100)
    with scheduler:
        held(gate, scheduler)  # 5 bytes, and gone
        scheduler.input("in").put("abcd")
        edge = scheduler.snapshot().edges["input:in->gate:in"]
        assert (edge.bytes, edge.max_bytes) == (4, 100)
        gate.opened.set()


def test_expired_items_are_counted_when_one_looks() -> None:
    gate, scheduler = gated(ttl_s=0.01)
    with scheduler:
        held(gate, scheduler)
        scheduler.input("in").put(1)
        until(lambda: scheduler.snapshot().edges["input:in->gate:in"].expired == 1)
        assert scheduler.snapshot().edges["input:in->gate:in"].depth == 0
        gate.opened.set()
