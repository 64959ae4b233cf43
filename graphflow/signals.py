"""Signals that stop a run, caught while it is waited for, and the threads that wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

_UNCATCHABLE = (signal.SIGKILL, signal.SIGSTOP)


@contextmanager
def stop_signals(signals: Iterable[int], handle: Callable[[int, int], None]) -> Iterator[list[int]]:
    """On the main thread, call handle(number, how many so far) for each of `signals`; yields the list of those caught.

    Elsewhere it does nothing: only the main thread may set handlers. The earlier handlers are put back at the end.
    Raises TypeError or ValueError for signals that are none or that cannot be caught.
    """
    numbers = _checked(signals)
    caught: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
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
    numbers = list(signals)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"{allowed}, not {number!r}")
        if number not in signal.valid_signals() or number in _UNCATCHABLE:
            raise ValueError(f"{allowed} that can be caught, not {number!r}")
    return numbers
