"""A slow consumer slows its producer down, whatever the producer is: a source, threads that put, nodes in between."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Map,
    Source,
    assert_stopped_clean,
    chain,
    edge_of,
    scheduler_of,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphflow import Message

ITEMS = 60


class Stepped(Collect):
    """Handles one message for each step that the test allows."""

    def __init__(self, name: str = "stepped") -> None:
        super().__init__(name)
        self._steps = threading.Semaphore(0)

    def allow(self, count: int = 1) -> None:
        self._steps.release(count)

    def on_message(self, port: str, msg: Message) -> None:
        assert self._steps.acquire(timeout=DEADLINE_S), "the test allowed no step"
        super().on_message(port, msg)


@pytest.mark.parametrize("workers", [2, 8])
@pytest.mark.parametrize("capacity", [1, 4])
def test_producer_slowed_by_block_policy_slow_consumer(capacity: int, workers: int) -> None:
    """At each step the producer is ahead by what fits between, and goes on by as many as the consumer has handled."""
    made = 0

    def count() -> Iterator[int]:
        nonlocal made
        for number in range(ITEMS):
            made += 1
            yield number

    consumer = Stepped()
    graph = chain(Source("source", count()), Map("map"), consumer, capacity=capacity)
    edges = list(graph.edges)
    ahead = 2 * capacity + 4  # two edges; one in the consumer; one that each producer could not send; one being made
    with scheduler_of(graph, workers=workers) as scheduler:
        for handled in range(ITEMS - ahead):
            until(lambda: all(edge.is_full() for edge in edges))
            assert handled < made <= handled + ahead
            assert len(consumer.seen) == handled
            consumer.allow()
            consumer.expect(handled + 1)
        consumer.allow(ITEMS)
        report = scheduler.wait(DEADLINE_S)
    assert consumer.seen == list(range(ITEMS))
    assert all(edge.stats().peak_depth <= capacity for edge in edges)
    assert all(edge.stats().dropped == edge.stats().replaced == 0 for edge in edges)
    assert_stopped_clean(graph, report)


def test_threads_that_put_are_slowed_by_the_end_of_the_graph() -> None:
    consumer = Stepped()
    graph = chain(Map("map"), consumer, capacity=2)
    graph.expose_input("in", "map:in", capacity=2)
    accepted = [0] * 4
    ahead = 2 + 2 + 2  # the two edges, and one in each node

    with scheduler_of(graph) as scheduler, ThreadPoolExecutor(4) as pool:
        into = scheduler.input("in")

        def put(thread: int) -> None:
            for number in range(20):
                into.put((thread, number), timeout=DEADLINE_S)
                accepted[thread] += 1

        putting = [pool.submit(put, thread) for thread in range(4)]
        for handled in range(40):
            until(into.edge.is_full)
            assert sum(accepted) <= handled + ahead
            consumer.allow()
            consumer.expect(handled + 1)
        consumer.allow(80)
        for each in putting:
            each.result(DEADLINE_S)
        report = scheduler.shutdown(timeout=DEADLINE_S)
    for thread in range(4):
        assert [number for name, number in consumer.seen if name == thread] == list(range(20))
    assert_stopped_clean(graph, report)


def test_a_slow_reader_slows_the_threads_that_put() -> None:
    """From ingress to egress: what is not read holds back what is put, and nothing is lost on the way."""
    graph = chain(Map("first"), Map("second"), capacity=2)
    graph.expose_input("in", "first:in", capacity=2)
    graph.expose_output("out", "second:out", capacity=2)
    with scheduler_of(graph) as scheduler, ThreadPoolExecutor(1) as pool:
        into, out = scheduler.input("in"), scheduler.output("out")
        putting = pool.submit(into.put_many, range(50), DEADLINE_S)
        for number in range(30):
            until(into.edge.is_full)
            until(edge_of(graph, "first:out->second:in").is_full)
            assert into.edge.stats().offered <= number + 2 + 2 + 2 + 2  # three edges, one in each node
            assert not putting.done()
            assert out.get(DEADLINE_S).payload == number
        rest = [out.get(DEADLINE_S).payload for _ in range(20)]
        assert rest == list(range(30, 50))
        assert putting.result(DEADLINE_S) == 50
        report = scheduler.shutdown(timeout=DEADLINE_S)
    assert_stopped_clean(graph, report)
