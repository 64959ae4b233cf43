"""What a snapshot says of the scheduler, its nodes and its edges, before, during and after a run."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import time
from typing import Any

import pytest
from graphs import DEADLINE_S, Collect, Gate, Map, Remote, Source, Ticker, chain, pipeline, scheduler_of, until
from holding import gated, held

from graphflow import ErrorPolicy, Latest, Message, Node, PriorityBand, Scheduler, SchedulerConfig, Snapshot, Subgraph

# ---------------------------------------------------------------------------------------- the tree


def test_before_a_run_everything_is_there_and_zero() -> None:
    _, scheduler = gated(capacity=7, policy=Latest(), priority=PriorityBand.HIGH)
    snapshot = scheduler.snapshot()
    assert (snapshot.graph, snapshot.status, snapshot.run_s) == ("inlet", "new", 0.0)
    node, edge = snapshot.nodes["gate"], snapshot.edges["input:in->gate:in"]
    assert (node.path, node.state, node.messages, node.turns) == ("gate", "idle", 0, 0)
    assert (edge.source, edge.target, edge.capacity, edge.policy, edge.band) == (None, "gate", 7, "Latest", "high")
    assert (snapshot.scheduler.workers, snapshot.scheduler.wakeups) == (0, 0)
    assert snapshot.stalls == ()


def test_a_scheduler_of_nothing_has_a_snapshot() -> None:
    snapshot = Scheduler().snapshot()
    assert (snapshot.graph, dict(snapshot.nodes), dict(snapshot.edges)) == ("graphflow", {}, {})
    json.dumps(snapshot.to_dict())


def test_no_part_of_it_can_be_changed() -> None:
    _, scheduler = gated()
    snapshot = scheduler.snapshot()
    for part in (snapshot, snapshot.scheduler, snapshot.nodes["gate"], snapshot.edges["input:in->gate:in"]):
        field = dataclasses.fields(part)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, field, 1)
    for mapping in (snapshot.nodes, snapshot.edges, snapshot.scheduler.turns):
        with pytest.raises(TypeError):
            mapping["x"] = 1  # type: ignore[index]


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, lambda snapshot: pickle.loads(pickle.dumps(snapshot))])
def test_it_can_be_pickled_and_copied(again: Any) -> None:
    snapshot = scheduler_of(pipeline()).snapshot()
    copied = again(snapshot)
    assert copied == snapshot
    with pytest.raises(TypeError):
        copied.nodes["new"] = None


def test_it_can_be_made_a_dict_by_dataclasses() -> None:
    scheduler = scheduler_of(pipeline())
    scheduler.run()
    made = dataclasses.asdict(scheduler.snapshot())
    assert made["nodes"]["map"]["handled"] == 20
    assert made["scheduler"]["turns"]["normal"] > 0


def test_the_dict_is_json_and_holds_every_field() -> None:
    graph = chain(Source("a", range(100)), Map("b"), Collect("c"), capacity=4)
    scheduler = scheduler_of(graph, metrics=True)
    scheduler.run()
    snapshot = scheduler.snapshot()
    plain = json.loads(json.dumps(snapshot.to_dict()))
    assert set(plain) == {field.name for field in dataclasses.fields(Snapshot)}
    for path, node in snapshot.nodes.items():
        assert plain["nodes"][path].keys() == {field.name for field in dataclasses.fields(node)}
    for edge_id, edge in snapshot.edges.items():
        assert plain["edges"][edge_id].keys() == {field.name for field in dataclasses.fields(edge)}
        assert plain["edges"][edge_id]["offered"] == 100
    assert plain["nodes"]["b"]["handler_time"].keys() >= {"count", "sum", "mean", "p50", "p99", "max"}


def test_a_snapshot_does_not_change_when_the_graph_goes_on() -> None:
    gate, scheduler = gated()
    with scheduler:
        held(gate, scheduler)
        before = scheduler.snapshot()
        kept = before.to_dict()
        gate.opened.set()
        scheduler.input("in").put_many(range(50))
        gate.expect(51)
        assert before.to_dict() == kept
        until(lambda: scheduler.snapshot().nodes["gate"].messages == 51)


def test_the_name_is_the_configured_one_else_the_first_graphs() -> None:
    assert Scheduler(SchedulerConfig(name="mine")).name == "mine"
    scheduler = Scheduler()
    scheduler.register(Subgraph.from_nodes("first", [Map("a")]))
    scheduler.register(Subgraph.from_nodes("second", [Map("b")]))
    assert (scheduler.name, scheduler.snapshot().graph) == ("first", "first")


@pytest.mark.parametrize("name", ["", 5, b"x"])
def test_a_name_that_is_none_is_refused(name: Any) -> None:
    with pytest.raises(TypeError, match="name must be a non-empty str or None"):
        SchedulerConfig(name=name)


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("metrics", 1),
        ("metrics", None),
        ("flight_recorder_bytes", -1),
        ("flight_recorder_bytes", 2.0),
        ("flight_folder", 3),
    ],
)
def test_settings_of_what_is_observed_are_checked(setting: str, wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=setting):
        SchedulerConfig(**{setting: wrong})


# ---------------------------------------------------------------------------------------- nodes


def test_a_nodes_messages_are_split_by_what_became_of_them() -> None:
    def odd_fails(value: int) -> int:
        if value % 2:
            raise ValueError(value)
        return value

    scheduler = scheduler_of(chain(Source("a", range(10)), Map("b", odd_fails), Collect("c")))
    scheduler.run()
    node = scheduler.snapshot().nodes["b"]
    assert (node.messages, node.handled, node.failed, node.errors) == (10, 5, 5, 5)
    assert node.last_error == "ValueError"


def test_retries_dead_letters_and_ticks_are_counted() -> None:
    class Stubborn(Map):
        outputs = ("out", "dead")
        error_policy = ErrorPolicy.retry(3, backoff_s=0.001, then=ErrorPolicy.dead_letter("dead"))

        def on_message(self, port: str, msg: Message) -> None:
            raise ValueError

    graph = chain(Source("a", range(2)), Stubborn("b"), Collect("c"))
    ticker = Ticker("t", 5, lambda _: None)
    graph.add_node(ticker)
    scheduler = scheduler_of(graph)
    with scheduler:
        until(lambda: scheduler.snapshot().nodes["b"].dead_lettered == 2)
        assert ticker.ticked.wait(DEADLINE_S)
        until(lambda: scheduler.snapshot().nodes["t"].ticks >= 2)
        node = scheduler.snapshot().nodes["b"]
    assert (node.messages, node.retries, node.errors, node.failed) == (2, 4, 2, 0)


def test_busy_time_counts_what_still_runs() -> None:
    gate, scheduler = gated()
    with scheduler:
        held(gate, scheduler)
        first = scheduler.snapshot().nodes["gate"]
        assert (first.state, first.running, first.in_handler) == ("running", 1, 1)
        assert 0 < first.busy_s < DEADLINE_S
        until(lambda: scheduler.snapshot().nodes["gate"].busy_s > first.busy_s + 0.02)
        gate.opened.set()
        until(lambda: scheduler.snapshot().nodes["gate"].state == "idle")
        resting = scheduler.snapshot().nodes["gate"].busy_s
        assert resting >= first.busy_s + 0.02
        assert scheduler.snapshot().nodes["gate"].busy_s == resting


def test_busy_time_of_several_workers_adds_up() -> None:
    class Slow(Collect):
        max_concurrency = 2

        def on_message(self, port: str, msg: Message) -> None:
            time.sleep(0.05)

    slow = Slow("slow")
    graph = chain(Source("a", range(6)), slow)
    scheduler = scheduler_of(graph, workers=2)
    scheduler.run()
    snapshot = scheduler.snapshot()
    assert 6 * 0.05 <= snapshot.nodes["slow"].busy_s <= 2 * snapshot.run_s + 0.01


def test_a_coroutine_is_busy_while_it_awaits() -> None:
    class Waits(Node):
        inputs = "in"
        max_concurrency = 3

        async def on_message(self, port: str, msg: Message) -> None:
            import asyncio

            await asyncio.sleep(0.05)

    scheduler = scheduler_of(chain(Source("a", range(3)), Waits("w")))
    scheduler.run()
    snapshot = scheduler.snapshot()
    node = snapshot.nodes["w"]
    assert 3 * 0.05 * 0.9 <= node.busy_s < DEADLINE_S
    assert (snapshot.scheduler.workers, snapshot.scheduler.parked_workers) == (0, 0)
    assert (node.handled, node.running) == (3, 0)


def test_states_say_what_a_node_waits_for() -> None:
    class Restless(Map):
        error_policy = ErrorPolicy.retry(2, backoff_s=DEADLINE_S)

    def fail(value: object) -> None:
        raise ValueError

    remote, sink = Remote(), Gate("sink")
    graph = Subgraph.from_nodes("g", [remote, sink, Map("paused"), Restless("resting", fail)])
    graph.connect("remote:out", "sink:in", capacity=1)
    graph.expose_input("remote", "remote:calls")
    graph.expose_input("p", "paused:in")
    graph.expose_input("r", "resting:in")
    scheduler = scheduler_of(graph, workers=3, shutdown_timeout_s=0.2)
    scheduler.pause("paused")
    with scheduler:
        scheduler.input("p").put(1)
        scheduler.input("r").put(1)
        for number in range(3):
            remote.emit_there(scheduler, number)

        def states() -> dict[str, str]:
            return {path: node.state for path, node in scheduler.snapshot().nodes.items()}

        until(lambda: states()["remote"] == "blocked")
        until(lambda: states()["resting"] == "backing off")
        assert states() == {"remote": "blocked", "sink": "running", "paused": "paused", "resting": "backing off"}
        snapshot = scheduler.snapshot()
        assert snapshot.nodes["remote"].outbox == 1
        assert snapshot.edges["remote:out->sink:in"].deferred == 1
        assert snapshot.nodes["resting"].held == 1
        assert snapshot.scheduler.blocked_nodes == 1
        sink.opened.set()
        sink.expect(3)
        scheduler.shutdown(drain=False)


def test_a_stopped_node_says_so() -> None:
    class Stops(Map):
        error_policy = ErrorPolicy.STOP_NODE

        def on_message(self, port: str, msg: Message) -> None:
            raise ValueError

    graph = Subgraph.from_nodes("g", [Stops("stops")])
    graph.expose_input("in", "stops:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put(1)
        until(lambda: scheduler.snapshot().nodes["stops"].state == "stopped")
