"""pypeln: a thread for each stage, queues with a bound."""

from __future__ import annotations

import time

import pypeln

from peers import CAPACITY, double, increment

PACKAGE = "pypeln"
MESSAGES = 5_000


def run(count: int) -> tuple[float, int]:
    """The calling thread sums."""
    began = time.perf_counter()
    stage = pypeln.thread.map(increment, range(count), workers=1, maxsize=CAPACITY)
    total = sum(pypeln.thread.map(double, stage, workers=1, maxsize=CAPACITY))
    return time.perf_counter() - began, total
