"""streamz: nodes call each other; no queues here."""

from __future__ import annotations

import time

from streamz import Stream

from peers import double, increment

PACKAGE = "streamz"
MESSAGES = 30_000


def run(count: int) -> tuple[float, int]:
    """The sink sums."""
    total = 0

    def add(number: int) -> None:
        nonlocal total
        total += number

    stream = Stream()
    stream.map(increment).map(double).sink(add)
    began = time.perf_counter()
    for number in range(count):
        stream.emit(number)
    return time.perf_counter() - began, total
