"""Races provoked on purpose: a switch interval of a microsecond, stops and starts against everything else."""

from __future__ import annotations

import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Expand,
    Map,
    Source,
    Yield,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    control,
    run_graph,
    scheduler_of,
)

from graphflow import (
    EdgeClosed,
    ErrorPolicy,
    GraphValidationError,
    Message,
    PriorityBand,
    PutResult,
    Scheduler,
    SchedulerStateError,
    Subgraph,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def switching() -> Iterator[None]:
    """Threads change places all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("workers", [2, 8])
def test_pipelines_stay_lossless(workers: int, rng: Any) -> None:
    for _ in range(6):
        last = Collect()
        graph = chain(
            Source("source", range(400)),
            Yield("a", lambda v: [v] * (v % 3)),
            Expand("b", lambda v: [v, v]),
            last,
            capacity=rng.choice([1, 2, 8]),
        )
        report = run_graph(graph, workers=workers, max_batch_per_node=rng.choice([1, 2, 64]))
        assert last.seen == [v for v in range(400) for _ in range(2 * (v % 3))]
        assert_stopped_clean(graph, report)


def test_short_lived_graphs_always_end(rng: Any) -> None:
    """The end of the last source against the last message, hundreds of times."""
    for number in range(300):
        last = Collect()
        graph = chain(Source("source", range(number % 4)), Map("map"), last, capacity=1)
        report = run_graph(graph, workers=1 + number % 4)
        assert last.seen == list(range(number % 4))
        assert report.complete


def test_put_and_close_against_a_graph_that_ends(rng: Any) -> None:
    for number in range(200):
        last = Collect()
        graph = chain(Map("map"), last, capacity=1)
        for name in ("x", "y"):
            graph.expose_input(name, "map:in", capacity=1)
        scheduler = scheduler_of(graph, workers=2)

        def feed(name: str, scheduler: Scheduler = scheduler, number: int = number) -> None:
            handle = scheduler.input(name)
            for value in range(number % 5):
                handle.put((name, value), timeout=DEADLINE_S)
            if number % 2:
                handle.put(control(name))
            handle.close()

        threads = [threading.Thread(target=feed, args=(name,)) for name in ("x", "y")]
        for thread in threads[: 1 + number % 2]:
            thread.start()
        scheduler.start()
        for thread in threads[1 + number % 2 :]:
            thread.start()
        report = scheduler.wait(DEADLINE_S)
        for thread in threads:
            thread.join()
        assert len(last.seen) == 2 * (number % 5 + number % 2)
        assert_stopped_clean(graph, report)


def test_start_and_shutdown_against_each_other() -> None:
    """Whatever the order, the scheduler ends stopped, and every report is a report."""
    for _ in range(60):
        last = Collect()
        graph = chain(Source("source", iter(int, 1)), Map("map"), last, capacity=4)
        scheduler = scheduler_of(graph)
        barrier = threading.Barrier(3)

        def start(scheduler: Scheduler = scheduler, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            scheduler.start()

        def stop(scheduler: Scheduler = scheduler, barrier: threading.Barrier = barrier) -> Any:
            barrier.wait()
            return scheduler.shutdown(drain=False)

        with ThreadPoolExecutor(3) as pool:
            starting = pool.submit(start)
            stopping = [pool.submit(stop) for _ in range(2)]
            starting.result(DEADLINE_S)
            reports = [each.result(DEADLINE_S) for each in stopping]
        assert all(report.reason in {"shutdown", "stopping"} for report in reports)
        assert scheduler.wait(DEADLINE_S).reason == "shutdown"  # a shutdown before the run counts, too
        assert_graph_conserved(graph)


def test_restarts_against_shutdowns() -> None:
    last = Collect()
    graph = chain(Map("map"), last)
    graph.expose_input("in", "map:in")
    scheduler = scheduler_of(graph)
    done = threading.Event()
    runs = 0

    def keep_stopping() -> None:
        while not done.is_set():
            if scheduler.is_running():
                scheduler.shutdown()

    thread = threading.Thread(target=keep_stopping)
    thread.start()
    for _ in range(200):
        try:
            scheduler.start()
            runs += 1
        except SchedulerStateError:
            time.sleep(0)
    done.set()
    thread.join(DEADLINE_S)
    scheduler.shutdown()
    assert runs > 5
    assert_graph_conserved(graph)


def test_one_node_started_by_two_schedulers_at_once_runs_in_one() -> None:
    for _ in range(60):
        node = Map("node")
        schedulers = []
        for number in range(2):
            graph = Subgraph.from_nodes(f"g{number}", [node])
            graph.expose_input("in", "node:in")
            schedulers.append(scheduler_of(graph))
        barrier = threading.Barrier(2)

        def start(scheduler: Scheduler, barrier: threading.Barrier = barrier) -> str:
            barrier.wait()
            try:
                scheduler.start()
            except GraphValidationError as error:
                return str(error)
            return "started"

        with ThreadPoolExecutor(2) as pool:
            answers = sorted(pool.map(start, schedulers))
        running = [scheduler.is_running() for scheduler in schedulers]
        for scheduler in schedulers:
            scheduler.shutdown()
        assert running.count(True) == 1, answers
        assert answers[1] == "started"
        assert "DUP_NODE" in answers[0]


def test_one_scheduler_started_by_many_threads_starts_once() -> None:
    for _ in range(30):
        graph = chain(Map("map"))
        graph.expose_input("in", "map:in")
        scheduler = scheduler_of(graph)
        barrier = threading.Barrier(6)

        def start(scheduler: Scheduler = scheduler, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            try:
                scheduler.start()
            except SchedulerStateError:
                return False
            return True

        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(lambda _, start=start: start(), range(6))) == 1
        scheduler.shutdown()


class Quits(Collect):
    error_policy = ErrorPolicy.STOP_NODE

    def __init__(self, name: str, after: int) -> None:
        super().__init__(name)
        self.after = after

    def on_message(self, port: str, msg: Message) -> None:
        super().on_message(port, msg)
        if len(self.messages) >= self.after:
            raise RuntimeError("enough")


@pytest.mark.parametrize("workers", [2, 8])
def test_nodes_that_stop_under_load_conserve_every_edge(workers: int, rng: Any) -> None:
    for _ in range(30):
        ends = [Quits(f"q{number}", rng.randrange(1, 60)) for number in range(4)]
        graph = Subgraph.from_nodes("g", [Source("source", iter(int, 1)), Yield("many", lambda v: [v] * 3), *ends])
        graph.connect("source:out", "many:in", capacity=rng.choice([1, 4]))
        for end in ends:
            graph.connect("many:out", (end.name, "in"), capacity=rng.choice([1, 4]))
            graph.connect("source:out", (end.name, "in"), capacity=rng.choice([1, 4]))
        scheduler = scheduler_of(graph, workers=workers)
        scheduler.start()
        threads = [threading.Thread(target=scheduler.shutdown, args=(rng.choice([True, False]),)) for _ in range(2)]
        for end in ends[:2]:
            end.expect(end.after)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
        assert not scheduler.wait(DEADLINE_S).timed_out
        assert_graph_conserved(graph)


class Crowd:
    """What the threads of the next test do, each until it is told to stop."""

    def __init__(self, scheduler: Scheduler, graph: Subgraph) -> None:
        self.scheduler = scheduler
        self.graph = graph
        self.ids = [edge.id for edge in graph.edges]
        self.stop = threading.Event()
        self.accepted = [0, 0]
        self.read: list[Any] = []

    def put(self, me: int) -> None:
        handle = self.scheduler.input("in")
        try:
            while not self.stop.is_set():
                if handle.try_put((me, self.accepted[me])) is PutResult.OK:
                    self.accepted[me] += 1
                handle.put((me, self.accepted[me]))
                self.accepted[me] += 1
        except EdgeClosed:
            return

    def meddle(self, seed: int) -> None:
        mine = random.Random(seed)
        while not self.stop.is_set():
            node = mine.choice("abc")
            self.scheduler.pause(node)
            self.scheduler.set_capacity(mine.choice(self.ids), mine.choice([1, 2, 9]))
            self.scheduler.set_priority(mine.choice(self.ids), mine.choice(list(PriorityBand)))
            self.scheduler.resume(node)
            self.scheduler.get_stats()
            for edge in self.graph.edges:
                stats = edge.stats()
                assert stats.offered == stats.delivered + stats.depth

    def look(self) -> None:
        self.read.extend(message.payload for message in self.scheduler.output("out"))


def test_everything_at_once(rng: Any) -> None:
    """Puts, reads, pauses, capacities, priorities and statistics from five threads, then a drain."""
    last = Collect()
    graph = chain(Map("a"), Yield("b", lambda v: [v, v]), Map("c"), capacity=3)
    graph.add_node(last)
    graph.connect("b:out", "collect:in", capacity=2)
    graph.expose_input("in", "a:in", capacity=3)
    graph.expose_output("out", "c:out", capacity=3)
    scheduler = scheduler_of(graph, workers=4, max_batch_per_node=3)
    crowd = Crowd(scheduler, graph)
    with ThreadPoolExecutor(5) as pool:
        scheduler.start()
        meddlers = [pool.submit(crowd.meddle, rng.randrange(2**32)) for _ in range(2)]
        others = [pool.submit(crowd.put, 0), pool.submit(crowd.put, 1), pool.submit(crowd.look)]
        last.expect(1500)
        crowd.stop.set()
        for future in meddlers:
            future.result(DEADLINE_S)
        report = scheduler.shutdown(timeout=DEADLINE_S)
        for future in others:
            future.result(DEADLINE_S)
    for me in (0, 1):
        expected = [number for number in range(crowd.accepted[me]) for _ in range(2)]
        assert [number for who, number in last.seen if who == me] == expected
        assert [number for who, number in crowd.read if who == me] == expected
    assert_stopped_clean(graph, report)
