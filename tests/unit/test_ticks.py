"""Ticks: whose interval counts, what a missed one becomes, and whom they keep alive."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Source,
    Ticker,
    assert_stopped_clean,
    chain,
    run_graph,
    scheduler_of,
    until,
)
from timing import SLOWDOWN

from graphflow import GraphValidationError, Message, Node, Subgraph

if TYPE_CHECKING:
    pass


class Beat(Node):
    """Notes when it was ticked."""

    def __init__(self, name: str, interval_ms: float | None = None, inputs: str | tuple[str, ...] = ()) -> None:
        super().__init__(name, inputs)
        self.tick_interval_ms = interval_ms
        self.times: list[float] = []
        self.enough = threading.Event()
        self.wanted = 1
        self.takes: list[float] = []  # how long each tick takes, from the first on; the last counts for the rest

    def on_tick(self) -> None:
        self.times.append(time.monotonic())
        if len(self.times) >= self.wanted:
            self.enough.set()
        if self.takes:
            time.sleep(self.takes.pop(0) if len(self.takes) > 1 else self.takes[0])

    def expect(self, count: int) -> None:
        self.wanted = count
        if len(self.times) < count:
            assert self.enough.wait(DEADLINE_S), f"{len(self.times)} ticks"


@pytest.mark.alone
def test_each_node_has_its_own_interval_and_the_configs_by_default() -> None:
    fast, slow, default = Beat("fast", 2), Beat("slow", 1e9), Beat("default")
    graph = Subgraph.from_nodes("g", [fast, slow, default])
    started = time.monotonic()
    with scheduler_of(graph, tick_interval_ms=40) as scheduler:
        default.expect(5)
        passed = time.monotonic() - started
        scheduler.shutdown()
    assert passed >= 5 * 0.040
    assert len(fast.times) > 3 * len(default.times)  # 20 times as many, if the machine is not too busy
    assert slow.times == []


@pytest.mark.alone
def test_ticks_keep_to_their_grid() -> None:
    """Late ticks do not push the later ones: no drift."""
    beat = Beat("beat", 5)
    started = time.monotonic()
    with scheduler_of(beat) as scheduler:
        beat.expect(60)
        scheduler.shutdown()
    assert beat.times[59] - started >= 60 * 0.005  # never early
    near = max(  # of the grid through whichever of them was the most punctual
        sum(abs((when - punctual + 0.0025) % 0.005 - 0.0025) < 0.001 for when in beat.times) for punctual in beat.times
    )
    assert near > len(beat.times) / 2


def test_missed_ticks_become_one() -> None:
    inside, free = threading.Event(), threading.Event()
    count = 0

    def slow_once(ticker: Ticker) -> None:
        nonlocal count
        count += 1
        if count == 1:
            inside.set()
            assert free.wait(DEADLINE_S)

    ticker, other = Ticker("ticker", 2, slow_once), Beat("other", 2)
    with scheduler_of(Subgraph.from_nodes("g", [ticker, other]), workers=2) as scheduler:
        assert inside.wait(DEADLINE_S)
        seen = len(other.times)
        other.expect(seen + 30)  # thirty are missed; a slow tick delays nobody else's
        before = count
        free.set()
        other.enough.clear()
        other.expect(len(other.times) + 3)
        after = count
        scheduler.shutdown()
    assert before == 1
    assert after <= 1 + 1 + 15  # the missed ones as one, and the few that came due since


def test_only_a_node_without_inputs_keeps_the_graph_alive_by_ticking() -> None:
    with_input = Beat("beat", 1, inputs="in")
    graph = Subgraph.from_nodes("g", [Source("source", range(10)), with_input])
    graph.connect("source:out", "beat:in")
    report = run_graph(graph)
    assert report.reason == "completed"
    assert_stopped_clean(graph, report)

    alone = Beat("alone", 1)
    with scheduler_of(alone) as scheduler:
        alone.expect(5)
        assert scheduler.is_running()
        with pytest.raises(TimeoutError, match="running"):
            scheduler.wait(0.01)
        scheduler.shutdown()
    ticks = len(alone.times)
    assert threading.Event().wait(0.01) is False
    assert len(alone.times) == ticks  # none after the stop


def test_ticks_come_while_messages_flood_in() -> None:
    class Flooded(Beat):
        def on_message(self, port: str, msg: Message) -> None:
            self.handled = msg.payload

    def for_ever() -> Any:
        number = 0
        while True:
            number += 1
            yield number

    node = Flooded("flooded", 2, inputs="in")
    graph = Subgraph.from_nodes("g", [Source("source", for_ever()), node])
    graph.connect("source:out", "flooded:in", capacity=1000)
    with scheduler_of(graph, workers=1) as scheduler:
        node.expect(20)
        report = scheduler.shutdown()
    assert_stopped_clean(graph, report)


def test_emissions_of_ticks_are_delivered_and_a_tick_driven_node_meets_its_limit() -> None:
    raised = threading.Event()

    def burst(ticker: Ticker) -> None:
        try:
            for _ in range(3):
                ticker.emit("out", ticker.sent)  # type: ignore[attr-defined]
                ticker.sent += 1  # type: ignore[attr-defined]
        except Exception:
            raised.set()
            raise

    ticker, last = Ticker("ticker", 1, burst), Collect()
    ticker.sent = 0  # type: ignore[attr-defined]
    graph = chain(ticker, last, capacity=1)
    scheduler = scheduler_of(graph, outbox_limit=1)
    scheduler.pause(last)
    with scheduler:
        assert raised.wait(DEADLINE_S)
        scheduler.resume(last)
        last.expect(20)
        report = scheduler.shutdown()
    assert last.seen == list(range(ticker.sent))  # type: ignore[attr-defined]
    assert report.error_counts["ticker"] >= 1
    assert_stopped_clean(graph, report)


def test_a_tick_that_raises_is_counted_and_the_next_one_comes() -> None:
    def fail(ticker: Ticker) -> None:
        if ticker.count % 2:
            raise ValueError(f"tick {ticker.count}")

    ticker = Ticker("ticker", 1, fail)
    with scheduler_of(ticker) as scheduler:
        until(lambda: ticker.count >= 6)
        report = scheduler.shutdown()
    assert report.error_counts["ticker"] == (ticker.count + 1) // 2


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), "50", True, 1e13])
def test_an_impossible_interval_is_refused(interval: Any) -> None:
    with pytest.raises(GraphValidationError, match=r"BAD_TICK.*beat.*tick_interval_ms"):
        scheduler_of(Beat("beat", interval))


def test_draining_stops_ticks_before_on_drain() -> None:
    events: list[str] = []

    class Drains(Ticker):
        def on_drain(self) -> None:
            events.append("drain")

    ticker = Drains("ticker", 1, lambda _: events.append("tick"))
    with scheduler_of(ticker) as scheduler:
        assert ticker.ticked.wait(DEADLINE_S)
        scheduler.shutdown()
    assert events[-1] == "drain"
    assert events.count("drain") == 1


def test_a_thousand_ticks_do_not_drift() -> None:
    """The k-th is due at start + k * interval: each comes a little late, but none later for the delays before it.

    So the ticks keep their phase within the interval, however many of them a busy machine makes late or merges. The
    handler itself takes part of the interval. If each tick were due an interval after the one before was given, the
    delays would add up to more than an interval, and the phases go round: their mean, as directions, would vanish.
    """
    interval = SLOWDOWN * 0.001
    beat = Beat("beat", interval * 1000)
    beat.takes = [0.2 * interval]
    with scheduler_of(beat) as scheduler:
        beat.expect(1000)
        scheduler.shutdown()
    times = beat.times[:1000]
    passed = times[-1] - times[0]
    assert passed > 998 * interval  # no tick comes twice, and none before its time
    angles = [2 * math.pi * (when - times[0]) / interval for when in times]
    together = math.hypot(sum(map(math.cos, angles)), sum(map(math.sin, angles))) / len(angles)
    assert together > 0.5, f"the phases are spread: {together:.2f}"


def test_ticks_missed_behind_a_slow_one_are_passed_over_and_the_grid_is_kept() -> None:
    """A tick that takes five and a half intervals: the missed ones come as one, right after it, and then the next."""
    interval = SLOWDOWN * 0.02
    beat = Beat("beat", interval * 1000)
    beat.takes = [5.5 * interval, 0]
    with scheduler_of(beat) as scheduler:
        beat.expect(4)
        scheduler.shutdown()
    assert beat.times[1] - beat.times[0] >= 5.5 * interval
    assert beat.times[3] - beat.times[0] >= 6.25 * interval  # due at 6 and 7: a burst would have been over by then


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
