"""Small nodes and graphs for tests, and the check that no message was lost uncounted."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from counting import assert_conserved
from timing import PATIENCE

from graphflow import Edge, Message, MessageType, Node, Scheduler, SchedulerConfig, ShutdownReport, Subgraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

DEADLINE_S = 30.0 * PATIENCE  # far more than any of these graphs needs, even on a busy machine


class Source(Node):
    """Sends the items, then ends."""

    outputs: Any = "out"

    def __init__(self, name: str, items: Iterable[Any]) -> None:
        super().__init__(name)
        self.items = items

    def produce(self) -> Iterator[Any]:
        yield from self.items


class Map(Node):
    """Emits what `fn` makes of each payload."""

    inputs: Any = "in"
    outputs: Any = "out"

    def __init__(self, name: str, fn: Callable[[Any], Any] = lambda value: value) -> None:
        super().__init__(name)
        self.fn = fn

    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", self.fn(msg.payload))


class Expand(Node):
    """Emits every value of `fn(payload)`, with emit(): it does not wait for room."""

    inputs: Any = "in"
    outputs: Any = "out"

    def __init__(self, name: str, fn: Callable[[Any], Iterable[Any]]) -> None:
        super().__init__(name)
        self.fn = fn

    def on_message(self, port: str, msg: Message) -> Any:
        for value in self.fn(msg.payload):
            self.emit("out", value)


class Yield(Expand):
    """The same as a generator: it is suspended while there is no room."""

    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        yield from self.fn(msg.payload)


class Collect(Node):
    """Keeps what arrives, in order; `expect` waits for a number of payloads."""

    inputs: Any = "in"

    def __init__(self, name: str = "collect", inputs: str | tuple[str, ...] = ()) -> None:
        super().__init__(name, inputs)
        self.messages: list[Message] = []
        self.ports: list[str] = []
        self._changed = threading.Condition()

    def on_message(self, port: str, msg: Message) -> None:
        with self._changed:
            self.messages.append(msg)
            self.ports.append(port)
            self._changed.notify_all()

    @property
    def seen(self) -> list[Any]:
        return [message.payload for message in self.messages]

    def expect(self, count: int) -> list[Any]:
        """Wait until `count` payloads are here, and return all."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.messages) >= count, DEADLINE_S):
                raise AssertionError(f"{self.name}: {len(self.messages)} of {count} messages arrived")
            return self.seen


class Gate(Collect):
    """A Collect whose handler waits, at each message, until the test opens it."""

    def __init__(self, name: str = "gate") -> None:
        super().__init__(name)
        self.entered = threading.Event()
        self.opened = threading.Event()

    def on_message(self, port: str, msg: Message) -> None:
        self.entered.set()
        if not self.opened.wait(DEADLINE_S):
            raise AssertionError(f"{self.name} was never opened")
        super().on_message(port, msg)


class Ticker(Node):
    """Calls `fn` at each tick."""

    outputs: Any = "out"

    def __init__(self, name: str, interval_ms: float, fn: Callable[[Ticker], object]) -> None:
        super().__init__(name)
        self.tick_interval_ms = interval_ms
        self.fn = fn
        self.count = 0
        self.ticked = threading.Event()

    def on_tick(self) -> None:
        self.count += 1
        self.fn(self)
        self.ticked.set()


class Remote(Node):
    """Runs in its own hook what a test asks for, and gives the answer back. Control, so that nothing delays it."""

    inputs: Any = "calls"

    def __init__(self, name: str = "remote", outs: str | tuple[str, ...] = "out") -> None:
        super().__init__(name, outputs=outs)

    def on_message(self, port: str, msg: Message) -> None:
        fn, answer = msg.payload
        try:
            answer.set_result(fn())
        except BaseException as error:
            answer.set_exception(error)

    def call(self, scheduler: Scheduler, fn: Callable[[], Any]) -> Any:
        """What `fn()` returns or raises inside the hook. The node's input is exposed under its name."""
        answer: Future[Any] = Future()
        scheduler.input(self.name).put(Message(MessageType.CONTROL, (fn, answer)), timeout=DEADLINE_S)
        return answer.result(DEADLINE_S)

    def emit_there(self, scheduler: Scheduler, value: Any, port: str = "out") -> Any:
        """What `emit` answers inside the hook."""
        return self.call(scheduler, lambda: self.emit(port, value))


def until(condition: Callable[[], object], seconds: float = DEADLINE_S) -> None:
    """Wait for what nothing announces; look every two milliseconds."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.002)):
        if condition():
            return
        pause.wait(0.002)
    raise AssertionError("the condition never came true")


def control(payload: Any) -> Message:
    return Message(MessageType.CONTROL, payload)


def chain(*nodes: Node, capacity: int = 1024, **options: Any) -> Subgraph:
    """The nodes in a row, each one's `out` into the next one's `in`."""
    graph = Subgraph.from_nodes("chain", nodes)
    for first, second in itertools.pairwise(nodes):
        graph.connect((first.name, "out"), (second.name, "in"), capacity=capacity, **options)
    return graph


def pipeline(count: int = 20) -> Subgraph:
    """Numbers from "source" through "map" to "collect", with little room between."""
    return chain(Source("source", range(count)), Map("map"), Collect("collect"), capacity=3)


def inlet(node: Node, **exposed: Any) -> Subgraph:
    """A graph of one node, whose input `in` is exposed under that name."""
    graph = Subgraph.from_nodes("inlet", [node])
    graph.expose_input("in", (node.name, "in"), **exposed)
    return graph


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


def scheduler_of(*items: Subgraph | Node, **config: Any) -> Scheduler:
    scheduler = Scheduler(SchedulerConfig(**config))
    for item in items:
        scheduler.register(item)
    return scheduler


def run_graph(graph: Subgraph, **config: Any) -> ShutdownReport:
    """Run a graph that ends by itself, and check that nothing was lost."""
    scheduler = scheduler_of(graph, **config)
    scheduler.start()
    try:
        report = scheduler.wait(DEADLINE_S)
    finally:
        if scheduler.is_running():
            scheduler.shutdown(drain=False)
    assert_graph_conserved(graph)
    return report


def edge_of(graph: Subgraph, edge_id: str) -> Edge:
    return {edge.id: edge for edge in graph.edges}[edge_id]


def assert_graph_conserved(graph: Subgraph) -> None:
    """Every edge accounts for all it was offered."""
    for edge in graph.edges:
        assert_conserved(edge)


def assert_stopped_clean(graph: Subgraph, report: ShutdownReport) -> None:
    """Everything was handled: nothing is left anywhere but in exposed outputs."""
    assert_graph_conserved(graph)
    assert report.complete, report
    assert not report.undelivered
    assert not report.abandoned
    for edge in graph.edges:
        stats = edge.stats()
        assert stats.undelivered == 0, f"{edge.id}: {stats}"
        assert stats.depth == 0 or "->output:" in edge.id, f"{edge.id}: {stats}"
