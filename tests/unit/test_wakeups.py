"""What crossing threads costs, as counts: wake-ups and switches an item. Times across threads are too noisy to gate."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import pytest
from edges import make_edge, wait_until, waiting_get
from graphs import DEADLINE_S, Collect, Map, Source, chain, run_graph, scheduler_of, until
from timing import voluntary_switches

from graphflow.nodes import map_node, sink_node, source_node

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphflow import Subgraph

MESSAGES = 20_000

pytestmark = pytest.mark.untraced  # a traced line takes the lock that is counted here


def of_classes() -> Subgraph:
    return chain(Source("source", range(MESSAGES)), Map("a"), Map("b"), Collect())


def of_steps() -> Subgraph:
    sink = sink_node(deque(maxlen=0).append)
    return chain(source_node(range(MESSAGES)), map_node(abs, "a"), map_node(abs, "b"), sink)


@pytest.mark.parametrize("make", [of_classes, of_steps])
def test_a_worker_that_has_more_to_do_is_not_woken(make: Callable[[], Subgraph]) -> None:
    """Nobody is rung for a message while a worker is on its way to it: a few wake-ups a run, whatever its length."""
    for workers in (1, 2):
        scheduler = scheduler_of(make(), workers=workers)
        scheduler.start()
        scheduler.wait(DEADLINE_S)
        assert scheduler.snapshot().scheduler.wakeups <= 20 * workers


def test_a_burst_from_another_thread_wakes_one_worker() -> None:
    graph = chain(map_node(abs), Collect())
    graph.expose_input("in", "abs:in", capacity=MESSAGES)
    scheduler = scheduler_of(graph, workers=4)
    with scheduler:
        until(lambda: scheduler.snapshot().scheduler.parked_workers == 4)
        before = scheduler.snapshot().scheduler.wakeups
        assert scheduler.input("in").put_many([1] * 1000) == 1000
        until(lambda: graph.edges[-1].depth() == 0)
        until(lambda: scheduler.snapshot().scheduler.parked_workers == 4)
        assert scheduler.snapshot().scheduler.wakeups - before <= 10


def test_a_put_wakes_one_of_those_that_wait() -> None:
    edge = make_edge(10)
    calls = [waiting_get(edge) for _ in range(4)]
    threading.Event().wait(0.05)  # they sleep by now, and not in a wait for the GIL
    before = {call: voluntary_switches([call.thread]) for call in calls}
    edge.put("x")
    wait_until(lambda: any(call.done() for call in calls))
    threading.Event().wait(0.05)  # time for the others to be woken, if they were
    assert sum(call.done() for call in calls) == 1
    assert all(voluntary_switches([call.thread]) == before[call] for call in calls if not call.done())
    edge.close()
    assert sum(call.was_closed() for call in calls) == 3


def test_room_that_is_made_wakes_no_more_putters_than_fit() -> None:
    edge = make_edge(1)
    edge.put(0)
    threads = [threading.Thread(target=edge.put, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: edge.stats().blocked == 3)
    assert edge.get() == 0
    wait_until(lambda: sum(thread.is_alive() for thread in threads) == 2)
    threading.Event().wait(0.02)
    assert sum(thread.is_alive() for thread in threads) == 2
    assert edge.depth() == 1
    assert sorted(edge.get(DEADLINE_S) for _ in range(3)) == [1, 2, 3]
    for thread in threads:
        thread.join(DEADLINE_S)


@pytest.mark.alone
def test_a_run_gives_the_gil_away_seldom() -> None:
    """A worker with more to do keeps it: it sleeps a few times in a run of 60,000 hops, not once a message."""
    switches: list[int] = []

    def look(payload: int) -> int:
        if payload in (0, MESSAGES - 1):
            switches.append(voluntary_switches([threading.current_thread()]))
        return payload

    run_graph(chain(source_node(range(MESSAGES)), map_node(look), sink_node(deque(maxlen=0).append)), workers=1)
    assert switches[1] - switches[0] <= 200
