"""What a snapshot says of the scheduler: its turns, its workers, its time."""

from __future__ import annotations

import time

from graphs import DEADLINE_S, Collect, Gate, Map, Source, chain, control, scheduler_of, until
from holding import gated, held

from graphflow import PriorityBand, Subgraph


def test_turns_are_counted_by_what_they_were_given_for() -> None:
    sink = Collect("sink", ("a", "b", "c"))
    graph = Subgraph.from_nodes("g", [sink])
    for port, band in zip("abc", PriorityBand, strict=True):
        graph.expose_input(port, f"sink:{port}", priority=band)
    scheduler = scheduler_of(graph, workers=1)
    with scheduler:
        before = scheduler.snapshot().scheduler.turns
        assert dict(before) == {"lane": 1, "control": 0, "high": 0, "normal": 0}  # its on_start
        for count, port in enumerate("abc", start=1):
            scheduler.input(port).put(port)
            sink.expect(count)
            until(lambda: scheduler.snapshot().nodes["sink"].state == "idle")
        scheduler.input("a").put(control("now"))
        sink.expect(4)
        after = scheduler.snapshot().scheduler.turns
    assert {level: after[level] - before[level] for level in after} == {"lane": 1, "control": 1, "high": 1, "normal": 1}


def test_the_turns_of_nodes_and_bands_add_up() -> None:
    scheduler = scheduler_of(chain(Source("a", range(5000)), Map("b"), Collect("c"), capacity=8), workers=2)
    scheduler.run()
    snapshot = scheduler.snapshot()
    assert sum(node.turns for node in snapshot.nodes.values()) == sum(snapshot.scheduler.turns.values())


def test_workers_are_counted_asleep_and_awake() -> None:
    gate, scheduler = gated(workers=3)
    with scheduler:
        until(lambda: scheduler.snapshot().scheduler.parked_workers == 3)
        before = scheduler.snapshot().scheduler
        assert (before.workers, before.running_nodes, before.runnable_nodes) == (3, 0, 0)
        held(gate, scheduler)
        until(lambda: scheduler.snapshot().scheduler.parked_workers == 2)
        busy = scheduler.snapshot().scheduler
        assert (busy.running_nodes, busy.wakeups) == (1, before.wakeups + 1)
        gate.opened.set()
    ended = scheduler.snapshot().scheduler
    assert (ended.workers, ended.parked_workers, ended.running_nodes) == (0, 0, 0)


def test_nodes_that_wait_for_a_worker_are_runnable() -> None:
    gate, other = Gate(), Collect("other")
    graph = Subgraph.from_nodes("g", [gate, other])
    graph.expose_input("in", "gate:in")
    graph.expose_input("other", "other:in")
    scheduler = scheduler_of(graph, workers=1)
    with scheduler:
        held(gate, scheduler)
        scheduler.input("other").put(1)
        snapshot = scheduler.snapshot()
        assert (snapshot.scheduler.runnable_nodes, snapshot.nodes["other"].state) == (1, "ready")
        gate.opened.set()


def test_loop_latency_is_the_wait_for_a_worker() -> None:
    gate, other = Gate(), Collect("other")
    graph = Subgraph.from_nodes("g", [gate, other])
    graph.expose_input("in", "gate:in")
    graph.expose_input("other", "other:in")
    scheduler = scheduler_of(graph, workers=1)
    with scheduler:
        # One wait in 64 is timed, at random: as many rounds as it takes, each with a wait of a known length.
        for _ in range(1000):
            gate.entered.clear()
            gate.opened.clear()
            scheduler.input("in").put(1)
            assert gate.entered.wait(DEADLINE_S)
            began = time.monotonic()
            scheduler.input("other").put(1)
            until(lambda began=began: time.monotonic() - began > 0.004)  # type: ignore[misc]
            gate.opened.set()
            until(lambda: scheduler.snapshot().scheduler.parked_workers == 1)
            if scheduler.snapshot().scheduler.loop_latency.max > 0.004:
                break
    latency = scheduler.snapshot().scheduler.loop_latency
    assert 0.004 < latency.max < DEADLINE_S
    assert latency.count < 200


def test_about_one_wait_in_64_is_timed_each_by_itself() -> None:
    scheduler = scheduler_of(chain(Source("a", range(5000)), Map("b"), Collect("c"), capacity=1), workers=1)
    scheduler.run()
    snapshot = scheduler.snapshot()
    turns, latency = sum(snapshot.scheduler.turns.values()), snapshot.scheduler.loop_latency
    assert turns / 64 * 0.6 < latency.count < turns / 64 * 1.5
    assert latency.sum < snapshot.run_s  # one worker: no two of them at once


def test_the_time_of_a_run_stands_still_when_it_has_ended() -> None:
    scheduler = scheduler_of(chain(Source("a", range(10)), Collect("b")))
    scheduler.run()
    first = scheduler.snapshot()
    second = scheduler.snapshot()
    assert first.status == "stopped"
    assert 0 < first.run_s == second.run_s
    assert first.time <= second.time


def test_a_restart_counts_from_zero() -> None:
    scheduler = scheduler_of(chain(Source("a", range(100)), Collect("b")), metrics=True)
    scheduler.run()
    first = scheduler.snapshot()
    scheduler.run()
    second = scheduler.snapshot()
    for snapshot in (first, second):
        assert snapshot.nodes["b"].messages == 100
        assert snapshot.edges["a:out->b:in"].offered == 100
        times = snapshot.edges["a:out->b:in"].time_in_queue
        assert times is not None
        assert 1 <= times.count <= 10
