"""What others see and may do at an edge while a compiled step has a batch of it in its hands."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from counting import assert_conserved
from edges import Call, waiting_get
from graphs import DEADLINE_S, Collect, chain, scheduler_of, until

from graphflow import Coalesce, Drop, Edge, EdgeClosed, Latest, PutResult, Scheduler, SchedulerConfig
from graphflow.nodes import map_node

if TYPE_CHECKING:
    from collections.abc import Iterator


class Held:
    """A step that stands in the message `at` until it is let go; what it has seen; its edge."""

    def __init__(self, at: int, count: int, capacity: int, **options: Any) -> None:
        self.at = at
        self.seen: list[Any] = []
        self.entered, self.let_go = threading.Event(), threading.Event()
        self.collect = Collect()
        graph = chain(map_node(self.step, "step"), self.collect)
        graph.expose_input("open", "collect:in")  # so that the run does not end when "in" is closed
        graph.expose_input("in", "step:in", capacity=capacity, **options)
        self.scheduler: Scheduler = scheduler_of(graph, workers=1)
        self.edge: Edge = graph.edges[-1]
        self.scheduler.input("in").put_many(range(count))

    def step(self, payload: Any) -> Any:
        self.seen.append(payload)
        if payload == self.at:
            self.entered.set()
            assert self.let_go.wait(DEADLINE_S)
        return payload


@contextmanager
def held(at: int = 2, count: int = 10, capacity: int = 20, **options: Any) -> Iterator[Held]:
    """A running step that has claimed its batch (half the capacity) and is at message `at` of it."""
    made = Held(at, count, capacity, **options)
    with made.scheduler:
        assert made.entered.wait(DEADLINE_S)
        yield made
        made.let_go.set()
    assert_conserved(made.edge)
    assert made.collect.seen == made.seen


def test_what_was_handed_over_is_delivered_and_the_rest_is_depth() -> None:
    with held() as step:
        stats = step.edge.stats()
        assert (stats.delivered, stats.depth, step.edge.depth()) == (3, 7, 7)
        assert not step.edge.is_empty()
        node = step.scheduler.snapshot().nodes["step"]
        assert (node.handled, node.in_handler) == (2, 1)
    assert step.seen == list(range(10))


def test_a_batch_is_at_most_half_the_capacity() -> None:
    with held(at=0, count=4, capacity=4) as step:
        assert step.edge.try_get() == 2
        assert step.edge.try_get() == 3
        assert step.edge.try_get() is None
    assert step.seen == [0, 1]


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_on_an_edge_too_small_for_batches_the_slot_of_what_is_handled_is_free(capacity: int) -> None:
    with held(at=0, count=capacity, capacity=capacity) as step:
        assert step.edge.depth() == capacity - 1
        assert not step.edge.is_full()
        assert step.edge.try_put("x") is PutResult.OK
        assert step.edge.try_put("y") is PutResult.BLOCKED
    assert step.seen == [*range(capacity), "x"]


def test_slots_of_a_batch_are_taken_until_it_is_released() -> None:
    with held(count=20) as step:
        assert step.edge.is_full()
        assert step.edge.try_put("x") is PutResult.BLOCKED
        waiting = Call(step.edge.put, "x")
        step.let_go.set()
        assert waiting.outcome() is PutResult.OK
    assert step.seen == [*range(20), "x"]


def test_drop_counts_by_the_slots() -> None:
    with held(count=20, policy=Drop()) as step:
        assert step.edge.try_put("x") is PutResult.DROPPED
    assert step.seen == list(range(20))


def test_others_take_what_comes_after_the_batch() -> None:
    with held(count=14) as step:
        assert step.edge.try_get() == 10
        assert step.edge.get_many(10) == [11, 12, 13]
        assert step.edge.try_get() is None
        step.edge.put("x")
        assert step.edge.try_get() == "x"
    assert step.seen == list(range(10))


def test_a_getter_waits_while_all_is_in_the_batch() -> None:
    with held(count=10) as step:
        waiting = waiting_get(step.edge)
        step.edge.put("x")
        assert waiting.outcome() == "x"
    assert step.seen == list(range(10))


def test_a_put_that_evicts_takes_the_oldest_after_the_batch() -> None:
    with held(count=20) as step:
        assert step.edge.try_put("x", Latest()) is PutResult.REPLACED
        assert step.edge.stats().replaced == 1
    assert step.seen == [*range(10), *range(11, 20), "x"]


def test_a_put_that_evicts_is_refused_where_all_is_in_the_batch() -> None:
    with held(at=0, count=2, capacity=4) as step:
        step.scheduler.set_capacity(step.edge.id, 2)
        assert step.edge.try_put("x", Latest()) is PutResult.BLOCKED
    assert step.seen == [0, 1]


def test_a_put_that_merges_does_so_after_the_batch_or_is_refused() -> None:
    with held(count=20) as step:
        assert step.edge.try_put(100, Coalesce(lambda old, new: old + new)) is PutResult.COALESCED
    assert step.seen == [*range(19), 119]
    with held(at=0, count=2, capacity=4) as step:
        step.scheduler.set_capacity(step.edge.id, 2)
        assert step.edge.try_put("x", Coalesce(lambda old, new: new)) is PutResult.BLOCKED
    assert step.seen == [0, 1]


def test_a_closed_edge_still_gives_the_rest_of_its_batch() -> None:
    with held() as step:
        step.edge.close()
        with pytest.raises(EdgeClosed):
            step.edge.put("x")
    assert step.seen == list(range(10))


def test_a_getter_at_a_closed_edge_is_told_when_the_batch_was_the_last() -> None:
    with held(count=10) as step:
        waiting = waiting_get(step.edge)
        step.edge.close()
        step.let_go.set()
        with pytest.raises(EdgeClosed):
            waiting.outcome()


def test_a_lowered_capacity_loses_nothing_of_a_batch() -> None:
    with held(count=20) as step:
        step.scheduler.set_capacity(step.edge.id, 1)
        assert step.edge.try_put("x") is PutResult.BLOCKED
    assert step.seen == list(range(20))


def test_an_edge_grows_under_its_batch() -> None:
    with held(count=10, capacity=1000) as step:
        assert step.scheduler.input("in").put_many(range(10, 300)) == 290
    assert step.seen == list(range(300))


def test_a_batch_that_is_cut_is_queued_as_it_was() -> None:
    """Something more urgent ends the batch; the rest keeps its order and its room."""
    with held(count=10) as step:
        step.scheduler.pause("step")
        step.let_go.set()
        until(lambda: step.scheduler.snapshot().nodes["step"].running == 0)
        assert step.seen == [0, 1, 2]
        stats = step.edge.stats()
        assert (stats.delivered, stats.depth) == (3, 7)
        assert step.edge.try_get() == 3
        step.scheduler.resume("step")
    assert step.seen == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_a_getter_is_told_of_what_a_cut_batch_gives_back() -> None:
    with held(count=10) as step:
        waiting = waiting_get(step.edge)
        step.scheduler.pause("step")
        step.let_go.set()
        assert waiting.outcome() == 3
        step.scheduler.resume("step")
    assert step.seen == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_a_slow_function_gives_its_slots_back_after_a_millisecond() -> None:
    slow = Held(at=1, count=20, capacity=20)
    pause = threading.Event()

    def step_slowly(payload: Any) -> Any:
        pause.wait(0.002)
        return Held.step(slow, payload)

    graph = chain(map_node(step_slowly, "step"), slow.collect)
    graph.expose_input("in", "step:in", capacity=20)
    slow.scheduler = scheduler_of(graph, workers=1)
    slow.edge = graph.edges[-1]
    slow.scheduler.input("in").put_many(range(20))
    with slow.scheduler:
        assert slow.entered.wait(DEADLINE_S)  # at the second message, of a second batch
        assert slow.edge.stats().depth == 18
        assert slow.edge.try_put("x") is PutResult.OK
        slow.let_go.set()
    assert slow.seen == [*range(20), "x"]


def test_times_in_queue_are_measured_through_batches() -> None:
    graph = chain(map_node(abs), Collect())
    graph.expose_input("in", "abs:in", capacity=2000)
    scheduler = scheduler_of(graph, metrics=True)
    with scheduler:
        assert scheduler.input("in").put_many(range(2000)) == 2000
    snapshot = scheduler.snapshot()
    for edge in snapshot.edges.values():
        assert edge.time_in_queue is not None
        assert 10 < edge.time_in_queue.count < 90  # one in 64 of 2000
    times = snapshot.nodes["abs"].handler_time
    assert times is not None
    assert 10 < times.count < 90


ENDLESS = """
import itertools
from collections import deque
from graphflow import Scheduler, SchedulerConfig, Subgraph
from graphflow.nodes import map_node, sink_node, source_node

