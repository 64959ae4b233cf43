"""Which hooks run, with what, on which thread, and that they are the node's own at the time of the run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from graphs import (
    DEADLINE_S,
    Collect,
    Map,
    Source,
    assert_stopped_clean,
    chain,
    control,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import (
    GraphValidationError,
    Message,
    MessageType,
    Node,
    PutResult,
    Subgraph,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class Plain(Node):
    """Overrides nothing."""

    inputs = "in"
    outputs = "out"


def test_a_node_that_overrides_nothing_takes_its_messages_and_ends() -> None:
    graph = chain(Source("source", range(10)), Plain("plain"), Collect())
    report = run_graph(graph)
    assert_stopped_clean(graph, report)
    assert [edge.stats().delivered for edge in graph.edges] == [10, 0]


class Everything(Node):
    """Counts each of its hooks."""

    inputs = "in"
    outputs = "out"
    tick_interval_ms = 1

    def __init__(self, name: str = "node") -> None:
        super().__init__(name)
        self.calls: list[str] = []
        self.live: list[bool] = []

    def note(self, hook: str) -> None:
        self.calls.append(hook)
        self.live.append(self.is_live())

    def on_start(self) -> None:
        self.note("on_start")

    def on_message(self, port: str, msg: Message) -> None:
        self.note(f"on_message {port} {msg.type.name} {msg.payload}")

    def on_tick(self) -> None:
        self.note("on_tick")

    def on_drain(self) -> None:
        self.note("on_drain")

    def on_stop(self) -> None:
        self.note("on_stop")

    def on_error(self, exc: BaseException, msg: Message | None) -> None:
        self.note("on_error")

    def produce(self) -> Iterator[Any]:
        self.note("produce")
        yield 1


def test_hooks_come_in_their_order_and_once() -> None:
    node = Everything()
    graph = Subgraph.from_nodes("g", [node, last := Collect()])
    graph.connect("node:out", "collect:in")
    graph.expose_input("in", "node:in")
    with scheduler_of(graph) as scheduler:
        handle = scheduler.input("in")
        handle.put("data")
        until(lambda: "on_message in DATA data" in node.calls)
        handle.put(control("control"))
        handle.put(Message(MessageType.ERROR, "error"))
        until(lambda: node.calls.count("on_tick") >= 2 and last.seen)
        report = scheduler.shutdown()
    hooks = [call for call in node.calls if call != "on_tick"]
    assert hooks[0] == "on_start"
    assert hooks[-2:] == ["on_drain", "on_stop"]
    assert sorted(hooks[1:-2]) == [
        "on_message in CONTROL control",
        "on_message in DATA data",
        "on_message in ERROR error",
        "produce",
    ]
    assert node.live[0] is True
    assert node.live[-2:] == [False, False]  # the end has been asked for
    assert not node.is_live()
    assert_stopped_clean(graph, report)


def test_on_tick_is_only_for_nodes_that_have_it() -> None:
    """A node without inputs that does not tick does not keep the graph alive."""
    report = run_graph(Subgraph.from_nodes("g", [Plain("plain", inputs=(), outputs="out")]))
    assert report.reason == "completed"


def test_hooks_defined_on_the_object_count_too() -> None:
    node, calls = Plain("node"), []
    node.on_start = lambda: calls.append("start")  # type: ignore[method-assign]
    node.on_message = lambda port, msg: calls.append(msg.payload)  # type: ignore[method-assign]
    node.on_stop = lambda: calls.append("stop")  # type: ignore[method-assign]
    run_graph(chain(Source("source", [1, 2]), node))
    assert calls == ["start", 1, 2, "stop"]


def test_values_that_hooks_return_are_ignored() -> None:
    class Returns(Map):
        def on_start(self) -> Any:
            return 1

        def on_message(self, port: str, msg: Message) -> Any:
            super().on_message(port, msg)
            return [1, 2, 3]

        def on_drain(self) -> Any:
            return "drained"

        def on_stop(self) -> Any:
            return object()

    last = Collect()
    graph = chain(Source("source", range(3)), Returns("node"), last)
    report = run_graph(graph)
    assert last.seen == [0, 1, 2]
    assert report.errors == {}


def test_what_a_handler_raises_and_catches_itself_is_its_own() -> None:
    class Catches(Map):
        def on_message(self, port: str, msg: Message) -> None:
            try:
                self.emit("nowhere", 1)
            except GraphValidationError:
                self.emit("out", "caught")

    last = Collect()
    report = run_graph(chain(Source("source", [1]), Catches("node"), last))
    assert last.seen == ["caught"]
    assert report.errors == {}


def test_the_headers_of_a_handled_message_are_those_that_were_put() -> None:
    last = Collect()
    graph = chain(last)
    graph.expose_input("in", "collect:in")
    message = Message(MessageType.DATA, 1, {"meta": 2}, {"trace_id": "a" * 32, "timestamp": 5.0})
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put(message)
        last.expect(1)
    assert last.messages == [message]
    assert last.messages[0] is message


def test_handlers_of_different_nodes_run_at_the_same_time() -> None:
    """Two workers, two nodes: each handler waits for the other to be inside."""
    meet = threading.Barrier(2)

    class Meets(Map):
        def on_message(self, port: str, msg: Message) -> None:
            meet.wait(DEADLINE_S)

    graph = Subgraph.from_nodes("g", [Source("source", range(20)), Meets("a"), Meets("b")])
    graph.connect("source:out", "a:in")
    graph.connect("source:out", "b:in")
    report = run_graph(graph, workers=2)
    assert report.errors == {}


def test_a_node_may_emit_from_every_hook_but_on_stop() -> None:
    class Emits(Node):
        inputs = "in"
        outputs = "out"

        def on_start(self) -> None:
            self.emit("out", "start")

        def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", "message")
            raise ValueError

        def on_error(self, exc: BaseException, msg: Message | None) -> None:
            assert self.emit("out", "error") is PutResult.OK

        def on_drain(self) -> None:
            self.emit("out", "drain")

    last = Collect()
    run_graph(chain(Source("source", [1]), Emits("node"), last))
    assert last.seen == ["start", "message", "error", "drain"]


def test_a_payload_whose_end_puts_into_the_graph_does_not_deadlock() -> None:
    """A finalizer runs wherever the last reference goes, in the middle of the runtime."""
    last = Collect()
    graph = chain(Map("map", lambda v: v), Drops("drops"))
    graph.add_node(last)
    graph.expose_input("in", "map:in")
    graph.expose_input("late", "collect:in")
    with scheduler_of(graph) as scheduler:
        late = scheduler.input("late")

        class Farewell:
            def __del__(self) -> None:
                late.try_put("farewell")

        for _ in range(200):
            scheduler.input("in").put(Farewell())
        last.expect(200)
        report = scheduler.shutdown()
    assert_stopped_clean(graph, report)


class Drops(Node):
    inputs = "in"
