"""What emit raises: then no copy is left anywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from edges import Call
from graphs import Collect, Map, Remote, Source, assert_stopped_clean, chain, control, fan_out, run_graph, scheduler_of

from graphflow import (
    BackpressureError,
    GraphValidationError,
    Message,
    MessageType,
    PortSpec,
    PutResult,
    SchedulerStateError,
    SchemaError,
    Subgraph,
)


def test_full_outbox_raises_and_leaves_no_copy_anywhere() -> None:
    full, free = {"capacity": 1}, {"capacity": 100}
    with fan_out(free, full, free, outbox_limit=3) as (remote, scheduler, edges, consumers):
        for number in range(4):
            remote.emit_there(scheduler, number)
        before = [replace(edge.stats(), blocked_s=0) for edge in edges]
        for _ in range(3):
            with pytest.raises(BackpressureError, match="outbox_limit is 3"):
                remote.emit_there(scheduler, 99)
        assert [replace(edge.stats(), blocked_s=0) for edge in edges] == before
        for consumer in consumers:
            scheduler.resume(consumer)
            assert consumer.expect(4) == [0, 1, 2, 3]
        assert remote.emit_there(scheduler, 4) is PutResult.OK
    assert all(consumer.seen == [0, 1, 2, 3, 4] for consumer in consumers)


def test_outbox_room_is_needed_for_the_whole_fan_out() -> None:
    full = {"capacity": 1}
    with fan_out(full, full, outbox_limit=3) as (remote, scheduler, _edges, consumers):
        assert remote.emit_there(scheduler, 0) is PutResult.OK
        assert remote.emit_there(scheduler, 1) is PutResult.DEFERRED  # two of three entries
        with pytest.raises(BackpressureError):
            remote.emit_there(scheduler, 2)
        for consumer in consumers:
            scheduler.resume(consumer)
            consumer.expect(2)
    assert all(consumer.seen == [0, 1] for consumer in consumers)


class Typed(Collect):
    inputs = PortSpec("in", int)


@pytest.mark.parametrize("typed_first", [True, False])
def test_schema_error_on_one_of_two_edges_leaves_no_copy(typed_first: bool) -> None:
    remote, typed, free = Remote(), Typed("typed"), Collect("free")
    graph = Subgraph.from_nodes("g", [remote, typed, free])
    graph.expose_input("remote", "remote:calls")
    for consumer in (typed, free) if typed_first else (free, typed):
        graph.connect("remote:out", (consumer.name, "in"))
    with scheduler_of(graph) as scheduler:
        with pytest.raises(SchemaError, match="remote:out->typed:in"):
            remote.emit_there(scheduler, "text")
        assert all(edge.stats().offered == 0 for edge in graph.edges if edge.source_node == "remote")
        assert remote.emit_there(scheduler, 7) is PutResult.OK
        # ERROR travels without the schema, CONTROL besides it
        assert remote.emit_there(scheduler, Message(MessageType.ERROR, "text")) is PutResult.OK
        assert remote.emit_there(scheduler, control("text")) is PutResult.OK
        report = scheduler.shutdown()
    assert_stopped_clean(graph, report)
    assert sorted(typed.seen, key=str) == sorted(free.seen, key=str) == [7, "text", "text"]


def test_item_larger_than_an_edge_leaves_no_copy() -> None:
    with fan_out({}, {"max_bytes": 4}) as (remote, scheduler, edges, _):
        with pytest.raises(ValueError, match="max_bytes is 4"):
            remote.emit_there(scheduler, "too long")
        assert [edge.stats().offered for edge in edges] == [0, 0]
        assert remote.emit_there(scheduler, "fits") is PutResult.OK


def test_unknown_port_names_the_nearest() -> None:
    with fan_out({}) as (remote, scheduler, _, _), pytest.raises(GraphValidationError, match="did you mean 'out'"):
        remote.emit_there(scheduler, 1, "oout")


def test_bare_none_is_refused_and_a_message_with_none_is_not() -> None:
    with fan_out({}) as (remote, scheduler, (edge,), (consumer,)):
        with pytest.raises(TypeError, match="None"):
            remote.emit_there(scheduler, None)
        assert edge.stats().offered == 0
        remote.emit_there(scheduler, Message(MessageType.DATA, None))
        scheduler.resume(consumer)
        assert consumer.expect(1) == [None]


def test_emit_outside_the_nodes_own_hook_raises_and_sends_nothing() -> None:
    first, second = Remote("first"), Remote("second")
    ends = [Collect("first_end"), Collect("second_end")]
    graph = Subgraph.from_nodes("g", [first, second, *ends])
    for remote, end in zip((first, second), ends, strict=True):
        graph.expose_input(remote.name, (remote.name, "calls"))
        graph.connect((remote.name, "out"), (end.name, "in"))
    scheduler = scheduler_of(graph)
    with pytest.raises(SchedulerStateError, match="own running hook"):
        first.emit("out", 1)
    with scheduler:
        with pytest.raises(SchedulerStateError, match="own running hook"):
            first.emit("out", 1)  # a foreign thread, while the node is live
        with pytest.raises(SchedulerStateError, match=r"'second'.*own running hook"):
            first.call(scheduler, lambda: second.emit("out", 1))  # another node's hook
        with pytest.raises(SchedulerStateError, match="own running hook"):
            first.call(scheduler, lambda: Call(first.emit, "out", 1).outcome())
        assert first.emit_there(scheduler, "mine") is PutResult.OK
        report = scheduler.shutdown()
    with pytest.raises(SchedulerStateError, match="own running hook"):
        first.emit("out", 1)
    assert_stopped_clean(graph, report)
    assert [end.seen for end in ends] == [["mine"], []]


class LastWords(Map):
    """Emits where it is too late."""

    error: BaseException | None = None

    def on_stop(self) -> None:
        try:
            self.emit("out", "too late")
        except BaseException as error:
            self.error = error
            raise


def test_emit_in_on_stop_raises_and_is_counted_as_the_nodes_error() -> None:
    node, last = LastWords("node"), Collect()
    graph = chain(Source("source", [1]), node, last)
    report = run_graph(graph)
    assert isinstance(node.error, SchedulerStateError)
    assert "on_drain" in str(node.error)
    assert report.error_counts == {"node": 1}
    assert last.seen == [1]
