"""Each kind of graph, run and dropped again and again: what it made is gone, whatever way it ended."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import weakref
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Expand, Map, Source, Ticker, Yield, chain, control, scheduler_of, until

from graphflow import (
    Edge,
    ErrorPolicy,
    Message,
    Node,
    Scheduler,
    Subgraph,
    coalesce,
    drop,
    latest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNS = 6
WARM_UP = 2  # runs that may fill caches: of the interpreter's, of logging's


class Thing:
    """A payload whose end can be seen."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        alive.add(self)

    def __len__(self) -> int:
        return 1


@pytest.fixture(autouse=True)
def nothing_is_logged() -> Iterator[None]:
    """pytest keeps the records of a test, and an error's record keeps what the error is about."""
    logger = logging.getLogger("graphflow")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


alive: weakref.WeakSet[Thing] = weakref.WeakSet()


def things(count: int = 40) -> Iterator[Thing]:
    return (Thing(number) for number in range(count))


class Fails(Map):
    """Every third message fails; the error holds the message, and its frames do."""

    outputs = ("out", "errors")

    def on_message(self, port: str, msg: Message) -> None:
        thing = msg.payload
        if getattr(thing, "number", 1) % 3 == 0:
            raise ValueError(thing)
        super().on_message(port, msg)


class Async(Map):
    async def on_message(self, port: str, msg: Message) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.emit("out", msg.payload)


def with_errors(policy: ErrorPolicy) -> Subgraph:
    node = Fails("fails")
    node.error_policy = policy
    graph = Subgraph.from_nodes("g", [Source("source", things()), node, Collect(), Collect("letters")])
    graph.connect("source:out", "fails:in", capacity=4)
    graph.connect("fails:out", "collect:in", capacity=4)
    graph.connect("fails:errors", "letters:in", capacity=4)
    return graph


def line(*nodes: Node, **options: Any) -> Subgraph:
    return chain(Source("source", things()), *nodes, **{"capacity": 3, **options})


def many_at_once() -> Subgraph:
    node = Map("map")
    node.max_concurrency = 3
    return line(node, Collect())


def dedicated() -> Subgraph:
    node = Map("map")
    node.dedicated = True
    return line(node, Collect())


def diamond() -> Subgraph:
    graph = Subgraph.from_nodes("g", [Source("source", things()), Map("a"), Map("b"), Collect()])
    for side in "ab":
        graph.connect("source:out", (side, "in"), capacity=2)
        graph.connect((side, "out"), "collect:in", capacity=2)
    return graph


def nested() -> Subgraph:
    inner = chain(Map("a"), Map("b"), capacity=2)
    inner.expose_input("in", "a:in")
    inner.expose_output("out", "b:out")
    graph = Subgraph.from_nodes("g", [Source("source", things()), Collect()])
    graph.add_subgraph(inner, "inner")
    graph.connect("source:out", "inner:in")
    graph.connect("inner:out", "collect:in")
    return graph


def cycle() -> Subgraph:
    class Again(Node):
        inputs, outputs = ("in", "again"), "out"

        def on_message(self, port: str, msg: Message) -> None:
            if port == "in":
                self.emit("out", msg.payload)

    graph = Subgraph.from_nodes("g", [Source("source", things()), Again("loop")])
    graph.connect("source:out", "loop:in")
    graph.connect("loop:out", "loop:again", policy=drop())
    return graph


def newest(old: Thing, new: Thing) -> Thing:
    return new


KINDS: dict[str, Callable[[], Subgraph]] = {
    "chain": lambda: line(Map("map"), Collect()),
    "generator": lambda: line(Yield("many", lambda thing: [thing] * 3), Collect()),
    "outbox": lambda: line(Expand("many", lambda thing: [thing] * 9), Collect(), capacity=1),
    "diamond": diamond,
    "nested": nested,
    "cycle": cycle,
    "drop": lambda: line(Map("map"), Collect(), policy=drop()),
    "latest": lambda: line(Map("map"), Collect(), policy=latest()),
    "coalesce": lambda: line(Map("map"), Collect(), policy=coalesce(newest)),
    "by key": lambda: line(Map("map"), Collect(), policy=coalesce(newest, key=lambda thing: thing.number % 5)),
    "ttl": lambda: line(Map("map"), Collect(), ttl_s=0.001),
    "bytes": lambda: line(Map("map"), Collect(), max_bytes=2),
    "concurrent": many_at_once,
    "dedicated": dedicated,
    "async": lambda: line(Async("map"), Collect()),
    "errors": lambda: with_errors(ErrorPolicy.CONTINUE),
    "retry": lambda: with_errors(ErrorPolicy.retry(2, backoff_s=0.0001)),
    "dead letters": lambda: with_errors(ErrorPolicy.dead_letter("errors")),
    "node stopped": lambda: with_errors(ErrorPolicy.STOP_NODE),
    "graph stopped": lambda: with_errors(ErrorPolicy.STOP_GRAPH),
}


