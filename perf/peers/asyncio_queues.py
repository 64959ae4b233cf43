"""asyncio.Queue by hand: a task for each node, one thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from peers import CAPACITY, double, increment

PACKAGE = ""
MESSAGES = 100_000

Line = asyncio.Queue[int | None]


def run(count: int) -> tuple[float, int]:
    """None ends a line."""
    return asyncio.run(_main(count))


async def _main(count: int) -> tuple[float, int]:
    lines: list[Line] = [asyncio.Queue(CAPACITY) for _ in range(3)]

    async def source() -> None:
        for number in range(count):
            await lines[0].put(number)
        await lines[0].put(None)

    async def step(function: Callable[[int], int], inlet: Line, outlet: Line) -> None:
        while (number := await inlet.get()) is not None:
            await outlet.put(function(number))
        await outlet.put(None)

    total = 0
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(source())
        tasks.create_task(step(increment, lines[0], lines[1]))
        tasks.create_task(step(double, lines[1], lines[2]))
        while (number := await lines[2].get()) is not None:
            total += number
    return time.perf_counter() - began, total
