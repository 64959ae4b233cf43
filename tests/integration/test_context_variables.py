"""Each node has context variables, and a decimal context, of its own: what a hook sets the node's next hook sees."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import decimal
import gc
import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Map, Source, Yield, chain, run_graph, scheduler_of

from graphflow import Coalesce, ErrorPolicy, Latest, Message, Node, Scheduler, SchedulerConfig, Subgraph
from graphflow.nodes import map_node, sink_node, source_node

if TYPE_CHECKING:
    from collections.abc import Iterator

variable: ContextVar[Any] = ContextVar("variable", default=None)
AT_ONCE = ErrorPolicy.retry(2, backoff_s=0, jitter=0)


class Remembers(Node):
    """Emits (payload, what the variable was), then sets it to the payload."""

    inputs: Any = "in"
    outputs: Any = "out"

    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", (msg.payload, variable.get()))
        variable.set(msg.payload)


class Starts(Remembers):
    """The same; sets it in on_start first."""

    def on_start(self) -> None:
        variable.set("set by on_start")


def through(*nodes: Node, items: Any = range(3)) -> list[Any]:
    """What comes out of a chain of nodes that is given the items. One worker: only contexts keep the nodes apart."""
    sink = Collect("sink")
    run_graph(chain(Source("source", items), *nodes, sink), workers=1)
    return sink.seen


def test_what_a_node_sets_no_other_node_sees() -> None:
    assert through(Remembers("first"), Map("second", lambda pair: (pair[0], variable.get()))) == [
        (0, None),
        (1, None),
        (2, None),
    ]


def test_what_a_node_sets_its_next_message_sees() -> None:
    assert through(Starts("node")) == [(0, "set by on_start"), (1, 0), (2, 1)]


def test_functions_have_contexts_of_their_own_and_so_have_decimals() -> None:
    found: list[Any] = []

    def imprecise(number: int) -> decimal.Decimal:
        decimal.getcontext().prec = 3
        return decimal.Decimal(number) / 7

    graph = Subgraph.from_nodes(
        "g",
        [
            source_node([1], "source"),
            map_node(imprecise, "imprecise"),
            map_node(lambda number: (number, decimal.Decimal(1) / 7), "exact"),
            sink_node(found.append, "sink"),
        ],
    )
    for source, target in (("source", "imprecise"), ("imprecise", "exact"), ("exact", "sink")):
        graph.connect((source, "out"), (target, "in"))
    run_graph(graph, workers=1)
    assert found == [(decimal.Decimal("0.143"), decimal.Context().divide(decimal.Decimal(1), decimal.Decimal(7)))]


def test_a_thread_that_runs_a_graph_is_not_touched_and_does_not_touch_it() -> None:
    token = variable.set("of the main thread")
    try:
        assert through(Remembers("node"), items=["x"]) == [("x", None)]
        assert variable.get() == "of the main thread"
    finally:
        variable.reset(token)


def test_every_hook_of_a_node_has_its_context() -> None:
    seen: list[Any] = []

    class All(Node):
        outputs = "out"

        def on_start(self) -> None:
            variable.set(["started"])

        def produce(self) -> Iterator[Any]:
            variable.get().append("produced")
            yield 1
            variable.get().append("went on")

        def on_drain(self) -> Iterator[Any]:
            variable.get().append("drained")
            yield 2

        def on_stop(self) -> None:
            seen.extend(variable.get())

    run_graph(chain(All("all"), Collect("sink")), workers=1)
    assert seen == ["started", "produced", "went on", "drained"]


def test_a_generator_that_is_suspended_goes_on_in_the_context_of_its_node() -> None:
    def spread(value: int) -> Iterator[Any]:
        for number in range(20):
            before, _ = variable.get(), variable.set((value, number))
            yield (before,)

    graph = Subgraph("g")
    sink = Collect("sink")
    for node in (Source("source", range(2)), Yield("spread", spread), sink):
        graph.add_node(node)
    graph.connect("source:out", "spread:in")
    graph.connect("spread:out", "sink:in", capacity=1)  # suspended at nearly every value
    run_graph(graph, workers=2)
    steps = [(value, number) for value in range(2) for number in range(20)]
    assert sink.seen == [(None,), *((step,) for step in steps[:-1])]


@pytest.mark.parametrize("policy", [None, AT_ONCE])
def test_concurrent_calls_have_each_a_context_and_what_on_start_set(policy: ErrorPolicy | None) -> None:
    together = threading.Barrier(2)

    class Two(Starts):
        max_concurrency = 2
        error_policy = policy

        def on_message(self, port: str, msg: Message) -> None:
            before = variable.get()
            variable.set(msg.payload)
            together.wait(DEADLINE_S)
            self.emit("out", (before, variable.get() == msg.payload))

    sink = Collect("sink")
    run_graph(chain(Source("source", range(8)), Two("two"), sink), workers=3)
    assert sink.seen == [("set by on_start", True)] * 8


def test_a_concurrent_node_drains_in_one_context_and_stops_with_it() -> None:
    seen: list[Any] = []

    class Two(Starts):
        max_concurrency = 2

        def on_drain(self) -> Iterator[Any]:
            for number in range(5):
                seen.append(variable.get())
                variable.set(number)
                yield number

        def on_stop(self) -> None:
            seen.append(variable.get())

    graph = Subgraph("g")
    for node in (Source("source", [1]), Two("two"), Collect("sink")):
        graph.add_node(node)
    graph.connect("source:out", "two:in")
    graph.connect("two:out", "sink:in", capacity=1)
    run_graph(graph)
    assert seen == ["set by on_start", 0, 1, 2, 3, "set by on_start"]


@pytest.mark.parametrize("concurrent", [1, 2])
def test_a_call_that_outgrows_what_may_be_kept_goes_on_in_its_context(concurrent: int) -> None:
    def many(value: int) -> Iterator[Any]:
        variable.set(value)
        for _ in range(200):
            yield value, variable.get()

    node = Yield("many", many)
    node.max_concurrency = concurrent
    node.error_policy = AT_ONCE
    sink = Collect("sink")
    run_graph(chain(Source("source", range(3)), node, sink, capacity=16), outbox_limit=64)
    assert sink.seen == [(value, value) for value in range(3) for _ in range(200)]


def test_another_attempt_is_in_the_context_of_its_node() -> None:
    class Flaky(Starts):
        error_policy = AT_ONCE

        def on_message(self, port: str, msg: Message) -> None:
            self.emit("out", variable.get())
            if variable.get() != msg.payload:
                variable.set(msg.payload)
                raise ValueError

    assert through(Flaky("flaky")) == [0, 1, 2]


def test_an_async_node_has_a_copy_of_its_context_for_each_message() -> None:
    class Waits(Starts):
        max_concurrency = 4

        async def on_start(self) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            variable.set("set by on_start")

        async def on_message(self, port: str, msg: Message) -> None:  # type: ignore[override]
            before = variable.get()
            variable.set(msg.payload)
            await asyncio.sleep(0.001)
            self.emit("out", (before, variable.get() == msg.payload))

    assert through(Waits("waits"), Remembers("after"), items=range(8)) == [
        (("set by on_start", True), None if n == 0 else ("set by on_start", True)) for n in range(8)
    ]


def test_an_async_source_sees_what_on_start_set() -> None:
    class Feeds(Node):
        outputs = "out"

        async def on_start(self) -> None:
            variable.set("set by on_start")

        async def produce(self) -> Any:
            yield variable.get()
            variable.set("set by produce")
            await asyncio.sleep(0)
            yield variable.get()

    sink = Collect("sink")
    run_graph(chain(Feeds("feeds"), sink))
    assert sink.seen == ["set by on_start", "set by produce"]


def test_a_dedicated_node_has_a_context_of_its_own() -> None:
    node = Starts("node")
    node.dedicated = True
    assert through(node) == [(0, "set by on_start"), (1, 0), (2, 1)]


def test_an_error_leaves_the_context_as_the_handler_did() -> None:
    class Fails(Remembers):
        def on_message(self, port: str, msg: Message) -> None:
            super().on_message(port, msg)
            raise ValueError

        def on_error(self, exc: BaseException, msg: Message | None) -> None:
            variable.set((variable.get(), "and an error"))

    assert through(Fails("fails")) == [(0, None), (1, (0, "and an error")), (2, (1, "and an error"))]


def test_a_merge_runs_in_the_context_of_who_emits() -> None:
    def merge(old: Any, new: Any) -> Any:
        variable.set("merged")
        return new

    graph = Subgraph("g")
    for node in (Source("source", range(5)), Remembers("last")):
        graph.add_node(node)
    graph.connect("source:out", "last:in", capacity=1, policy=Coalesce(merge))
    graph.add_node(sink := Collect("sink"))
    graph.connect("last:out", "sink:in", policy=Latest())
    run_graph(graph, workers=1)
    assert "merged" not in [before for _, before in sink.seen]


def test_a_restart_begins_with_empty_contexts() -> None:
    sink = Collect("sink")
    scheduler = scheduler_of(chain(Source("source", ["x"]), Remembers("node"), sink))
    scheduler.run()
    scheduler.run()
    assert sink.seen == [("x", None)] * 2


def test_what_a_context_holds_is_let_go_when_the_run_has_ended() -> None:
    class Refers(Node):
        inputs = "in"

        def on_message(self, port: str, msg: Message) -> None:
            variable.set(Held(self))

    refs: list[weakref.ref[Held]] = []

    class Held:
        def __init__(self, node: Node) -> None:
            self.node = node
            refs.append(weakref.ref(self))

    scheduler = scheduler_of(chain(Source("source", [1, 2]), Refers("refers")))
    scheduler.run()
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_a_context_that_is_left_entered_stops_the_graph_and_names_the_node() -> None:
    class Leaves(Node):
        inputs = "in"

        def on_message(self, port: str, msg: Message) -> None:
            ctypes.pythonapi.PyContext_Enter(ctypes.py_object(contextvars.Context()))

    scheduler = Scheduler(SchedulerConfig(workers=1, shutdown_timeout_s=DEADLINE_S))
    scheduler.register(chain(Source("source", [1]), Leaves("leaves")))
    with pytest.raises(RuntimeError, match=r"node .leaves. has entered a contextvars\.Context and not left it"):
        scheduler.run()
