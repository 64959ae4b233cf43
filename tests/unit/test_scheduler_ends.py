"""How a run ends: by itself when nothing is left to do, and what start(), wait() and run() refuse meanwhile."""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Gate,
    Map,
    Source,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    scheduler_of,
)

from graphflow import EdgeClosed, Scheduler, SchedulerStateError


def test_run_returns_when_a_finite_graph_has_ended() -> None:
    last = Collect()
    scheduler = scheduler_of(chain(Source("source", range(100)), Map("map"), last))
    report = scheduler.run()
    assert report.complete
    assert report.reason == "completed"
    assert not scheduler.is_running()
    assert last.seen == list(range(100))


def test_an_empty_scheduler_ends_at_once() -> None:
    report = Scheduler().run()
    assert report.complete
    assert report.reason == "completed"


def test_a_graph_with_an_open_input_waits_and_ends_when_it_is_closed() -> None:
    last = Collect()
    graph = chain(Map("map"), last)
    graph.expose_input("in", "map:in")
    graph.expose_input("more", "map:in")
    with scheduler_of(graph) as scheduler:
        handle = scheduler.input("in")
        handle.put(1)
        scheduler.input("more").close()
        last.expect(1)
        with pytest.raises(TimeoutError):
            scheduler.wait(0.01)
        handle.put(2)
        handle.close()
        report = scheduler.wait(DEADLINE_S)
        assert report.reason == "completed"
    assert last.seen == [1, 2]
    with pytest.raises(EdgeClosed):
        handle.put(3)
    assert_stopped_clean(graph, report)


def test_an_input_closed_before_the_run_still_delivers_what_it_holds() -> None:
    last = Collect()
    graph = chain(Map("map"), last)
    graph.expose_input("in", "map:in")
    scheduler = scheduler_of(graph)
    scheduler.input("in").put_many([1, 2, 3])
    scheduler.input("in").close()
    scheduler.start()
    report = scheduler.wait(DEADLINE_S)
    assert last.seen == [1, 2, 3]
    assert_stopped_clean(graph, report)


def test_put_then_close_from_another_thread_never_ends_the_graph_early() -> None:
    """The put may still be on its way to the scheduler when the close arrives."""
    for round_ in range(150):
        last = Collect()
        graph = chain(Map("map"), last)
        graph.expose_input("in", "map:in")
        scheduler = scheduler_of(graph)
        handle = scheduler.input("in")

        def feed(handle: Any = handle) -> None:
            handle.put(1)
            handle.put(2)
            handle.close()

        thread = threading.Thread(target=feed)
        if round_ % 2:
            thread.start()
            scheduler.start()
        else:
            scheduler.start()
            thread.start()
        report = scheduler.wait(DEADLINE_S)
        thread.join()
        assert last.seen == [1, 2]
        assert_stopped_clean(graph, report)


def test_wait_times_out_and_checks_its_timeout() -> None:
    graph = chain(Map("map"), Collect())
    graph.expose_input("in", "map:in")
    scheduler = scheduler_of(graph)
    with pytest.raises(SchedulerStateError, match="start"):
        scheduler.wait()
    with scheduler:
        started = time.monotonic()
        with pytest.raises(TimeoutError, match="running"):
            scheduler.wait(0.05)
        assert 0.04 < time.monotonic() - started < 5
        for wrong, error in ((-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (1e30, OverflowError)):
            with pytest.raises(error, match="timeout"):
                scheduler.wait(wrong)  # type: ignore[arg-type]
        assert scheduler.is_running()


def test_calls_that_need_a_stopped_scheduler_are_refused_while_it_runs() -> None:
    graph = chain(Map("map"), Collect())
    graph.expose_input("in", "map:in")
    with scheduler_of(graph) as scheduler:
        for call in (scheduler.start, scheduler.run, lambda: scheduler.register(Map("other"))):
            with pytest.raises(SchedulerStateError, match="shutdown"):
                call()
        assert scheduler.is_running()
        assert scheduler.get_stats()["nodes_count"] == 2


def test_with_shuts_down_and_drains_only_without_an_error() -> None:
    class Oops(Exception):
        pass

    for fail in (False, True):
        gate = Gate()
        graph = chain(gate)
        graph.expose_input("in", "gate:in")
        scheduler = scheduler_of(graph)
        try:
            with scheduler:
                scheduler.input("in").put_many(range(10))
                assert gate.entered.wait(DEADLINE_S)
                gate.opened.set() if not fail else threading.Timer(0.05, gate.opened.set).start()
                if fail:
                    raise Oops
        except Oops:
            pass
        assert not scheduler.is_running()
        assert len(gate.seen) == (1 if fail else 10)
        assert_graph_conserved(graph)


def test_a_dropped_scheduler_warns_and_its_threads_end() -> None:
    graph = chain(Map("map"), Collect())
    graph.expose_input("in", "map:in")
    scheduler = scheduler_of(graph)
    scheduler.start()
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("graphflow")]
    assert len(workers) == 3
    gone = weakref.ref(scheduler)
    holder = [scheduler]
    del scheduler
    with pytest.warns(ResourceWarning, match="dropped while running"):
        holder.clear()
    assert gone() is None
    for thread in workers:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert_graph_conserved(graph)
