"""A dump holds everything that is known of a scheduler, in any state; the suite makes one for each failing test."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from graphs import DEADLINE_S, Collect, Gate, Map, Source, chain, scheduler_of

from graphflow import ErrorPolicy, Message, Scheduler, Subgraph
from graphflow.observability import RecentLogs, dump

ALWAYS = {
    "snapshot.json",
    "queues.json",
    "flight.json",
    "flight.trace.json",
    "logs.jsonl",
    "graph.mmd",
    "graph.dot",
    "config.json",
    "about.json",
}


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


@pytest.mark.parametrize("state", ["new", "running", "stopped"])
def test_a_dump_holds_every_part_in_every_state(tmp_path: Path, state: str) -> None:
    gate = Gate()
    graph = Subgraph.from_nodes("g", [gate])
    graph.expose_input("in", "gate:in", capacity=3)
    scheduler = scheduler_of(graph, workers=1)
    if state != "new":
        scheduler.start()
        scheduler.input("in").put_many(range(3), timeout=DEADLINE_S)
        assert gate.entered.wait(DEADLINE_S)
    if state == "stopped":
        gate.opened.set()
        scheduler.shutdown()
    try:
        paths = dump(scheduler, tmp_path / "deep" / "er", seed=1234)
        folder = tmp_path / "deep" / "er"
        assert {path.name for path in paths} == ALWAYS
        assert all(path.is_file() and path.parent == folder for path in paths)
        assert read(folder, "snapshot.json")["status"] == state
        assert read(folder, "config.json")["workers"] == 1
        assert read(folder, "about.json")["seed"] == 1234
        assert read(folder, "about.json")["python"] == sys.version
        assert "gate" in (folder / "graph.mmd").read_text()
        if state == "running":
            queues = read(folder, "queues.json")
            assert queues["nodes"]["gate"]["running"] == 1
            assert queues["nodes"]["gate"]["pending"] == ["data"] or queues["nodes"]["gate"]["pending"] == []
            assert read(folder, "snapshot.json")["edges"]["input:in->gate:in"]["depth"] == 2
    finally:
        gate.opened.set()
        if state == "running":
            scheduler.shutdown()


def test_the_queues_show_who_is_next_and_what_keeps_the_others(tmp_path: Path) -> None:
    gate, first, second, paused = Gate(), Collect("first"), Collect("second"), Collect("paused")
    graph = Subgraph.from_nodes("g", [gate, first, second, paused])
    for node in (gate, first, second, paused):
        graph.expose_input(node.name, (node.name, "in"))
    scheduler = scheduler_of(graph, workers=1)
    scheduler.pause("paused")
    with scheduler:
        scheduler.input("gate").put(1)
        assert gate.entered.wait(DEADLINE_S)
        for name in ("second", "first", "paused"):
            scheduler.input(name).put(1)
        dump(scheduler, tmp_path)
        gate.opened.set()
    queues = read(tmp_path, "queues.json")
    assert queues["crews"][0]["queued"] == {"lane": [], "control": [], "high": [], "normal": ["second", "first"]}
    assert queues["nodes"]["paused"]["masks"] == ["paused"]
    assert queues["nodes"]["paused"]["pending"] == ["data"]
    assert queues["nodes"]["first"]["queued_at"] == "normal"
    assert queues["busy_nodes"] == 4


def test_kept_recordings_and_recent_logs_are_in_it(tmp_path: Path) -> None:
    class Fatal(Collect):
        error_policy = ErrorPolicy.STOP_GRAPH

        def on_message(self, port: str, msg: Message) -> None:
            raise ValueError("the end")

    handler = RecentLogs(100)
    logging.getLogger("graphflow").addHandler(handler)
    try:
        scheduler = scheduler_of(chain(Source("a", [1]), Fatal("b")))
        with pytest.raises(ValueError, match="the end"):
            scheduler.run()
        paths = dump(scheduler, tmp_path)
    finally:
        logging.getLogger("graphflow").removeHandler(handler)
    assert {path.name for path in paths} == ALWAYS | {"flight-error.json", "flight-error.trace.json"}
    records = [json.loads(line) for line in (tmp_path / "logs.jsonl").read_text().splitlines()]
    assert [record for record in records if record.get("event") == "node_error" and record.get("node") == "b"]


def test_a_part_that_cannot_be_had_is_named_and_the_others_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Scheduler) -> str:
        raise RuntimeError("no picture today")

    scheduler = scheduler_of(chain(Source("a", [1]), Map("b")))
    scheduler.run()
    monkeypatch.setattr(Scheduler, "to_dot", fail)
    names = {path.name for path in dump(scheduler, tmp_path)}
    assert names == ALWAYS - {"graph.dot"} | {"errors.txt"}
    errors = (tmp_path / "errors.txt").read_text()
    assert "graph.dot" in errors
    assert "no picture today" in errors


def test_what_is_no_scheduler_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"dump\(\) takes a Scheduler, not 'x'"):
        dump("x", tmp_path)  # type: ignore[arg-type]


def test_dumps_while_the_graph_works_are_whole(tmp_path: Path) -> None:
    graph = chain(Source("a", range(100_000)), Map("b"), Collect("c"), capacity=4)
    scheduler = scheduler_of(graph, workers=2)
    with scheduler:
        for number in range(5):
            names = {path.name for path in dump(scheduler, tmp_path / str(number))}
            assert names == ALWAYS
        scheduler.shutdown(drain=False)


# ---------------------------------------------------------------------------------------- the test suite's own

FAILING = """
import threading
from graphflow import Node, Scheduler, Subgraph

