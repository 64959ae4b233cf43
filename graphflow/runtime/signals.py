"""Signals that stop a run, caught while it is waited for, and the threads that wait."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

_UNCATCHABLE = (signal.SIGKILL, signal.SIGSTOP)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What `run()` catches unless it is told otherwise: SIGHUP only where nothing is set for it (`nohup` ignores it)."""

HURRY_S = 0.8
"""What a second signal leaves a run: somebody waits at a prompt, or is about to send SIGKILL."""

# Two of the same signal within this time are one: supervisors, and `timeout`, send it to the process and to its group.
_ECHO_S = 0.1


@contextmanager
def stop_signals(signals: Iterable[int], handle: Callable[[int, int], None]) -> Iterator[list[int]]:
    """On the main thread, call handle(number, how many so far) for each of `signals`; yields the list of those caught.
    The same one again within a tenth of a second does not count.

    Elsewhere it does nothing: only the main thread may set handlers. The earlier handlers are put back at the end.
    Raises TypeError or ValueError for signals that are none or that cannot be caught.
    """
    numbers = _checked(signals)
    caught: list[int] = []

    latest: dict[int, float] = {}

    def on_signal(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - latest.get(number, -_ECHO_S) < _ECHO_S:
            return
        latest[number] = now
        caught.append(number)
        handle(number, len(caught))

    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    before = {}
    try:
        for number in numbers:
            before[number] = signal.signal(number, on_signal)
        yield caught
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: it was not set from Python, and cannot be put back from here
                signal.signal(number, handler)


class Waiting:
    """The threads that wait for a run. A signal handler on one of them must not wait too: its shutdown() only asks."""

    def __init__(self) -> None:
        self._threads: set[int] = set()  # a thread adds and removes itself only

    @contextmanager
    def here(self) -> Iterator[None]:
        """This thread waits meanwhile."""
        me = threading.get_ident()
        nested = me in self._threads
        self._threads.add(me)
        try:
            yield
        finally:
            if not nested:
                self._threads.discard(me)

    def is_here(self) -> bool:
        """Is this code on such a thread, so in a handler that has interrupted it?"""
        return threading.get_ident() in self._threads


def _checked(signals: object) -> list[int]:
    allowed = "signals must be numbers of signals, as (SIGINT, SIGTERM)"
    if isinstance(signals, (str, bytes)) or not isinstance(signals, Iterable):
        raise TypeError(f"{allowed}, not {signals!r}")
    if signals is STOP_SIGNALS and signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        return [signal.SIGINT, signal.SIGTERM]
    numbers = list(signals)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"{allowed}, not {number!r}")
        if number not in signal.valid_signals() or number in _UNCATCHABLE:
            raise ValueError(f"{allowed} that can be caught, not {number!r}")
    return numbers
