"""Many threads put into a running graph: nothing lost, each thread's items in its order."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from graphs import DEADLINE_S, Collect, Map, assert_graph_conserved, assert_stopped_clean, chain, edge_of, scheduler_of

from graphflow import EdgeClosed, PutResult, Scheduler

THREADS = 16
EACH = 400


def put_each(handle: Any, items: list[Any]) -> None:
    for item in items:
        handle.put(item, timeout=DEADLINE_S)


def put_in_bursts(handle: Any, items: list[Any]) -> None:
    for start in range(0, len(items), 37):
        part = items[start : start + 37]
        assert handle.put_many(part, timeout=DEADLINE_S) == len(part)


def try_until_in(handle: Any, items: list[Any]) -> None:
    pause = threading.Event()
    for item in items:
        while handle.try_put(item) is PutResult.BLOCKED:
            pause.wait(0.0005)


@pytest.mark.parametrize("put", [put_each, put_in_bursts, try_until_in])
@pytest.mark.parametrize("capacity", [1, 8, 256])
@pytest.mark.parametrize("workers", [1, 8])
def test_sixteen_threads_into_one_input(put: Any, capacity: int, workers: int) -> None:
    last = Collect()
    graph = chain(Map("map"), last, capacity=capacity)
    graph.expose_input("in", "map:in", capacity=capacity)
    count = EACH if put is not try_until_in else EACH // 8
    with scheduler_of(graph, workers=workers) as scheduler:
        handle = scheduler.input("in")
        with ThreadPoolExecutor(THREADS) as pool:
            items = [[(thread, number) for number in range(count)] for thread in range(THREADS)]
            for future in [pool.submit(put, handle, each) for each in items]:
                future.result(DEADLINE_S)
        report = scheduler.shutdown(timeout=DEADLINE_S)
    for thread in range(THREADS):
        assert [number for who, number in last.seen if who == thread] == list(range(count))
    assert len(last.seen) == THREADS * count
    assert edge_of(graph, "input:in->map:in").stats().peak_depth <= capacity
    assert_stopped_clean(graph, report)


@pytest.mark.parametrize("drain", [True, False])
def test_putters_are_all_answered_when_the_graph_stops_under_them(drain: bool) -> None:
    """Every put that returned is accounted for, every other raised EdgeClosed."""
    for _ in range(5):
        last = Collect()
        graph = chain(Map("map"), last, capacity=4)
        graph.expose_input("in", "map:in", capacity=4)
        scheduler = scheduler_of(graph)
        accepted = itertools.count()

        def feed(scheduler: Scheduler = scheduler, accepted: Any = accepted) -> None:
            handle = scheduler.input("in")
            try:
                while True:
                    handle.put("x")
                    next(accepted)
            except EdgeClosed:
                return

        with scheduler:
            threads = [threading.Thread(target=feed) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            last.expect(200)
            report = scheduler.shutdown(drain)
            for thread in threads:
                thread.join(DEADLINE_S)
                assert not thread.is_alive()
        stats = edge_of(graph, "input:in->map:in").stats()
        assert stats.offered == next(accepted)
        if drain:
            assert len(last.seen) == stats.offered
            assert_stopped_clean(graph, report)
        assert_graph_conserved(graph)


def test_readers_and_writers_in_many_threads_meet_in_the_graph() -> None:
    graph = chain(Map("a"), Map("b"), capacity=8)
    graph.expose_input("in", "a:in", capacity=8)
    graph.expose_output("out", "b:out", capacity=8)
    with scheduler_of(graph) as scheduler, ThreadPoolExecutor(THREADS + 4) as pool:
        output = scheduler.output("out")
        readers = [pool.submit(lambda: [message.payload for message in output]) for _ in range(4)]
        writers = [
            pool.submit(put_each, scheduler.input("in"), [(thread, n) for n in range(200)]) for thread in range(THREADS)
        ]
        for writer in writers:
            writer.result(DEADLINE_S)
        report = scheduler.shutdown(timeout=DEADLINE_S)
        got = [item for reader in readers for item in reader.result(DEADLINE_S)]
    assert sorted(got) == [(thread, number) for thread in range(THREADS) for number in range(200)]
    assert_stopped_clean(graph, report)
