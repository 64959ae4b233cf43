"""Nothing polls: a graph that waits costs no processor time and does not even wake up."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from edges import Call
from graphs import DEADLINE_S, Collect, Ticker, assert_stopped_clean, scheduler_of, until
from timing import SLOWDOWN, cpu_seconds, is_sleeping, voluntary_switches

from graphflow import Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
HOUR_MS = 3_600_000


def threads_of(start: Callable[[], object]) -> list[threading.Thread]:
    """The threads that `start` started."""
    before = set(threading.enumerate())
    start()
    return [thread for thread in threading.enumerate() if thread not in before]


def ticking(interval_ms: float) -> tuple[Scheduler, Ticker]:
    ticker = Ticker("ticker", interval_ms, lambda _: None)
    return scheduler_of(ticker, Collect("waits"), workers=4), ticker


def rest(threads: list[threading.Thread], seconds: float) -> tuple[int, float]:
    """How often the threads went to sleep in that time, and the processor time that they took."""
    until(lambda: all(is_sleeping(thread) for thread in threads))
    switches, cpu = voluntary_switches(threads), cpu_seconds(threads)
    time.sleep(seconds)
    return voluntary_switches(threads) - switches, cpu_seconds(threads) - cpu


@pytest.mark.alone
def test_an_idle_graph_wakes_up_for_its_ticks_only() -> None:
    """A tick wakes the keeper, and that one worker, each of which goes to sleep again: two switches, and one or two
    more where they meet at a lock or at the interpreter's. Four workers that looked every few milliseconds would have
    hundreds."""
    scheduler, ticker = ticking(50)
    threads = threads_of(scheduler.start)
    assert len(threads) == 5
    before = ticker.count
    switches, cpu = rest_while_ticking(threads, ticker, 20)
    ticks = ticker.count - before
    scheduler.shutdown()
    assert switches <= 6 * ticks + 10, f"{switches} switches in {ticks} ticks"
    assert cpu <= SLOWDOWN * 0.002 * ticks + 0.02  # measured in ticks of the kernel's clock, of 10 ms


def rest_while_ticking(threads: list[threading.Thread], ticker: Ticker, ticks: int) -> tuple[int, float]:
    wanted = ticker.count + ticks
    switches, cpu = voluntary_switches(threads), cpu_seconds(threads)
    deadline = time.monotonic() + DEADLINE_S
    while ticker.count < wanted:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return voluntary_switches(threads) - switches, cpu_seconds(threads) - cpu


@pytest.mark.alone
def test_a_graph_with_nothing_due_does_not_wake_up() -> None:
    scheduler, ticker = ticking(HOUR_MS)
    threads = threads_of(scheduler.start)
    switches, cpu = rest(threads, 1.0)
    scheduler.shutdown()
    assert ticker.count == 0
    assert switches <= 2
    assert cpu <= 0.02


@pytest.mark.alone
def test_producers_that_wait_for_room_cost_nothing() -> None:
    """Twenty threads sit in put(): neither they nor the workers run until there is room."""
    last = Collect()
    graph = Subgraph.from_nodes("g", [last])
    graph.expose_input("in", "collect:in", capacity=1)
    scheduler = scheduler_of(graph)
    scheduler.pause(last)
    workers = threads_of(scheduler.start)
    handle = scheduler.input("in")
    handle.put("first")
    calls = [Call(handle.put, number) for number in range(20)]
    until(lambda: handle.edge.stats().blocked >= 20)
    switches, cpu = rest([*workers, *(call.thread for call in calls)], 0.5)
    assert not any(call.done() for call in calls)
    assert switches <= 2
    assert cpu <= 0.02
    scheduler.resume(last)
    for call in calls:
        call.outcome()
    assert sorted(last.expect(21)[1:]) == list(range(20))
    assert_stopped_clean(graph, scheduler.shutdown())
