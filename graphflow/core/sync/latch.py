"""An event that is set once, for threads and for coroutines."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from graphflow.base.errors import SchedulerStateError
from graphflow.core.simulation.interleaver import acting


class Latch:
    """As a threading.Event, that coroutines can wait for too, in any loop of any thread. Nobody clears it.

    Who waits registers, then looks whether it is set; who sets it does so first, and then wakes all that are
    registered. So one of the two sees the other. The sets of those who wait change by single operations and need no
    lock: so there is none that a signal handler, or a forked child, could find held.
    """

    def __init__(self) -> None:
        self._set = False
        self._bells: set[threading.Lock] = set()  # held; a thread that waits wants its own
        self._futures: set[asyncio.Future[None]] = set()

    def is_set(self) -> bool:
        """Has set() been called?"""
        return self._set

    def set(self) -> None:
        """Let everybody go on, now and later."""
        self._set = True
        self.rouse()
        while self._futures:
            with suppress(KeyError, RuntimeError):  # the last has just left; the loop is closed
                future = self._futures.pop()
                future.get_loop().call_soon_threadsafe(_resolve, future)

    def rouse(self) -> None:
        """End the waits of threads, set or not: in a forked child nobody sets it, and one may have been interrupted by
        a signal handler that forked."""
        while self._bells:
            with suppress(KeyError):
                self._bells.pop().release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set (True), or `timeout` seconds have passed. A thread of a simulation lets others go on."""
        actor = acting()
        if actor is not None:
            return actor.await_condition(self.is_set, timeout)
        bell = threading.Lock()
        bell.acquire()
        self._bells.add(bell)
        try:
            if not self._set:
                bell.acquire(timeout=-1 if timeout is None else max(timeout, 0))
        finally:
            self._bells.discard(bell)
        return self._set

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
    """SchedulerStateError on a thread of a simulation: an event loop would hold up everybody there, but for one that
    waits as the simulation's threads do, and says so (`gives_way`)."""
    if acting() is not None and not getattr(asyncio._get_running_loop(), "gives_way", False):
        raise SchedulerStateError(
            f"{what} works on no thread of a simulation, where nobody else may go on while an event loop waits: "
            f"use {instead}"
        )


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
