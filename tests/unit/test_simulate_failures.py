"""What simulate() makes go wrong when it is asked to, and what it finds wrong by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from graphs import Collect, Map, Source, chain, inlet, pipeline

from graphflow import EdgeClosed, ErrorPolicy, Message, Node, Scheduler, SchedulerConfig, Subgraph, drop
from graphflow.testing import HandlerHangs, HandlerRaises, InjectedError, PutTimesOut, SimulationFailed, simulate

# -------------------------------------------------------------------------------------- faults


def test_handlers_are_made_to_raise(seed: int) -> None:
    result = simulate(pipeline(200), seed=seed, faults=[HandlerRaises(0.2, node="map")])
    assert set(result.report.errors) == {"map"}
    assert all(isinstance(error, InjectedError) for error in result.report.errors["map"])
    assert 10 < result.report.error_counts["map"] < 80


def test_a_hanging_handler_goes_on_when_the_faults_are_over(seed: int) -> None:
    collect = Collect()
    graph = chain(Source("source", range(5)), collect)
    result = simulate(graph, seed=seed, until=7.0, faults=[HandlerHangs(1.0, node="collect")])
    hangs = [event for event in result.trace if event.what == "collect.on_message hangs"]
    assert len(hangs) == 1
    assert collect.seen == list(range(5))
    assert result.elapsed_s >= 7.0


def test_the_watchdog_sees_a_handler_that_hangs(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    graph = chain(Source("source", [1]), Collect())
    simulate(graph, seed=seed, until=60, faults=[HandlerHangs(1.0, node="collect", seconds=30)])
    warnings = [record.getMessage() for record in caplog.records if record.name == "graphflow.watchdog"]
    assert len(warnings) == 2, "that it stands still, and that it has cleared"
    assert "collect" in warnings[0]


def test_puts_are_out_of_time(seed: int) -> None:
    missed = 0

    def feed(scheduler: Scheduler) -> None:
        nonlocal missed
        handle = scheduler.input("in")
        for number in range(30):
            while True:
                try:
                    handle.put(number, timeout=1e6)
                except TimeoutError:
                    missed += 1
                else:
                    break
        handle.close()

    node = Collect()
    simulate(inlet(node, capacity=1), seed=seed, threads=[feed], faults=[PutTimesOut(0.5)])
    assert node.seen == list(range(30))
    assert missed > 0


# -------------------------------------------------------------------------------------- what is found


def test_a_check_that_fails_names_the_seed_and_the_command() -> None:
    def check(scheduler: Scheduler) -> None:
        raise AssertionError("three is wrong")

    with pytest.raises(SimulationFailed, match="check: three is wrong") as caught:
        simulate(pipeline, seed=5, check=check)
    text = str(caught.value)
    assert "seed: 5" in text
    nodeid = "tests/unit/test_simulate_failures.py::test_a_check_that_fails_names_the_seed_and_the_command"
    assert f"again: pytest {nodeid} --graphflow-seed=" in text
    assert isinstance(caught.value.__cause__, AssertionError)
    assert caught.value.trace[-1].what == "failed: check: three is wrong"


def test_a_command_of_ones_own_is_shown() -> None:
    with pytest.raises(SimulationFailed, match="again: make it SEED=5\n"):
        simulate(pipeline, seed=5, check=lambda scheduler: _fail(), replay="make it SEED={seed}")


def _fail() -> None:
    raise AssertionError


def test_a_graph_that_never_ends_is_found() -> None:
    class Loop(Node):
        inputs, outputs = "in", "out"

        def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", msg.payload)

    graph = Subgraph.from_nodes("g", [Source("source", [1]), Loop("loop")])
    graph.connect("source:out", "loop:in")
    graph.connect("loop:out", "loop:in", policy=drop())
    with pytest.raises(SimulationFailed, match="it has not ended in 2000 steps"):
        simulate(graph, seed=1, max_steps=2000)


def test_a_wait_that_nothing_answers_is_found() -> None:
    def feed(scheduler: Scheduler) -> None:
        scheduler.input("in").put(1)  # and never closes it: without `until` nobody ends the run

    config = SchedulerConfig(watchdog_s=None)
    with pytest.raises(SimulationFailed, match="nothing can go on, and nobody waits for a time"):
        simulate(inlet(Collect(), capacity=2), seed=1, threads=[feed], config=config)


def test_what_a_thread_raises_is_found() -> None:
    def feed(scheduler: Scheduler) -> None:
        scheduler.input("no such input")

    with pytest.raises(SimulationFailed, match=r"feed\(\) raised UnknownEdgeError: no exposed input") as caught:
        simulate(inlet(Collect(), capacity=2), seed=1, threads=[feed], until=1.0)
    assert isinstance(caught.value.__cause__, LookupError)


def test_a_thread_whose_put_is_ended_by_the_stop_is_in_order(seed: int) -> None:
    ended: list[str] = []

    def feed(scheduler: Scheduler) -> None:
        try:
            while True:
                scheduler.input("in").put(1)
        except EdgeClosed:
            ended.append("closed")
            raise

    result = simulate(inlet(Collect(), capacity=2), seed=seed, threads=[feed], until=0.1)
    assert ended == ["closed"]
    assert result.report.complete


def test_an_output_that_nobody_reads_cannot_drain() -> None:
    graph = chain(Source("source", range(10)), Map("map"))
    graph.expose_output("out", ("map", "out"), capacity=1)
    with pytest.raises(SimulationFailed, match="without faults the graph did not drain"):
        simulate(graph, seed=1, until=1.0, config=SchedulerConfig(watchdog_s=None))


def test_a_failed_simulation_leaves_the_graph_free(seed: int) -> None:
    graph = pipeline(5)
    with pytest.raises(SimulationFailed):
        simulate(graph, seed=seed, max_steps=10)
    assert not any(node.is_live() for node in graph.nodes.values())


def test_a_check_that_raises_something_else_names_the_seed_too() -> None:
    def check(scheduler: Scheduler) -> None:
        raise LookupError("not there")

    with pytest.raises(SimulationFailed, match="check raised LookupError: not there") as caught:
        simulate(pipeline(3), seed=5, check=check)
    assert caught.value.seed == 5
    assert isinstance(caught.value.__cause__, LookupError)


def test_an_event_loop_in_a_thread_is_refused_at_once() -> None:
    async def put(scheduler: Scheduler) -> None:
        for number in range(5):  # more than there is room for: it would wait
            await scheduler.input("in").aput(number)

    for loops in (put, lambda scheduler: scheduler.output("out").aget(), lambda scheduler: scheduler.ashutdown()):
        graph = inlet(Map("map"), capacity=1)
        graph.expose_output("out", "map:out")

        def uses(scheduler: Scheduler, loops: Any = loops) -> None:
            asyncio.run(loops(scheduler))

        with pytest.raises(SimulationFailed, match=r"SchedulerStateError.*works on no thread of a simulation"):
            simulate(graph, seed=1, threads=[uses], until=1.0)


def test_an_error_that_stops_the_graph_is_a_failure() -> None:
    def fails(payload: object) -> object:
        raise LookupError("stops")

    graph = chain(Source("source", [1]), Map("map", fails), Collect())
    with pytest.raises(SimulationFailed, match="an error stopped the graph: LookupError: stops") as caught:
        simulate(graph, seed=3, config=SchedulerConfig(error_policy=ErrorPolicy.STOP_GRAPH))
    assert isinstance(caught.value.__cause__, LookupError)


def test_a_keyboard_interrupt_of_a_handler_leaves_it() -> None:
    def interrupts(payload: object) -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(chain(Source("source", [1]), Map("map", interrupts), Collect()), seed=3)


def test_an_injected_error_may_stop_the_graph(seed: int) -> None:
    config = SchedulerConfig(error_policy=ErrorPolicy.STOP_GRAPH)
    result = simulate(pipeline(20), seed=seed, config=config, faults=[HandlerRaises(1.0, node="map")])
    assert result.report.reason == "error"
