"""Plain nested calls: no queues, no threads, no graph. What the functions themselves cost."""

from __future__ import annotations

import time

from peers import double, increment

PACKAGE = ""
MESSAGES = 300_000


def run(count: int) -> tuple[float, int]:
    """Call them one in the other."""
    total = 0
    began = time.perf_counter()
    for number in range(count):
        total += double(increment(number))
    return time.perf_counter() - began, total
