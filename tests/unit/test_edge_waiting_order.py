"""Who waits longest is served first, newcomers do not overtake, and nobody spins."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from edges import DEADLINE_S, Call, drained, make_edge, waiting_get, waiting_put

from graphflow import Coalesce, Edge, Policy, PutResult


class OkPolicy:
    """A user's policy that leaves everything to the bounds."""

    def on_enqueue(self, capacity: int, size: int, item: object) -> PutResult:
        return PutResult.OK


class HalfFull:
    """A user's policy that blocks although there is room; it counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def on_enqueue(self, capacity: int, size: int, item: object) -> PutResult:
        self.asked += 1
        return PutResult.OK if size < capacity // 2 else PutResult.BLOCKED


def by_itself() -> Policy:
    """Coalesce by the item itself: every new item is an unseen key."""
    return Coalesce(lambda old, new: new, key=lambda payload: payload)


POLICIES = {"block": lambda: None, "custom": OkPolicy, "keyed": by_itself}


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("putters", [1, 2, 3, 8])
def test_putters_that_wait_all_get_in_one_for_each_get(kind: str, putters: int) -> None:
    edge = make_edge(1, POLICIES[kind]())
    edge.put(-1)
    calls = [waiting_put(edge, number) for number in range(putters)]
    taken = [edge.get(timeout=DEADLINE_S) for _ in range(putters + 1)]
    assert [call.outcome() for call in calls] == [PutResult.OK] * putters
    assert sorted(taken) == list(range(-1, putters))


@pytest.mark.parametrize("kind", POLICIES)
def test_putters_are_served_longest_waiting_first(kind: str) -> None:
    edge = make_edge(2, POLICIES[kind]())
    edge.put_many([-2, -1])
    for number in range(5):
        waiting_put(edge, number)
    assert [edge.get(timeout=DEADLINE_S) for _ in range(7)] == list(range(-2, 5))


@pytest.mark.parametrize("kind", POLICIES)
def test_a_newcomer_does_not_overtake_a_putter_that_waits(kind: str) -> None:
    edge = make_edge(1, POLICIES[kind]())
    edge.put("first")
    call = waiting_put(edge, "waited")
    assert edge.try_get() == "first"
    # With the interpreter to itself since the get, so the one that waited has not run yet.
    assert edge.try_put("newcomer") is PutResult.BLOCKED
    assert call.outcome() is PutResult.OK
    assert drained(edge) == ["waited"]


@pytest.mark.parametrize("kind", POLICIES)
def test_room_for_several_is_given_to_several(kind: str) -> None:
    edge = make_edge(3, POLICIES[kind]())
    edge.put_many(range(3))
    calls = [waiting_put(edge, number) for number in range(3, 8)]
    assert edge.get_many(3) == [0, 1, 2]
    assert [call.outcome() for call in calls[:3]] == [PutResult.OK] * 3
    assert edge.depth() == 3
    assert not any(call.done() for call in calls[3:])
    drained_now = [edge.get(timeout=DEADLINE_S) for _ in range(5)]
    assert drained_now == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("kind", POLICIES)
def test_one_that_gives_up_leaves_its_place_to_the_next(kind: str) -> None:
    edge = make_edge(1, POLICIES[kind]())
    edge.put("first")
    quitter = waiting_put(edge, "quitter", timeout=0.15)
    patient = waiting_put(edge, "patient")
    with pytest.raises(TimeoutError):
        quitter.outcome()
    edge.get()
    assert patient.outcome() is PutResult.OK
    assert drained(edge) == ["patient"]


def test_putters_of_an_edge_bounded_by_bytes_do_not_starve_each_other() -> None:
    edge = make_edge(10, Coalesce(lambda old, new: old + new, key=len), max_bytes=6)
    edge.put("aaa")
    edge.put("bb")
    calls = [waiting_put(edge, letter * 3) for letter in "xyz"]  # each merge would be 8 bytes
    assert edge.get() == "aaa"
    assert edge.get() == "bb"
    taken = ""
    while len(taken) < 9:
        taken += edge.get(timeout=DEADLINE_S)
    assert taken == "xxxyyyzzz"
    assert calls[0].outcome() is PutResult.OK
    assert all(call.outcome() in (PutResult.OK, PutResult.COALESCED) for call in calls)


def test_waiting_putters_that_their_policy_blocks_do_not_spin() -> None:
    policy = HalfFull()
    edge = make_edge(10, policy)
    edge.put_many(range(5))
    calls = [waiting_put(edge, number) for number in range(4)]
    edge.get()
    asked = policy.asked
    _pass_time()
    assert policy.asked - asked <= 8
    for _ in range(8):
        edge.get(timeout=DEADLINE_S)
    assert [call.outcome() for call in calls] == [PutResult.OK] * 4


def test_waiting_putters_whose_merge_does_not_fit_do_not_spin() -> None:
    merges: list[int] = []

    def merge(old: str, new: str) -> str:
        merges.append(1)
        return old + new + "!!!"

    edge = make_edge(10, Coalesce(merge, key=lambda payload: payload[0]), max_bytes=10)
    edge.put_many(["x", "k2345678"])
    calls = [waiting_put(edge, "k") for _ in range(4)]
    assert edge.get() == "x"  # now "k" would fit, but not what it is merged to
    before = len(merges)
    _pass_time()
    assert len(merges) - before <= 8
    edge.close()
    assert all(call.was_closed() for call in calls)
    assert drained(edge) == ["k2345678"]


def test_getters_that_wait_are_each_given_an_item() -> None:
    edge = make_edge(10)
    calls = [waiting_get(edge) for _ in range(4)]
    edge.put_many(range(4))
    assert sorted(call.outcome() for call in calls) == [0, 1, 2, 3]


def test_a_getter_that_was_rung_and_gave_up_hands_its_ring_on(fast_switching: None) -> None:
    for _ in range(200):
        edge = make_edge(10)
        hasty = [Call(_get, edge, 0.0005) for _ in range(2)]
        patient = Call(_get, edge, DEADLINE_S)
        edge.put(1)
        results = [call.outcome() for call in hasty]
        if 1 in results:
            edge.put(2)
        assert patient.outcome() is not None


def _get(edge: Edge, timeout: float) -> Any:
    try:
        return edge.get(timeout=timeout)
    except TimeoutError:
        return None


def _pass_time() -> None:
    """Leave the interpreter to the others for a quarter of a second."""
    threading.Event().wait(0.25)


@pytest.mark.parametrize("kind", POLICIES)
def test_many_waiters_all_come_through(kind: str, fast_switching: None) -> None:
    edge = make_edge(2, POLICIES[kind]())
    threads, each = 8, 40

    def put(thread: int) -> None:
        for number in range(each):
            edge.put((thread, number), timeout=DEADLINE_S)

    started = time.monotonic()
    calls = [Call(put, thread) for thread in range(threads)]
    taken = [edge.get(timeout=DEADLINE_S) for _ in range(threads * each)]
    for call in calls:
        call.outcome()
    assert len(set(taken)) == threads * each
    for thread in range(threads):
        assert [number for other, number in taken if other == thread] == list(range(each))
    assert time.monotonic() - started < DEADLINE_S


CLOSE_AT_ONCE = """
import threading, time
from graphflow import Coalesce, Edge, EdgeClosed, PutResult

