"""Figures that are ratios: work and yardstick in turn, in slices of a few milliseconds, inside one worker process.

A time in nanoseconds tells as much about the machine, and what else it does, as about the code. So each slice of work
stands between slices of a yardstick that this project cannot change, both are measured in CPU time, and the quotient is
kept. A value is the median of BLOCKS such comparisons.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from figures import Figures, Hold

BLOCKS = 6

Clock = Callable[[], float]
# Does the operation n times and returns what the clock says it took, in seconds.
Measured = Callable[[int, Clock], float]

# What a test of the gate plants: a share by which the operations of a slice are made more. (Work that is a whole run of
# a graph stays one run.)
PLANT = float(os.environ.get("GRAPHFLOW_BENCH_PLANT", "0"))


def deque_pair(n: int, clock: Clock) -> float:
    """The yardstick of queues and hops: one append and one popleft of a deque."""
    queue: deque[int] = deque()
    put, get = queue.append, queue.popleft
    began = clock()
    for _ in range(n):
        put(1)
        get()
    return clock() - began


class _Empty:
    def method(self) -> None:
        """Does nothing."""


def method_call(n: int, clock: Clock) -> float:
    """The yardstick of Python calls: one call of an empty method."""
    call = _Empty().method
    began = clock()
    for _ in range(n):
        call()
    return clock() - began


def ratio(
    work: Measured, works: int, yard: Measured, yards: int, clock: Clock = time.thread_time, times: int = BLOCKS
) -> float:
    """Cost of one operation of `work`, in operations of `yard`: the median of `times` comparisons."""
    blocks = []
    planted = works + int(works * PLANT)
    gc.collect()
    gc.disable()  # a collection in one slice and none in the other tells nothing
    try:
        for _ in range(times):
            standard = yard(yards, clock)
            spent = work(planted, clock) + work(planted, clock)
            standard += yard(yards, clock)
            blocks.append((spent / works) / (standard / yards))
    finally:
        gc.enable()
    return statistics.median(blocks)


def add_ratio(
    figures: Figures,
    name: str,
    work: Measured,
    works: int,
    *,
    yard: Measured = deque_pair,
    yards: int = 50_000,
    clock: Clock = time.thread_time,
    hold: Hold = "tight",
    times: int = BLOCKS,
) -> None:
    """Add a figure: what `work` costs in operations of `yard`.

    `works` and `yards` are the operations of one slice; choose them so that both take 2 to 10 ms. `clock` is
    time.thread_time where all the work is done by the calling thread, time.process_time where it is done by a worker
    while the caller waits, time.perf_counter where threads wait for each other.
    """
    figures.add(name, lambda: ratio(work, works, yard, yards, clock, times), hold)
