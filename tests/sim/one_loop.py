"""Coroutines in a simulation: a loop that runs one of them on a simulated thread, and may cancel it while it waits.

It is what asyncio is to aput() and aget(), on the simulation's clock: they are suspended until a ring of their edge, or
a timer, wakes them. A cancel comes at a drawn moment, or just when they have been rung and did not go on yet.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from graphflow.core.simulation.interleaver import acting

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from random import Random


class _Future:
    """What a coroutine waits for."""

    def __init__(self) -> None:
        self._done = False

    def done(self) -> bool:
        return self._done

    def set_result(self, result: None) -> None:
        self._done = True

    def __await__(self) -> Generator[_Future, None, None]:
        yield self


class _Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class _Loop:
    """The part of an event loop that graphflow.runtime.async_handles and core/edges/async_wait ask of one."""

    gives_way = True  # see refuse_in_simulation

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []  # appended to by whoever rings
        self.timers: list[tuple[float, _Timer, Callable[[], object]]] = []

    def is_closed(self) -> bool:
        return False

    def create_future(self) -> _Future:
        return _Future()

    def call_soon_threadsafe(self, call: Callable[[], object]) -> None:
        self.calls.append(call)

    def call_later(self, delay: float, call: Callable[[], object]) -> _Timer:
        self.timers.append((delay, _Timer(), call))
        return self.timers[-1][1]

    def turn(self) -> None:
        """Wait until something is to be called, and call it."""
        me = acting()
        assert me is not None
        timers = [(delay, call) for delay, timer, call in self.timers if not timer.cancelled]
        delay = min((delay for delay, _ in timers), default=None)
        if not me.await_condition(lambda: self.calls, delay):
            self.calls += [call for each, call in timers if each == delay]
        self.timers.clear()
        while self.calls:
            self.calls.pop(0)()


def run(coroutine: Coroutine[Any, Any, Any], rng: Random, cancels: float) -> Any:
    """Run a coroutine on the calling thread of a simulation; each time that it waits it is cancelled as often as
    `cancels` says, and raises CancelledError."""
    loop: Any = _Loop()
    me = acting()
    assert me is not None
    future: _Future
    asyncio._set_running_loop(loop)
    try:
        future = coroutine.send(None)
        while True:
            if rng.random() < cancels:
                me.await_condition(lambda: loop.calls, rng.choice([0.0, 0.0001, 0.001, None]))
                future = coroutine.throw(asyncio.CancelledError())
                raise AssertionError("a cancelled coroutine goes on")
            while not future.done():
                loop.turn()
            future = coroutine.send(None)
    except StopIteration as end:
        return end.value
    finally:
        asyncio._set_running_loop(None)
        coroutine.close()
