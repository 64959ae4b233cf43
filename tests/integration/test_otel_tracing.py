"""One trace from whoever puts a message in, through every kind of node, to whoever takes it out."""

from __future__ import annotations

from typing import Any

import pytest
from graphs import DEADLINE_S, Collect, Gate, Map, Source, Ticker, control, scheduler_of, until
from opentelemetry import trace
from traced import KINDS, PARENT, Awaiting, Current, Traces, Yields, framed, parent_of, trace_of

from graphflow import Message, MessageType, Subgraph
from graphflow.observability import instrument

pytest_plugins = ["traced"]  # the fixture `traces`


@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_goes_through_every_kind_of_node(traces: Traces, kind: type[Current]) -> None:
    first, second = kind("first"), kind("second")
    _, scheduler = framed(first, second)
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        with traces.tracer.start_as_current_span("caller") as caller:
            scheduler.input("in").put("x", timeout=DEADLINE_S)
        left = scheduler.output("out").get(DEADLINE_S)
    one, two = traces.one("first"), traces.one("second")
    assert parent_of(one) == caller.get_span_context().span_id
    assert parent_of(two) == one.context.span_id
    assert {trace_of(span) for span in traces.spans()} == {left.get_trace_id()}
    assert (
        left.headers["traceparent"]
        == f"00-{left.get_trace_id()}-{two.context.span_id:016x}-{two.context.trace_flags:02x}"
    )
    assert set(first.current) == {one.context.span_id}
    assert {message.get_trace_id() for message in first.seen} == {left.get_trace_id()}
    assert {message.headers["traceparent"][36:52] for message in first.seen} == {f"{one.context.span_id:016x}"}
    assert dict(one.attributes) == {
        "graphflow.graph": "chain",
        "graphflow.node": "first",
        "graphflow.port": "in",
        "graphflow.attempt": 1,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_spans_of_many_messages_do_not_mix(traces: Traces, kind: type[Current]) -> None:
    first, second = kind("first"), kind("second")
    _, scheduler = framed(first, second)
    sent: dict[int, str] = {}
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        for number in range(40):
            with traces.tracer.start_as_current_span("caller") as caller:
                sent[number] = f"{caller.get_span_context().trace_id:032x}"
                scheduler.input("in").put(number, timeout=DEADLINE_S)
        taken = [scheduler.output("out").get(DEADLINE_S) for _ in range(40)]
    assert {message.payload: message.get_trace_id() for message in taken} == sent
    for node in ("first", "second"):
        assert sorted(trace_of(span) for span in traces.spans(node)) == sorted(sent.values())


def test_messages_that_a_handler_makes_by_itself_join_the_trace(traces: Traces) -> None:
    class Makes(Map):
        def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", Message(MessageType.DATA, "fresh"))
            self.emit("out", Message(MessageType.CONTROL, "control"))
            self.emit("out", msg.with_payload("derived"))
            self.emit("out", Message(MessageType.DATA, "own", headers={"traceparent": PARENT}))

    _, scheduler = framed(Makes("makes"))
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(1)
        left: dict[Any, Message] = {}
        while len(left) < 4:
            message = scheduler.output("out").get(DEADLINE_S)
            left[message.payload] = message
    span = traces.one("makes")
    for name in ("fresh", "control", "derived"):
        assert left[name].get_trace_id() == trace_of(span)
        assert left[name].headers["traceparent"][36:52] == f"{span.context.span_id:016x}"
    assert left["own"].headers["traceparent"] == PARENT


def test_a_fan_out_is_one_trace_with_a_branch_each(traces: Traces) -> None:
    graph = Subgraph.from_nodes("g", [Source("source", [1]), Map("fan"), Collect("left"), Collect("right")])
    graph.connect("source:out", "fan:in")
    graph.connect("fan:out", "left:in")
    graph.connect("fan:out", "right:in")
    scheduler = scheduler_of(graph)
    with instrument(scheduler, tracer_provider=traces.provider):
        scheduler.run()
    fan = traces.one("fan")
    assert parent_of(fan) is None  # a source begins a trace
    assert {parent_of(traces.one(name)) for name in ("left", "right")} == {fan.context.span_id}
    assert len({span.context.trace_id for span in traces.spans()}) == 1


def test_nested_nodes_are_named_by_their_path(traces: Traces) -> None:
    inner = Subgraph.from_nodes("inner", [Map("m")])
    inner.expose_input("in", "m:in")
    graph = Subgraph.from_nodes("outer", [Source("a", [1])])
    graph.add_subgraph(inner)
    graph.connect("a:out", "inner:in")
    scheduler = scheduler_of(graph)
    with instrument(scheduler, tracer_provider=traces.provider):
        scheduler.run()
    assert traces.one("inner/m").name == "process inner/m"


def test_ticks_and_hooks_make_no_span(traces: Traces) -> None:
    ticker, sink = Ticker("ticker", 5, lambda node: node.emit("out", node.count)), Collect("sink")
    graph = Subgraph.from_nodes("g", [ticker, sink])
    graph.connect("ticker:out", "sink:in")
    scheduler = scheduler_of(graph)
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        sink.expect(3)
    assert traces.spans("ticker") == []
    assert len({span.context.trace_id for span in traces.spans("sink")}) == len(traces.spans("sink")) >= 3


def test_a_control_message_during_a_suspended_handler_has_its_own_span(traces: Traces) -> None:
    gate = Gate("gate")
    graph = Subgraph.from_nodes("g", [Yields("yields"), gate])
    graph.connect("yields:out", "gate:in", capacity=1)
    graph.expose_input("in", "yields:in")
    scheduler = scheduler_of(graph)
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put("data")
        until(lambda: scheduler.snapshot().nodes["yields"].held == 1)
        scheduler.input("in").put(control("now"))
        until(lambda: scheduler.snapshot().nodes["yields"].held == 2)
        gate.opened.set()
        gate.expect(20)
    first, second = traces.spans("yields")
    assert first.context.trace_id != second.context.trace_id
    assert {parent_of(span) for span in traces.spans("gate")} == {first.context.span_id, second.context.span_id}


class Pausing(Current):
    """Yields what it gets three times, and notes the span before each."""

    def on_message(self, port: str, msg: Message) -> Any:
        for _ in range(3):
            self.note(msg)
            yield msg.payload


def test_a_span_is_current_when_its_generator_goes_on_and_not_between(traces: Traces) -> None:
    between: list[bool] = []
    pausing, sink = Pausing("pausing"), Collect("sink")
    ticker = Ticker("ticker", 2, lambda _: between.append(trace.get_current_span().get_span_context().is_valid))
    graph = Subgraph.from_nodes("g", [pausing, sink, ticker])
    graph.connect("pausing:out", "sink:in", capacity=1)
    graph.expose_input("in", "pausing:in")
    scheduler = scheduler_of(graph, workers=1)
    scheduler.pause("sink")
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(1)
        until(lambda: scheduler.snapshot().nodes["pausing"].held == 1)
        ticks = len(between)
        until(lambda: len(between) > ticks + 1)
        scheduler.resume("sink")
        sink.expect(3)
    assert between.count(True) == 0
    assert pausing.current == [traces.one("pausing").context.span_id] * 3


def test_the_span_of_a_coroutine_is_not_current_in_others_of_the_loop(traces: Traces) -> None:
    current: list[bool] = []

    class Ticks(Awaiting):
        tick_interval_ms = 2

        async def on_tick(self) -> None:
            current.append(trace.get_current_span().get_span_context().is_valid)

    node = Ticks("node")
    _, scheduler = framed(node)
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(1)
        scheduler.output("out").get(DEADLINE_S)
        ticks = len(current)
        until(lambda: len(current) > ticks + 1)
    assert current.count(True) == 0