class OkPolicy:
    def on_enqueue(self, capacity, size, item):
        return PutResult.OK

for policy in (None, OkPolicy(), Coalesce(max, key=lambda payload: payload)):
    for _ in range(20):
        edge = Edge("a", "out", "b", "in", 1, default_policy=policy)
        edge.put(1)
        outcome = []

        def put():
            try:
                outcome.append(edge.put(2))
            except EdgeClosed:
                outcome.append("closed")

        threads = [threading.Thread(target=put) for _ in range(2)]
        for thread in threads:
            thread.start()
        while edge.stats().blocked < 2:
            time.sleep(0.001)
        edge.try_get()      # room: a putter is moved in, or called back
        edge.close()        # before it has run
        for thread in threads:
            thread.join(10)
        assert len(outcome) == 2 and "closed" in outcome, outcome
        counts = edge.stats()
        assert counts.offered == counts.delivered + counts.depth, counts
print("released")
"""


def test_close_right_after_room_was_made_releases_everybody() -> None:
    ran = subprocess.run([sys.executable, "-c", CLOSE_AT_ONCE], capture_output=True, text=True, timeout=50)
    assert ran.stdout.strip() == "released", (ran.returncode, ran.stderr)


def test_keys_of_equal_hash_keep_their_turn() -> None:
    assert hash(-1) == hash(-2)
    edge = make_edge(3, by_itself())
    edge.put_many([10, 11, 12])
    calls = [waiting_put(edge, key) for key in (-1, 5, -2)]
    assert edge.get_many(2) == [10, 11]
    assert [call.outcome() for call in calls[:2]] == [PutResult.OK] * 2
    assert not calls[2].done()
    assert [edge.get(timeout=DEADLINE_S) for _ in range(4)] == [12, -1, 5, -2]
