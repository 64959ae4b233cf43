"""The order of start, drain and stop, what a run leaves, and that a scheduler can run again."""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Gate,
    Map,
    Remote,
    Source,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    edge_of,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import (
    EdgeClosed,
    GraphValidationError,
    Message,
    Node,
    Scheduler,
    SchedulerStateError,
    Subgraph,
)

if TYPE_CHECKING:
    pass


class Diary(Node):
    """Writes down its hooks in a list shared by the graph."""

    def __init__(self, name: str, diary: list[str], inputs: Any = "in", outputs: Any = "out") -> None:
        super().__init__(name, inputs, outputs)
        self.diary = diary
        self.inside = 0

    def note(self, what: str) -> None:
        self.diary.append(f"{what} {self.name}")

    def on_start(self) -> None:
        self.note("start")

    def on_message(self, port: str, msg: Message) -> None:
        self.note(f"message {msg.payload}")
        self.emit("out", msg.payload)

    def on_drain(self) -> None:
        self.note("drain")
        self.emit("out", f"last of {self.name}")

    def on_stop(self) -> None:
        self.note("stop")


def diamond(diary: list[str]) -> Subgraph:
    """top -> left, right -> bottom; added in an order that is not theirs."""
    names = ["bottom", "right", "left", "top"]
    graph = Subgraph.from_nodes("diamond", [Diary(name, diary) for name in names])
    for src, dst in (("top", "left"), ("top", "right"), ("left", "bottom"), ("right", "bottom")):
        graph.connect((src, "out"), (dst, "in"))
    graph.expose_input("in", "top:in")
    graph.expose_output("out", "bottom:out")
    return graph


@pytest.mark.parametrize("workers", [1, 8])
def test_start_is_topological_stop_is_its_reverse_and_drain_runs_as_inputs_run_dry(workers: int) -> None:
    diary: list[str] = []
    graph = diamond(diary)
    with scheduler_of(graph, workers=workers) as scheduler:
        started = list(diary)
        scheduler.input("in").put(1)
        report = scheduler.shutdown()
    rank = {"top": 0, "left": 1, "right": 1, "bottom": 2}
    assert [rank[entry.split()[-1]] for entry in started] == [0, 1, 1, 2]  # start() returns after the last
    starts = [entry.removeprefix("start ") for entry in diary if entry.startswith("start")]
    stops = [entry.removeprefix("stop ") for entry in diary if entry.startswith("stop")]
    drains = [entry.removeprefix("drain ") for entry in diary if entry.startswith("drain")]
    assert stops == starts[::-1]
    assert [rank[name] for name in drains] == [0, 1, 1, 2]
    assert diary[-4:] == [f"stop {name}" for name in stops]  # nothing after the first on_stop
    assert diary.index("message last of left bottom") < diary.index("drain bottom")
    assert diary.index("message last of right bottom") < diary.index("drain bottom")
    output = [message.payload for message in scheduler.output("out")]
    assert sorted(output, key=str) == sorted(
        [1, 1, *["last of top"] * 2, "last of left", "last of right", "last of bottom"], key=str
    )
    assert_stopped_clean(graph, report)


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("natural", [True, False])
def test_on_drain_runs_once_and_is_delivered_on_every_end(natural: bool, workers: int) -> None:
    diary: list[str] = []
    nodes = [Diary(f"d{number}", diary) for number in range(5)]
    last = Collect()
    graph = chain(Source("source", range(3)), *nodes, last, capacity=1)
    if natural:
        report = run_graph(graph, workers=workers)
    else:
        with scheduler_of(graph, workers=workers) as scheduler:
            report = scheduler.shutdown()
    assert [entry for entry in diary if "drain" in entry] == [f"drain d{number}" for number in range(5)]
    assert [payload for payload in last.seen if isinstance(payload, str)] == [
        f"last of d{number}" for number in range(5)
    ]
    assert_stopped_clean(graph, report)


