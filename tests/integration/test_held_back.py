"""What a node held when the graph was stopped is in the report, which is then not complete."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, chain, edge_of, inlet, scheduler_of, until

from graphflow import Message, Node, Scheduler, ShutdownReport, Subgraph
from graphflow.nodes import batch_node, flat_map_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Rows(Node):
    """Keeps rows until it can write them."""

    inputs: Any = "in"
    broken = True

    def on_start(self) -> None:
        self.rows: list[Any] = []
        self.buffered = 0

    def on_message(self, port: str, msg: Message) -> None:
        self.rows.append(msg.payload)
        self.buffered = len(self.rows)

    def on_drain(self) -> None:
        if self.broken:
            raise OSError("disk full")
        self.rows.clear()
        self.buffered = 0


def stopped(graph: Subgraph, name: str, items: int, **how: Any) -> tuple[ShutdownReport, Scheduler]:
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put_many(range(items))
        until(lambda: edge_of(graph, f"input:in->{name}:in").stats().delivered == items)
        until(lambda: scheduler.snapshot().nodes[name].in_handler == 0)
        report = scheduler.shutdown(**how)
    return report, scheduler


@pytest.mark.parametrize("timeout", [None, 3600.0])
def test_a_batch_that_is_not_full_is_held_back_by_a_stop_without_drain(timeout: float | None) -> None:
    graph = chain(batch_node(100, timeout), last := Collect())
    graph.expose_input("in", "batch:in")
    report, scheduler = stopped(graph, "batch", 10, drain=False)
    assert report.held_back == {"batch": 10}
    assert not report.complete
    assert "10 held back in batch" in str(report)
    assert scheduler.snapshot().nodes["batch"].buffered == 10
    assert last.seen == []
    scheduler.start()  # a new run begins with nothing
    assert scheduler.shutdown(timeout=DEADLINE_S).complete


def test_a_drain_sends_the_batch_and_nothing_is_held_back() -> None:
    graph = chain(batch_node(100), last := Collect())
    graph.expose_input("in", "batch:in")
    report, _ = stopped(graph, "batch", 10, timeout=DEADLINE_S)
    assert report.complete
    assert report.held_back == {}
    assert last.seen == [list(range(10))]


def test_a_batch_that_could_not_be_sent_at_the_drain_is_held_back() -> None:
    graph = Subgraph.from_nodes("g", [batch_node(100), Collect()])
    graph.connect("batch:out", "collect:in", max_bytes=5, sizeof=len)
    graph.expose_input("in", "batch:in")
    report, _ = stopped(graph, "batch", 10, timeout=DEADLINE_S)
    assert report.held_back == {"batch": 10}
    assert not report.complete


@pytest.mark.parametrize(("broken", "drain"), [(True, True), (True, False), (False, False)])
def test_what_a_node_says_that_it_holds_is_held_back(broken: bool, drain: bool) -> None:
    rows = Rows("rows")
    rows.broken = broken
    report, scheduler = stopped(inlet(rows), "rows", 7, drain=drain, timeout=DEADLINE_S)
    assert report.held_back == {"rows": 7}
    assert not report.complete
    assert scheduler.snapshot().nodes["rows"].buffered == 7


def test_a_node_that_wrote_its_rows_holds_nothing() -> None:
    rows = Rows("rows")
    rows.broken = False
    report, _ = stopped(inlet(rows), "rows", 7, timeout=DEADLINE_S)
    assert report.complete
    assert report.held_back == {}


def test_rows_written_in_on_stop_are_not_held_back() -> None:
    class Writes(Rows):
        def on_stop(self) -> None:
            self.buffered = 0

    report, _ = stopped(inlet(Writes("rows")), "rows", 7, drain=False)
    assert report.held_back == {}


BEGUN = threading.Event()  # an on_drain


def generator(name: str) -> Node:
    class Yields(Node):
        inputs, outputs = "in", "out"

        def on_message(self, port: str, msg: Message) -> Iterator[int]:
            yield from range(100)

    return Yields(name)


def async_generator(name: str) -> Node:
    class YieldsAwaiting(Node):
        inputs, outputs = "in", "out"

        async def on_message(self, port: str, msg: Message) -> AsyncIterator[int]:
            for number in range(100):
                yield number

    return YieldsAwaiting(name)


def awaiting(name: str) -> Node:
    class Awaits(Node):
        inputs, outputs = "in", "out"

        async def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", 0)
            await asyncio.sleep(3600)

    return Awaits(name)


def draining(name: str) -> Node:
    class Drains(Node):
        inputs, outputs = "in", "out"
        draining = True

        def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", 0)

        def on_drain(self) -> Iterator[int]:
            BEGUN.set()
            yield from range(100)

    return Drains(name)


def draining_awaiting(name: str) -> Node:
    class DrainsAwaiting(Node):
        inputs, outputs = "in", "out"
        draining = True

        def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", 0)

        async def on_drain(self) -> None:
            BEGUN.set()
            await asyncio.sleep(3600)

    return DrainsAwaiting(name)


def spread(name: str) -> Node:
    return flat_map_node(lambda payload: range(100), name)


@pytest.mark.parametrize("make", [generator, async_generator, awaiting, draining, draining_awaiting, spread])
def test_what_was_begun_and_closed_before_its_end_is_held_back(make: Any) -> None:
    BEGUN.clear()
    graph = Subgraph.from_nodes("g", [make("half")])
    graph.expose_input("in", "half:in")
    graph.expose_output("out", "half:out", capacity=2)
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put("begin")
        until(lambda: edge_of(graph, "half:out->output:out").stats().depth > 0)
        patient = threading.Thread(target=scheduler.shutdown, kwargs={"timeout": 3600})
        patient.start()
        until(BEGUN.is_set if hasattr(graph.nodes["half"], "draining") else lambda: True)
        report = scheduler.shutdown(drain=False, timeout=4.0)  # after half of it coroutines are cancelled
        patient.join(DEADLINE_S)
    assert report.held_back == {"half": 1}
    assert not report.complete


@pytest.mark.parametrize(
    ("value", "error"), [("7", TypeError), (True, TypeError), (1.0, TypeError), (-1, ValueError), (2**63, ValueError)]
)
def test_what_is_no_number_of_messages_is_refused_at_once(value: Any, error: type[Exception]) -> None:
    node = Rows("rows")
    with pytest.raises(error, match="buffered must be"):
        node.buffered = value
    assert node.buffered == 0


def test_a_node_that_hangs_is_named_with_what_it_holds() -> None:
    class Hangs(Rows):
        never = threading.Event()

        def on_message(self, port: str, msg: Message) -> None:
            super().on_message(port, msg)
            self.never.wait()

    node = Hangs("rows")
    graph = inlet(node)
    scheduler = scheduler_of(graph)
    scheduler.start()
    scheduler.input("in").put("row")
    until(lambda: node.buffered == 1)
    report = scheduler.shutdown(drain=False, timeout=0.2)
    node.never.set()
    assert (report.abandoned, report.held_back) == (("rows",), {"rows": 1})
