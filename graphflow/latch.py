"""An event that is set once, for threads and for coroutines."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from graphflow.core.baton import acting
from graphflow.errors import SchedulerStateError


class Latch(threading.Event):
    """A threading.Event that coroutines can wait for too, in any loop of any thread. Nobody clears it.

    A coroutine registers, then looks whether it is set; who sets it does so first, and then wakes all that are
    registered. So one of the two sees the other. The set of futures changes by single operations and needs no lock.
    """

    def __init__(self) -> None:
        super().__init__()
        self._futures: set[asyncio.Future[None]] = set()

    def set(self) -> None:
        """Let everybody go on, now and later."""
        super().set()
        while self._futures:
            with suppress(KeyError, RuntimeError):  # the last has just left; the loop is closed
                future = self._futures.pop()
                future.get_loop().call_soon_threadsafe(_resolve, future)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set (True), or `timeout` seconds have passed. A thread of a simulation lets others go on."""
        actor = acting()
        return super().wait(timeout) if actor is None else actor.await_condition(self.is_set, timeout)

    async def arrival(self) -> None:
        """Wait until it is set. SchedulerStateError on a thread of a simulation."""
        refuse_in_simulation("to await the start or the end of a run", "start(), wait() or shutdown()")
        future = asyncio.get_running_loop().create_future()
        self._futures.add(future)
        try:
            if not self.is_set():
                await future
        finally:
            self._futures.discard(future)


def refuse_in_simulation(what: str, instead: str) -> None:
    """SchedulerStateError on a thread of a simulation: an event loop would hold up everybody there."""
    if acting() is not None:
        raise SchedulerStateError(
            f"{what} works on no thread of a simulation, where nobody else may go on while an event loop waits: "
            f"use {instead}"
        )


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
