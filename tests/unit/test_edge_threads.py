"""Many threads at one edge: nothing lost, nothing twice, each thread's items in order."""

from __future__ import annotations

import random
import threading
from collections import Counter
from itertools import chain
from typing import Any

import pytest
from counting import assert_conserved
from edges import DEADLINE_S, Call, make_edge, sum_of_a_race

from graphflow import Coalesce, Drop, Edge, EdgeClosed, Latest, Policy, PutResult

pytestmark = pytest.mark.usefixtures("fast_switching")


class Traffic:
    """Threads that put numbered items and threads that take them until the edge is closed and empty."""

    def __init__(self, edge: Edge, putters: int, getters: int, each: int) -> None:
        self.edge = edge
        self.each = each
        self.barrier = threading.Barrier(putters + getters)
        self.answers: list[list[PutResult]] = [[] for _ in range(putters)]
        self.taken: list[list[Any]] = [[] for _ in range(getters)]
        self.putters = [Call(self.put, number) for number in range(putters)]
        self.getters = [Call(self.get, number) for number in range(getters)]

    def put(self, thread: int) -> None:
        chance = random.Random(thread)
        self.barrier.wait(DEADLINE_S)
        for number in range(self.each):
            self.answers[thread].append(self.put_one((thread, number), chance))

    def put_one(self, item: Any, chance: random.Random) -> PutResult:
        while True:
            try:
                return self.edge.put(item, timeout=chance.choice([None, DEADLINE_S, 0.0001, 0]))
            except TimeoutError:
                continue  # the item is out, for sure: offered again it must not come twice

    def get(self, thread: int) -> None:
        chance = random.Random(thread)
        mine = self.taken[thread]
        self.barrier.wait(DEADLINE_S)
        while True:
            try:
                if chance.random() < 0.3:
                    mine += self.edge.get_many(chance.randint(1, 5), timeout=0.001)
                else:
                    mine.append(self.edge.get(timeout=chance.choice([None, 0.0001])))
            except TimeoutError:
                continue
            except EdgeClosed:
                return

    def finish(self) -> list[Any]:
        for call in self.putters:
            call.outcome()
        self.edge.close()
        for call in self.getters:
            call.outcome()
        assert_conserved(self.edge)
        assert self.edge.is_empty()
        return [item for taken in self.taken for item in taken]

    def assert_in_order(self) -> None:
        """What one getter took of one putter's came in the order it was put."""
        for taken in self.taken:
            last: Counter[int] = Counter()
            for thread, number in taken:
                assert number >= last[thread]
                last[thread] = number + 1


@pytest.mark.parametrize("capacity", [1, 2, 8, 256])
@pytest.mark.parametrize(("putters", "getters"), [(8, 8), (8, 1), (1, 8)])
def test_block_loses_nothing(capacity: int, putters: int, getters: int) -> None:
    each = 1600 // (putters + getters)
    traffic = Traffic(make_edge(capacity), putters, getters, each)
    taken = traffic.finish()
    assert sorted(taken) == [(thread, number) for thread in range(putters) for number in range(each)]
    traffic.assert_in_order()
    assert traffic.edge.stats().peak_depth <= capacity


@pytest.mark.parametrize("bounds", [{"ttl_s": 3600}, {"max_bytes": 5, "sizeof": lambda item: item[1] % 3}])
def test_block_with_more_bounds_loses_nothing(bounds: dict[str, Any]) -> None:
    traffic = Traffic(make_edge(4, **bounds), 8, 4, 100)
    assert sorted(traffic.finish()) == [(thread, number) for thread in range(8) for number in range(100)]
    traffic.assert_in_order()
    assert traffic.edge.stats().bytes == 0


