"""Dedicated nodes keep one thread for all their hooks."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from graphs import DEADLINE_S, Collect, Gate, Map, Source, assert_stopped_clean, chain, run_graph, scheduler_of

from graphflow import ErrorPolicy, Message, Node, Subgraph

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Witness(Node):
    """Notes the thread of each of its hooks."""

    inputs = "in"
    outputs = "out"
    dedicated = True
    tick_interval_ms = 1

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.threads: dict[str, set[str]] = {}

    def all_threads(self) -> set[str]:
        return {name for names in self.threads.values() for name in names}

    def note(self, hook: str) -> None:
        self.threads.setdefault(hook, set()).add(threading.current_thread().name)

    def on_start(self) -> None:
        self.note("on_start")

    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        self.note("on_message")
        yield msg.payload
        self.note("on_message")
        if msg.payload % 10 == 0:
            raise ValueError(msg.payload)

    def on_tick(self) -> None:
        self.note("on_tick")

    def on_drain(self) -> None:
        self.note("on_drain")

    def on_stop(self) -> None:
        self.note("on_stop")

    def on_error(self, exc: BaseException, msg: Message | None) -> None:
        self.note("on_error")


def test_every_hook_runs_on_the_nodes_own_thread() -> None:
    first, second, last = Witness("first"), Witness("second"), Collect()
    graph = chain(Source("source", range(500)), Map("a"), first, Map("b"), second, last, capacity=3)
    report = run_graph(graph, workers=4)
    names = [node.all_threads() for node in (first, second)]
    assert [len(each) for each in names] == [1, 1]
    assert names[0] != names[1]
    assert set(first.threads) >= {"on_start", "on_message", "on_drain", "on_stop", "on_error"}
    assert last.seen == list(range(500))
    assert_stopped_clean(graph, report)


def test_no_other_node_runs_on_a_dedicated_thread() -> None:
    node, other = Witness("node"), Witness("other")
    other.dedicated = False
    graph = chain(Source("source", range(300)), node, other, capacity=2)
    run_graph(graph, workers=2)
    assert not node.all_threads() & other.all_threads()


class Table(Node):
    """Writes to SQLite, whose connections refuse other threads than their own; flushes in on_drain."""

    inputs = "in"
    dedicated = True
    tick_interval_ms = 2

    def __init__(self, path: Path) -> None:
        super().__init__("table")
        self.path = path
        self.batch: list[tuple[int]] = []

    def on_start(self) -> None:
        self.db = sqlite3.connect(self.path)
        self.db.execute("create table t (n integer)")

    def on_message(self, port: str, msg: Message) -> None:
        self.batch.append((msg.payload,))
        if len(self.batch) == 64:
            self.flush()

    def flush(self) -> None:
        with self.db:
            self.db.executemany("insert into t values (?)", self.batch)
        self.batch.clear()

    def on_tick(self) -> None:
        self.flush()

    def on_drain(self) -> None:
        self.flush()

    def on_stop(self) -> None:
        self.db.close()


def test_a_sqlite_connection_serves_its_whole_run(tmp_path: Path) -> None:
    table = Table(tmp_path / "t.db")
    graph = chain(Source("source", range(2000)), Map("map"), table, capacity=16)
    report = run_graph(graph, workers=8)
    assert report.errors == {}
    assert_stopped_clean(graph, report)
    with sqlite3.connect(tmp_path / "t.db") as db:
        assert db.execute("select count(*), sum(n) from t").fetchone() == (2000, sum(range(2000)))
    db.close()


class DedicatedGate(Gate):
    dedicated = True


def test_a_dedicated_node_that_blocks_holds_nobody_else_up() -> None:
    gate, last = DedicatedGate(), Collect()
    graph = Subgraph.from_nodes("g", [Source("source", range(200)), gate, last])
    graph.connect("source:out", "gate:in", capacity=1000)
    graph.connect("source:out", "collect:in", capacity=1)
    with scheduler_of(graph, workers=1) as scheduler:
        assert gate.entered.wait(DEADLINE_S)
        assert last.expect(200) == list(range(200))
        gate.opened.set()
        report = scheduler.wait(DEADLINE_S)
    assert gate.seen == list(range(200))
    assert_stopped_clean(graph, report)


def test_a_dedicated_source_and_a_dedicated_node_that_stops() -> None:
    class Dedicated(Source):
        dedicated = True

    class Quits(Witness):
        error_policy = ErrorPolicy.STOP_NODE

    node = Quits("quits")
    graph = chain(Dedicated("source", range(100)), node, capacity=5)
    report = run_graph(graph)
    assert report.error_counts == {"quits": 1}
    assert len(node.all_threads()) == 1
    assert "on_stop" in node.threads
