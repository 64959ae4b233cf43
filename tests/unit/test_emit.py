"""What emit answers, what it raises, and that it then leaves no copy anywhere."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

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
    run_graph,
    scheduler_of,
    until,
)

from graphflow import (
    BackpressureError,
    Block,
    Coalesce,
    Drop,
    ErrorPolicy,
    GraphValidationError,
    Latest,
    Message,
    MessageType,
    Node,
    Policy,
    PortSpec,
    PutResult,
    Scheduler,
    SchedulerStateError,
    SchemaError,
    Subgraph,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphflow import Edge


@contextmanager
def fan_out(
    *options: dict[str, Any], paused: bool = True, **config: Any
) -> Iterator[tuple[Remote, Scheduler, list[Edge], list[Collect]]]:
    """A Remote with an edge of each of `options` to a consumer; paused consumers take no data until resumed."""
    remote = Remote()
    consumers = [Collect(f"c{number}") for number in range(len(options))]
    graph = Subgraph.from_nodes("fan_out", [remote, *consumers])
    graph.expose_input("remote", "remote:calls")
    for consumer, chosen in zip(consumers, options, strict=True):
        graph.connect("remote:out", (consumer.name, "in"), **chosen)
    scheduler = scheduler_of(graph, **config)
    if paused:
        for consumer in consumers:
            scheduler.pause(consumer)
    with scheduler:
        yield remote, scheduler, [edge_of(graph, f"remote:out->{c.name}:in") for c in consumers], consumers
        report = scheduler.shutdown()
    assert_stopped_clean(graph, report)


def test_emit_answers_ok_then_deferred_and_never_blocked() -> None:
    with fan_out({"capacity": 2}) as (remote, scheduler, (edge,), (consumer,)):
        answers = [remote.emit_there(scheduler, number) for number in range(6)]
        assert answers == [PutResult.OK] * 2 + [PutResult.DEFERRED] * 4
        assert edge.depth() == 2
        scheduler.resume(consumer)
        assert consumer.expect(6) == list(range(6))
    assert consumer.seen == list(range(6))


def test_what_is_emitted_behind_deferred_items_waits_its_turn() -> None:
    with fan_out({"capacity": 1}) as (remote, scheduler, (edge,), (consumer,)):
        for number in range(3):
            remote.emit_there(scheduler, number)
        scheduler.set_capacity(edge.id, 2)  # room for one of the two that wait, none for the newcomer
        assert remote.emit_there(scheduler, 3) is PutResult.DEFERRED
        scheduler.resume(consumer)
        assert consumer.expect(4) == [0, 1, 2, 3]


def test_room_that_comes_in_the_middle_of_a_hook_goes_to_what_waits() -> None:
    with fan_out({"capacity": 1}) as (remote, scheduler, (edge,), (consumer,)):

        def emit_and_make_room() -> list[PutResult]:
            answers = [remote.emit("out", number) for number in range(3)]
            scheduler.set_capacity(edge.id, 100)
            return [*answers, remote.emit("out", 3)]

        answers = remote.call(scheduler, emit_and_make_room)
        assert answers == [PutResult.OK, *[PutResult.DEFERRED] * 3]
        scheduler.resume(consumer)
        assert consumer.expect(4) == [0, 1, 2, 3]


FULL = {
    PutResult.DEFERRED: {"capacity": 1, "policy": Block()},
    PutResult.DROPPED: {"capacity": 1, "policy": Drop()},
    PutResult.REPLACED: {"capacity": 1, "policy": Latest()},
    PutResult.COALESCED: {"capacity": 1, "policy": Coalesce(lambda old, new: old + new)},
    PutResult.OK: {"capacity": 8, "policy": Block()},
}
STRONGEST_FIRST = list(FULL)


@pytest.mark.parametrize("strongest", STRONGEST_FIRST, ids=lambda answer: answer.name)
def test_fan_out_answers_the_strongest(strongest: PutResult) -> None:
    weaker = STRONGEST_FIRST[STRONGEST_FIRST.index(strongest) :]
    for order in (weaker, weaker[::-1]):
        with fan_out(*(FULL[answer] for answer in order)) as (remote, scheduler, edges, _):
            assert remote.emit_there(scheduler, 1) is PutResult.OK
            assert remote.emit_there(scheduler, 2) is strongest
            assert all(edge.stats().offered + (edge.capacity == 1) >= 1 for edge in edges)


def test_a_port_without_edges_answers_ok() -> None:
    remote = Remote(outs=("out", "unused"))
    graph = Subgraph.from_nodes("g", [remote])
    graph.expose_input("remote", "remote:calls")
    with scheduler_of(graph) as scheduler:
        assert remote.emit_there(scheduler, 1, "unused") is PutResult.OK


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


# ------------------------------------------------------------------------------- from elsewhere


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
            first.call(scheduler, lambda: in_a_thread(lambda: first.emit("out", 1)))
        assert first.emit_there(scheduler, "mine") is PutResult.OK
        report = scheduler.shutdown()
    with pytest.raises(SchedulerStateError, match="own running hook"):
        first.emit("out", 1)
    assert_stopped_clean(graph, report)
    assert [end.seen for end in ends] == [["mine"], []]


def in_a_thread(fn: Any) -> Any:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            fn()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(DEADLINE_S)
    assert caught, "nothing was raised in the thread"
    raise caught[0]


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


# ------------------------------------------------------------------------------- headers


class TraceReader(Map):
    """Reads the trace id of what it handles before or after its child's is made."""

    def __init__(self, name: str, read_first: bool) -> None:
        super().__init__(name)
        self.read_first = read_first
        self.handled: list[Message] = []

    def on_message(self, port: str, msg: Message) -> None:
        self.handled.append(msg)
        if self.read_first:
            msg.get_trace_id()
        self.emit("out", msg.payload)


