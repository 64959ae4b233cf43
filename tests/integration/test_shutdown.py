"""Every way to stop: it ends in time, says what it left behind, and nothing is lost uncounted."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Gate,
    Map,
    Remote,
    Source,
    Ticker,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    edge_of,
    scheduler_of,
    until,
)

from graphflow import (
    EdgeClosed,
    Message,
    Node,
    Scheduler,
    ShutdownReport,
    Subgraph,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def gated(*nodes: Node, capacity: int = 100, **config: Any) -> tuple[Scheduler, Gate, Subgraph]:
    """input in -> nodes -> gate, and the scheduler, not started."""
    gate = Gate()
    row = [*nodes, gate]
    graph = chain(*row, capacity=capacity)
    graph.expose_input("in", (row[0].name, "in"))
    return scheduler_of(graph, **config), gate, graph


def open_later(gate: Gate, seconds: float = 0.05) -> threading.Timer:
    timer = threading.Timer(seconds, gate.opened.set)
    timer.start()
    return timer


def test_drain_delivers_everything_accepted() -> None:
    scheduler, gate, graph = gated(Map("a"), Map("b"), capacity=3)
    with scheduler:
        for number in range(9):
            scheduler.input("in").put(number, timeout=DEADLINE_S)
        open_later(gate)
        report = scheduler.shutdown(timeout=DEADLINE_S)
        with pytest.raises(EdgeClosed):
            scheduler.input("in").put("late")
    assert gate.seen == list(range(9))
    assert report.reason == "shutdown"
    assert_stopped_clean(graph, report)


def test_draining_refuses_newcomers_and_releases_waiting_putters() -> None:
    scheduler, gate, graph = gated(capacity=1)
    graph_input = scheduler.input("in")
    scheduler.set_capacity("input:in->gate:in", 1)
    errors: list[BaseException] = []

    def put() -> None:
        try:
            graph_input.put("waits")
        except BaseException as error:
            errors.append(error)

    with scheduler:
        graph_input.put(1)
        assert gate.entered.wait(DEADLINE_S)
        graph_input.put(2)
        thread = threading.Thread(target=put)
        thread.start()
        until(lambda: graph_input.edge.stats().blocked > 0)
        threading.Event().wait(0.01)
        stopper = threading.Thread(target=scheduler.shutdown)
        stopper.start()
        thread.join(DEADLINE_S)
        assert [type(error) for error in errors] == [EdgeClosed]
        gate.opened.set()
        stopper.join(DEADLINE_S)
    assert gate.seen == [1, 2]
    assert_graph_conserved(graph)


def test_stop_without_drain_counts_what_is_queued_and_skips_on_drain() -> None:
    drained: list[str] = []

    class Drains(Map):
        def on_drain(self) -> None:
            drained.append(self.name)

    scheduler, gate, graph = gated(Drains("first"))
    with scheduler:
        scheduler.input("in").put_many(range(10))
        assert gate.entered.wait(DEADLINE_S)
        until(lambda: edge_of(graph, "first:out->gate:in").depth() == 9)
        open_later(gate)
        report = scheduler.shutdown(drain=False)
    assert gate.seen == [0]
    assert drained == []
    assert report.undelivered == {"first:out->gate:in": 9}
    assert not report.complete
    assert not report.timed_out
    assert edge_of(graph, "first:out->gate:in").depth() == 0
    assert_graph_conserved(graph)


@pytest.mark.parametrize("drain", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
def test_handler_that_never_returns_is_named_and_the_call_ends_in_time(drain: bool, workers: int) -> None:
    scheduler, gate, graph = gated(workers=workers)
    stops = Stops("stops")
    other = Subgraph.from_nodes("other", [stops])
    other.expose_input("other", "stops:in")
    scheduler.register(other)
    with scheduler:
        scheduler.input("in").put_many(range(10))
        assert gate.entered.wait(DEADLINE_S)
        started = time.monotonic()
        report = scheduler.shutdown(drain=drain, timeout=0.5)
        passed = time.monotonic() - started
    assert passed < 0.5 + 0.4  # the machine may be busy; the promise is the timeout
    assert report.abandoned == ("gate",)
    assert report.timed_out
    assert not report.complete
    assert report.undelivered == {"input:in->gate:in": 9}  # the tenth is in the handler, and counts as delivered
    assert_graph_conserved(graph)
    assert stops.stopped == 1  # the others still get their on_stop, by another worker if need be
    gate.opened.set()


class Stops(Map):
    stopped = 0

    def on_stop(self) -> None:
        self.stopped += 1


def test_deferred_items_are_their_edges_undelivered() -> None:
    remote, consumer = Remote(), Collect()
    graph = chain(remote, consumer, capacity=2)
    graph.expose_input("remote", "remote:calls")
    scheduler = scheduler_of(graph)
    scheduler.pause(consumer)
    with scheduler:
        for number in range(7):
            remote.emit_there(scheduler, number)
        report = scheduler.shutdown(drain=False)
    assert report.undelivered == {"remote:out->collect:in": 7}
    stats = edge_of(graph, "remote:out->collect:in").stats()
    assert (stats.offered, stats.delivered, stats.undelivered, stats.depth) == (7, 0, 7, 0)


def test_drain_resumes_paused_nodes() -> None:
    consumer = Collect()
    graph = chain(Source("source", range(50)), Map("map"), consumer, capacity=2)
    scheduler = scheduler_of(graph)
    for name in ("map", "collect"):
        scheduler.pause(name)
    with scheduler:
        report = scheduler.shutdown(timeout=DEADLINE_S)
    assert consumer.seen == list(range(len(consumer.seen)))
    assert_stopped_clean(graph, report)


def test_absent_reader_holds_a_drain_until_its_deadline_then_it_is_undelivered() -> None:
    graph = chain(Map("map"))
    graph.expose_input("in", "map:in")
    graph.expose_output("out", "map:out", capacity=2)
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put_many(range(5))
        started = time.monotonic()
        report = scheduler.shutdown(timeout=0.4)
        passed = time.monotonic() - started
    assert 0.3 <= passed < 0.8  # drain has 80 % of it
    assert report.timed_out
    assert report.undelivered == {"map:out->output:out": 1, "input:in->map:in": 2}
    assert [message.payload for message in scheduler.output("out")] == [0, 1]  # still readable
    assert_graph_conserved(graph)


def test_late_reader_lets_the_drain_finish() -> None:
    graph = chain(Map("map"))
    graph.expose_input("in", "map:in")
    graph.expose_output("out", "map:out", capacity=2)
    scheduler = scheduler_of(graph)
    with scheduler, ThreadPoolExecutor(1) as pool:
        scheduler.input("in").put_many(range(50))
        stopping = pool.submit(scheduler.shutdown, timeout=DEADLINE_S)
        assert [message.payload for message in scheduler.output("out")] == list(range(50))
        report = stopping.result(DEADLINE_S)
    assert_stopped_clean(graph, report)


def test_twice_gives_the_same_report() -> None:
    scheduler, gate, _ = gated()
    gate.opened.set()
    with scheduler:
        first = scheduler.shutdown()
        assert scheduler.shutdown() is first
        assert scheduler.shutdown(drain=False, timeout=0) is first
        assert scheduler.wait() is first


def test_eight_threads_at_once_get_the_same_report() -> None:
    for _ in range(20):
        scheduler, gate, graph = gated(Map("map"))
        gate.opened.set()
        barrier = threading.Barrier(8)

        def stop(scheduler: Scheduler = scheduler, barrier: threading.Barrier = barrier) -> ShutdownReport:
            barrier.wait(DEADLINE_S)
            return scheduler.shutdown()

        with scheduler, ThreadPoolExecutor(8) as pool:
            scheduler.input("in").put_many(range(100))
            reports = list(pool.map(lambda _, stop=stop: stop(), range(8)))
        assert all(report is reports[0] for report in reports)
        assert gate.seen == list(range(100))
        assert_stopped_clean(graph, reports[0])


def test_the_earlier_deadline_and_no_drain_win() -> None:
    scheduler, gate, _ = gated()
    with scheduler, ThreadPoolExecutor(1) as pool:
        scheduler.input("in").put_many(range(3))
        assert gate.entered.wait(DEADLINE_S)
        patient = pool.submit(scheduler.shutdown, timeout=1000)
        until(lambda: scheduler.get_stats()["status"] == "draining")
        started = time.monotonic()
        report = scheduler.shutdown(drain=False, timeout=0.3)
        assert time.monotonic() - started < 2
        assert patient.result(DEADLINE_S) is report
        later = scheduler.shutdown(timeout=1000)
        assert later is report
        gate.opened.set()
    assert report.timed_out


def test_a_later_deadline_does_not_extend_an_earlier_one() -> None:
    scheduler, gate, _ = gated()
    with scheduler, ThreadPoolExecutor(1) as pool:
        scheduler.input("in").put(1)
        assert gate.entered.wait(DEADLINE_S)
        started = time.monotonic()
        first = pool.submit(scheduler.shutdown, timeout=0.3)
        until(lambda: scheduler.get_stats()["status"] != "running")
        report = scheduler.shutdown(timeout=1000)
        assert time.monotonic() - started < 2
        assert first.result(DEADLINE_S) is report
        gate.opened.set()


HOOKS = ("on_start", "on_message", "on_tick", "on_drain", "on_stop", "on_error", "produce")


class StopsItself(Node):
    """Calls shutdown() and wait() of its own scheduler from one of its hooks."""

    outputs = "out"
    tick_interval_ms = 1
    scheduler: Scheduler

    def __init__(self, hook: str) -> None:
        super().__init__("node", inputs="in")
        self.hook = hook
        self.report: ShutdownReport | None = None
        self.refused: BaseException | None = None

    def maybe(self, hook: str) -> None:
        if hook == self.hook and self.report is None:
            self.report = self.scheduler.shutdown()
            try:
                self.scheduler.wait()
            except BaseException as error:
                self.refused = error

    def on_start(self) -> None:
        self.maybe("on_start")

    def on_message(self, port: str, msg: Message) -> None:
        self.maybe("on_message")
        if self.hook == "on_error":
            raise ValueError("for on_error")

    def on_tick(self) -> None:
        self.maybe("on_tick")

    def on_drain(self) -> None:
        self.maybe("on_drain")

    def on_stop(self) -> None:
        self.maybe("on_stop")

    def on_error(self, exc: BaseException, msg: Message | None) -> None:
        self.maybe("on_error")

    def produce(self) -> Iterator[Any]:
        self.maybe("produce")
        yield 1


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("workers", [1, 2])
def test_from_a_hook_it_only_asks(hook: str, workers: int) -> None:
    node = StopsItself(hook)
    graph = Subgraph.from_nodes("g", [node])
    graph.expose_input("in", "node:in")
    node.scheduler = scheduler_of(graph, workers=workers)
    node.scheduler.start()
    if hook in {"on_message", "on_error"}:
        node.scheduler.input("in").put(1)
    if hook in {"on_drain", "on_stop"}:
        node.scheduler.shutdown()
    report = node.scheduler.wait(DEADLINE_S)
    assert node.report is not None
    assert not node.report.complete
    assert node.report.reason == "stopping"
    assert "shutdown()" in str(node.refused)
    assert report.complete or hook == "on_error", report
    del node.scheduler
    assert_graph_conserved(graph)


@pytest.mark.parametrize("drain", [True, False])
def test_before_the_run_it_is_remembered_once(drain: bool) -> None:
    started: list[str] = []

    class Starts(Map):
        def on_start(self) -> None:
            started.append(self.name)

    last = Collect()
    graph = chain(Starts("starts"), last)
    graph.expose_input("in", "starts:in")
    scheduler = scheduler_of(graph)
    assert scheduler.shutdown(drain).complete
    report = scheduler.run()
    assert report.reason == "shutdown"
    assert not scheduler.is_running()
    assert started == []
    with scheduler:  # the one after that runs as ever
        scheduler.input("in").put(1)
        last.expect(1)


def test_from_a_signal_handler_over_wait_it_only_asks() -> None:
    scheduler, gate, graph = gated()
    reports: list[ShutdownReport] = []

    def on_signal(number: int, frame: object) -> None:
        reports.append(scheduler.shutdown())
        gate.opened.set()

    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        with scheduler:
            scheduler.input("in").put_many(range(3))
            assert gate.entered.wait(DEADLINE_S)
            timer = threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGUSR1))
            timer.start()
            report = scheduler.wait(DEADLINE_S)
            timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [asked.complete for asked in reports] == [False]
    assert gate.seen == [0, 1, 2]
    assert_stopped_clean(graph, report)


def test_from_a_signal_handler_within_start_it_only_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler interrupts start() at its worst: the run is known, and its threads are not all started."""
    last = Collect()
    graph = chain(Map("map"), last)
    graph.expose_input("in", "map:in")
    scheduler = scheduler_of(graph)
    asked: list[ShutdownReport] = []
    original = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        original(thread)
        if not asked:
            signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: asked.append(scheduler.shutdown()))
    try:
        monkeypatch.setattr(threading.Thread, "start", start)
        scheduler.start()
        monkeypatch.undo()
        report = scheduler.wait(DEADLINE_S)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(asked) == 1
    assert report.reason == "shutdown"
    assert_graph_conserved(graph)