def test_on_drain_runs_in_a_cycle_too() -> None:
    diary: list[str] = []
    graph = Subgraph.from_nodes("cycle", [Diary("a", diary, outputs=("out", "spare")), Stopper("b", diary)])
    graph.connect("a:out", "b:in")
    graph.connect("b:back", "a:in")
    graph.expose_input("in", "a:in")
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put(3)
        report = scheduler.shutdown()
    assert sorted(entry for entry in diary if entry.startswith("drain")) == ["drain a", "drain b"]
    assert [entry for entry in diary if entry.startswith("start")] == ["start a", "start b"]
    assert_stopped_clean(graph, report)


class Stopper(Diary):
    """Sends a number back until it is zero."""

    def __init__(self, name: str, diary: list[str]) -> None:
        super().__init__(name, diary, "in", "back")

    def on_message(self, port: str, msg: Message) -> None:
        self.note(f"message {msg.payload}")
        if isinstance(msg.payload, int) and msg.payload > 0:
            self.emit("back", msg.payload - 1)

    def on_drain(self) -> None:
        self.note("drain")


def test_no_message_is_handled_before_the_last_on_start() -> None:
    diary: list[str] = []

    class Slow(Diary):
        def on_start(self) -> None:
            threading.Event().wait(0.02)
            super().on_start()

    graph = chain(Diary("first", diary), Slow("second", diary), Slow("third", diary, outputs="out"))
    graph.expose_input("in", "first:in")
    scheduler = scheduler_of(graph, workers=4)
    scheduler.input("in").put("early")  # open from the start
    with scheduler:
        assert diary[:3] == ["start first", "start second", "start third"]
        scheduler.shutdown()
    assert diary[3] == "message early first"


def test_what_on_start_emits_is_delivered_even_beyond_the_room() -> None:
    class Greets(Map):
        def on_start(self) -> None:
            for number in range(20):
                self.emit("out", number)

    last = Collect()
    graph = chain(Greets("greets"), Map("map"), last, capacity=2)
    report = run_graph(graph)
    assert last.seen == list(range(20))
    assert_stopped_clean(graph, report)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_a_node_is_never_run_by_two_workers_at_once(workers: int) -> None:
    class Alone(Map):
        inside = False
        crowds = 0

        def on_message(self, port: str, msg: Message) -> None:
            self.crowds += self.inside
            self.inside = True
            time.sleep(0)  # let another thread run, here of all places
            self.crowds += not self.inside
            self.emit("out", msg.payload)
            self.inside = False

    nodes = [Alone(f"a{number}") for number in range(3)]
    last = Collect()
    run_graph(chain(Source("source", range(400)), *nodes, last, capacity=3), workers=workers, max_batch_per_node=2)
    assert [node.crowds for node in nodes] == [0, 0, 0]
    assert last.seen == list(range(400))


# ------------------------------------------------------------------------------- ends


def test_run_returns_when_a_finite_graph_has_ended() -> None:
    last = Collect()
    scheduler = scheduler_of(chain(Source("source", range(100)), Map("map"), last))
    report = scheduler.run()
    assert report.complete
    assert report.reason == "completed"
    assert not scheduler.is_running()
    assert last.seen == list(range(100))


def test_an_empty_scheduler_ends_at_once() -> None:
    report = Scheduler().run()
    assert report.complete
    assert report.reason == "completed"


def test_a_graph_with_an_open_input_waits_and_ends_when_it_is_closed() -> None:
    last = Collect()
    graph = chain(Map("map"), last)
    graph.expose_input("in", "map:in")
    graph.expose_input("more", "map:in")
    with scheduler_of(graph) as scheduler:
        handle = scheduler.input("in")
        handle.put(1)
        scheduler.input("more").close()
        last.expect(1)
        with pytest.raises(TimeoutError):
            scheduler.wait(0.01)
        handle.put(2)
        handle.close()
        report = scheduler.wait(DEADLINE_S)
        assert report.reason == "completed"
    assert last.seen == [1, 2]
    with pytest.raises(EdgeClosed):
        handle.put(3)
    assert_stopped_clean(graph, report)


def test_an_input_closed_before_the_run_still_delivers_what_it_holds() -> None:
    last = Collect()
    graph = chain(Map("map"), last)
    graph.expose_input("in", "map:in")
    scheduler = scheduler_of(graph)
    scheduler.input("in").put_many([1, 2, 3])
    scheduler.input("in").close()
    scheduler.start()
    report = scheduler.wait(DEADLINE_S)
    assert last.seen == [1, 2, 3]
    assert_stopped_clean(graph, report)