class Gate(Node):
    inputs = "in"
    opened = threading.Event()
    entered = threading.Event()
    def on_message(self, port, msg):
        self.entered.set()
        self.opened.wait(20)

def make():
    graph = Subgraph.from_nodes("stuck", [Gate("gate")])
    graph.expose_input("in", "gate:in")
    scheduler = Scheduler()
    scheduler.register(graph)
    return scheduler

def test_passes():
    with make(): pass

def test_fails_while_it_runs():
    scheduler = make()
    scheduler.start()
    try:
        scheduler.input("in").put(1)
        assert Gate.entered.wait(20)
        assert False
    finally:
        Gate.opened.set()
        scheduler.shutdown()

def test_fails_with_two():
    first, second = make(), make()
    with first, second:
        assert False

def test_fails_without_a_scheduler():
    assert False
"""


def test_a_failing_test_leaves_a_dump_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "test_stuck.py").write_text(FAILING)
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "artifacts", "-p", "no:cacheprovider", "test_stuck.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "GRAPHFLOW_ARTIFACTS": "kept"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "3 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    folders = {str(path.parent.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("snapshot.json")}
    assert folders == {
        "test_stuck.py_test_fails_while_it_runs/call",
        "test_stuck.py_test_fails_with_two/call/0",
        "test_stuck.py_test_fails_with_two/call/1",
    }
    for folder in folders:
        assert str(Path("kept") / folder) in done.stdout
        assert read(tmp_path / "kept" / folder, "snapshot.json")["graph"] == "stuck"


def test_a_dump_from_a_thread_beside_a_stop_waits_for_nobody(tmp_path: Path) -> None:
    gate = Gate()
    graph = Subgraph.from_nodes("g", [gate])
    graph.expose_input("in", "gate:in")
    scheduler = scheduler_of(graph, shutdown_timeout_s=DEADLINE_S)
    scheduler.start()
    scheduler.input("in").put(1)
    assert gate.entered.wait(DEADLINE_S)
    stopping = threading.Thread(target=scheduler.shutdown)
    stopping.start()
    assert {path.name for path in dump(scheduler, tmp_path)} == ALWAYS
    gate.opened.set()
    stopping.join(DEADLINE_S)
    assert not stopping.is_alive()
