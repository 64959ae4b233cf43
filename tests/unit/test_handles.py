"""Exposed inputs and outputs: what other threads put and get, and where a node must not wait."""

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
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    control,
    edge_of,
    scheduler_of,
    until,
)

from graphflow import (
    Drop,
    EdgeClosed,
    Latest,
    Message,
    MessageType,
    PortSpec,
    PutResult,
    Scheduler,
    SchedulerStateError,
    SchemaError,
    Subgraph,
    UnknownEdgeError,
)


def through(
    fn: Any = lambda value: value, *, into: dict[str, Any] | None = None, out: dict[str, Any] | None = None
) -> tuple[Scheduler, Subgraph]:
    """in -> map -> out, both exposed, not started."""
    graph = chain(Map("map", fn))
    graph.expose_input("in", "map:in", **(into or {}))
    graph.expose_output("out", "map:out", **(out or {}))
    return scheduler_of(graph), graph


def test_what_is_put_before_the_run_is_queued() -> None:
    scheduler, graph = through(lambda value: value * 2)
    handle = scheduler.input("in")
    assert handle.put(1) is PutResult.OK
    assert handle.try_put(2) is PutResult.OK
    assert handle.put_many([3, 4]) == 2
    assert scheduler.output("out").try_get() is None
    with scheduler:
        assert [scheduler.output("out").get(DEADLINE_S).payload for _ in range(4)] == [2, 4, 6, 8]
        report = scheduler.shutdown()
    assert_stopped_clean(graph, report)


def test_outputs_are_always_messages_and_raw_values_reach_handlers_as_data() -> None:
    graph = chain(Collect())
    seen: Collect = graph.nodes["collect"]  # type: ignore[assignment]
    graph.expose_input("in", "collect:in")
    scheduler = scheduler_of(graph)
    scheduler.input("in").put_many([1, Message(MessageType.ERROR, 2), control(3)])
    with scheduler:
        seen.expect(3)
    assert [(m.type, m.payload) for m in seen.messages] == [
        (MessageType.CONTROL, 3),
        (MessageType.DATA, 1),
        (MessageType.ERROR, 2),
    ]


@pytest.mark.parametrize("name", ["inn", "out", "nonsense", "", 3])
def test_unknown_inputs_and_outputs_name_the_nearest(name: Any) -> None:
    scheduler, _ = through()
    with pytest.raises(UnknownEdgeError, match="input"):
        scheduler.input(name)
    with pytest.raises(KeyError, match="output"):
        scheduler.output("ou")


def test_unknown_name_advice() -> None:
    scheduler, _ = through()
    with pytest.raises(UnknownEdgeError, match="did you mean 'in'"):
        scheduler.input("inn")


def test_full_input_blocks_times_out_and_keeps_the_item_outside() -> None:
    scheduler, graph = through(into={"capacity": 2})
    handle = scheduler.input("in")
    assert handle.put_many([1, 2, 3], timeout=0) == 2
    assert handle.try_put(3) is PutResult.BLOCKED
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        handle.put(3, timeout=0.03)
    assert time.monotonic() - started >= 0.029
    with scheduler:
        assert handle.put(3, timeout=DEADLINE_S) is PutResult.OK
        assert [scheduler.output("out").get(DEADLINE_S).payload for _ in range(3)] == [1, 2, 3]
    assert_graph_conserved(graph)


def test_a_waiting_put_goes_in_as_soon_as_there_is_room() -> None:
    scheduler, graph = through(into={"capacity": 1})
    scheduler.pause("map")
    handle = scheduler.input("in")
    with scheduler, ThreadPoolExecutor(1) as pool:
        handle.put(0)
        waiting = pool.submit(handle.put_many, range(1, 50), DEADLINE_S)
        until(lambda: handle.edge.stats().blocked > 0)
        scheduler.resume("map")
        assert waiting.result(DEADLINE_S) == 49
        got = [scheduler.output("out").get(DEADLINE_S).payload for _ in range(50)]
        assert got == list(range(50))
        report = scheduler.shutdown()
    assert_stopped_clean(graph, report)