def test_interrupted_start_does_not_forget_its_run() -> None:
    """Ctrl-C while on_start runs: the graph is stopped, or still known; not running on unknown to anybody."""
    inside, free = threading.Event(), threading.Event()

    class SlowStart(Map):
        def on_start(self) -> None:
            inside.set()
            free.wait(DEADLINE_S)

    graph = chain(SlowStart("slow"), Collect())
    graph.expose_input("in", "slow:in")
    scheduler = scheduler_of(graph)

    def interrupt() -> None:
        inside.wait(DEADLINE_S)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        threading.Event().wait(0.05)
        free.set()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        scheduler.start()
    thread.join()
    scheduler.shutdown()
    until(lambda: not any(thread.name.startswith("graphflow") for thread in threading.enumerate()), 5)
    assert not scheduler.is_running()
    assert not any(node.is_live() for node in graph.nodes.values())


def test_a_stop_while_starting_gives_the_started_their_on_stop() -> None:
    inside, free = threading.Event(), threading.Event()
    events: list[str] = []

    class Starts(Map):
        def on_start(self) -> None:
            events.append(f"start {self.name}")

        def on_stop(self) -> None:
            events.append(f"stop {self.name}")

    class Hangs(Starts):
        def on_start(self) -> None:
            inside.set()
            free.wait(DEADLINE_S)

    graph = chain(Starts("first"), Hangs("hangs"), Starts("never"))
    graph.expose_input("in", "first:in")
    scheduler = scheduler_of(graph)
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(scheduler.start)
        assert inside.wait(DEADLINE_S)
        began = time.monotonic()
        report = scheduler.shutdown(timeout=0.4)
        assert time.monotonic() - began < 0.9
        free.set()
        starting.result(DEADLINE_S)
    assert report.abandoned == ("hangs",)
    assert events == ["start first", "stop first"]


