"""queue.Queue by hand: a thread for each node."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from peers import CAPACITY, double, increment

PACKAGE = ""
MESSAGES = 50_000

Line = queue.Queue[int | None]


def run(count: int) -> tuple[float, int]:
    """None ends a line."""
    lines: list[Line] = [queue.Queue(CAPACITY) for _ in range(3)]

    def source() -> None:
        for number in range(count):
            lines[0].put(number)
        lines[0].put(None)

    def step(function: Callable[[int], int], inlet: Line, outlet: Line) -> None:
        while (number := inlet.get()) is not None:
            outlet.put(function(number))
        outlet.put(None)

    threads = [
        threading.Thread(target=source),
        threading.Thread(target=step, args=(increment, lines[0], lines[1])),
        threading.Thread(target=step, args=(double, lines[1], lines[2])),
    ]
    total = 0
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    while (number := lines[2].get()) is not None:
        total += number
    spent = time.perf_counter() - began
    for thread in threads:
        thread.join()
    return spent, total
