"""One edge against a plain reference: any sequence of calls gives the same answers and the same contents."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from edge_reference import BLOCKED, CUSTOM, OK, POLICIES, Payload, Reference, size_of
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from graphflow import Edge, EdgeClosed, Message, MessageType, PutResult
from graphflow.core.simulation.interleaver import SimulatedClock

LANE = 3
TTL_S = 10.0
payloads = st.tuples(st.sampled_from("abcdef"), st.integers(0, 8))


class EdgeMachine(RuleBasedStateMachine):
    """Rules are the calls; each compares the answer, the invariant compares everything else."""

    kinds: ClassVar[list[str]] = list(POLICIES)

    @initialize(
        capacity=st.integers(1, 12),
        max_bytes=st.none() | st.integers(8, 40),
        kind=st.sampled_from(list(POLICIES)),
        ttl=st.sampled_from([None, TTL_S]),
    )
    def make(self, capacity: int, max_bytes: int | None, kind: str, ttl: float | None) -> None:
        self.edge: Edge = Edge(
            "a",
            "out",
            "b",
            "in",
            capacity,
            default_policy=POLICIES[kind],
            max_bytes=max_bytes,
            ttl_s=ttl,
            sizeof=size_of if max_bytes is not None else None,
            control_capacity=LANE,
        )
        self.clock = SimulatedClock()
        self.edge._use_clock(self.clock)
        self.model = Reference(capacity, max_bytes, kind, ttl)

    def offered(self, item: Payload, kind: str) -> PutResult | None:
        """What the reference answers; None: the edge must raise EdgeClosed."""
        return None if self.model.closed else self.model.offer(item, kind)

    @rule(item=payloads, wrap=st.booleans())
    def try_put(self, item: Payload, wrap: bool) -> None:
        expected = self.offered(item, self.model.kind)
        put: Any = Message(MessageType.DATA, item) if wrap else item
        if expected is None:
            with pytest.raises(EdgeClosed):
                self.edge.try_put(put)
        else:
            assert self.edge.try_put(put) is expected

    @rule(item=payloads)
    def put(self, item: Payload) -> None:
        expected = self.offered(item, self.model.kind)
        if expected is None:
            with pytest.raises(EdgeClosed):
                self.edge.put(item, timeout=0)
        elif expected is BLOCKED:
            with pytest.raises(TimeoutError):
                self.edge.put(item, timeout=0)
        else:
            assert self.edge.put(item, timeout=0) is expected

    @precondition(lambda self: self.model.kind != "keyed")
    @rule(item=payloads, kind=st.sampled_from(["block", "drop", "latest", "coalesce", CUSTOM]))
    def try_put_by(self, item: Payload, kind: str) -> None:
        expected = self.offered(item, kind)
        if expected is None:
            with pytest.raises(EdgeClosed):
                self.edge.try_put(item, POLICIES[kind])
        else:
            assert self.edge.try_put(item, POLICIES[kind]) is expected

    @rule(items=st.lists(payloads, max_size=6))
    def put_many(self, items: list[Payload]) -> None:
        if self.model.closed and items:
            with pytest.raises(EdgeClosed):
                self.edge.put_many(items, timeout=0)
            return
        expected = 0
        for item in items:
            if self.model.offer(item, self.model.kind) is BLOCKED:
                break
            expected += 1
        assert self.edge.put_many(items, timeout=0) == expected

    @rule(number=st.integers())
    def put_control(self, number: int) -> None:
        if self.model.closed:
            with pytest.raises(EdgeClosed):
                self.edge.try_put(Message(MessageType.CONTROL, number))
            return
        room = len(self.model.lane) < LANE
        assert self.edge.try_put(Message(MessageType.CONTROL, number)) is (OK if room else BLOCKED)
        self.model.put_control(number, room)

    @rule()
    def try_get(self) -> None:
        assert plain(self.edge.try_get()) == self.model.take()

    @rule()
    def get(self) -> None:
        expected = self.model.take()
        if expected is not None:
            assert plain(self.edge.get(timeout=0)) == expected
        else:
            with pytest.raises(EdgeClosed if self.model.closed else TimeoutError):
                self.edge.get(timeout=0)

    @rule(most=st.integers(1, 5))
    def get_many(self, most: int) -> None:
        expected = [item for item in (self.model.take() for _ in range(most)) if item is not None]
        if self.model.closed and not expected:
            with pytest.raises(EdgeClosed):
                self.edge.get_many(most)
        else:
            assert [plain(item) for item in self.edge.get_many(most)] == expected

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.0, TTL_S, 11.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.model.now += round(seconds * 1e9)

    @rule(capacity=st.integers(1, 12))
    def set_capacity(self, capacity: int) -> None:
        self.edge.set_capacity(capacity)
        self.model.capacity = capacity

    @precondition(lambda self: sum(self.model.counts.values()) > 25)
    @rule()
    def close(self) -> None:
        self.edge.close()
        self.model.closed = True

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "edge"):
            return
        model = self.model
        model.expire()
        counts = self.edge.stats()
        for name, value in model.counts.items():
            # A merge that is refused for its size may have failed once for each time it was tried.
            assert getattr(counts, name) == value or (name == "merge_errors" and getattr(counts, name) >= value), name
        assert (counts.depth, counts.control_depth) == (len(model.items) + len(model.lane), len(model.lane))
        assert (counts.enqueued, counts.peak_depth) == (model.enqueued(), model.peak)
        assert (counts.undelivered, counts.dropped_closed, counts.dropped_error) == (0, 0, 0)  # of a run's edges only
        assert self.edge.depth() == counts.depth
        assert counts.bytes == (0 if model.max_bytes is None else model.used())
        assert self.edge.is_empty() == (counts.depth == 0)
        assert self.edge.is_full() == model.is_full()
        assert self.edge.closed == model.closed
        assert self.edge.capacity == model.capacity

    def teardown(self) -> None:
        if hasattr(self, "edge"):
            while (item := self.edge.try_get()) is not None:
                assert plain(item) == self.model.take()
            assert self.model.take() is None


def plain(item: Any) -> Any:
    return item.payload if isinstance(item, Message) else item


def test_an_edge_behaves_as_its_reference(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "graphflow")
    run_state_machine_as_test(
        EdgeMachine,
        settings=settings(
            max_examples=200,
            stateful_step_count=60,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
