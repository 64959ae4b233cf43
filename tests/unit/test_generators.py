"""Handlers and hooks that are generators: suspended without room, resumed, closed, and what they raise."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Gate,
    Source,
    Yield,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    control,
    edge_of,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import Message, Node, PortSpec, SchemaError, Subgraph

if TYPE_CHECKING:
    from collections.abc import Iterator


class Count(Node):
    """Yields the numbers below each payload, and notes how far it came and how it ended."""

    inputs = "in"
    outputs = "out"

    def __init__(self, name: str = "count") -> None:
        super().__init__(name)
        self.reached = -1
        self.ends: list[str] = []
        self.moved = threading.Event()

    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        try:
            for number in range(msg.payload):
                self.reached = number
                self.moved.set()
                yield number
            self.ends.append("ended")
        except GeneratorExit:
            self.ends.append("closed")
            raise
        finally:
            self.moved.set()


def test_generator_handler_is_suspended_without_room_and_overshoots_by_one() -> None:
    count, gate = Count(), Gate()
    graph = chain(count, gate, capacity=3)
    graph.expose_input("in", "count:in")
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put(100)
        assert gate.entered.wait(DEADLINE_S)
        edge = edge_of(graph, "count:out->gate:in")
        until(lambda: edge.stats().blocked > 0)
        assert threading.Event().wait(0.02) is False
        assert count.reached <= 1 + 3 + 1  # one being handled, three queued, one deferred
        gate.opened.set()
        assert gate.expect(100) == list(range(100))
        report = scheduler.shutdown()
    assert count.ends == ["ended"]
    assert_stopped_clean(graph, report)


def test_suspended_handler_holds_the_next_message_back() -> None:
    count, last = Count(), Collect()
    graph = chain(Source("source", [70, 3, 70]), count, last, capacity=2)
    report = run_graph(graph, max_batch_per_node=4)
    assert last.seen == [*range(70), *range(3), *range(70)]
    assert count.ends == ["ended"] * 3
    assert_stopped_clean(graph, report)


def test_suspended_handler_is_closed_at_a_stop_and_its_message_abandoned() -> None:
    count, gate = Count(), Gate()
    graph = chain(count, gate, capacity=1)
    graph.expose_input("in", "count:in")
    scheduler = scheduler_of(graph)
    scheduler.pause(gate)
    scheduler.start()
    scheduler.input("in").put_many([50, 50])
    edge = edge_of(graph, "count:out->gate:in")
    until(lambda: edge.stats().blocked > 0)
    report = scheduler.shutdown(drain=False)
    assert count.ends == ["closed"]
    assert not report.complete
    assert report.undelivered == {edge.id: 2, "input:in->count:in": 1}
    assert_graph_conserved(graph)


class Failing(Node):
    inputs = "in"
    outputs = "out"

    def __init__(self) -> None:
        super().__init__("failing")
        self.seen_errors: list[tuple[str, Any]] = []

    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        yield f"{msg.payload} first"
        if msg.payload % 2:
            raise ValueError(f"odd {msg.payload}")
        yield f"{msg.payload} second"

    def on_error(self, exc: BaseException, msg: Message | None) -> None:
        self.seen_errors.append((str(exc), msg and msg.payload))


@pytest.mark.parametrize("capacity", [1, 100])
def test_handler_that_raises_between_yields_keeps_what_it_sent_and_goes_on(capacity: int) -> None:
    failing, last = Failing(), Collect()
    graph = chain(Source("source", range(4)), failing, last, capacity=capacity)
    report = run_graph(graph)
    assert last.seen == ["0 first", "0 second", "1 first", "2 first", "2 second", "3 first"]
    assert failing.seen_errors == [("odd 1", 1), ("odd 3", 3)]
    assert report.error_counts == {"failing": 2}
    assert [str(error) for error in report.errors["failing"]] == ["odd 1", "odd 3"]


class Resilient(Node):
    """Yields something that does not match, and sees that where it yielded."""

    inputs = "in"
    outputs = "out"
    caught: SchemaError | None = None

    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        try:
            yield "text"
        except SchemaError as error:
            self.caught = error
            yield 0
        yield msg.payload


class Numbers(Collect):
    inputs = PortSpec("in", int)


def test_an_error_of_the_emission_is_raised_where_it_was_yielded() -> None:
    node, last = Resilient("node"), Numbers()
    report = run_graph(chain(Source("source", [5]), node, last))
    assert isinstance(node.caught, SchemaError)
    assert last.seen == [0, 5]
    assert report.errors == {}


class Pairs(Node):
    """Yields to several outputs."""

    inputs = "in"
    outputs = ("even", "odd")

    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        yield ("odd" if msg.payload % 2 else "even", msg.payload)
        if msg.payload == 5:
            yield "not a pair"


def test_with_several_outputs_a_generator_yields_port_and_payload() -> None:
    pairs, even, odd = Pairs("pairs"), Collect("even"), Collect("odd")
    graph = Subgraph.from_nodes("g", [Source("source", range(6)), pairs, even, odd])
    graph.connect("source:out", "pairs:in")
    graph.connect("pairs:even", "even:in")
    graph.connect("pairs:odd", "odd:in")
    report = run_graph(graph)
    assert (even.seen, odd.seen) == ([0, 2, 4], [1, 3, 5])
    assert report.error_counts == {"pairs": 1}
    assert "yield (port, payload)" in str(report.errors["pairs"][0])


def test_with_one_output_a_yielded_pair_is_a_payload() -> None:
    last = Collect()
    run_graph(chain(Source("source", [("out", 1), ("a", "b")]), last))
    assert last.seen == [("out", 1), ("a", "b")]


def test_children_of_a_suspended_handler_share_its_messages_trace() -> None:
    last = Collect()
    run_graph(chain(Source("source", [1, 2]), Yield("many", lambda v: [v] * 50), last, capacity=1))
    for value in (1, 2):
        assert len({m.get_trace_id() for m in last.messages if m.payload == value}) == 1
    assert len({m.get_trace_id() for m in last.messages}) == 2


class Mixed(Count):
    """A generator handler that also gets control and ticks, all of them generators."""

    tick_interval_ms: float | None = 1
    outputs = "out"

    def __init__(self) -> None:
        super().__init__("mixed")
        self.ticks = 0
        self.inside = False
        self.broken = 0
        self.wait = threading.Event()

    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        if msg.is_control():
            yield msg.payload
            return
        self.inside = True
        for number in range(msg.payload):
            if number % 16 == 0:
                self.wait.wait(0.002)  # longer than a tick interval: one becomes due in the middle of a batch
            yield number
        self.inside = False
        self.ends.append("ended")

    def on_tick(self) -> Iterator[Any]:
        self.ticks += 1
        self.broken += self.inside
        yield "tick"


def test_ticks_that_come_while_a_handler_is_suspended_lose_nothing() -> None:
    mixed, last = Mixed(), Collect()
    graph = chain(Source("source", [200, 200]), mixed, last, capacity=4096)
    report = run_graph(graph, workers=2)
    assert mixed.ends == ["ended"] * 2
    assert [value for value in last.seen if value != "tick"] == [*range(200)] * 2
    assert mixed.ticks == last.seen.count("tick") > 0
    assert_stopped_clean(graph, report)
    assert report.errors == {}


def test_control_is_handled_while_a_handler_is_suspended() -> None:
    mixed, gate = Mixed(), Gate()
    mixed.tick_interval_ms = 1e9  # none comes
    graph = chain(mixed, gate, capacity=1)
    graph.expose_input("in", "mixed:in")
    with scheduler_of(graph) as scheduler:
        handle = scheduler.input("in")
        handle.put(40)
        assert gate.entered.wait(DEADLINE_S)
        edge = edge_of(graph, "mixed:out->gate:in")
        until(lambda: edge.stats().blocked > 0)
        handle.put(control("now"))
        until(lambda: handle.edge.depth() == 0)
        gate.opened.set()
        gate.expect(41)
        report = scheduler.shutdown()
    assert [value for value in gate.seen if value not in {"now", "tick"}] == list(range(40))
    assert "now" in gate.seen[:4]  # behind what had room before it, ahead of most of the handler's
    assert_stopped_clean(graph, report)


class Flush(Node):
    """Keeps everything, and yields it all when told to by control, and at the end."""

    inputs = "in"
    outputs = "out"

    def __init__(self) -> None:
        super().__init__("flush")
        self.kept: list[Any] = []

    def on_message(self, port: str, msg: Message) -> Any:
        if msg.is_control():
            return self.on_drain()
        self.kept.append(msg.payload)
        return None

    def on_drain(self) -> Iterator[Any]:
        kept, self.kept = self.kept, []
        yield from kept


def test_a_generator_that_handles_control_waits_for_room_too() -> None:
    """More than the outbox holds: it must be suspended, not run over the limit."""
    flush, last = Flush(), Collect()
    graph = chain(flush, last, capacity=2)
    graph.expose_input("in", "flush:in")
    with scheduler_of(graph, outbox_limit=10) as scheduler:
        scheduler.input("in").put_many(range(100))
        until(lambda: len(flush.kept) == 100)
        scheduler.input("in").put(control("flush"))
        assert last.expect(100) == list(range(100))
        report = scheduler.shutdown()
    assert report.errors == {}
    assert_stopped_clean(graph, report)


@pytest.mark.parametrize("capacity", [1, 256])
def test_generator_on_drain_delivers_more_than_there_is_room_for(capacity: int) -> None:
    flush, last = Flush(), Collect()
    graph = chain(Source("source", range(300)), flush, last, capacity=capacity)
    report = run_graph(graph, outbox_limit=2)
    assert last.seen == list(range(300))
    assert report.errors == {}
    assert_stopped_clean(graph, report)
