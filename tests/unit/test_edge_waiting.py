"""Waiting for room and for items: timeouts, and close() which releases everybody."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from edges import DEADLINE_S, Call, drained, make_edge, waiting_get, waiting_put

from graphflow import Coalesce, Drop, Edge, EdgeClosed, Latest, Policy, PutResult


def test_a_put_waits_for_room() -> None:
    edge = make_edge(1)
    edge.put(1)
    call = waiting_put(edge, 2)
    assert edge.get() == 1
    assert call.outcome() is PutResult.OK
    assert edge.get() == 2


def test_a_get_waits_for_an_item() -> None:
    edge = make_edge(1)
    call = waiting_get(edge)
    edge.put(1)
    assert call.outcome() == 1


def test_the_item_of_a_waiting_putter_is_in_before_the_get_that_made_room_returns() -> None:
    edge = make_edge(1)
    edge.put(1)
    call = waiting_put(edge, 2)
    # With the interpreter to itself, this thread sees the item in although the putter has not run again.
    assert [edge.try_get(), edge.try_get()] == [1, 2]
    assert call.outcome() is PutResult.OK


@pytest.mark.parametrize("timeout", [0.03, 0.2])
@pytest.mark.parametrize("call", ["put", "get"])
def test_a_timeout_is_kept(call: str, timeout: float) -> None:
    edge = make_edge(1)
    if call == "put":
        edge.put(1)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        getattr(edge, call)(*([2] if call == "put" else []), timeout=timeout)
    assert timeout * 0.99 <= time.monotonic() - started < timeout + 5


def test_the_longest_timeouts_wait() -> None:
    edge = make_edge(1)
    for timeout in (threading.TIMEOUT_MAX, 1e9, 9e9):
        call = waiting_get(edge, timeout)
        edge.put(1)
        assert call.outcome() == 1
        edge.put("full")
        call = waiting_put(edge, 1, timeout)
        assert edge.get() == "full"
        assert call.outcome() is PutResult.OK
        assert edge.get() == 1


def test_a_put_that_timed_out_is_not_in() -> None:
    edge = make_edge(1)
    edge.put(1)
    with pytest.raises(TimeoutError, match="not put"):
        edge.put(2, timeout=0.02)
    assert drained(edge) == [1]
    assert edge.put(3, timeout=0) is PutResult.OK


def test_close_releases_everybody_who_waits_to_put() -> None:
    edge = make_edge(1, control_capacity=1)
    edge.put(1)
    calls = [waiting_put(edge, number) for number in range(5)]
    edge.close()
    assert all(call.was_closed() for call in calls)
    assert drained(edge) == [1]


@pytest.mark.parametrize("getters", [1, 2, 5])
def test_close_releases_everybody_who_waits_to_get(getters: int) -> None:
    edge = make_edge()
    calls = [waiting_get(edge) for _ in range(getters)]
    edge.close()
    assert all(call.was_closed() for call in calls)


@pytest.mark.parametrize("policy", [None, Drop(), Latest(), Coalesce(max), Coalesce(max, key=id)])
def test_a_closed_edge_takes_nothing_and_gives_what_it_has(policy: Policy | None) -> None:
    edge = make_edge(3, policy)
    edge.put_many([1, 2])
    edge.close()
    edge.close()
    assert edge.closed
    for put in (edge.put, edge.try_put):
        with pytest.raises(EdgeClosed, match="a:out->b:in"):
            put(3)
    with pytest.raises(EdgeClosed):
        edge.put_many([3])
    assert edge.get() == 1
    assert edge.get_many(5) == [2]
    assert edge.try_get() is None
    with pytest.raises(EdgeClosed):
        edge.get(timeout=0)
    with pytest.raises(EdgeClosed):
        edge.get()
    with pytest.raises(EdgeClosed):
        edge.get_many(5)
    assert edge.stats().offered == 2


def test_a_putter_released_by_close_keeps_its_item() -> None:
    edge = make_edge(1)
    edge.put(1)
    item = object()
    call = waiting_put(edge, item)
    edge.close()
    assert call.was_closed()
    assert edge.stats().offered == 1


def test_a_get_and_a_close_leave_each_waiting_putter_in_or_out(fast_switching: None) -> None:
    def put(edge: Edge, barrier: threading.Barrier, item: int) -> bool:
        barrier.wait(DEADLINE_S)
        try:
            edge.put(item)
        except EdgeClosed:
            return False
        return True

    def take(edge: Edge, barrier: threading.Barrier) -> object:
        barrier.wait(DEADLINE_S)
        return edge.try_get()

    for _ in range(100):
        edge = make_edge(1)
        edge.put("first")
        barrier = threading.Barrier(4)
        putters = [Call(put, edge, barrier, number) for number in range(2)]
        taker = Call(take, edge, barrier)
        barrier.wait(DEADLINE_S)
        edge.close()
        went_in = {number for number, call in enumerate(putters) if call.outcome()}
        taken = [taker.outcome(), *drained(edge)]
        assert {item for item in taken if isinstance(item, int)} == went_in
        assert taken.count("first") == 1


def test_timeouts_that_race_with_room_leave_each_item_in_or_out(fast_switching: None) -> None:
    edge = make_edge(1)
    accepted: list[int] = []
    taken: list[int] = []
    done = threading.Event()

    def put(start: int) -> None:
        for number in range(start, start + 300):
            try:
                edge.put(number, timeout=0.00002)
            except TimeoutError:
                continue
            accepted.append(number)

    def take() -> None:
        while not done.is_set() or not edge.is_empty():
            item = edge.try_get()
            if item is not None:
                taken.append(item)

    putters = [Call(put, 1000 * number) for number in range(4)]
    taker = Call(take)
    for call in putters:
        call.outcome()
    done.set()
    taker.outcome()
    assert sorted(taken) == sorted(accepted)
    assert edge.stats().offered == len(accepted)


def test_timeouts_of_getters_lose_no_item(fast_switching: None) -> None:
    edge = make_edge(2)
    taken: list[int] = []

    def take() -> None:
        while True:
            try:
                taken.append(edge.get(timeout=0.00002))
            except TimeoutError:
                continue
            except EdgeClosed:
                return

    getters = [Call(take) for _ in range(4)]
    for number in range(1500):
        edge.put(number, timeout=DEADLINE_S)
    edge.close()
    for call in getters:
        call.outcome()
    assert sorted(taken) == list(range(1500))


def test_a_signal_that_is_handled_does_not_stretch_the_timeout() -> None:
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            make_edge().get(timeout=0.2)
        assert 0.19 < time.monotonic() - started < 5
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_waiting_uses_no_processor_time() -> None:
    edge = make_edge(1)
    calls = [waiting_get(edge) for _ in range(4)]
    used = time.process_time()
    with pytest.raises(TimeoutError):
        make_edge().get(timeout=0.4)
    assert time.process_time() - used < 0.1
    edge.close()
    assert all(call.was_closed() for call in calls)


def test_a_waiting_thread_leaves_the_interpreter_to_others() -> None:
    edge = make_edge()
    call = waiting_get(edge)
    assert sum(range(100_000)) > 0  # this thread goes on
    edge.put(1)
    assert call.outcome() == 1
