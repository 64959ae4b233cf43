"""A stop that comes before the run, or while it is starting: remembered once, and no node is left half started."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from graphs import DEADLINE_S, Collect, Map, assert_graph_conserved, chain, scheduler_of, until

if TYPE_CHECKING:
    from graphflow import ShutdownReport


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
        report = scheduler.shutdown(timeout=2.0)
        assert time.monotonic() - began < 2.5
        free.set()
        starting.result(DEADLINE_S)
    assert report.abandoned == ("hangs",)
    assert events == ["start first", "stop first"]
