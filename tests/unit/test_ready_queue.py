"""Whose turn it is, seen from outside: one worker, all inputs filled before the run, the order of handling recorded."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from graphs import DEADLINE_S, Source, chain, control, scheduler_of, until

from graphflow import Message, Node, PriorityBand, Scheduler, Subgraph


class Logs(Node):
    """Writes its name into a list that all share."""

    inputs = ("in", "more")

    def __init__(self, name: str, log: list[tuple[str, Any]]) -> None:
        super().__init__(name)
        self.log = log

    def on_message(self, port: str, msg: Message) -> None:
        self.log.append((self.name, msg.payload))


def filled(
    count: int, items: int, bands: dict[str, PriorityBand] | None = None, **config: Any
) -> list[tuple[str, Any]]:
    """Run `count` nodes with `items` messages each on one worker; the order in which they were handled."""
    log: list[tuple[str, Any]] = []
    names = [f"n{number}" for number in range(count)]
    graph = Subgraph.from_nodes("g", [Logs(name, log) for name in names])
    for name in names:
        graph.expose_input(name, (name, "in"), capacity=items, priority=(bands or {}).get(name))
    scheduler = scheduler_of(graph, workers=1, **config)
    finish(scheduler, {name: list(range(items)) for name in names})
    assert len(log) == count * items
    return log


def finish(scheduler: Scheduler, inputs: dict[str, list[Any]]) -> None:
    for name, items in inputs.items():
        assert scheduler.input(name).put_many(items, timeout=0) == len(items)
        scheduler.input(name).close()
    scheduler.start()
    assert scheduler.wait(DEADLINE_S).complete


@pytest.mark.parametrize("count", [2, 3, 50])
@pytest.mark.parametrize("batch", [1, 8, 64])
def test_nodes_that_are_always_ready_take_turns_first_in_first_out(count: int, batch: int) -> None:
    items = 4 * batch
    log = filled(count, items, max_batch_per_node=batch)
    turns = [log[start][0] for start in range(0, len(log), batch)]
    assert all(len({name for name, _ in log[start : start + batch]}) == 1 for start in range(0, len(log), batch))
    first_round = turns[:count]
    assert sorted(first_round) == sorted({name for name, _ in log})
    assert turns == first_round * 4  # strictly in turn: nobody overtakes


def test_messages_of_one_input_stay_in_order() -> None:
    log = filled(3, 200, max_batch_per_node=7)
    for name in ("n0", "n1", "n2"):
        assert [payload for who, payload in log if who == name] == list(range(200))


def test_no_band_starves() -> None:
    bands = {"n0": PriorityBand.CONTROL, "n1": PriorityBand.HIGH, "n2": PriorityBand.NORMAL}
    log = filled(3, 400, bands, max_batch_per_node=4)
    half = Counter(name for name, _ in log[:600])
    assert half["n0"] > half["n1"] > half["n2"] > 0
    assert [name for name, _ in log[-100:]] == ["n2"] * 100  # what the others left


def test_control_overtakes_the_data_that_was_there_before_it() -> None:
    log: list[tuple[str, Any]] = []
    graph = Subgraph.from_nodes("g", [Logs("a", log)])
    graph.expose_input("data", "a:in")
    graph.expose_input("both", "a:more")
    items = [*range(20), control("first"), control("second")]
    finish(scheduler_of(graph, workers=1), {"data": list(range(20)), "both": items})
    assert [payload for _, payload in log[:2]] == ["first", "second"]


def test_as_many_workers_wake_as_nodes_become_ready() -> None:
    """Both are asleep when two nodes become ready at once; each handler waits for the other."""
    meet = threading.Barrier(2)

    class Meets(Logs):
        def on_message(self, port: str, msg: Message) -> None:
            meet.wait(DEADLINE_S)
            super().on_message(port, msg)

    def both_done(count: int) -> bool:
        return len(log) == count and scheduler.get_stats()["runnable_nodes"] == 0

    log: list[tuple[str, Any]] = []
    graph = Subgraph.from_nodes("g", [Meets("a", log), Meets("b", log)])
    for name in "ab":
        graph.expose_input(name, (name, "in"))
    with scheduler_of(graph, workers=2) as scheduler:
        inputs = [scheduler.input(name) for name in "ab"]
        for number in range(100):
            until(partial(both_done, 2 * number))
            for handle in inputs:
                handle.put(number)
        report = scheduler.shutdown(timeout=DEADLINE_S)
    assert report.errors == {}


def test_control_overtakes_queued_data_of_every_node() -> None:
    log: list[tuple[str, Any]] = []
    graph = Subgraph.from_nodes("g", [Logs(name, log) for name in ("a", "b")])
    for name in "ab":
        graph.expose_input(name, (name, "in"))
    scheduler = scheduler_of(graph, workers=1)
    items = [*range(50), control("now")]
    finish(scheduler, {"a": items, "b": items})
    assert set(log[:2]) == {("a", "now"), ("b", "now")}, log[:4]
    assert len(log) == 102


def test_control_sent_by_a_handler_goes_before_the_rest_of_its_batch() -> None:
    log: list[tuple[str, Any]] = []

    class Sends(Logs):
        outputs = "out"

        def on_message(self, port: str, msg: Message) -> None:
            super().on_message(port, msg)
            if msg.payload == 3:
                self.emit("out", control("alarm"))

    graph = Subgraph.from_nodes("g", [Sends("sends", log), Logs("listens", log)])
    graph.connect("sends:out", "listens:in")
    graph.expose_input("in", "sends:in")
    finish(scheduler_of(graph, workers=1), {"in": list(range(20))})
    assert log == [*(("sends", n) for n in range(4)), ("listens", "alarm"), *(("sends", n) for n in range(4, 20))]


def test_a_long_run_of_control_gives_data_a_turn_after_64() -> None:
    log: list[tuple[str, Any]] = []
    graph = Subgraph.from_nodes("g", [Logs("a", log), Logs("b", log)])
    graph.expose_input("a", "a:in", control_capacity=200)
    graph.expose_input("b", "b:in")
    scheduler = scheduler_of(graph, workers=1, max_batch_per_node=1000)
    finish(scheduler, {"a": [control(n) for n in range(200)], "b": list(range(5))})
    first = next(index for index, (name, _) in enumerate(log) if name == "b")
    assert first == 64
    assert [payload for name, payload in log if name == "a"] == list(range(200))


def test_a_node_waits_once_however_often_it_is_woken() -> None:
    """Ten edges into one node wake it ten times; the other node still gets its turn after one batch."""
    log: list[tuple[str, Any]] = []
    graph = Subgraph.from_nodes("g", [Logs("busy", log), Logs("other", log)])
    for number in range(10):
        graph.expose_input(f"i{number}", "busy:in", capacity=100)
    graph.expose_input("other", "other:in", capacity=100)
    inputs = {f"i{number}": list(range(100)) for number in range(10)} | {"other": list(range(20))}
    finish(scheduler_of(graph, workers=1, max_batch_per_node=10), inputs)
    turns = [log[index][0] for index in range(0, 40, 10)]
    assert turns in (["busy", "other"] * 2, ["other", "busy"] * 2)


def test_a_source_takes_turns_with_what_it_feeds() -> None:
    log: list[tuple[str, Any]] = []
    graph = chain(Source("source", range(300)), Logs("logs", log), capacity=1000)
    scheduler = scheduler_of(graph, workers=1, max_batch_per_node=10)
    scheduler.run()
    peak = next(iter(graph.edges)).stats().peak_depth
    assert peak <= 20
    assert all(earlier[1] < later[1] for earlier, later in pairwise(log))