def test_on_stop_that_hangs_is_named_and_others_get_theirs() -> None:
    free = threading.Event()

    class HangsInStop(Map):
        def on_stop(self) -> None:
            free.wait(DEADLINE_S)

    stops = Stops("stops")
    graph = chain(stops, HangsInStop("hangs"), Stops("last"))
    graph.expose_input("in", "stops:in")
    with scheduler_of(graph, workers=1) as scheduler:
        began = time.monotonic()
        report = scheduler.shutdown(timeout=0.6)
        assert time.monotonic() - began < 1.1
    free.set()
    assert report.abandoned == ("hangs",)
    assert stops.stopped == 1


def test_timeout_is_checked_and_changes_nothing() -> None:
    scheduler, gate, _ = gated()
    gate.opened.set()
    with scheduler:
        for wrong, error in ((-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (1e30, OverflowError)):
            with pytest.raises(error, match="timeout"):
                scheduler.shutdown(timeout=wrong)  # type: ignore[arg-type]
        assert scheduler.is_running()
        scheduler.input("in").put(1)
        gate.expect(1)


def test_timeout_zero_stops_at_once() -> None:
    scheduler, gate, graph = gated()
    gate.opened.set()
    with scheduler:
        report = scheduler.shutdown(timeout=0)
    assert report.timed_out or report.complete
    assert_graph_conserved(graph)


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("drain", [True, False])
def test_stop_under_load_conserves_every_message(drain: bool, workers: int, rng: Any) -> None:
    for _ in range(8):
        last = Collect()
        graph = chain(Source("source", iter(int, 1)), Map("a"), Map("b"), last, capacity=rng.choice([1, 8, 256]))
        graph.connect("source:out", graph_tail(graph), capacity=4)
        with scheduler_of(graph, workers=workers) as scheduler:
            last.expect(rng.randrange(1, 300))
            report = scheduler.shutdown(drain=drain)
        assert_graph_conserved(graph)
        assert not report.timed_out
        if drain:
            assert_stopped_clean(graph, report)


def graph_tail(graph: Subgraph) -> str:
    graph.add_node(Collect("side"))
    return "side:in"


def test_nothing_runs_after_a_stop() -> None:
    ticker, last = Ticker("ticker", 1, lambda node: node.emit("out", 1)), Collect()
    graph = chain(ticker, last)
    with scheduler_of(graph) as scheduler:
        last.expect(3)
        scheduler.shutdown()
    counts = ticker.count, len(last.messages)
    assert threading.Event().wait(0.02) is False
    assert (ticker.count, len(last.messages)) == counts
    assert not any(thread.name.startswith("graphflow") for thread in threading.enumerate())


def test_an_edge_that_is_kept_wakes_nobody_after_the_stop() -> None:
    scheduler, gate, graph = gated(Map("map"))
    gate.opened.set()
    with scheduler:
        pass
    for edge in graph.edges:
        assert edge.closed
        with pytest.raises(EdgeClosed):
            edge.try_put(1)
        assert edge.try_get() is None
