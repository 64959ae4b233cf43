"""Tasks that async hooks start by themselves on the scheduler's event loop: they end with the run."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from graphs import DEADLINE_S, scheduler_of, until

from graphflow import Node


class Starts(Node):
    """Starts a task in its on_start."""

    def __init__(self, work: Any) -> None:
        super().__init__("starts", inputs=("in",))
        self.work = work
        self.log: list[str] = []
        self.task: asyncio.Task[None] | None = None

    async def on_start(self) -> None:
        self.task = asyncio.create_task(self.work(self.log), name="poller")
        await asyncio.sleep(0)

    async def on_stop(self) -> None:
        self.log.append("on_stop")


def test_a_task_is_cancelled_after_the_last_hook_and_what_it_then_awaits_is_awaited() -> None:
    async def work(log: list[str]) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            log.append("cancelled")
            await asyncio.sleep(0.3)  # longer than the grace that a coroutine has which is cut off
            log.append("cleared up")

    node = Starts(work)
    scheduler = scheduler_of(node)
    scheduler.start()
    report = scheduler.shutdown(timeout=DEADLINE_S)
    assert report.complete, report
    assert report.abandoned_tasks == ()
    assert node.log == ["on_stop", "cancelled", "cleared up"]


def test_one_that_refuses_is_named_and_the_stop_keeps_to_its_time() -> None:
    async def work(log: list[str]) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                log.append("refused")

    node = Starts(work)
    scheduler = scheduler_of(node)
    scheduler.start()
    began = time.monotonic()
    report = scheduler.shutdown(timeout=1)
    assert time.monotonic() - began < 1 + DEADLINE_S / 10
    assert not report.complete
    assert report.abandoned_tasks == ("poller",)
    assert "poller did not end when it was cancelled" in str(report)
    assert node.log == ["on_stop", "refused"]


def test_one_that_blocks_the_loop_is_named_too() -> None:
    blocked = threading.Event()

    async def work(log: list[str]) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            blocked.wait(DEADLINE_S)

    node = Starts(work)
    scheduler = scheduler_of(node)
    scheduler.start()
    report = scheduler.shutdown(timeout=0.5)
    blocked.set()
    assert report.abandoned_tasks == ("poller",)
    assert not report.complete
    assert node.task is not None
    until(node.task.done)


def test_a_task_that_has_ended_is_nobodys_to_name() -> None:
    async def work(log: list[str]) -> None:
        log.append("done")

    node = Starts(work)
    scheduler = scheduler_of(node)
    scheduler.start()
    assert scheduler.shutdown(timeout=DEADLINE_S).complete
    assert node.log == ["done", "on_stop"]
