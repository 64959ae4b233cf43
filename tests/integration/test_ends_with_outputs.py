"""Nobody downstream: who works for closed outputs only ends, and so does who feeds it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Map, Ticker, Yield, assert_graph_conserved, chain, inlet, scheduler_of, until

from graphflow import EdgeClosed, ErrorPolicy, Message, Node, Subgraph
from graphflow.nodes import batch_node, filter_node, flat_map_node, map_node, node, sink_node, source_node
from graphflow.testing import simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def full(payload: object) -> None:
    raise OSError("disk full")


async def later(payload: Any) -> Any:
    return payload


async def later_full(payload: Any) -> None:
    raise OSError("disk full")


@node
def decorated(payload: Any) -> Any:
    return payload


@node(name="decorated")
def generating(payload: Any) -> Iterator[Any]:
    yield payload


STEPS: dict[str, Callable[[], Node]] = {
    "map": lambda: map_node(lambda value: value, "middle"),
    "filter": lambda: filter_node(lambda value: True, "middle"),
    "flat map": lambda: flat_map_node(lambda value: [value], "middle"),
    "batch": lambda: batch_node(3, name="middle"),
    "decorated": lambda: decorated.another("middle"),
    "decorated generator": lambda: generating.another("middle"),
    "async": lambda: map_node(later, "middle"),
    "concurrent": lambda: map_node(lambda value: value, "middle", max_concurrency=3),
    "unordered": lambda: map_node(lambda value: value, "middle", max_concurrency=3, ordered=False),
    "retrying": lambda: map_node(lambda value: value, "middle", error_policy=ErrorPolicy.retry(2, backoff_s=0.001)),
    "dedicated": lambda: map_node(lambda value: value, "middle", dedicated=True),
    "class that says so": lambda: ending(Map("middle")),
    "generator that says so": lambda: ending(Yield("middle", lambda value: [value])),
}


def ending(made: Node) -> Node:
    made.ends_with_outputs = True
    return made


def ends(graph: Subgraph, **config: Any) -> None:
    """The graph ends by itself, and accounts for everything."""
    scheduler = scheduler_of(graph, **config)
    scheduler.start()
    try:
        report = scheduler.wait(DEADLINE_S)
    finally:
        scheduler.shutdown(drain=False)
    assert report.reason == "completed"
    assert not report.undelivered
    assert_graph_conserved(graph)


@pytest.mark.parametrize("kind", STEPS)
def test_a_sink_that_is_stopped_ends_its_source_whatever_lies_between(kind: str) -> None:
    middle = STEPS[kind]()
    stopped = sink_node(full, "stopped", error_policy=ErrorPolicy.STOP_NODE)
    ends(chain(source_node(itertools.count()), middle, stopped, capacity=4))


def test_a_long_chain_ends_from_its_end_to_its_beginning() -> None:
    steps = [map_node(lambda value: value, f"step{number}") for number in range(30)]
    stopped = sink_node(full, "stopped", error_policy=ErrorPolicy.STOP_NODE)
    ends(chain(source_node(itertools.count()), *steps, stopped, capacity=2), workers=2)


class Waits(Node):
    """An async source that has sent one item, and awaits the next for ever."""

    outputs = "out"

    async def produce(self) -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()
        yield 2


def test_an_async_source_that_awaits_its_next_item_ends() -> None:
    stopped = sink_node(full, "stopped", error_policy=ErrorPolicy.STOP_NODE)
    ends(chain(Waits("source"), map_node(lambda value: value, "middle"), stopped))


def test_who_puts_into_what_has_ended_is_told() -> None:
    graph = chain(map_node(lambda value: value, "middle"), sink_node(full, "out", error_policy=ErrorPolicy.STOP_NODE))
    graph.expose_input("in", "middle:in", capacity=2)
    scheduler = scheduler_of(graph)
    with scheduler:
        with pytest.raises(EdgeClosed):
            scheduler.input("in").put_many(itertools.count(), DEADLINE_S)
        assert scheduler.wait(DEADLINE_S).reason == "completed"
    assert_graph_conserved(graph)


def test_a_reader_that_closes_its_output_ends_the_graph() -> None:
    graph = Subgraph.from_nodes("g", [source_node(itertools.count()), map_node(lambda value: value, "middle")])
    graph.connect("source:out", "middle:in", capacity=4)
    graph.expose_output("out", "middle:out", capacity=4)
    scheduler = scheduler_of(graph)
    with scheduler:
        assert scheduler.output("out").get(DEADLINE_S).payload == 0
        scheduler.output("out").edge.close()
        assert scheduler.wait(DEADLINE_S).reason == "completed"


def test_an_edge_that_was_closed_before_the_run_counts() -> None:
    graph = chain(source_node(itertools.count()), map_node(lambda value: value, "middle"), Collect())
    graph.edges[-1].close()
    ends(graph)


def test_one_output_that_is_open_keeps_it_going() -> None:
    collect = Collect()
    stopped = sink_node(full, "stopped", error_policy=ErrorPolicy.STOP_NODE)
    middle = map_node(lambda value: value, "middle")
    graph = Subgraph.from_nodes("g", [source_node(range(200)), middle, collect, stopped])
    graph.connect("source:out", "middle:in", capacity=2)
    graph.connect("middle:out", "collect:in", capacity=2)
    graph.connect("middle:out", "stopped:in", capacity=2)
    ends(graph)
    assert collect.seen == list(range(200))


@pytest.mark.parametrize("said", [None, False])
def test_a_class_node_goes_on_unless_it_says_that_it_ends(said: bool | None) -> None:
    middle = Map("middle")
    middle.ends_with_outputs = said
    graph = inlet(middle)
    graph.add_node(sink_node(full, "stopped", error_policy=ErrorPolicy.STOP_NODE))
    graph.connect("middle:out", "stopped:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put(0)
        until(lambda: scheduler.snapshot().nodes["stopped"].state == "stopped")
        scheduler.input("in").put_many(range(10))
        until(lambda: scheduler.snapshot().nodes["middle"].handled == 11)
        assert scheduler.is_running()


@pytest.mark.parametrize("fn", [full, later_full], ids=["plain", "async"])
def test_a_sink_whose_dead_letters_nobody_takes_any_more_goes_on(fn: Callable[[Any], Any]) -> None:
    sink = sink_node(fn, "sink", error_policy=ErrorPolicy.dead_letter("errors"))
    graph = Subgraph.from_nodes(
        "g", [source_node(range(50)), sink, sink_node(full, "letters", error_policy=ErrorPolicy.STOP_NODE)]
    )
    graph.connect("source:out", "sink:in", capacity=2)
    graph.connect("sink:errors", "letters:in")
    scheduler = scheduler_of(graph)
    scheduler.run()
    assert scheduler.snapshot().nodes["sink"].dead_lettered == 50
    assert_graph_conserved(graph)


def test_a_node_that_ticks_ends_when_it_says_so() -> None:
    ticker = ending(Ticker("ticker", 1.0, lambda ticker: ticker.emit("out", 1)))
    ends(chain(ticker, sink_node(full, "stopped", error_policy=ErrorPolicy.STOP_NODE)))


def test_what_ends_gets_its_on_stop_and_what_is_queued_is_counted() -> None:
    calls: list[str] = []

    class Middle(Map):
        ends_with_outputs = True

        def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", msg.payload)
            entered.set()
            go_on.wait(DEADLINE_S)

        def on_drain(self) -> None:
            calls.append("on_drain")

        def on_stop(self) -> None:
            calls.append("on_stop")

    entered, go_on = threading.Event(), threading.Event()
    graph = chain(Middle("middle"), sink_node(full, "stopped", error_policy=ErrorPolicy.STOP_NODE))
    graph.expose_input("in", "middle:in")
    scheduler = scheduler_of(graph, workers=2)
    with scheduler:
        assert scheduler.input("in").put_many(range(10)) == 10
        assert entered.wait(DEADLINE_S)
        until(lambda: scheduler.snapshot().nodes["stopped"].state == "stopped")
        go_on.set()
        scheduler.wait(DEADLINE_S)
        stats = scheduler.input("in").edge.stats()
        assert stats.delivered + stats.dropped_closed == 10
        assert stats.dropped_closed > 0
    assert calls == ["on_stop"]


def test_it_is_logged_with_the_node(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "graphflow"):
        ends(
            chain(
                source_node(itertools.count()),
                map_node(lambda value: value, "middle"),
                sink_node(full, "stopped", error_policy=ErrorPolicy.STOP_NODE),
            )
        )
    (said,) = [record for record in caplog.records if vars(record).get("event") == "outputs_closed"]
    assert vars(said)["node"] == "middle"


def test_the_next_run_begins_with_everything_open() -> None:
    seen: list[int] = []

    def once(payload: int) -> None:
        seen.append(payload)
        if len(seen) == 1:
            raise OSError("this time")

    graph = chain(
        source_node(lambda: iter(range(5))),
        map_node(lambda value: value, "middle"),
        sink_node(once, "sink", error_policy=ErrorPolicy.STOP_NODE),
        capacity=1,
    )
    scheduler = scheduler_of(graph)
    for _ in range(2):
        scheduler.run()
    assert seen == [0, *range(5)]


@pytest.mark.parametrize("interleave", ["handlers", "sections"])
def test_in_a_simulation_it_ends_whatever_comes_in_between(interleave: Any) -> None:
    """Two ways to one sink, which gives up: each choice of a seed ends all of it, with no time for it to be asked."""
    for seed in range(60):
        middle = [map_node(lambda value: value, "middle"), ending(Map("other"))]
        sink = sink_node(full, "sink", error_policy=ErrorPolicy.STOP_NODE)
        graph = Subgraph.from_nodes("g", [source_node(itertools.count()), *middle, sink])
        for step in middle:
            graph.connect("source:out", (step.name, "in"), capacity=1 + seed % 3)
            graph.connect((step.name, "out"), "sink:in", capacity=2)
        done = simulate(graph, seed=seed, interleave=interleave, max_steps=20_000)
        assert done.report.reason == "completed"
