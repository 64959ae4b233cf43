"""Nodes that compute in pure Python: without the interpreter lock two workers are faster than one, and never wrong."""

from __future__ import annotations

import time

import pytest
from graphs import DEADLINE_S, Collect, Map, Source, assert_stopped_clean, chain, scheduler_of
from timing import has_gil

MESSAGES = 60


def compute(value: int) -> int:
    """A few milliseconds of arithmetic."""
    total = value
    for number in range(40_000):
        total = (total * 31 + number) % 1_000_003
    return total


def run(workers: int) -> tuple[float, list[int]]:
    last = Collect()
    graph = chain(Source("source", range(MESSAGES)), Map("a", compute), Map("b", compute), last, capacity=8)
    scheduler = scheduler_of(graph, workers=workers)
    began = time.perf_counter()
    scheduler.start()
    report = scheduler.wait(DEADLINE_S)
    seconds = time.perf_counter() - began
    assert_stopped_clean(graph, report)
    return seconds, last.seen


@pytest.mark.alone
def test_two_workers_compute_the_same_and_without_the_lock_sooner() -> None:
    """The best of a few tries: other processes may have a processor of the two for a while."""
    expected = [compute(compute(value)) for value in range(MESSAGES)]
    speedups = []
    for _ in range(5):
        (one, first), (two, second) = run(1), run(2)
        assert first == second == expected
        speedups.append(one / two)
        if has_gil() or speedups[-1] >= 1.5:
            break
    print(f"two workers are {max(speedups):.2f} times as fast as one")
    assert has_gil() or max(speedups) >= 1.5, speedups
    assert max(speedups) > 0.5, "a second worker does not make it slower by much, lock or not"
