"""A worker that never rests lets another thread have the GIL when that has waited for a switch interval, no later.

What is counted is messages, not time: a machine that is busy with other things slows the worker and the waiting thread
alike. The interval is a long one, so that what the kernel does to the threads is small beside it.
"""

from __future__ import annotations

import signal
import sys
import time
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

import pytest
from busy import KINDS, busy
from graphs import DEADLINE_S, Collect, until
from timing import has_gil

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphflow import Scheduler

INTERVAL_S = 0.05
pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not has_gil(), reason="without a GIL there is nothing to share"),
    pytest.mark.untraced,  # the tracer is Python, which looks for the requests of others all the time
]


@pytest.fixture(autouse=True)
def _long_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(INTERVAL_S)
    yield
    sys.setswitchinterval(before)


def most_in_an_interval(stamps: list[float]) -> int:
    """The most messages that any span of one interval holds."""
    return max(bisect_right(stamps, first + INTERVAL_S) - place for place, first in enumerate(stamps))


def overdue(stamps: list[float], since: float, until_s: float, intervals: int = 1) -> int:
    """Messages that were handled when somebody who waited from `since` to `until_s` had waited for his intervals."""
    return max(0, bisect_left(stamps, until_s) - bisect_right(stamps, since + intervals * INTERVAL_S))


def assert_in_time(stamps: list[float], waits: list[tuple[float, float]], intervals: int) -> None:
    """In most of the waits hardly more was handled than their intervals hold; the kernel may spoil the rest."""
    most = most_in_an_interval(stamps)
    assert most > 100, "the graph was busy"
    late = sorted(overdue(stamps, *wait, intervals) for wait in waits)
    assert late[len(late) // 2] <= most, f"{late} messages after {intervals} intervals, each of which holds {most}"


def settled(scheduler: Scheduler, stamps: list[float]) -> None:
    """Wait until the graph is busy."""
    until(lambda: len(stamps) > 1000, DEADLINE_S)
    del stamps[:]


@pytest.mark.parametrize(("kind", "workers"), [(kind, 1) for kind in KINDS] + [("dedicated", 2), ("async", 2)])
def test_a_sleeping_thread_is_back_after_one_interval(kind: str, workers: int) -> None:
    """With one worker, and with one busy node on a thread of its own beside two workers that are idle."""
    stamps: list[float] = []
    naps = []
    with busy(kind, workers, stamps.append, nodes=1) as (scheduler, _):
        settled(scheduler, stamps)
        for _ in range(5):
            begun = time.perf_counter()
            time.sleep(0.01)
            naps.append((begun + 0.01, time.perf_counter()))
    assert_in_time(stamps, naps, 1)


@pytest.mark.parametrize("kind", ["class", "in c"])
def test_a_putter_that_waits_is_back_in_time(kind: str) -> None:
    """A put into a full input: once the item before it is taken the putter waits for nothing but the GIL."""
    stamps: list[float] = []
    puts = []
    with busy(kind, 1, stamps.append, extra=Collect("beside")) as (scheduler, _):
        settled(scheduler, stamps)
        inlet = scheduler.input("beside")
        for number in range(6):
            begun = time.perf_counter()
            inlet.put(number, timeout=DEADLINE_S)
            puts.append((begun, time.perf_counter()))
    assert_in_time(stamps, puts[1:], 2)  # one for the worker to come by, as it is told of the edge; one for the GIL


@pytest.mark.parametrize("kind", ["class", "in c"])
def test_a_signal_is_handled_in_time(kind: str) -> None:
    """The main thread waits for the end of the run; a handler raises there, as that of Ctrl-C does."""
    stamps: list[float] = []
    waits = []

    def strike(number: int, frame: object) -> None:
        waits.append((due, time.perf_counter()))
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, strike)
    try:
        with busy(kind, 1, stamps.append) as (scheduler, _):
            settled(scheduler, stamps)
            for _ in range(5):
                due = time.perf_counter() + 0.02
                signal.setitimer(signal.ITIMER_REAL, 0.02)
                with pytest.raises(KeyboardInterrupt):
                    scheduler.wait(DEADLINE_S)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert_in_time(stamps, waits, 1)


@pytest.mark.parametrize("kind", ["class", "in c"])
def test_a_shutdown_is_heard_in_time(kind: str) -> None:
    """A thread that wakes up and asks for the end: what is handled until then is what two intervals hold."""
    waits = []
    stamps: list[float] = []
    for _ in range(3):
        with busy(kind, 1, stamps.append) as (scheduler, _):
            until(lambda: len(stamps) > 1000, DEADLINE_S)
            begun = time.perf_counter()
            time.sleep(0.01)
            assert scheduler.shutdown(drain=False, timeout=DEADLINE_S).reason == "shutdown"
            waits.append((begun + 0.01, time.perf_counter()))
    assert_in_time(stamps, waits, 2)