def test_put_then_close_from_another_thread_never_ends_the_graph_early() -> None:
    """The put may still be on its way to the scheduler when the close arrives."""
    for round_ in range(150):
        last = Collect()
        graph = chain(Map("map"), last)
        graph.expose_input("in", "map:in")
        scheduler = scheduler_of(graph)
        handle = scheduler.input("in")

        def feed(handle: Any = handle) -> None:
            handle.put(1)
            handle.put(2)
            handle.close()

        thread = threading.Thread(target=feed)
        if round_ % 2:
            thread.start()
            scheduler.start()
        else:
            scheduler.start()
            thread.start()
        report = scheduler.wait(DEADLINE_S)
        thread.join()
        assert last.seen == [1, 2]
        assert_stopped_clean(graph, report)


def test_wait_times_out_and_checks_its_timeout() -> None:
    graph = chain(Map("map"), Collect())
    graph.expose_input("in", "map:in")
    scheduler = scheduler_of(graph)
    with pytest.raises(SchedulerStateError, match="start"):
        scheduler.wait()
    with scheduler:
        started = time.monotonic()
        with pytest.raises(TimeoutError, match="running"):
            scheduler.wait(0.05)
        assert 0.04 < time.monotonic() - started < 5
        for wrong, error in ((-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (1e30, OverflowError)):
            with pytest.raises(error, match="timeout"):
                scheduler.wait(wrong)  # type: ignore[arg-type]
        assert scheduler.is_running()


def test_calls_that_need_a_stopped_scheduler_are_refused_while_it_runs() -> None:
    graph = chain(Map("map"), Collect())
    graph.expose_input("in", "map:in")
    with scheduler_of(graph) as scheduler:
        for call in (scheduler.start, scheduler.run, lambda: scheduler.register(Map("other"))):
            with pytest.raises(SchedulerStateError, match="shutdown"):
                call()
        assert scheduler.is_running()
        assert scheduler.get_stats()["nodes_count"] == 2


# ------------------------------------------------------------------------------- again


def test_a_stopped_scheduler_runs_again_with_fresh_counts() -> None:
    source, last = Source("source", [1, 2, 3]), Collect()
    graph = chain(source, Map("map"), last)
    edges = list(graph.edges)
    scheduler = scheduler_of(graph)
    for times in (1, 2, 3):
        scheduler.start()
        report = scheduler.wait(DEADLINE_S)
        assert report.complete
        assert last.seen == [1, 2, 3] * times
        assert list(graph.edges) == edges  # the very objects
        assert [edge.stats().offered for edge in edges] == [3, 3]
        assert_stopped_clean(graph, report)


def test_inputs_and_outputs_open_again_with_the_next_run() -> None:
    graph = chain(Map("map"))
    graph.expose_input("in", "map:in")
    graph.expose_output("out", "map:out")
    scheduler = scheduler_of(graph)
    for number in range(3):
        with scheduler:
            scheduler.input("in").put(number)
            assert scheduler.output("out").get(DEADLINE_S).payload == number
            scheduler.shutdown()
        with pytest.raises(EdgeClosed):
            scheduler.input("in").put("closed")
        assert edge_of(graph, "input:in->map:in").stats().offered == 1
        assert_graph_conserved(graph)


def test_more_may_be_registered_between_runs() -> None:
    scheduler = Scheduler()
    seen = []
    for number in range(3):
        last = Collect(f"last{number}")
        scheduler.register(Subgraph.from_nodes(f"g{number}", [last]))
        graph = Subgraph.from_nodes(f"s{number}", [Source(f"source{number}", [number])])
        scheduler.register(graph)
        assert scheduler.run().complete
        seen.append(scheduler.get_stats()["nodes_count"])
    assert seen == [2, 4, 6]


def test_a_hook_that_outlived_its_run_keeps_the_scheduler_from_starting_until_it_returns() -> None:
    gate = Gate()
    graph = chain(gate)
    graph.expose_input("in", "gate:in")
    scheduler = scheduler_of(graph)
    scheduler.start()
    scheduler.input("in").put(1)
    assert gate.entered.wait(DEADLINE_S)
    report = scheduler.shutdown(timeout=0.1)
    assert report.abandoned == ("gate",)
    assert not report.complete
    with pytest.raises(SchedulerStateError, match="gate"):
        scheduler.start()
    gate.opened.set()
    until(lambda: not any(thread.name.startswith("graphflow") for thread in threading.enumerate()))
    with scheduler:  # the node is free again
        scheduler.input("in").put(2)
        gate.expect(2)


def test_a_node_in_two_live_graphs_is_refused() -> None:
    node = Map("node")
    first, second = Scheduler(), Scheduler()
    for number, scheduler in enumerate((first, second)):
        graph = Subgraph.from_nodes(f"g{number}", [node])
        graph.expose_input("in", "node:in")
        scheduler.register(graph)
    with first:
        with pytest.raises(GraphValidationError, match=r"DUP_NODE.*node.*another scheduler"):
            second.start()
        assert not second.is_running()
    with second:
        assert second.is_running()


def test_with_shuts_down_and_drains_only_without_an_error() -> None:
    class Oops(Exception):
        pass

    for fail in (False, True):
        gate = Gate()
        graph = chain(gate)
        graph.expose_input("in", "gate:in")
        scheduler = scheduler_of(graph)
        try:
            with scheduler:
                scheduler.input("in").put_many(range(10))
                assert gate.entered.wait(DEADLINE_S)
                gate.opened.set() if not fail else threading.Timer(0.05, gate.opened.set).start()
                if fail:
                    raise Oops
        except Oops:
            pass
        assert not scheduler.is_running()
        assert len(gate.seen) == (1 if fail else 10)
        assert_graph_conserved(graph)


def test_a_dropped_scheduler_warns_and_its_threads_end() -> None:
    graph = chain(Map("map"), Collect())
    graph.expose_input("in", "map:in")
    scheduler = scheduler_of(graph)
    scheduler.start()
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("graphflow")]
    assert len(workers) == 3
    gone = weakref.ref(scheduler)
    holder = [scheduler]
    del scheduler
    with pytest.warns(ResourceWarning, match="dropped while running"):
        holder.clear()
    assert gone() is None
    for thread in workers:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert_graph_conserved(graph)


