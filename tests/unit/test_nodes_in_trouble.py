"""Nodes made from a function whose function raises or hangs, or whose results find no room."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Source, chain, control, edge_of, run_graph, scheduler_of, until

from graphflow import (
    ErrorPolicy,
    Message,
    Node,
    PortSpec,
    Subgraph,
)
from graphflow.nodes import flat_map_node, map_node, source_node

if TYPE_CHECKING:
    from collections.abc import Iterator

# Makes a step leave the compiled loop, as such an edge wraps what it holds.
SLOW_EDGE: dict[str, Any] = {"ttl_s": 1000.0}


# ============================================================================================ errors


def raising(number: int) -> int:
    if number % 3 == 0:
        raise ValueError(number)
    return number


@pytest.mark.parametrize("edge", [{}, SLOW_EDGE], ids=["compiled", "wrapped"])
def test_an_error_is_that_messages_own(edge: dict[str, Any]) -> None:
    collect = Collect()
    graph = chain(Source("source", range(200)), map_node(raising), collect, **edge)
    scheduler = scheduler_of(graph)
    scheduler.start()
    report = scheduler.wait(DEADLINE_S)
    assert collect.seen == [number for number in range(200) if number % 3]
    assert [error.args for error in report.errors["raising"]] == [(0,), (3,), (6,), (9,), (12,), (15,), (18,), (21,)]
    counts = scheduler.snapshot().nodes["raising"]
    assert (counts.handled, counts.failed, counts.in_handler) == (133, 67, 0)


def test_a_dead_letter_holds_the_message_as_it_came() -> None:
    def fail_late(number: int) -> str:
        return f"{number}"

    graph = Subgraph.from_nodes("g", [source_node([1, 2]), map_node(fail_late, outputs=PortSpec("out", int))])
    made = graph.nodes["fail_late"]
    made.error_policy = ErrorPolicy.dead_letter("out")
    collect = Collect()
    graph.add_node(collect)
    graph.connect("source:out", "fail_late:in")
    graph.connect("fail_late:out", "collect:in")
    run_graph(graph)
    assert [message.payload.message.payload for message in collect.messages] == [1, 2]


def test_a_map_that_returns_none_is_an_error_that_says_what_to_do() -> None:
    report = run_graph(chain(Source("source", [1]), map_node(lambda _: None, "none"), Collect()))
    (error,) = report.errors["none"]
    assert isinstance(error, TypeError)
    assert "None is not an item" in str(error)


def test_stop_node_drops_the_rest_of_its_batch() -> None:
    seen = []

    def fail_at_ten(number: int) -> int:
        seen.append(number)
        if number == 10:
            raise ValueError
        return number

    graph = chain(Source("source", range(40)), map_node(fail_at_ten, error_policy=ErrorPolicy.STOP_NODE), Collect())
    scheduler = scheduler_of(graph, workers=1)
    scheduler.start()
    scheduler.wait(DEADLINE_S)
    stats = graph.edges[0].stats()
    assert seen == list(range(11))
    assert stats.delivered == 11
    assert stats.delivered + stats.dropped_closed == stats.offered
    assert stats.depth == 0
    counts = scheduler.snapshot().nodes["fail_at_ten"]
    assert (counts.handled, counts.failed) == (10, 1)


def test_stop_graph_leaves_the_rest_of_the_batch_undelivered() -> None:
    graph = chain(source_node(range(40)), map_node(raising, error_policy=ErrorPolicy.STOP_GRAPH), Collect())
    scheduler = scheduler_of(graph, workers=1)
    with pytest.raises(ValueError, match="0"):
        scheduler.run()
    stats = graph.edges[0].stats()
    assert stats.delivered + stats.undelivered == stats.offered
    assert stats.depth == 0


def test_a_source_that_raises_has_failed() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    report = run_graph(chain(source_node(broken), collect := Collect()))
    assert collect.seen == [1]
    assert report.failed_sources == ("source",)


def test_a_function_that_hangs_is_abandoned_with_its_batch_and_goes_no_further() -> None:
    entered, let_go = threading.Event(), threading.Event()
    seen = []

    def hang(number: int) -> int:
        seen.append(number)
        if number == 3:
            entered.set()
            assert let_go.wait(DEADLINE_S)
        return number

    graph = chain(map_node(hang), Collect())
    graph.expose_input("in", "hang:in", capacity=100)
    scheduler = scheduler_of(graph, workers=1)
    scheduler.input("in").put_many(range(20))
    scheduler.start()
    assert entered.wait(DEADLINE_S)
    edge = graph.edges[-1]
    assert (edge.depth(), edge.stats().delivered) == (16, 4)
    report = scheduler.shutdown(timeout=0.2)
    assert report.abandoned == ("hang",)
    assert report.undelivered[edge.id] == 16
    stats = edge.stats()
    assert (stats.delivered, stats.undelivered, stats.depth) == (4, 16, 0)
    let_go.set()
    until(lambda: not any(thread.name.startswith("graphflow") for thread in threading.enumerate()))
    assert seen == [0, 1, 2, 3]


# ============================================================================================ room


def test_an_endless_flat_map_rests_while_there_is_no_room() -> None:
    pulled = []

    def endless(_: Any) -> Iterator[int]:
        for number in itertools.count():
            pulled.append(number)
            yield number

    graph = chain(source_node([0]), flat_map_node(endless))
    graph.expose_output("out", "endless:out", capacity=5)
    with scheduler_of(graph) as scheduler:
        reader = scheduler.output("out")
        assert [reader.get(DEADLINE_S).payload for _ in range(20)] == list(range(20))
        until(lambda: edge_of(graph, "endless:out->output:out").is_full())
        assert len(pulled) <= 20 + 5 + 1  # one that found no room
        scheduler.shutdown(drain=False)


def test_a_map_stops_at_the_first_result_that_finds_no_room() -> None:
    seen = []

    def note(number: int) -> int:
        seen.append(number)
        return number

    graph = chain(source_node(range(50)), map_node(note, "map"))
    graph.expose_output("out", "map:out", capacity=5)
    with scheduler_of(graph) as scheduler:
        until(lambda: edge_of(graph, "map:out->output:out").is_full())
        until(lambda: scheduler.snapshot().nodes["map"].outbox == 1)
        assert seen == list(range(6))
        assert edge_of(graph, "source:out->map:in").stats().delivered == 6
        assert [message.payload for message in itertools.islice(scheduler.output("out"), 50)] == list(range(50))


def test_control_overtakes_within_a_batch() -> None:
    order: list[Any] = []
    first, go_on = threading.Event(), threading.Event()

    class Listen(Node):
        inputs = "in"

        def on_message(self, port: str, msg: Message) -> None:
            order.append(msg.payload)

    def slow(number: int) -> int:
        if number == 0:
            first.set()
            assert go_on.wait(DEADLINE_S)
        return number

    graph = chain(map_node(slow), Listen("listen"))
    graph.expose_input("in", "slow:in", capacity=100)
    scheduler = scheduler_of(graph, workers=1)
    inlet = scheduler.input("in")
    inlet.put_many(range(30))
    with scheduler:
        assert first.wait(DEADLINE_S)
        inlet.put(control("stop"))
        go_on.set()
    assert order[:2] in ([0, "stop"], ["stop", 0])
