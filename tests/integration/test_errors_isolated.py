"""An error in a node is the node's own: counted, logged, and the rest keeps running unless it is told otherwise."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
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
    Coalesce,
    ErrorPolicy,
    Message,
    Node,
    PortSpec,
    PutResult,
    Subgraph,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class Fails(Node):
    """Raises in the hooks it is told to, each time; otherwise passes messages on."""

    inputs = "in"
    outputs = "out"
    tick_interval_ms = 1

    def __init__(self, hooks: set[str], error: type[BaseException] = ValueError) -> None:
        super().__init__("fails")
        self.hooks = hooks
        self.error = error
        self.calls: dict[str, int] = {}
        self.seen_errors: list[tuple[str, Any]] = []
        self.ticked = threading.Event()

    def maybe(self, hook: str) -> None:
        self.calls[hook] = self.calls.get(hook, 0) + 1
        if hook in self.hooks:
            raise self.error(hook)

    def on_start(self) -> None:
        self.maybe("on_start")

    def on_message(self, port: str, msg: Message) -> None:
        self.maybe("on_message")
        self.emit("out", msg.payload)

    def on_tick(self) -> None:
        self.ticked.set()
        self.maybe("on_tick")

    def on_drain(self) -> None:
        self.maybe("on_drain")

    def on_stop(self) -> None:
        self.maybe("on_stop")

    def on_error(self, exc: BaseException, msg: Message | None) -> None:
        self.seen_errors.append((str(exc), msg and msg.payload))
        self.maybe("on_error")


def with_bystander(node: Node, items: int = 10) -> tuple[Subgraph, Collect, Collect]:
    """source -> node -> behind, and source -> beside."""
    behind, beside = Collect("behind"), Collect("beside")
    graph = Subgraph.from_nodes("g", [Source("source", range(items)), node, behind, beside])
    graph.connect("source:out", (node.name, "in"), capacity=4)
    graph.connect((node.name, "out"), "behind:in", capacity=4)
    graph.connect("source:out", "beside:in", capacity=4)
    return graph, behind, beside


HOOKS = ("on_start", "on_message", "on_tick", "on_drain", "on_stop")


@pytest.mark.parametrize("also_on_error", [False, True])
@pytest.mark.parametrize("error", [ValueError, GeneratorExit, StopIteration, MemoryError])
@pytest.mark.parametrize("hook", HOOKS)
def test_an_error_in_any_hook_is_counted_seen_and_isolated(
    hook: str, error: type[BaseException], also_on_error: bool, caplog: pytest.LogCaptureFixture
) -> None:
    node = Fails({hook, "on_error"} if also_on_error else {hook}, error)
    graph, behind, beside = with_bystander(node)
    graph.add_node(Holds("holds", node.ticked))  # the run lasts until a tick has come
    report = run_graph(graph)
    assert beside.seen == list(range(10))
    assert behind.seen == ([] if hook in {"on_start", "on_message"} else list(range(10)))
    assert report.error_counts["fails"] == node.calls[hook]
    assert all(type(kept) is error for kept in report.errors["fails"])
    assert node.calls[hook] == {"on_message": 10}.get(hook, node.calls[hook]) >= 1
    assert node.seen_errors[0] == (hook, 0 if hook == "on_message" else None)
    assert node.calls["on_error"] == node.calls[hook]
    assert f"node fails: {hook} raised {error.__name__}" in caplog.text
    assert ("on_error raised" in caplog.text) is also_on_error
    if hook == "on_start":  # acts as STOP_NODE; what was not started is not stopped
        assert set(node.calls) == {"on_start", "on_error"}
        assert edge_of(graph, "source:out->fails:in").stats().dropped_closed == 10
    else:
        assert node.calls["on_stop"] == 1
        assert node.calls["on_drain"] == 1
    assert_graph_conserved(graph)


class Holds(Node):
    """A source that ends once an event is set."""

    def __init__(self, name: str, event: threading.Event) -> None:
        super().__init__(name)
        self.event = event

    def on_start(self) -> None:
        pass

    def produce(self) -> Iterator[Any]:
        self.event.wait(0.05)
        yield from ()


def test_a_flood_of_errors_is_counted_in_full_and_logged_in_part(caplog: pytest.LogCaptureFixture) -> None:
    node = Fails({"on_message"})
    graph, _, _ = with_bystander(node, 1000)
    report = run_graph(graph)
    assert report.error_counts == {"fails": 1000}
    assert len(report.errors["fails"]) == 8
    assert len(caplog.records) < 40
    assert report.complete


def test_stop_node_stops_it_alone() -> None:
    node = Fails({"on_message"})
    node.error_policy = ErrorPolicy.STOP_NODE
    graph, _behind, beside = with_bystander(node, 100)
    report = run_graph(graph)
    assert beside.seen == list(range(100))
    assert node.calls["on_message"] == 1
    assert node.calls["on_stop"] == 1
    assert "on_drain" not in node.calls
    assert report.error_counts == {"fails": 1}
    stats = edge_of(graph, "source:out->fails:in").stats()
    assert (stats.delivered, stats.dropped, stats.dropped_closed) == (1, 99, 99)
    assert stats.depth == 0
    assert_graph_conserved(graph)


def test_stop_node_by_a_tick_and_what_it_had_emitted_is_delivered() -> None:
    remote, consumer = TickBomb(), Collect()
    graph = chain(remote, consumer, capacity=1)
    graph.expose_input("remote", "remote:calls")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.pause(consumer)
        remote.call(scheduler, lambda: [remote.emit("out", number) for number in range(5)])
        remote.armed = True
        scheduler.resume(consumer)
        consumer.expect(5)
        until(lambda: remote.stopped)
        report = scheduler.shutdown()
    assert consumer.seen == list(range(5))
    assert report.error_counts == {"remote": 1}
    assert_graph_conserved(graph)


class TickBomb(Remote):
    tick_interval_ms = 1
    error_policy = ErrorPolicy.STOP_NODE
    armed = False
    stopped = 0

    def on_tick(self) -> None:
        if self.armed:
            raise ValueError("tick")

    def on_stop(self) -> None:
        self.stopped += 1


@pytest.mark.parametrize("of_config", [True, False])
@pytest.mark.parametrize("hook", ["on_message", "on_tick"])
def test_stop_graph_leaves_run_with_the_first_error(hook: str, of_config: bool) -> None:
    node = Fails({hook})
    config = {"error_policy": ErrorPolicy.STOP_GRAPH} if of_config else {}
    if not of_config:
        node.error_policy = ErrorPolicy.STOP_GRAPH
    graph, _, _ = with_bystander(node)
    graph.expose_input("stay", "fails:in")
    scheduler = scheduler_of(graph, **config)
    with pytest.raises(ValueError, match=hook) as caught:
        scheduler.run()
    report = scheduler.shutdown()
    assert report.reason == "error"
    assert report.errors["fails"][0] is caught.value
    assert node.calls["on_stop"] == 1
    assert "on_drain" not in node.calls
    with pytest.raises(ValueError, match=hook):
        scheduler.wait()
    assert_graph_conserved(graph)
    node.hooks.clear()
    scheduler.start()  # a failed run may be repeated
    assert scheduler.shutdown().complete


@pytest.mark.parametrize("hook", ["on_start", "on_drain", "on_stop"])
def test_an_error_policy_does_not_cover_life_cycle_hooks(hook: str) -> None:
    node = Fails({hook})
    node.error_policy = ErrorPolicy.STOP_GRAPH
    graph, _, beside = with_bystander(node)
    report = run_graph(graph)
    assert report.reason == "completed"
    assert beside.seen == list(range(10))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("hook", ["on_start", "on_message", "on_tick", "on_drain", "produce"])
def test_keyboard_interrupt_and_system_exit_from_a_node_leave_run(hook: str, error: type[BaseException]) -> None:
    node = Fails({hook}, error)
    graph, _, _ = with_bystander(node)
    if hook == "produce":
        graph.add_node(Exits("exits", error))
    if hook != "on_drain":
        graph.expose_input("stay", "fails:in")
    scheduler = scheduler_of(graph)
    with pytest.raises(error):
        scheduler.run()
    assert not scheduler.is_running()
    assert scheduler.shutdown().reason == "error"
    assert_graph_conserved(graph)


class Exits(Node):
    def __init__(self, name: str, error: type[BaseException]) -> None:
        super().__init__(name)
        self.error = error

    def produce(self) -> Iterator[Any]:
        yield from ()
        raise self.error


def test_a_failing_merge_function_belongs_to_the_edge(caplog: pytest.LogCaptureFixture) -> None:
    def merge(old: Any, new: Any) -> Any:
        raise ZeroDivisionError

    remote, consumer = Remote(), Collect()
    graph = chain(remote, consumer, capacity=1, policy=Coalesce(merge))
    graph.expose_input("remote", "remote:calls")
    scheduler = scheduler_of(graph)
    scheduler.pause(consumer)
    with scheduler:
        assert remote.emit_there(scheduler, 1) is PutResult.OK
        remote.emit_there(scheduler, 2)
        report = scheduler.shutdown()
    assert report.errors == {}
    assert consumer.seen == [2]  # the newcomer takes the item's place
    stats = edge_of(graph, "remote:out->collect:in").stats()
    assert (stats.offered, stats.replaced, stats.merge_errors) == (2, 1, 1)
    assert "remote:out->collect:in" in caplog.text
    assert_stopped_clean(graph, report)


class Strict(Collect):
    inputs = PortSpec("in", int)


def test_a_payload_that_does_not_match_is_its_emitters_error() -> None:
    strict = Strict()
    graph = chain(Source("source", [1, 2, 3]), Map("map", lambda v: v if v != 2 else "two"), strict)
    report = run_graph(graph)
    assert strict.seen == [1, 3]
    assert report.error_counts == {"map": 1}
    assert_stopped_clean(graph, report)


def test_an_async_hook_or_a_coroutine_is_refused_with_a_reason() -> None:
    class Sneaky(Map):
        def on_message(self, port: str, msg: Message) -> Any:
            return self.later()

        async def later(self) -> None:
            pass

    report = run_graph(chain(Source("source", [1]), Sneaky("sneaky"), Collect()))
    assert "coroutine" in str(report.errors["sneaky"][0])


def test_errors_keep_no_frames_and_no_messages() -> None:
    import gc
    import weakref

    class Thing:
        pass

    things = [Thing() for _ in range(3)]
    refs = [weakref.ref(thing) for thing in things]
    node = Fails({"on_message"})
    graph, _, beside = with_bystander(node)
    graph.nodes["source"].items = things  # type: ignore[attr-defined]
    report = run_graph(graph)
    assert len(report.errors["fails"]) == 3
    things.clear()
    beside.messages.clear()
    node.seen_errors.clear()
    gc.collect()
    assert [ref() for ref in refs] == [None] * 3


def test_control_messages_that_fail_are_counted_like_others() -> None:
    node = Fails({"on_message"})
    graph = chain(node, Collect())
    graph.expose_input("in", "fails:in")
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put(control("x"))
        until(lambda: node.seen_errors)
        report = scheduler.shutdown(timeout=DEADLINE_S)
    assert report.error_counts["fails"] >= 1
    assert ("on_message", "x") in node.seen_errors