def ends_by_itself(scheduler: Scheduler) -> None:
    scheduler.start()
    with suppress(ValueError):
        scheduler.wait(DEADLINE_S)


def is_stopped_under_way(scheduler: Scheduler) -> None:
    """With items on edges, in outboxes, in suspended generators and in retries."""
    scheduler.pause("collect" if "collect" in {path.path for path in scheduler._registry.plan.nodes} else "loop")
    scheduler.start()
    until(lambda: not scheduler.is_running() or len(alive) >= 2, 5)
    scheduler.shutdown(drain=False, timeout=DEADLINE_S)


def is_dropped_while_running(scheduler: Scheduler) -> None:
    scheduler.start()


def counts_by_type() -> Counter[str]:
    """Objects that the garbage collector knows, by type; those of tests that have run are gone."""
    gc.collect()
    return Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())


def run_once(make: Callable[[], Subgraph], end: Callable[[Scheduler], None]) -> None:
    graph = make()
    scheduler = scheduler_of(graph, workers=2)
    end(scheduler)
    gone = [weakref.ref(each) for each in (scheduler, graph, *graph.nodes.values())]
    del scheduler, graph
    until(lambda: gc.collect() >= 0 and not any(ref() for ref in gone), 10)
    until(lambda: gc.collect() >= 0 and not alive, 10)


@pytest.mark.untraced
@pytest.mark.parametrize("end", [ends_by_itself, is_stopped_under_way, is_dropped_while_running])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:.*was dropped while running:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_a_graph_made_is_gone_with_it(kind: str, end: Callable[[Scheduler], None]) -> None:
    before: Counter[str] = Counter()
    threads = threading.active_count()
    for number in range(RUNS):
        run_once(KINDS[kind], end)
        if number == WARM_UP - 1:
            before = counts_by_type()
    until(lambda: threading.active_count() == threads, 10)
    grown = {name: count for name, count in (counts_by_type() - before).items() if count >= RUNS - WARM_UP}
    grown.pop("builtins.weakref", None)  # of this test's own looking
    assert grown == {}, f"after {RUNS - WARM_UP} more runs"


# -------------------------------------------------------------------------------------- waits that end otherwise


@pytest.mark.untraced
def test_puts_and_gets_that_are_given_up_keep_nothing() -> None:
    edge: Edge = Edge("a", "out", "b", "in", capacity=1)
    empty: Edge = Edge("a", "out", "b", "in")
    kept = Thing(0)
    edge.put(kept)
    before = sys.getrefcount(kept)
    for _ in range(50):
        with pytest.raises(TimeoutError):
            edge.put(Thing(1), timeout=0.0005)
        with pytest.raises(TimeoutError):
            empty.get(timeout=0.0005)
    gc.collect()
    assert len(alive) == 1
    assert sys.getrefcount(kept) == before


@pytest.mark.untraced
def test_cancelled_coroutines_keep_nothing() -> None:
    graph = Subgraph.from_nodes("g", [Map("map")])
    graph.expose_input("in", "map:in", capacity=1)
    graph.expose_output("out", "map:out", capacity=1)
    scheduler = scheduler_of(graph)
    scheduler.input("in").put(control("fill"))
    scheduler.input("in").put("fill")

    async def cancel_many() -> None:
        inlet, outlet = scheduler.input("in"), scheduler.output("out")
        tasks: list[Any] = [asyncio.create_task(inlet.aput(Thing(number))) for number in range(20)]
        tasks += [asyncio.create_task(outlet.aget()) for _ in range(20)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(cancel_many())
    gc.collect()
    assert len(alive) == 0
    for edge in graph.edges:
        edge.close()


@pytest.mark.untraced
def test_errors_keep_no_frames_and_no_messages() -> None:
    """The report keeps the errors of a run, but not what their frames held: neither locals nor messages."""

    class FailsWithLocals(Node):
        inputs = "in"

        def on_message(self, port: str, msg: Message) -> None:
            local = Thing(msg.payload.number)
            raise ValueError(f"with a local thing, number {local.number}")

    graph = chain(Source("source", things(5)), FailsWithLocals("fails"))
    report = scheduler_of(graph).run(signals=())
    assert len(report.errors["fails"]) == 5
    gc.collect()
    assert len(alive) == 0


def test_ticks_keep_nothing() -> None:
    ticker = Ticker("tick", 0.2, lambda node: node.emit("out", Thing()))
    last = Collect()
    with scheduler_of(chain(ticker, last)):
        until(lambda: ticker.count > 50)
        last.messages.clear()
    last.messages.clear()
    last.ports.clear()
    gc.collect()
    assert len(alive) == 0
