"""Sources: how they end, how far they run ahead, and what their errors do."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Gate,
    Source,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    edge_of,
    run_graph,
    scheduler_of,
)

from graphflow import ErrorPolicy, Message, Node, Subgraph

if TYPE_CHECKING:
    from collections.abc import Iterator


class Endless(Node):
    """Counts for ever, and notes how far it came and how it ended."""

    outputs = "out"

    def __init__(self, name: str = "endless") -> None:
        super().__init__(name)
        self.reached = -1
        self.closed = 0
        self.parting: list[Any] = []

    def produce(self) -> Iterator[Any]:
        try:
            while True:
                self.reached += 1
                yield self.reached
        finally:
            self.closed += 1
            for item in self.parting:
                self.emit("out", item)


class FromIterator(Node):
    outputs = "out"

    def __init__(self, items: Any) -> None:
        super().__init__("source")
        self.items = items

    def produce(self) -> Any:
        return self.items


@pytest.mark.parametrize("items", [iter([1, 2, 3]), [1, 2, 3], map(abs, [1, -2, 3]), (n for n in (1, 2, 3))])
def test_produce_may_return_any_iterable(items: Any) -> None:
    last = Collect()
    graph = chain(FromIterator(items), last)
    report = run_graph(graph)
    assert last.seen == [1, 2, 3]
    assert_stopped_clean(graph, report)


def test_empty_source_ends_at_once() -> None:
    last = Collect()
    graph = chain(Source("source", []), last)
    assert_stopped_clean(graph, run_graph(graph))
    assert last.seen == []


@pytest.mark.parametrize("capacity", [1, 5])
def test_source_never_overshoots_by_more_than_one_item(capacity: int) -> None:
    source, gate = Endless(), Gate()
    graph = chain(source, gate, capacity=capacity)
    with scheduler_of(graph) as scheduler:
        assert gate.entered.wait(DEADLINE_S)
        assert threading.Event().wait(0.05) is False
        # 0 is being handled, `capacity` are queued, one is deferred
        assert source.reached <= capacity + 1
        gate.opened.set()
        gate.expect(20)
        report = scheduler.shutdown()
    assert gate.seen == list(range(source.reached + 1))
    assert source.closed == 1
    assert_stopped_clean(graph, report)


class Raising(Node):
    outputs = "out"

    def __init__(self, after: int = 3) -> None:
        super().__init__("raising")
        self.after = after
        self.events: list[str] = []

    def on_start(self) -> None:
        self.events.append("start")

    def produce(self) -> Iterator[Any]:
        yield from range(self.after)
        raise OSError("the line is dead")

    def on_error(self, exc: BaseException, msg: Message | None) -> None:
        self.events.append(f"error {exc}")

    def on_stop(self) -> None:
        self.events.append("stop")


@pytest.mark.parametrize("after", [0, 3, 500])
def test_source_that_raises_has_ended_and_is_named(after: int) -> None:
    source, last = Raising(after), Collect()
    graph = chain(source, last, capacity=8)
    report = run_graph(graph)
    assert last.seen == list(range(after))
    assert report.failed_sources == ("raising",)
    assert [str(error) for error in report.errors["raising"]] == ["the line is dead"]
    assert source.events == ["start", "error the line is dead", "stop"]
    assert_graph_conserved(graph)


class RaisesWhenCalled(Raising):
    """produce() is no generator: it fails when it is called."""

    def produce(self) -> Any:
        raise OSError("no connection")


class ProducesNothingIterable(Raising):
    def produce(self) -> Any:
        return 42


@pytest.mark.parametrize("make", [RaisesWhenCalled, ProducesNothingIterable])
def test_produce_that_fails_when_called_is_a_failed_source_whose_node_was_started(make: type[Raising]) -> None:
    source, last = make(), Collect()
    graph = chain(source, last)
    report = run_graph(graph)
    assert report.failed_sources == ("raising",)
    assert report.error_counts == {"raising": 1}
    assert source.events[0] == "start"
    assert source.events[-1] == "stop"  # on_start had run, so what it opened is released


def test_one_failed_source_leaves_the_others_running() -> None:
    raising, healthy, last = Raising(2), Source("healthy", range(300)), Collect()
    graph = Subgraph.from_nodes("g", [raising, healthy, last])
    graph.connect("raising:out", "collect:in", capacity=4)
    graph.connect("healthy:out", "collect:in", capacity=4)
    report = run_graph(graph)
    assert sorted(last.seen) == sorted([*range(2), *range(300)])
    assert report.failed_sources == ("raising",)


def test_failed_source_with_stop_graph_leaves_wait() -> None:
    source = Raising(2)
    source.error_policy = ErrorPolicy.STOP_GRAPH
    graph = chain(source, Collect())
    with pytest.raises(OSError, match="the line is dead"):
        run_graph(graph)
    assert_graph_conserved(graph)


class Quits(Collect):
    error_policy = ErrorPolicy.STOP_NODE

    def __init__(self, name: str, after: int) -> None:
        super().__init__(name)
        self.after = after

    def on_message(self, port: str, msg: Message) -> None:
        if len(self.messages) == self.after:
            raise RuntimeError("enough")
        super().on_message(port, msg)


@pytest.mark.parametrize("capacity", [1, 64])
def test_source_whose_outputs_are_all_closed_has_ended(capacity: int) -> None:
    source, consumer = Endless(), Quits("quits", 10)
    graph = chain(source, consumer, capacity=capacity)
    report = run_graph(graph)
    assert report.reason == "completed"
    assert source.closed == 1
    assert consumer.seen == list(range(10))


def test_source_goes_on_while_one_of_its_outputs_is_open() -> None:
    source, short, last = Source("source", range(500)), Quits("short", 3), Collect()
    graph = Subgraph.from_nodes("g", [source, short, last])
    graph.connect("source:out", "short:in", capacity=2)
    graph.connect("source:out", "collect:in", capacity=2)
    run_graph(graph)
    assert short.seen == [0, 1, 2]
    assert last.seen == list(range(500))
    stats = edge_of(graph, "source:out->short:in").stats()
    assert stats.offered == 500
    assert stats.dropped_closed == 500 - 4


def test_draining_closes_a_source_and_delivers_its_parting_words() -> None:
    source, last = Endless(), Collect()
    source.parting = ["good", "bye"]
    graph = chain(source, last, capacity=2)
    with scheduler_of(graph) as scheduler:
        last.expect(50)
        report = scheduler.shutdown()
    assert source.closed == 1
    assert last.seen == [*range(source.reached + 1), "good", "bye"]
    assert_stopped_clean(graph, report)


def test_stop_without_drain_closes_a_source_that_may_emit_no_more() -> None:
    source, last = Endless(), Collect()
    source.parting = ["too late"]
    graph = chain(source, last, capacity=2)
    with scheduler_of(graph) as scheduler:
        last.expect(50)
        report = scheduler.shutdown(drain=False)
    assert source.closed == 1
    assert "too late" not in last.seen
    assert report.error_counts == {"endless": 1}
    assert_graph_conserved(graph)


def test_source_without_edges_runs_to_its_end() -> None:
    items = iter(range(1000))
    graph = chain(FromIterator(items))
    report = run_graph(graph)
    assert next(items, None) is None
    assert report.complete


class Both(Collect):
    """A source that also gets messages."""

    outputs = "out"

    def produce(self) -> Iterator[Any]:
        yield from range(100)


def test_source_that_also_gets_messages_does_both() -> None:
    both, last = Both("both"), Collect()
    graph = chain(Source("source", range(100)), both, last, capacity=3)
    report = run_graph(graph)
    assert both.seen == last.seen == list(range(100))
    assert_stopped_clean(graph, report)
