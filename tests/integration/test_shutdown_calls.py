"""Who calls shutdown(), how often and from where: all get one report, the earlier deadline wins, a hook only asks."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Map, assert_graph_conserved, assert_stopped_clean, scheduler_of, until
from holding import gated_row

from graphflow import Message, Node, Scheduler, ShutdownReport, Subgraph

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_twice_gives_the_same_report() -> None:
    scheduler, gate, _ = gated_row()
    gate.opened.set()
    with scheduler:
        first = scheduler.shutdown()
        assert scheduler.shutdown() is first
        assert scheduler.shutdown(drain=False, timeout=0) is first
        assert scheduler.wait() is first


def test_eight_threads_at_once_get_the_same_report() -> None:
    for _ in range(20):
        scheduler, gate, graph = gated_row(Map("map"))
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
    scheduler, gate, _ = gated_row()
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
    scheduler, gate, _ = gated_row()
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


def test_from_a_signal_handler_over_wait_it_only_asks() -> None:
    scheduler, gate, graph = gated_row()
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


def test_timeout_is_checked_and_changes_nothing() -> None:
    scheduler, gate, _ = gated_row()
    gate.opened.set()
    with scheduler:
        for wrong, error in ((-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (1e30, OverflowError)):
            with pytest.raises(error, match="timeout"):
                scheduler.shutdown(timeout=wrong)  # type: ignore[arg-type]
        assert scheduler.is_running()
        scheduler.input("in").put(1)
        gate.expect(1)


def test_timeout_zero_stops_at_once() -> None:
    scheduler, gate, graph = gated_row()
    gate.opened.set()
    with scheduler:
        report = scheduler.shutdown(timeout=0)
    assert report.timed_out or report.complete
    assert_graph_conserved(graph)