def test_inputs_keep_their_policy_priority_and_schema() -> None:
    graph = Subgraph.from_nodes("g", [Collect("drops"), Collect("newest"), Typed("typed")])
    graph.expose_input("drops", "drops:in", capacity=1, policy=Drop())
    graph.expose_input("newest", "newest:in", capacity=1, policy=Latest(), priority=3)
    graph.expose_input("typed", "typed:in")
    scheduler = scheduler_of(graph)
    for number in range(3):
        scheduler.input("drops").put(number)
        scheduler.input("newest").put(number)
    with pytest.raises(SchemaError):
        scheduler.input("typed").put("text")
    with pytest.raises(TypeError, match="None"):
        scheduler.input("typed").put(None)
    with scheduler:
        scheduler.shutdown()
    assert graph.nodes["drops"].seen == [0]  # type: ignore[attr-defined]
    assert graph.nodes["newest"].seen == [2]  # type: ignore[attr-defined]
    stats = edge_of(graph, "input:drops->drops:in").stats()
    assert (stats.offered, stats.dropped) == (3, 2)
    assert edge_of(graph, "input:typed->typed:in").stats().offered == 0
    assert_graph_conserved(graph)


class Typed(Collect):
    inputs = PortSpec("in", int)


def test_closing_an_input_releases_its_putters_and_ends_the_graph() -> None:
    scheduler, graph = through(into={"capacity": 1})
    scheduler.pause("map")
    handle = scheduler.input("in")
    with scheduler, ThreadPoolExecutor(1) as pool:
        handle.put(1)
        waiting = pool.submit(handle.put, 2)
        until(lambda: handle.edge.stats().blocked > 0)
        handle.close()
        handle.close()
        with pytest.raises(EdgeClosed):
            waiting.result(DEADLINE_S)
        for call in (handle.put, handle.try_put, lambda item: handle.put_many([item])):
            with pytest.raises(EdgeClosed):
                call(3)
        assert scheduler.is_running()  # the paused node still holds a message
        scheduler.resume("map")
        report = scheduler.wait(DEADLINE_S)
    assert [message.payload for message in scheduler.output("out")] == [1]
    assert_stopped_clean(graph, report)


def test_output_iteration_ends_with_the_graph_and_what_is_left_stays_readable() -> None:
    graph = chain(Source("source", range(100)), Map("map"))
    graph.expose_output("out", "map:out", capacity=256)
    scheduler = scheduler_of(graph)
    output = scheduler.output("out")
    scheduler.start()
    report = scheduler.wait(DEADLINE_S)
    assert report.complete
    assert output.get(0).payload == 0
    assert [m.payload for m in output.get_many(9)] == list(range(1, 10))
    assert [m.payload for m in output] == list(range(10, 100))
    assert list(output) == []
    assert output.try_get() is None
    for timeout in (None, 0, 1):
        with pytest.raises(EdgeClosed):
            output.get(timeout)
    assert_stopped_clean(graph, report)


def test_a_reader_that_waits_is_released_when_the_graph_ends() -> None:
    scheduler, graph = through()
    with scheduler, ThreadPoolExecutor(3) as pool:
        output = scheduler.output("out")
        readers = [pool.submit(lambda: [m.payload for m in output]) for _ in range(3)]
        scheduler.input("in").put_many(range(100))
        scheduler.shutdown()
        got = [reader.result(DEADLINE_S) for reader in readers]
    assert sorted(value for each in got for value in each) == list(range(100))
    assert all(each == sorted(each) for each in got)
    assert_graph_conserved(graph)


def test_get_times_out() -> None:
    scheduler, _ = through()
    with scheduler:
        with pytest.raises(TimeoutError):
            scheduler.output("out").get(0.02)
        assert scheduler.output("out").get_many(5, 0.02) == []


