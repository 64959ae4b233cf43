"""What a stopped graph gives back: references, threads, processor time."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Gate,
    Map,
    Remote,
    Source,
    Ticker,
    Yield,
    assert_graph_conserved,
    chain,
    scheduler_of,
    until,
)

from graphflow import Coalesce, Latest, Message, Node, Subgraph

if TYPE_CHECKING:
    from collections.abc import Iterator


class Thing:
    """A payload whose end can be seen."""


class Forget(Node):
    """Handles messages and keeps none."""

    inputs = "in"
    count = 0

    def on_message(self, port: str, msg: Message) -> None:
        self.count += 1


def things(refs: list[weakref.ref[Thing]], count: int = 300) -> Iterator[Thing]:
    for _ in range(count):
        thing = Thing()
        refs.append(weakref.ref(thing))
        yield thing


def alive(refs: list[weakref.ref[Thing]]) -> int:
    gc.collect()
    return sum(ref() is not None for ref in refs)


@pytest.mark.parametrize("drain", [True, False])
@pytest.mark.parametrize(
    "policy", [None, Latest(), Coalesce(lambda old, new: new)], ids=["block", "latest", "coalesce"]
)
def test_a_stopped_graph_keeps_no_message(policy: Any, drain: bool) -> None:
    refs: list[weakref.ref[Thing]] = []
    last = Forget("last")
    graph = chain(
        Source("source", things(refs, 10**9)), Map("a"), Yield("b", lambda v: [v, v]), last, capacity=4, policy=policy
    )
    scheduler = scheduler_of(graph)
    scheduler.start()
    until(lambda: last.count > 50)
    scheduler.pause(last)
    until(lambda: scheduler.get_stats()["runnable_nodes"] == 0 or policy is not None)
    scheduler.shutdown(drain)
    assert len(refs) > 25
    assert alive(refs) == 0
    assert_graph_conserved(graph)
    assert scheduler.get_stats()["status"] == "stopped"  # the scheduler is still there, the messages are not


def test_deferred_messages_and_suspended_handlers_are_released() -> None:
    refs: list[weakref.ref[Thing]] = []
    remote, many, last = Remote(), Yield("many", lambda v: (v for _ in range(50))), Forget("last")
    graph = Subgraph.from_nodes("g", [remote, many, last])
    graph.expose_input("remote", "remote:calls")
    graph.connect("remote:out", "many:in", capacity=2)
    graph.connect("many:out", "last:in", capacity=2)
    scheduler = scheduler_of(graph)
    scheduler.pause(last)
    with scheduler:
        remote.call(scheduler, lambda: [remote.emit("out", thing) for thing in things(refs, 20)] and None)
        until(lambda: scheduler.get_stats()["blocked_nodes"] == 2)
        assert alive(refs) == 20
        scheduler.shutdown(drain=False)
    assert alive(refs) == 0


def test_what_is_handled_is_released_while_the_graph_runs() -> None:
    refs: list[weakref.ref[Thing]] = []
    last = Forget("last")
    graph = chain(Map("map"), last)
    graph.expose_input("in", "map:in")
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put_many(things(refs, 100))
        until(lambda: last.count == 100)
        until(lambda: alive(refs) == 0, 5)


def test_a_message_in_a_handler_that_outlives_the_run_is_released_when_it_returns() -> None:
    refs: list[weakref.ref[Thing]] = []

    class Stuck(Gate):
        def on_message(self, port: str, msg: Message) -> None:
            self.entered.set()
            self.opened.wait(DEADLINE_S)

    gate = Stuck("gate")
    graph = chain(gate)
    graph.expose_input("in", "gate:in")
    scheduler = scheduler_of(graph)
    scheduler.start()
    scheduler.input("in").put_many(things(refs, 5))
    assert gate.entered.wait(DEADLINE_S)
    assert scheduler.shutdown(timeout=0.05).abandoned == ("gate",)
    assert alive(refs) == 1
    gate.opened.set()
    until(lambda: alive(refs) == 0, 5)


def test_a_dropped_graph_is_freed_with_its_scheduler() -> None:
    graph = chain(Source("source", range(10)), Map("map"), Collect())
    scheduler = scheduler_of(graph)
    scheduler.run()
    refs: list[weakref.ref[Any]] = [
        weakref.ref(graph),
        weakref.ref(scheduler),
        *(weakref.ref(node) for node in graph.nodes.values()),
    ]
    del graph, scheduler
    gc.collect()
    assert [ref() for ref in refs] == [None] * 5


@pytest.mark.untraced
def test_a_thousand_runs_leak_no_threads_and_no_memory() -> None:
    last = Collect()
    graph = chain(Map("map"), last)
    graph.expose_input("in", "map:in")
    scheduler = scheduler_of(graph, workers=2)
    blocks = 0
    threads = threading.active_count()
    for cycle in range(1000):
        scheduler.start()
        scheduler.input("in").put(cycle)
        report = scheduler.shutdown()
        assert report.complete
        assert last.seen == [cycle]
        last.messages.clear()
        last.ports.clear()
        if cycle == 300:
            gc.collect()
            blocks = sys.getallocatedblocks()
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 700  # less than one a run
    assert threading.active_count() == threads


@pytest.mark.alone
def test_an_idle_graph_burns_no_processor_time() -> None:
    nodes: list[Node] = [Map(f"n{number}") for number in range(50)]
    graph = chain(*nodes)
    graph.add_node(Ticker("never", 1e9, lambda _: None))
    graph.expose_input("in", "n0:in")
    with scheduler_of(graph, workers=8) as scheduler:
        assert threading.Event().wait(0.05) is False
        before = time.process_time()
        assert threading.Event().wait(1.0) is False
        used = time.process_time() - before
        assert scheduler.is_running()
    assert used < 0.02


def test_payloads_reference_counts_are_what_they_were() -> None:
    thing = Thing()
    before = sys.getrefcount(thing)
    last = Forget("last")
    graph = chain(Source("source", [thing] * 500), Map("a"), Yield("b", lambda v: [v] * 3), last, capacity=3)
    scheduler = scheduler_of(graph)
    scheduler.run()
    assert last.count == 1500
    graph.nodes["source"].items = ()  # type: ignore[attr-defined]
    gc.collect()
    assert sys.getrefcount(thing) == before
