"""What costs nothing: idle graphs, blocked producers; and ticks that keep their time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from graphs import DEADLINE_S, Collect, Gate, Map, Ticker, chain, scheduler_of, until
from timing import SLOWDOWN

from graphflow import Subgraph

if TYPE_CHECKING:
    from collections.abc import Callable


def cpu_share_of(seconds: float, do: Callable[[], object]) -> float:
    """CPU seconds of this process in a second of doing something else."""
    cpu, clock = time.process_time(), time.monotonic()
    do()
    threading.Event().wait(seconds)
    return (time.process_time() - cpu) / (time.monotonic() - clock)


def test_a_thousand_ticks_do_not_drift() -> None:
    """The k-th tick is due at start + k intervals: lateness does not add up."""
    interval_s = 0.001 * SLOWDOWN
    times: list[float] = []
    ticker = Ticker("ticker", interval_s * 1000, lambda _: times.append(time.monotonic()))
    with scheduler_of(ticker):
        until(lambda: len(times) >= 1000 // SLOWDOWN)
    # How late each is against the grid through the earliest; a sum of delays would grow from quarter to quarter.
    anchor = min(when - round((when - times[0]) / interval_s) * interval_s for when in times)
    lateness = [(when - anchor) % interval_s for when in times]
    quarter = len(lateness) // 4
    first, last = sorted(lateness[:quarter])[quarter // 2], sorted(lateness[-quarter:])[quarter // 2]
    assert abs(last - first) < interval_s / 2
    assert len(times) <= (max(times) - anchor) / interval_s + 2  # no more ticks than points of the grid


def test_a_slow_tick_delays_nobody_else_with_a_free_worker() -> None:
    inside, leave = threading.Event(), threading.Event()

    def hang(_: Ticker) -> None:
        inside.set()
        leave.wait(DEADLINE_S)

    slow, quick = Ticker("slow", 1.0, hang), Ticker("quick", 2.0, lambda _: None)
    graph = Subgraph.from_nodes("g", [slow, quick])
    with scheduler_of(graph, workers=2):
        assert inside.wait(DEADLINE_S)
        count = quick.count
        until(lambda: quick.count >= count + 10)
        assert slow.count == 1
        leave.set()


@pytest.mark.untraced
def test_an_idle_graph_costs_nothing_between_its_ticks() -> None:
    """A hundred nodes and twenty ticks a second: each tick is two wake-ups, some tens of microseconds."""
    nodes = [Map(f"n{number}") for number in range(100)]
    ticker = Ticker("ticker", 50.0, lambda _: None)
    graph = chain(*nodes)
    graph.add_node(ticker)
    graph.expose_input("in", "n0:in")
    with scheduler_of(graph, workers=4):
        until(lambda: ticker.count >= 2)
        before = ticker.count
        assert cpu_share_of(0.5, lambda: None) < 0.1
        assert ticker.count > before


@pytest.mark.untraced
def test_blocked_producers_cost_no_cpu_while_they_wait() -> None:
    gate, last = Gate(), Collect()
    graph = chain(Map("first"), gate, capacity=1)
    graph.add_node(last)
    graph.expose_input("in", "first:in", capacity=1)
    with scheduler_of(graph) as scheduler:
        inlet = scheduler.input("in")
        threads = [threading.Thread(target=inlet.put, args=(number, DEADLINE_S)) for number in range(20)]

        def block() -> None:
            for thread in threads:
                thread.start()
            until(lambda: scheduler.get_stats()["edges"]["input:in->first:in"]["depth"] == 1)

        block()
        assert gate.entered.wait(DEADLINE_S)
        assert cpu_share_of(0.5, lambda: None) < 0.1
        gate.opened.set()
        for thread in threads:
            thread.join(DEADLINE_S)
        gate.expect(20)
    assert sorted(gate.seen) == list(range(20))


def test_pausing_the_sources_stops_them_all_and_nothing_else() -> None:
    class Counts(Ticker):
        def produce(self) -> object:
            number = 0
            while True:
                yield number
                number += 1

    first, second, last = Counts("first", 3_600_000, print), Counts("second", 3_600_000, print), Collect()
    graph = Subgraph.from_nodes("g", [first, second, last])
    graph.connect("first:out", "collect:in", capacity=4)
    graph.connect("second:out", "collect:in", capacity=4)
    graph.expose_input("in", "collect:in")
    scheduler = scheduler_of(graph)
    scheduler.pause()
    with scheduler:
        scheduler.input("in").put("mine")
        assert last.expect(1) == ["mine"]  # the sources are paused, the rest is not
        scheduler.resume()
        last.expect(100)
        scheduler.pause()
        until(lambda: scheduler.get_stats()["runnable_nodes"] == 0)
        count = len(last.messages)
        scheduler.input("in").put("again")
        assert last.expect(count + 1)[count:] == ["again"]
        scheduler.resume("first")
        last.expect(count + 50)
