"""One edge against a plain reference: any sequence of calls gives the same answers and the same contents."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
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

from graphflow import Block, Coalesce, Drop, Edge, EdgeClosed, Latest, Message, MessageType, PutResult

OK, BLOCKED, DROPPED = PutResult.OK, PutResult.BLOCKED, PutResult.DROPPED
REPLACED, COALESCED = PutResult.REPLACED, PutResult.COALESCED
LANE = 3


def size_of(payload: Payload) -> int:
    return payload[1]


def merge(old: Payload, new: Payload) -> Payload:
    """The numbers add up; a size above 12 is cut, and two sizes of 7 fail."""
    if old[1] == new[1] == 7:
        raise ValueError
    return old[0], min(old[1] + new[1], 12)


Payload = tuple[str, int]


class Reference:
    """What DESIGN says of one edge, with a list."""

    def __init__(self, capacity: int, max_bytes: int | None, kind: str) -> None:
        self.capacity, self.max_bytes, self.kind = capacity, max_bytes, kind
        self.items: list[Payload] = []
        self.lane: list[int] = []
        self.closed = False
        self.counts = dict.fromkeys(["offered", "delivered", "dropped", "replaced", "coalesced", "merge_errors"], 0)

    def fits(self, size: int) -> bool:
        used = sum(size_of(item) for item in self.items)
        return len(self.items) < self.capacity and (self.max_bytes is None or used + size <= self.max_bytes)

    def offer(self, item: Payload, kind: str) -> PutResult:
        answer = self._keyed(item) if kind == "keyed" else self._unkeyed(item, kind)
        if answer is not BLOCKED:
            self.counts["offered"] += 1
        return answer

    def _keyed(self, item: Payload) -> PutResult:
        for place, old in enumerate(self.items):
            if old[0] == item[0]:
                return self._merge(place, item)
        return self._append(item) if self.fits(item[1]) else BLOCKED

    def _unkeyed(self, item: Payload, kind: str) -> PutResult:
        if self.fits(item[1]):
            return self._append(item)
        if kind == "drop":
            self.counts["dropped"] += 1
            return DROPPED
        if kind == "latest":
            self._evict(1 if len(self.items) >= self.capacity else 0)
            while self.max_bytes is not None and sum(map(size_of, self.items)) + item[1] > self.max_bytes:
                self._evict(1)
            self._append(item)
            return REPLACED
        return self._merge(len(self.items) - 1, item) if kind == "coalesce" else BLOCKED

    def _append(self, item: Payload) -> PutResult:
        self.items.append(item)
        return OK

    def _evict(self, count: int) -> None:
        del self.items[:count]
        self.counts["replaced"] += count

    def _merge(self, place: int, item: Payload) -> PutResult:
        old = self.items[place]
        failed = False
        try:
            merged = merge(old, item)
        except ValueError:
            merged, failed = item, True
            self.counts["merge_errors"] += 1
        used = sum(map(size_of, self.items)) - old[1] + merged[1]
        if self.max_bytes is not None and merged[1] > old[1] and used > self.max_bytes:
            return BLOCKED
        self.items[place] = merged
        self.counts["replaced" if failed else "coalesced"] += 1
        return REPLACED if failed else COALESCED

    def take(self) -> Any:
        if not self.lane and not self.items:
            return None
        self.counts["delivered"] += 1
        return self.lane.pop(0) if self.lane else self.items.pop(0)


POLICIES: dict[str, Any] = {
    "block": Block(),
    "drop": Drop(),
    "latest": Latest(),
    "coalesce": Coalesce(merge),
    "keyed": Coalesce(merge, key=lambda payload: payload[0]),
}
payloads = st.tuples(st.sampled_from("abcdef"), st.integers(0, 8))


class EdgeMachine(RuleBasedStateMachine):
    """Rules are the calls; each compares the answer, the invariant compares everything else."""

    kinds: ClassVar[list[str]] = list(POLICIES)

    @initialize(
        capacity=st.integers(1, 12),
        max_bytes=st.none() | st.integers(8, 40),
        kind=st.sampled_from(list(POLICIES)),
        ttl=st.sampled_from([None, 3600]),
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
        self.model = Reference(capacity, max_bytes, kind)

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
    @rule(item=payloads, kind=st.sampled_from(["block", "drop", "latest", "coalesce"]))
    def try_put_by(self, item: Payload, kind: str) -> None:
        expected = self.offered(item, kind)
        if expected is None:
            with pytest.raises(EdgeClosed):
                self.edge.try_put(item, POLICIES[kind])
        else:
            assert self.edge.try_put(item, POLICIES[kind]) is expected

    @precondition(lambda self: not self.model.closed)
    @rule(items=st.lists(payloads, max_size=6))
    def put_many(self, items: list[Payload]) -> None:
        expected = 0
        for item in items:
            if self.model.offer(item, self.model.kind) is BLOCKED:
                break
            expected += 1
        assert self.edge.put_many(items, timeout=0) == expected

    @precondition(lambda self: not self.model.closed)
    @rule(number=st.integers())
    def put_control(self, number: int) -> None:
        room = len(self.model.lane) < LANE
        assert self.edge.try_put(Message(MessageType.CONTROL, number)) is (OK if room else BLOCKED)
        if room:
            self.model.lane.append(number)
            self.model.counts["offered"] += 1

    @rule()
    def try_get(self) -> None:
        assert plain(self.edge.try_get()) == self.model.take()

    @rule(most=st.integers(1, 5))
    def get_many(self, most: int) -> None:
        expected = [item for item in (self.model.take() for _ in range(most)) if item is not None]
        if self.model.closed and not expected:
            with pytest.raises(EdgeClosed):
                self.edge.get_many(most)
        else:
            assert [plain(item) for item in self.edge.get_many(most)] == expected

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
        counts = self.edge.stats()
        for name, value in self.model.counts.items():
            # A merge that is refused for its size may have failed once for each time it was tried.
            assert getattr(counts, name) == value or (name == "merge_errors" and getattr(counts, name) >= value), name
        assert (counts.depth, counts.control_depth) == (
            len(self.model.items) + len(self.model.lane),
            len(self.model.lane),
        )
        if self.model.max_bytes is not None:
            assert counts.bytes == sum(map(size_of, self.model.items))
        assert self.edge.is_empty() == (counts.depth == 0)

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
            max_examples=150,
            stateful_step_count=60,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