graph = Subgraph.from_nodes("endless", [source_node(itertools.repeat(-1)), {others}])
graph.connect("source:out", "{name}:in")
scheduler = Scheduler(SchedulerConfig(workers=1))
scheduler.register(graph)
scheduler.start()
for _ in range(20):
    scheduler.snapshot()
scheduler.shutdown(drain=False)
"""


@pytest.mark.parametrize(
    ("others", "name"), [("map_node(abs)", "abs"), ("sink_node(deque(maxlen=1).append)", "append")], ids=["map", "sink"]
)
def test_a_graph_of_functions_in_c_lets_other_threads_run(others: str, name: str) -> None:
    """No Python frame runs in it, so nothing else would ever look whether another thread wants the GIL."""
    program = ENDLESS.format(others=others, name=name)
    assert subprocess.run([sys.executable, "-c", program], timeout=DEADLINE_S).returncode == 0


def test_config_of_the_scheduler_bounds_a_batch() -> None:
    """max_batch_per_node is what a turn handles, batches included."""
    graph = chain(map_node(abs), Collect())
    graph.expose_input("in", "abs:in", capacity=100)
    scheduler = Scheduler(SchedulerConfig(workers=1, max_batch_per_node=5))
    scheduler.register(graph)
    scheduler.input("in").put_many(range(50))
    with scheduler:
        until(lambda: graph.edges[-1].depth() == 0)
        assert scheduler.snapshot().nodes["abs"].turns >= 10
