"""The order of a run: on_start before any message, on_drain as inputs run dry, on_stop in reverse."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from graphs import Collect, Map, Source, assert_stopped_clean, chain, run_graph, scheduler_of

from graphflow import Message, Node, Subgraph


class Diary(Node):
    """Writes down its hooks in a list shared by the graph."""

    def __init__(self, name: str, diary: list[str], inputs: Any = "in", outputs: Any = "out") -> None:
        super().__init__(name, inputs, outputs)
        self.diary = diary

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
