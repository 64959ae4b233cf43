"""One trace from whoever puts a message in, through every kind of node, to whoever takes it out."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Gate, Map, Source, Ticker, chain, control, run_graph, scheduler_of, until
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from graphflow import ErrorPolicy, Message, MessageType, Node, Scheduler, SchedulerStateError, Subgraph
from graphflow.core.message import known_trace
from graphflow.observability import instrument

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331


class Traces:
    """A provider, and the spans that have ended."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(**options)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")

    def spans(self, node: str | None = None) -> list[Any]:
        ended = self.exporter.get_finished_spans()
        return [
            span
            for span in ended
            if node is None or (span.attributes and span.attributes.get("graphflow.node") == node)
        ]

    def one(self, node: str) -> Any:
        (span,) = self.spans(node)
        return span


@pytest.fixture
def traces() -> Iterator[Traces]:
    made = Traces()
    yield made
    assert not trace.get_current_span().get_span_context().is_valid, "a span is current still"
    made.provider.shutdown()


def trace_of(span: Any) -> str:
    return f"{span.context.trace_id:032x}"


def parent_of(span: Any) -> int | None:
    return None if span.parent is None else span.parent.span_id


def framed(*nodes: Node) -> tuple[Subgraph, Scheduler]:
    """The nodes in a row, between an exposed input and an exposed output."""
    graph = chain(*nodes)
    graph.expose_input("in", (nodes[0].name, "in"))
    graph.expose_output("out", (nodes[-1].name, "out"))
    return graph, scheduler_of(graph, workers=2)