@pytest.mark.parametrize("read_first", [True, False])
def test_children_share_the_trace_of_the_message_being_handled(read_first: bool) -> None:
    nodes = [TraceReader(f"t{number}", read_first) for number in range(3)]
    last = Collect()
    run_graph(chain(Source("source", range(20)), *nodes, last))
    for number, message in enumerate(last.messages):
        trace = message.get_trace_id()
        assert [node.handled[number].get_trace_id() for node in nodes] == [trace] * 3
    assert len({message.get_trace_id() for message in last.messages}) == 20


class Stamp(Map):
    """Emits Messages of its own making."""

    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", Message(MessageType.DATA, msg.payload, {"own": True}, {"trace_id": f"{msg.payload:032x}"}))


def test_a_message_keeps_its_own_headers_and_payloads_inherit_them() -> None:
    last = Collect()
    run_graph(chain(Source("source", range(3)), Stamp("stamp"), Map("map"), last))
    assert [message.get_trace_id() for message in last.messages] == [f"{n:032x}" for n in range(3)]


class TickSource(Node):
    """Emits at its second tick, long after a control message was handled."""

    inputs = "in"
    outputs = "out"
    tick_interval_ms = 1
    handled: Message | None = None

    def on_message(self, port: str, msg: Message) -> None:
        self.handled = msg

    def on_tick(self) -> None:
        if self.handled is not None:
            self.emit("out", "tick")


def test_what_a_tick_emits_is_nobodys_child() -> None:
    node, last = TickSource("node"), Collect()
    graph = chain(node, last)
    graph.expose_input("in", "node:in")
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put("hello")
        last.expect(2)
    assert node.handled is not None
    traces = {message.get_trace_id() for message in (*last.messages[:2], node.handled)}
    assert len(traces) == 3


# ------------------------------------------------------------------------------- deferring


class Busy(Remote):
    """Counts what it gets while it is deferred."""

    inputs = ("calls", "data")
    tick_interval_ms = 1

    def __init__(self) -> None:
        super().__init__("remote")
        self.data: list[Any] = []
        self.ticks = 0
        self.ticked = threading.Event()

    def on_message(self, port: str, msg: Message) -> None:
        if port == "calls":
            super().on_message(port, msg)
        else:
            self.data.append(msg.payload)

    def on_tick(self) -> None:
        self.ticks += 1
        self.ticked.set()


def test_deferred_node_gets_control_but_neither_data_nor_ticks() -> None:
    busy, consumer = Busy(), Collect()
    graph = chain(busy, consumer, capacity=1)
    graph.expose_input("remote", "remote:calls")
    graph.expose_input("data", "remote:data")
    scheduler = scheduler_of(graph)
    scheduler.pause(consumer)
    with scheduler:
        assert busy.ticked.wait(DEADLINE_S)
        assert busy.emit_there(scheduler, 1) is PutResult.OK
        assert busy.emit_there(scheduler, 2) is PutResult.DEFERRED
        ticks = busy.ticks
        scheduler.input("data").put_many(range(5))
        for _ in range(50):
            assert busy.call(scheduler, lambda: None) is None  # control still comes
        assert threading.Event().wait(0.03) is False  # thirty tick intervals, in which nothing may happen
        assert busy.ticks == ticks
        assert busy.data == []
        busy.ticked.clear()
        scheduler.resume(consumer)
        assert busy.ticked.wait(DEADLINE_S)
        consumer.expect(2)
        report = scheduler.shutdown()
    assert busy.data == list(range(5))
    assert_stopped_clean(graph, report)