@pytest.mark.parametrize("policy", [Drop(), Latest()])
@pytest.mark.parametrize("capacity", [1, 3, 64])
def test_what_drop_and_latest_did_not_deliver_they_have_counted(policy: Policy, capacity: int) -> None:
    traffic = Traffic(make_edge(capacity, policy), 4, 2, 250)
    taken = traffic.finish()
    assert len(set(taken)) == len(taken)
    counts = traffic.edge.stats()
    assert counts.offered == 1000
    assert len(taken) == counts.delivered == 1000 - counts.dropped - counts.replaced
    answers = Counter(answer for answers in traffic.answers for answer in answers)
    assert answers[PutResult.DROPPED] == counts.dropped
    assert answers[PutResult.REPLACED] == counts.replaced
    traffic.assert_in_order()


@pytest.mark.parametrize("capacity", [1, 3])
def test_coalesce_folds_every_item_in(capacity: int) -> None:
    edge = make_edge(capacity, Coalesce(lambda old, new: old + new))
    assert sum_of_a_race(edge, 250) == 4 * 250


def test_coalesce_by_key_folds_every_item_in_and_holds_one_a_key() -> None:
    def merge(old: tuple[int, int], new: tuple[int, int]) -> tuple[int, int]:
        assert old[0] == new[0]
        return old[0], old[1] + new[1]

    edge = make_edge(8, Coalesce(merge, key=lambda pair: (pair[0],)))  # equal keys, never identical
    totals: Counter[int] = Counter()

    def put(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(300):
            edge.put((chance.randrange(12), 1))

    def take() -> None:
        while True:
            try:
                items = edge.get_many(100, timeout=None)
            except EdgeClosed:
                return
            for key, count in items:
                totals[key] += count

    putters = [Call(put, seed) for seed in range(4)]
    taker = Call(take)
    for call in putters:
        call.outcome()
    edge.close()
    taker.outcome()
    expected: Counter[int] = Counter()
    for seed in range(4):
        chance = random.Random(seed)
        expected.update(chance.randrange(12) for _ in range(300))
    assert totals == expected
    assert edge.stats().merge_errors == 0


def test_capacity_changes_in_the_middle_of_traffic_lose_nothing() -> None:
    edge = make_edge(4)
    traffic = Traffic(edge, 4, 4, 150)
    chance = random.Random(1)
    while not all(call.done() for call in traffic.putters):
        edge.set_capacity(chance.choice([1, 2, 3, 9, 40]))
        assert_conserved(edge)
    assert sorted(traffic.finish()) == [(thread, number) for thread in range(4) for number in range(150)]
    traffic.assert_in_order()


def test_snapshots_taken_during_traffic_are_consistent() -> None:
    edge = make_edge(3, Latest())
    traffic = Traffic(edge, 4, 2, 300)
    while not all(call.done() for call in traffic.putters):
        assert_conserved(edge)
    traffic.finish()


def test_close_in_the_middle_of_traffic_releases_everybody_and_loses_nothing() -> None:
    for _ in range(20):
        edge = make_edge(2)
        accepted: list[list[int]] = [[], [], [], []]
        taken: list[list[int]] = [[], [], []]
        barrier = threading.Barrier(8)

        def put(thread: int, edge: Edge = edge, mine: list[list[int]] = accepted, b: Any = barrier) -> None:
            b.wait(DEADLINE_S)
            for number in range(1000 * thread, 1000 * thread + 1000):
                try:
                    edge.put(number)
                except EdgeClosed:
                    return
                mine[thread].append(number)

        def take(thread: int, edge: Edge = edge, mine: list[list[int]] = taken, b: Any = barrier) -> None:
            b.wait(DEADLINE_S)
            while True:
                try:
                    mine[thread].append(edge.get())
                except EdgeClosed:
                    return

        calls = [Call(put, thread) for thread in range(4)] + [Call(take, thread) for thread in range(3)]
        barrier.wait(DEADLINE_S)
        while edge.stats().delivered < 20:
            pass
        edge.close()
        for call in calls:
            call.outcome()
        assert sorted(chain(*taken)) == sorted(chain(*accepted))
