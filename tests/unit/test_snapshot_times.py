"""What is timed: with metrics, one message in 64, in its handler and in its queue."""

from __future__ import annotations

import time
from typing import Any

import pytest
from graphs import Collect, Gate, Map, Source, chain, scheduler_of, until
from holding import held

from graphflow import Coalesce, Drop, Latest, Message, Node, Subgraph

HALF_S = 0.5  # of a sleep: what a clock must at least have seen of it


def test_without_metrics_nothing_is_timed() -> None:
    scheduler = scheduler_of(chain(Source("a", range(500)), Collect("b")))
    scheduler.run()
    snapshot = scheduler.snapshot()
    assert snapshot.nodes["b"].handler_time is None
    assert snapshot.edges["a:out->b:in"].time_in_queue is None


@pytest.mark.parametrize("capacity", [1, 64, 1024])
def test_about_one_message_in_64_is_timed(capacity: int) -> None:
    count = 64 * 200
    scheduler = scheduler_of(chain(Source("a", range(count)), Collect("b"), capacity=capacity), metrics=True)
    scheduler.run()
    snapshot = scheduler.snapshot()
    handling, waiting = snapshot.nodes["b"].handler_time, snapshot.edges["a:out->b:in"].time_in_queue
    assert handling is not None
    assert waiting is not None
    assert 150 <= handling.count <= 250
    assert 150 <= waiting.count <= 250


class Sleeps(Collect):
    def on_message(self, port: str, msg: Message) -> Any:
        time.sleep(0.002)


class SleepsInTwos(Sleeps):
    max_concurrency = 2


class SleepsAwaiting(Node):
    inputs = "in"

    async def on_message(self, port: str, msg: Message) -> None:
        import asyncio

        await asyncio.sleep(0.002)


@pytest.mark.parametrize("kind", [Sleeps, SleepsInTwos, SleepsAwaiting])
def test_handler_time_is_what_the_handler_took(kind: type[Node]) -> None:
    scheduler = scheduler_of(chain(Source("a", range(130)), kind("b")), metrics=True)
    scheduler.run()
    handling = scheduler.snapshot().nodes["b"].handler_time
    assert handling is not None
    assert 1 <= handling.count <= 130
    assert handling.min >= 0.002 * HALF_S
    assert handling.sum >= handling.count * 0.002 * HALF_S


def test_a_handler_that_raises_is_timed_too() -> None:
    class Fails(Collect):
        def on_message(self, port: str, msg: Message) -> None:
            raise ValueError

    scheduler = scheduler_of(chain(Source("a", range(1)), Fails("b")), metrics=True)
    scheduler.run()
    handling = scheduler.snapshot().nodes["b"].handler_time
    assert handling is not None
    assert handling.count == 1


def test_time_in_queue_is_from_the_put_to_the_taking() -> None:
    gate = Gate()
    graph = Subgraph.from_nodes("g", [gate])
    graph.expose_input("in", "gate:in", capacity=1000)
    scheduler = scheduler_of(graph, metrics=True)
    with scheduler:
        held(gate, scheduler)
        began = time.monotonic()
        scheduler.input("in").put_many(range(640))
        put = time.monotonic()
        until(lambda: time.monotonic() - put > 0.03)
        opened = time.monotonic()
        gate.opened.set()
        gate.expect(641)
        ended = time.monotonic()
    times = scheduler.snapshot().edges["input:in->gate:in"].time_in_queue
    assert times is not None
    assert times.count >= 5
    assert times.quantile(0.5) >= (opened - put) * 0.95
    assert times.max <= ended - began


@pytest.mark.parametrize("policy", [Latest(), Coalesce(lambda old, new: new), Drop()], ids=lambda each: repr(each)[:8])
def test_items_that_are_not_delivered_are_not_timed(policy: Any) -> None:
    gate = Gate()
    graph = Subgraph.from_nodes("g", [gate])
    graph.expose_input("in", "gate:in", capacity=4, policy=policy)
    scheduler = scheduler_of(graph, metrics=True)
    with scheduler:
        held(gate, scheduler)
        for number in range(1000):
            scheduler.input("in").try_put(number)
        gate.opened.set()
        gate.expect(5)
    times = scheduler.snapshot().edges["input:in->gate:in"].time_in_queue
    assert times is not None
    assert 1 <= times.count <= 5


def test_items_that_expire_between_others_leave_no_time_behind() -> None:
    graph = Subgraph.from_nodes("g", [Collect("sink")])
    graph.expose_input("in", "sink:in", policy=Coalesce(lambda old, new: new, key=lambda value: value), ttl_s=0.02)
    scheduler = scheduler_of(graph, metrics=True)
    scheduler.pause("sink")
    with scheduler:
        edge = scheduler.input("in").edge
        for number in range(5):
            edge.try_put(number)
        until(lambda: edge.stats().expired == 5)
        began = time.monotonic()
        while edge.stats().delivered < 200:  # some of these are timed
            edge.try_put(1)
            edge.try_get()
        longest = time.monotonic() - began
        times = scheduler.snapshot().edges["input:in->sink:in"].time_in_queue
    assert times is not None
    assert times.max <= longest


def test_a_foreign_get_is_timed_like_a_handler() -> None:
    graph = chain(Source("a", range(640)), Map("b"))
    graph.expose_output("out", "b:out")
    scheduler = scheduler_of(graph, metrics=True)
    with scheduler:
        assert len(list(scheduler.output("out"))) == 640
    times = scheduler.snapshot().edges["b:out->output:out"].time_in_queue
    assert times is not None
    assert times.count >= 3