def test_slow_reader_holds_the_graph_back() -> None:
    graph = chain(Source("source", range(1000)), Map("map"), capacity=4)
    graph.expose_output("out", "map:out", capacity=4)
    with scheduler_of(graph) as scheduler:
        output = scheduler.output("out")
        first = edge_of(graph, "source:out->map:in")
        until(first.is_full)
        assert threading.Event().wait(0.02) is False
        assert first.stats().offered <= 4 + 4 + 1 + 1 + 64
        with pytest.raises(TimeoutError):
            scheduler.wait(0.01)
        assert [m.payload for m in output] == list(range(1000))
        report = scheduler.wait(DEADLINE_S)
    assert_stopped_clean(graph, report)


def test_output_that_drops_does_not_hold_the_graph_back() -> None:
    graph = chain(Source("source", range(1000)), Map("map"))
    graph.expose_output("out", "map:out", capacity=4, policy=Latest())
    scheduler = scheduler_of(graph)
    report = scheduler.run()
    assert [m.payload for m in scheduler.output("out")] == [996, 997, 998, 999]
    assert_stopped_clean(graph, report)


# ------------------------------------------------------------------------------- a node must not wait


def test_calls_that_would_wait_on_a_worker_are_refused_with_advice() -> None:
    remote, last = Remote(), Collect()
    graph = chain(remote, last)
    graph.expose_input("remote", "remote:calls")
    graph.expose_input("full", "collect:in", capacity=1)
    graph.expose_output("empty", "remote:out")
    scheduler = scheduler_of(graph)
    scheduler.pause(last)
    with scheduler:
        full, empty = scheduler.input("full"), scheduler.output("empty")
        full.put(0)
        for call in (
            lambda: full.put(1),
            lambda: full.put(1, timeout=1),
            lambda: full.put_many([1]),
        ):
            with pytest.raises(SchedulerStateError, match=r"emit.*try_put"):
                remote.call(scheduler, call)
        for get in (empty.get, lambda: empty.get(1), lambda: next(iter(empty))):
            with pytest.raises(SchedulerStateError, match="try_get"):
                remote.call(scheduler, get)
        with pytest.raises(SchedulerStateError, match="shutdown"):
            remote.call(scheduler, scheduler.wait)
        # what does not have to wait is allowed
        assert remote.call(scheduler, lambda: full.try_put(1)) is PutResult.BLOCKED
        assert remote.call(scheduler, empty.try_get) is None
        with pytest.raises(TimeoutError):
            remote.call(scheduler, lambda: full.put(1, timeout=0))
        report = scheduler.shutdown()
    assert last.seen == [0]
    assert_stopped_clean(graph, report)


def test_a_node_may_put_where_there_is_room_and_wait_on_another_schedulers_edge() -> None:
    other, _ = through()
    remote, last = Remote(), Collect()
    graph = chain(remote, last)
    graph.expose_input("remote", "remote:calls")
    graph.expose_input("free", "collect:in")
    with other, scheduler_of(graph) as scheduler:
        assert remote.call(scheduler, lambda: scheduler.input("free").put(1)) is PutResult.OK
        other.input("in").put("answer")
        assert remote.call(scheduler, lambda: other.output("out").get(DEADLINE_S).payload) == "answer"
        last.expect(1)


def test_put_waits_for_a_gate_without_the_gil() -> None:
    gate = Gate()
    graph = chain(gate)
    graph.expose_input("in", "gate:in", capacity=1)
    with scheduler_of(graph) as scheduler, ThreadPoolExecutor(1) as pool:
        handle = scheduler.input("in")
        handle.put(1)
        assert gate.entered.wait(DEADLINE_S)
        handle.put(2)
        waiting = pool.submit(handle.put, 3)
        until(lambda: handle.edge.stats().blocked > 0)
        cpu = time.process_time()
        assert threading.Event().wait(0.2) is False
        assert time.process_time() - cpu < 0.1  # nobody polls
        gate.opened.set()
        assert waiting.result(DEADLINE_S) is PutResult.OK
        gate.expect(3)