def test_control_that_is_emitted_goes_past_deferred_data() -> None:
    with fan_out({"capacity": 1}) as (remote, scheduler, _, (consumer,)):
        for number in range(4):
            remote.emit_there(scheduler, number)
        assert remote.emit_there(scheduler, control("flush")) is PutResult.OK
        assert consumer.expect(1) == ["flush"]  # control reaches even a paused node
        scheduler.resume(consumer)
        assert consumer.expect(5) == ["flush", 0, 1, 2, 3]


def test_deferred_control_stops_data_and_control_but_loses_neither() -> None:
    remote, gate = Remote(), Gate()
    graph = chain(remote, gate, capacity=8, control_capacity=1)
    graph.expose_input("remote", "remote:calls")
    with scheduler_of(graph) as scheduler:
        remote.emit_there(scheduler, control("inside"))
        assert gate.entered.wait(DEADLINE_S)
        answers = remote.call(scheduler, lambda: [remote.emit("out", control(n)) for n in range(3)])
        assert answers == [PutResult.OK, PutResult.DEFERRED, PutResult.DEFERRED]
        handle = scheduler.input("remote")
        assert handle.try_put(control((lambda: remote.emit("out", "data"), _Ignore()))) is PutResult.OK
        assert handle.edge.depth() == 1
        assert threading.Event().wait(0.02) is False
        assert handle.edge.depth() == 1  # the node, deferred with control, takes nothing
        gate.opened.set()
        assert gate.expect(5) == ["inside", 0, 1, 2, "data"]
        report = scheduler.shutdown()
    assert_stopped_clean(graph, report)


class _Ignore:
    def set_result(self, value: object) -> None:
        pass

    set_exception = set_result


# ------------------------------------------------------------------------------- closed edges, users' policies


class Failing(Collect):
    error_policy = ErrorPolicy.STOP_NODE

    def on_message(self, port: str, msg: Message) -> None:
        raise RuntimeError("no more")


def test_emitting_to_a_closed_edge_counts_as_dropped_and_never_raises() -> None:
    remote, failing, other = Remote(), Failing("failing"), Collect("other")
    graph = Subgraph.from_nodes("g", [remote, failing, other])
    graph.expose_input("remote", "remote:calls")
    edge_id = graph.connect("remote:out", "failing:in")
    graph.connect("remote:out", "other:in")
    with scheduler_of(graph) as scheduler:
        edge = edge_of(graph, edge_id)
        remote.emit_there(scheduler, 0)
        until(lambda: edge.closed)
        assert remote.emit_there(scheduler, 1) is PutResult.DROPPED
        assert remote.emit_there(scheduler, control("x")) is PutResult.DROPPED
        assert edge.stats().dropped_closed == 2
        report = scheduler.shutdown()
    assert sorted(other.seen, key=str) == [0, 1, "x"]
    assert report.error_counts == {"failing": 1}
    assert_graph_conserved(graph)


class Odd:
    """Lets odd numbers in, whether there is room or not."""

    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult:
        payload = item.payload if isinstance(item, Message) else item
        return PutResult.OK if payload % 2 else PutResult.DROPPED


def test_a_users_policy_is_asked_even_where_there_is_room() -> None:
    policy: Policy = Odd()
    with fan_out({"policy": policy}) as (remote, scheduler, (edge,), (consumer,)):
        answers = [remote.emit_there(scheduler, number) for number in range(4)]
        assert answers == [PutResult.DROPPED, PutResult.OK] * 2
        scheduler.resume(consumer)
        assert consumer.expect(2) == [1, 3]
        assert edge.stats().dropped == 2


class Broken:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def on_enqueue(self, capacity: int, size: int, item: Any) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [RuntimeError("policy"), None, 7, PutResult.COALESCED, PutResult.DEFERRED])
def test_a_broken_policy_drops_the_copy_of_its_own_edge_only(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    with fan_out({"policy": Broken(answer)}, {}) as (remote, scheduler, edges, (_, consumer)):
        assert remote.emit_there(scheduler, 1) is PutResult.DROPPED
        assert (edges[0].stats().dropped, edges[0].stats().dropped_error) == (1, 1)
        scheduler.resume(consumer)
        assert consumer.expect(1) == [1]
    assert "remote:out->c0:in" in caplog.text


def test_raising_a_broken_policy_is_no_error_of_the_node() -> None:
    last = Collect()
    graph = chain(Source("source", range(5)), Map("map"), last, policy=Broken(RuntimeError("policy")))
    report = run_graph(graph)
    assert report.errors == {}
    assert last.seen == []
    assert edge_of(graph, "source:out->map:in").stats().dropped_error == 5