def test_thread_that_cannot_be_started_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    last = Collect()
    graph = chain(Map("map"), last)
    graph.expose_input("in", "map:in")
    scheduler = scheduler_of(graph, workers=4)
    scheduler.input("in").put_many([1, 2, 3])
    original = threading.Thread.start
    for allowed in range(5):
        left = allowed

        def start(thread: threading.Thread) -> None:
            nonlocal left
            if left == 0:
                raise RuntimeError("can't start new thread")
            left -= 1
            original(thread)

        monkeypatch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            scheduler.start()
        monkeypatch.setattr(threading.Thread, "start", original)
        assert not scheduler.is_running()
        assert not any(node.is_live() for node in graph.nodes.values())
    with scheduler:
        assert last.expect(3) == [1, 2, 3]  # what was put before is still there
        scheduler.input("in").put(4)
        report = scheduler.shutdown()
    assert last.seen == [1, 2, 3, 4]
    assert_stopped_clean(graph, report)


def test_stats_say_how_the_graph_is() -> None:
    remote, consumer = Remote(), Collect()
    graph = chain(remote, consumer, capacity=1)
    graph.expose_input("remote", "remote:calls")
    scheduler = scheduler_of(graph)
    assert scheduler.get_stats()["status"] == "new"
    scheduler.pause(consumer)
    with scheduler:
        remote.emit_there(scheduler, 1)
        remote.emit_there(scheduler, 2)
        until(lambda: scheduler.get_stats()["blocked_nodes"] == 1)
        stats = scheduler.get_stats()
        assert (stats["status"], stats["nodes_count"], stats["edges_count"]) == ("running", 2, 2)
        assert stats["runnable_nodes"] == 0
        assert stats["edges"]["remote:out->collect:in"]["depth"] == 1
        scheduler.shutdown()
    assert scheduler.get_stats()["status"] == "stopped"
    assert scheduler.get_stats()["blocked_nodes"] == 0