class Current(Map):
    """Emits what it gets; notes which span is current while it handles it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.current: list[int] = []
        self.seen: list[Message] = []

    def note(self, msg: Message) -> None:
        self.current.append(trace.get_current_span().get_span_context().span_id)
        self.seen.append(msg)

    def on_message(self, port: str, msg: Message) -> Any:
        self.note(msg)
        self.emit("out", msg.payload)


class Yielding(Current):
    def on_message(self, port: str, msg: Message) -> Any:
        for _ in range(1):
            self.note(msg)
            yield msg.payload
            self.note(msg)


class InTwos(Current):
    max_concurrency = 2


class Retrying(Current):
    error_policy = ErrorPolicy.retry(2)


class Dedicated(Current):
    dedicated = True


class Awaiting(Current):
    async def on_message(self, port: str, msg: Message) -> None:  # type: ignore[override]
        self.note(msg)
        await asyncio.sleep(0.001)
        self.note(msg)
        self.emit("out", msg.payload)


class AwaitingInTwos(Awaiting):
    max_concurrency = 2


class YieldingAwaiting(Current):
    async def on_message(self, port: str, msg: Message) -> Any:
        self.note(msg)
        await asyncio.sleep(0.001)
        yield msg.payload
        self.note(msg)


KINDS = [Current, Yielding, InTwos, Retrying, Dedicated, Awaiting, AwaitingInTwos, YieldingAwaiting]


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


def test_puts_of_all_kinds_carry_the_callers_span(traces: Traces) -> None:
    _, scheduler = framed(Map("m"))
    given = Message(MessageType.DATA, "given", headers={"traceparent": PARENT, "mine": 1})
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        inlet = scheduler.input("in")

        async def put() -> None:
            await inlet.aput("aput")

        with traces.tracer.start_as_current_span("caller") as caller:
            inlet.put("put")
            inlet.try_put("try_put")
            inlet.put_many(["many"])
            asyncio.run(put())
            inlet.put(given)
        left = {message.payload: message for message in scheduler.output("out").get_many(5, DEADLINE_S)}
        while len(left) < 5:
            message = scheduler.output("out").get(DEADLINE_S)
            left[message.payload] = message
    mine = caller.get_span_context()
    for name in ("put", "try_put", "many", "aput"):
        assert left[name].get_trace_id() == f"{mine.trace_id:032x}"
    assert left["given"].get_trace_id() == PARENT[3:35]
    assert left["given"].headers["mine"] == 1
    assert [parent_of(span) for span in traces.spans("m")].count(mine.span_id) == 4


def test_a_traceparent_in_the_headers_is_the_parent(traces: Traces) -> None:
    _, scheduler = framed(Map("m"))
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        headers = {"traceparent": PARENT, "tracestate": "vendor=value"}
        scheduler.input("in").put(Message(MessageType.DATA, 1, headers=headers))
        left = scheduler.output("out").get(DEADLINE_S)
    span = traces.one("m")
    assert (span.context.trace_id, parent_of(span)) == (TRACE, SPAN)
    assert left.headers["tracestate"] == "vendor=value"


WRONG = ["", "x", PARENT.upper(), PARENT[:-1], "ff" + PARENT[2:], "00-" + "0" * 32 + PARENT[35:], 5]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_traceparent_that_is_none_begins_a_trace(traces: Traces, wrong: Any) -> None:
    _, scheduler = framed(Map("m"))
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(Message(MessageType.DATA, 1, headers={"traceparent": wrong}))
        left = scheduler.output("out").get(DEADLINE_S)
    span = traces.one("m")
    assert left.get_trace_id() == trace_of(span)
    assert left.headers["traceparent"] != wrong


def test_a_trace_id_that_is_known_already_stays(traces: Traces) -> None:
    message = Message(MessageType.DATA, 1)
    known = message.get_trace_id()
    _, scheduler = framed(Map("a"), Map("b"))
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(message)
        left = scheduler.output("out").get(DEADLINE_S)
    assert left.get_trace_id() == known
    assert {trace_of(span) for span in traces.spans()} == {known}


def test_an_id_that_is_no_trace_id_gives_way_to_a_real_one(traces: Traces) -> None:
    _, scheduler = framed(Map("a"))
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(Message(MessageType.DATA, 1, headers={"trace_id": "order-4711"}))
        left = scheduler.output("out").get(DEADLINE_S)
    assert left.get_trace_id() == trace_of(traces.one("a"))


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


# ---------------------------------------------------------------------------------------- errors


def raises(self: Any, port: str, msg: Message) -> None:
    raise ValueError("the reason")


async def raises_awaiting(self: Any, port: str, msg: Message) -> None:
    raise ValueError("the reason")


def raises_yielding(self: Any, port: str, msg: Message) -> Any:
    yield 1
    raise ValueError("the reason")


RAISING: dict[type[Node], Any] = {Awaiting: raises_awaiting, Yielding: raises_yielding}


@pytest.mark.parametrize("kind", [Map, InTwos, Awaiting, Yielding])
def test_an_error_is_recorded_and_the_span_is_marked(traces: Traces, kind: type[Node]) -> None:
    class Fails(kind):  # type: ignore[misc,valid-type]
        on_message = RAISING.get(kind, raises)

    scheduler = scheduler_of(chain(Source("a", [1]), Fails("b"), Collect("c")))
    with instrument(scheduler, tracer_provider=traces.provider):
        scheduler.run()
    span = traces.one("b")
    assert span.status.status_code is StatusCode.ERROR
    (event,) = span.events
    assert event.attributes is not None
    assert event.attributes["exception.message"] == "the reason"


def test_each_attempt_has_a_span_and_a_dead_letter_is_in_the_trace(traces: Traces) -> None:
    class Stubborn(Map):
        outputs = "dead"
        error_policy = ErrorPolicy.retry(3, backoff_s=0.001, then=ErrorPolicy.dead_letter("dead"))

        def on_message(self, port: str, msg: Message) -> None:
            raise ValueError

    letters = Collect("letters")
    graph = Subgraph.from_nodes("g", [Source("a", [1]), Stubborn("b"), letters])
    graph.connect("a:out", "b:in")
    graph.connect("b:dead", "letters:in")
    scheduler = scheduler_of(graph)
    with instrument(scheduler, tracer_provider=traces.provider):
        scheduler.run()
    attempts = traces.spans("b")
    assert [span.attributes["graphflow.attempt"] for span in attempts] == [1, 2, 3]
    assert parent_of(traces.one("letters")) == attempts[-1].context.span_id


def test_a_handler_that_is_abandoned_ends_its_span(traces: Traces) -> None:
    graph = Subgraph.from_nodes("g", [Yields("yields"), Gate("gate")])
    graph.connect("yields:out", "gate:in", capacity=1)
    graph.expose_input("in", "yields:in")
    gate = graph.nodes["gate"]
    assert isinstance(gate, Gate)
    scheduler = scheduler_of(graph, shutdown_timeout_s=1.0)
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(1)
        until(lambda: scheduler.snapshot().nodes["yields"].held == 1)
        scheduler_stops = threading.Thread(target=scheduler.shutdown, kwargs={"drain": False})
        scheduler_stops.start()
        gate.opened.set()
        scheduler_stops.join(DEADLINE_S)
    assert traces.one("yields").end_time is not None


class Yields(Map):
    def on_message(self, port: str, msg: Message) -> Any:
        yield from range(10)


def test_a_tracer_that_raises_breaks_no_handler_and_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(TracerProvider):
        def get_tracer(self, *args: Any, **options: Any) -> Any:
            class Tracer:
                def start_span(self, *args: Any, **options: Any) -> Any:
                    raise RuntimeError("no tracer today")

            return Tracer()

    sink = Collect("c")
    scheduler = scheduler_of(chain(Source("a", range(5)), Map("b"), sink))
    with caplog.at_level(logging.ERROR, "graphflow"), instrument(scheduler, tracer_provider=Broken()):
        assert scheduler.run().complete
    assert sink.seen == list(range(5))
    assert [record.event for record in caplog.records] == ["tracing_error"]  # type: ignore[attr-defined]


# ---------------------------------------------------------------------------------------- on and off


def test_a_sampler_that_says_no_leaves_the_context_to_the_next() -> None:
    traces = Traces(sampler=ALWAYS_OFF)
    _, scheduler = framed(Map("m"))
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(Message(MessageType.DATA, 1, headers={"traceparent": PARENT}))
        left = scheduler.output("out").get(DEADLINE_S)
    assert traces.spans() == []
    assert left.headers["traceparent"][3:35] == PARENT[3:35]
    assert left.headers["traceparent"].endswith("-00")


def test_without_a_tracer_provider_nothing_is_traced_or_changed() -> None:
    seen = Collect("c")
    message = Message(MessageType.DATA, 1)
    scheduler = scheduler_of(chain(Source("a", [message]), Map("b"), seen))
    with instrument(scheduler):
        scheduler.run()
    assert "traceparent" not in seen.messages[0].headers
    run_graph(chain(Source("a", [message]), seen_directly := Collect("c")))
    assert seen_directly.messages[0] is message


def test_it_can_be_turned_on_and_off_while_the_graph_runs(traces: Traces) -> None:
    _, scheduler = framed(Map("m"))

    def through() -> Message:
        scheduler.input("in").put(1)
        return scheduler.output("out").get(DEADLINE_S)

    with scheduler:
        assert "traceparent" not in through().headers
        with instrument(scheduler, tracer_provider=traces.provider):
            assert "traceparent" in through().headers
            with pytest.raises(SchedulerStateError, match="instrumented already"):
                instrument(scheduler)
        assert "traceparent" not in through().headers
        with instrument(scheduler, tracer_provider=traces.provider):
            through()
    assert len(traces.spans("m")) == 2


def test_it_lasts_over_a_restart(traces: Traces) -> None:
    scheduler = scheduler_of(chain(Source("a", [1]), Collect("b")))
    with instrument(scheduler, tracer_provider=traces.provider):
        scheduler.run()
        scheduler.run()
    scheduler.run()
    assert len(traces.spans("b")) == 2


def test_two_schedulers_are_told_apart(traces: Traces) -> None:
    first, second = (scheduler_of(chain(Source("a", [1]), Collect("b")), name=name) for name in ("one", "two"))
    with instrument(first, tracer_provider=traces.provider), instrument(second, tracer_provider=traces.provider):
        first.run()
        second.run()
    assert [span.attributes["graphflow.graph"] for span in traces.spans("b")] == ["one", "two"]


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
    """Yields twice what it gets, and notes the span before and after it was suspended."""

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


@pytest.mark.parametrize("wrong", [*WRONG, "00-" + PARENT[3:36] + "0" * 16 + "-01"])
def test_a_traceparent_that_is_none_gives_no_trace_id(wrong: Any) -> None:
    message = Message(MessageType.DATA, 1, headers={"traceparent": wrong})
    assert known_trace(message) is None
    assert message.headers["traceparent"] == wrong
    assert len(message.get_trace_id()) == 32


def test_a_message_knows_its_trace_without_making_one() -> None:
    message = Message(MessageType.DATA, 1)
    assert known_trace(message) is None
    assert len(message.headers) == 2
    assert known_trace(message) is None
    made = message.get_trace_id()
    assert known_trace(message) == known_trace(message.with_payload(2)) == made
    assert known_trace(Message(MessageType.DATA, 1, headers={"traceparent": PARENT})) == PARENT[3:35]
    given = Message(MessageType.DATA, 1, headers={"traceparent": PARENT, "trace_id": "mine"})
    assert known_trace(given) == "mine"
