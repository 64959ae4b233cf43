"""What a stop delivers, what it leaves behind and counts, and that it ends in time whatever hangs."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Gate,
    Map,
    Remote,
    Source,
    Ticker,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    edge_of,
    scheduler_of,
    until,
)
from holding import gated_row, open_later

from graphflow import EdgeClosed, Message, Subgraph


class Stops(Map):
    stopped = 0

    def on_stop(self) -> None:
        self.stopped += 1


def test_drain_delivers_everything_accepted() -> None:
    scheduler, gate, graph = gated_row(Map("a"), Map("b"), capacity=3)
    with scheduler:
        for number in range(9):
            scheduler.input("in").put(number, timeout=DEADLINE_S)
        open_later(gate)
        report = scheduler.shutdown(timeout=DEADLINE_S)
        with pytest.raises(EdgeClosed):
            scheduler.input("in").put("late")
    assert gate.seen == list(range(9))
    assert report.reason == "shutdown"
    assert_stopped_clean(graph, report)


def test_a_stop_waits_for_a_node_inside_its_handler_before_it_stops_those_that_feed_it() -> None:
    class Last(Gate):
        def on_message(self, port: str, msg: Message) -> None:
            super().on_message(port, msg)
            events.append("last handled")

        def on_stop(self) -> None:
            events.append("last stopped")

    class First(Map):
        def on_stop(self) -> None:
            events.append("first stopped")

    events: list[str] = []
    first, last = First("first"), Last("last")
    graph = chain(first, last)
    graph.expose_input("in", "first:in")
    scheduler = scheduler_of(graph, workers=3)
    with scheduler:
        scheduler.input("in").put(1)
        assert last.entered.wait(DEADLINE_S)
        open_later(last)
        report = scheduler.shutdown(drain=False, timeout=10 * DEADLINE_S)  # patience is half of it
    assert events == ["last handled", "last stopped", "first stopped"]
    assert report.abandoned == ()
    assert_graph_conserved(graph)


def test_draining_refuses_newcomers_and_releases_waiting_putters() -> None:
    scheduler, gate, graph = gated_row(capacity=1)
    graph_input = scheduler.input("in")
    scheduler.set_capacity("input:in->gate:in", 1)
    errors: list[BaseException] = []

    def put() -> None:
        try:
            graph_input.put("waits")
        except BaseException as error:
            errors.append(error)

    with scheduler:
        graph_input.put(1)
        assert gate.entered.wait(DEADLINE_S)
        graph_input.put(2)
        thread = threading.Thread(target=put)
        thread.start()
        until(lambda: graph_input.edge.stats().blocked > 0)
        threading.Event().wait(0.01)
        stopper = threading.Thread(target=scheduler.shutdown)
        stopper.start()
        thread.join(DEADLINE_S)
        assert [type(error) for error in errors] == [EdgeClosed]
        gate.opened.set()
        stopper.join(DEADLINE_S)
    assert gate.seen == [1, 2]
    assert_graph_conserved(graph)


def test_stop_without_drain_counts_what_is_queued_and_skips_on_drain() -> None:
    drained: list[str] = []

    class Drains(Map):
        def on_drain(self) -> None:
            drained.append(self.name)

    scheduler, gate, graph = gated_row(Drains("first"))
    with scheduler:
        scheduler.input("in").put_many(range(10))
        assert gate.entered.wait(DEADLINE_S)
        until(lambda: edge_of(graph, "first:out->gate:in").depth() == 9)
        open_later(gate)
        report = scheduler.shutdown(drain=False)
    assert gate.seen == [0]
    assert drained == []
    assert report.undelivered == {"first:out->gate:in": 9}
    assert not report.complete
    assert not report.timed_out
    assert edge_of(graph, "first:out->gate:in").depth() == 0
    assert_graph_conserved(graph)


@pytest.mark.parametrize("drain", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
def test_handler_that_never_returns_is_named_and_the_call_ends_in_time(drain: bool, workers: int) -> None:
    scheduler, gate, graph = gated_row(workers=workers)
    stops = Stops("stops")
    other = Subgraph.from_nodes("other", [stops])
    other.expose_input("other", "stops:in")
    scheduler.register(other)
    with scheduler:
        scheduler.input("in").put_many(range(10))
        assert gate.entered.wait(DEADLINE_S)
        started = time.monotonic()
        report = scheduler.shutdown(drain=drain, timeout=2.0)
        passed = time.monotonic() - started
    assert passed < 2.0 + 0.4  # the machine may be busy; the promise is the timeout
    assert report.abandoned == ("gate",)
    assert report.timed_out
    assert not report.complete
    assert report.undelivered == {"input:in->gate:in": 9}  # the tenth is in the handler, and counts as delivered
    assert_graph_conserved(graph)
    assert stops.stopped == 1  # the others still get their on_stop, by another worker if need be
    gate.opened.set()


def test_deferred_items_are_their_edges_undelivered() -> None:
    remote, consumer = Remote(), Collect()
    graph = chain(remote, consumer, capacity=2)
    graph.expose_input("remote", "remote:calls")
    scheduler = scheduler_of(graph)
    scheduler.pause(consumer)
    with scheduler:
        for number in range(7):
            remote.emit_there(scheduler, number)
        report = scheduler.shutdown(drain=False)
    assert report.undelivered == {"remote:out->collect:in": 7}
    stats = edge_of(graph, "remote:out->collect:in").stats()
    assert (stats.offered, stats.delivered, stats.undelivered, stats.depth) == (7, 0, 7, 0)


def test_drain_resumes_paused_nodes() -> None:
    consumer = Collect()
    graph = chain(Source("source", range(50)), Map("map"), consumer, capacity=2)
    scheduler = scheduler_of(graph)
    for name in ("map", "collect"):
        scheduler.pause(name)
    with scheduler:
        report = scheduler.shutdown(timeout=DEADLINE_S)
    assert consumer.seen == list(range(len(consumer.seen)))
    assert_stopped_clean(graph, report)


def test_absent_reader_holds_a_drain_until_its_deadline_then_it_is_undelivered() -> None:
    graph = chain(Map("map"))
    graph.expose_input("in", "map:in")
    graph.expose_output("out", "map:out", capacity=2)
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put_many(range(5))
        started = time.monotonic()
        report = scheduler.shutdown(timeout=1.0)
        passed = time.monotonic() - started
    assert 0.8 <= passed < 1.4  # drain has 80 % of it
    assert report.timed_out
    assert report.undelivered == {"map:out->output:out": 1, "input:in->map:in": 2}
    assert [message.payload for message in scheduler.output("out")] == [0, 1]  # still readable
    assert_graph_conserved(graph)


def test_late_reader_lets_the_drain_finish() -> None:
    graph = chain(Map("map"))
    graph.expose_input("in", "map:in")
    graph.expose_output("out", "map:out", capacity=2)
    scheduler = scheduler_of(graph)
    with scheduler, ThreadPoolExecutor(1) as pool:
        scheduler.input("in").put_many(range(50))
        stopping = pool.submit(scheduler.shutdown, timeout=DEADLINE_S)
        assert [message.payload for message in scheduler.output("out")] == list(range(50))
        report = stopping.result(DEADLINE_S)
    assert_stopped_clean(graph, report)


def test_on_stop_that_hangs_is_named_and_others_get_theirs() -> None:
    free = threading.Event()

    class HangsInStop(Map):
        def on_stop(self) -> None:
            free.wait(DEADLINE_S)

    stops = Stops("stops")
    graph = chain(stops, HangsInStop("hangs"), Stops("last"))
    graph.expose_input("in", "stops:in")
    with scheduler_of(graph, workers=1) as scheduler:
        began = time.monotonic()
        report = scheduler.shutdown(timeout=3.0)
        assert time.monotonic() - began < 3.5
    free.set()
    assert report.abandoned == ("hangs",)
    assert stops.stopped == 1


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("drain", [True, False])
def test_stop_under_load_conserves_every_message(drain: bool, workers: int, rng: Any) -> None:
    for _ in range(8):
        last = Collect()
        graph = chain(Source("source", iter(int, 1)), Map("a"), Map("b"), last, capacity=rng.choice([1, 8, 256]))
        graph.add_node(Collect("side"))
        graph.connect("source:out", "side:in", capacity=4)
        with scheduler_of(graph, workers=workers) as scheduler:
            last.expect(rng.randrange(1, 300))
            report = scheduler.shutdown(drain=drain)
        assert_graph_conserved(graph)
        assert not report.timed_out
        if drain:
            assert_stopped_clean(graph, report)


def test_nothing_runs_after_a_stop() -> None:
    ticker, last = Ticker("ticker", 1, lambda node: node.emit("out", 1)), Collect()
    graph = chain(ticker, last)
    with scheduler_of(graph) as scheduler:
        last.expect(3)
        scheduler.shutdown()
    counts = ticker.count, len(last.messages)
    assert threading.Event().wait(0.02) is False
    assert (ticker.count, len(last.messages)) == counts
    assert not any(thread.name.startswith("graphflow") for thread in threading.enumerate())


def test_an_edge_that_is_kept_wakes_nobody_after_the_stop() -> None:
    scheduler, gate, graph = gated_row(Map("map"))
    gate.opened.set()
    with scheduler:
        pass
    for edge in graph.edges:
        assert edge.closed
        with pytest.raises(EdgeClosed):
            edge.try_put(1)
        assert edge.try_get() is None
