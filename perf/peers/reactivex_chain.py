"""reactivex: operators call each other; no queues, no threads, no backpressure."""

from __future__ import annotations

import time

import reactivex
from reactivex import operators

from peers import double, increment

PACKAGE = "reactivex"
MESSAGES = 100_000


def run(count: int) -> tuple[float, int]:
    """The subscriber sums."""
    total = 0

    def add(number: int) -> None:
        nonlocal total
        total += number

    began = time.perf_counter()
    reactivex.from_iterable(range(count)).pipe(operators.map(increment), operators.map(double)).subscribe(add)
    return time.perf_counter() - began, total
