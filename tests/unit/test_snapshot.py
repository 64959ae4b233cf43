"""What a snapshot says of the scheduler, its nodes and its edges, before, during and after a run."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any

import pytest
from edges import waiting_put
from graphs import (
    DEADLINE_S,
    Collect,
    Gate,
    Map,
    Remote,
    Source,
    Ticker,
    chain,
    control,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import (
    Block,
    Coalesce,
    Drop,
    EdgeSnapshot,
    ErrorPolicy,
    Latest,
    Message,
    MessageType,
    Node,
    PriorityBand,
    PutResult,
    Scheduler,
    SchedulerConfig,
    Snapshot,
    Subgraph,
)

HALF_S = 0.5  # of a sleep: what a clock must at least have seen of it


def gated(*, workers: int = 2, **exposed: Any) -> tuple[Gate, Scheduler]:
    gate = Gate()
    graph = Subgraph.from_nodes("g", [gate])
    graph.expose_input("in", "gate:in", **exposed)
    return gate, scheduler_of(graph, workers=workers)


def held(gate: Gate, scheduler: Scheduler) -> None:
    """The gate is inside its handler."""
    scheduler.input("in").put("first")
    assert gate.entered.wait(DEADLINE_S)


# ---------------------------------------------------------------------------------------- the tree


def test_before_a_run_everything_is_there_and_zero() -> None:
    _, scheduler = gated(capacity=7, policy=Latest(), priority=PriorityBand.HIGH)
    snapshot = scheduler.snapshot()
    assert (snapshot.graph, snapshot.status, snapshot.run_s) == ("g", "new", 0.0)
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
    [("metrics", 1), ("metrics", None), ("flight_recorder", -1), ("flight_recorder", 2.0), ("flight_folder", 3)],
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


# ---------------------------------------------------------------------------------------- the scheduler


def test_turns_are_counted_by_what_they_were_given_for() -> None:
    sink = Collect("sink", ("a", "b", "c"))
    graph = Subgraph.from_nodes("g", [sink])
    for port, band in zip("abc", PriorityBand, strict=True):
        graph.expose_input(port, f"sink:{port}", priority=band)
    scheduler = scheduler_of(graph, workers=1)
    with scheduler:
        before = scheduler.snapshot().scheduler.turns
        assert dict(before) == {"lane": 1, "control": 0, "high": 0, "normal": 0}  # its on_start
        for count, port in enumerate("abc", start=1):
            scheduler.input(port).put(port)
            sink.expect(count)
            until(lambda: scheduler.snapshot().nodes["sink"].state == "idle")
        scheduler.input("a").put(control("now"))
        sink.expect(4)
        after = scheduler.snapshot().scheduler.turns
    assert {level: after[level] - before[level] for level in after} == {"lane": 1, "control": 1, "high": 1, "normal": 1}


def test_the_turns_of_nodes_and_bands_add_up() -> None:
    scheduler = scheduler_of(chain(Source("a", range(5000)), Map("b"), Collect("c"), capacity=8), workers=2)
    scheduler.run()
    snapshot = scheduler.snapshot()
    assert sum(node.turns for node in snapshot.nodes.values()) == sum(snapshot.scheduler.turns.values())


def test_workers_are_counted_asleep_and_awake() -> None:
    gate, scheduler = gated(workers=3)
    with scheduler:
        until(lambda: scheduler.snapshot().scheduler.parked_workers == 3)
        before = scheduler.snapshot().scheduler
        assert (before.workers, before.running_nodes, before.runnable_nodes) == (3, 0, 0)
        held(gate, scheduler)
        until(lambda: scheduler.snapshot().scheduler.parked_workers == 2)
        busy = scheduler.snapshot().scheduler
        assert (busy.running_nodes, busy.wakeups) == (1, before.wakeups + 1)
        gate.opened.set()
    ended = scheduler.snapshot().scheduler
    assert (ended.workers, ended.parked_workers, ended.running_nodes) == (0, 0, 0)


def test_nodes_that_wait_for_a_worker_are_runnable() -> None:
    gate, other = Gate(), Collect("other")
    graph = Subgraph.from_nodes("g", [gate, other])
    graph.expose_input("in", "gate:in")
    graph.expose_input("other", "other:in")
    scheduler = scheduler_of(graph, workers=1)
    with scheduler:
        held(gate, scheduler)
        scheduler.input("other").put(1)
        snapshot = scheduler.snapshot()
        assert (snapshot.scheduler.runnable_nodes, snapshot.nodes["other"].state) == (1, "ready")
        gate.opened.set()


def test_loop_latency_is_the_wait_for_a_worker() -> None:
    gate, other = Gate(), Collect("other")
    graph = Subgraph.from_nodes("g", [gate, other])
    graph.expose_input("in", "gate:in")
    graph.expose_input("other", "other:in")
    scheduler = scheduler_of(graph, workers=1)
    with scheduler:
        # One wait in 64 is timed, at random: as many rounds as it takes, each with a wait of a known length.
        for _ in range(1000):
            gate.entered.clear()
            gate.opened.clear()
            scheduler.input("in").put(1)
            assert gate.entered.wait(DEADLINE_S)
            began = time.monotonic()
            scheduler.input("other").put(1)
            until(lambda began=began: time.monotonic() - began > 0.004)  # type: ignore[misc]
            gate.opened.set()
            until(lambda: scheduler.snapshot().scheduler.parked_workers == 1)
            if scheduler.snapshot().scheduler.loop_latency.max > 0.004:
                break
    latency = scheduler.snapshot().scheduler.loop_latency
    assert 0.004 < latency.max < DEADLINE_S
    assert latency.count < 200


def test_about_one_wait_in_64_is_timed_each_by_itself() -> None:
    scheduler = scheduler_of(chain(Source("a", range(5000)), Map("b"), Collect("c"), capacity=1), workers=1)
    scheduler.run()
    snapshot = scheduler.snapshot()
    turns, latency = sum(snapshot.scheduler.turns.values()), snapshot.scheduler.loop_latency
    assert turns / 64 * 0.6 < latency.count < turns / 64 * 1.5
    assert latency.sum < snapshot.run_s  # one worker: no two of them at once


def test_the_time_of_a_run_stands_still_when_it_has_ended() -> None:
    scheduler = scheduler_of(chain(Source("a", range(10)), Collect("b")))
    scheduler.run()
    first = scheduler.snapshot()
    second = scheduler.snapshot()
    assert first.status == "stopped"
    assert 0 < first.run_s == second.run_s
    assert first.time <= second.time


def test_a_restart_counts_from_zero() -> None:
    scheduler = scheduler_of(chain(Source("a", range(100)), Collect("b")), metrics=True)
    scheduler.run()
    first = scheduler.snapshot()
    scheduler.run()
    second = scheduler.snapshot()
    for snapshot in (first, second):
        assert snapshot.nodes["b"].messages == 100
        assert snapshot.edges["a:out->b:in"].offered == 100
        times = snapshot.edges["a:out->b:in"].time_in_queue
        assert times is not None
        assert 1 <= times.count <= 10


# ---------------------------------------------------------------------------------------- edges


@pytest.mark.parametrize(
    ("policy", "field"),
    [(Drop(), "dropped"), (Latest(), "replaced"), (Coalesce(lambda old, new: new), "coalesced"), (Block(), "blocked")],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_what_a_policy_did_is_counted_and_named(policy: Any, field: str) -> None:
    gate, scheduler = gated(capacity=2, policy=policy)
    with scheduler:
        held(gate, scheduler)
        for number in range(5):
            scheduler.input("in").try_put(number)
        edge = scheduler.snapshot().edges["input:in->gate:in"]
        assert edge.policy == type(policy).__name__
        assert (getattr(edge, field), edge.depth, edge.peak_depth) == (3, 2, 2)
        entered = {"dropped": 3, "replaced": 6, "coalesced": 3, "blocked": 3}[field]
        assert edge.enqueued == entered
        gate.opened.set()


def test_what_a_stopped_node_leaves_in_its_queue_had_entered_it() -> None:
    class Stops(Gate):
        error_policy = ErrorPolicy.STOP_NODE

        def on_message(self, port: str, msg: Message) -> None:
            super().on_message(port, msg)
            raise ValueError

    stops = Stops("stops")
    graph = Subgraph.from_nodes("g", [stops])
    graph.expose_input("in", "stops:in")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put_many(range(4))
        assert stops.entered.wait(DEADLINE_S)
        stops.opened.set()
        until(lambda: scheduler.snapshot().nodes["stops"].state == "stopped")
        edge = scheduler.snapshot().edges["input:in->stops:in"]
    assert (edge.offered, edge.enqueued, edge.delivered, edge.dropped, edge.dropped_closed) == (4, 4, 1, 3, 3)


def test_blocked_time_runs_from_the_refusal_to_the_next_room() -> None:
    gate, scheduler = gated(capacity=1)
    with scheduler:
        held(gate, scheduler)
        inlet = scheduler.input("in")
        assert inlet.try_put(1) is PutResult.OK
        assert not scheduler.snapshot().edges["input:in->gate:in"].blocked_now
        began = time.monotonic()
        assert inlet.try_put(2) is PutResult.BLOCKED
        now = scheduler.snapshot().edges["input:in->gate:in"]
        assert (now.blocked_now, now.blocked) == (True, 1)
        until(lambda: scheduler.snapshot().edges["input:in->gate:in"].blocked_s > 0.02)
        gate.opened.set()
        gate.expect(2)
        ended = time.monotonic()
        edge = scheduler.snapshot().edges["input:in->gate:in"]
        assert not edge.blocked_now
        assert 0.02 < edge.blocked_s <= ended - began
        assert scheduler.snapshot().edges["input:in->gate:in"].blocked_s == edge.blocked_s


def test_an_edge_with_waiting_putters_is_blocked_until_the_last_is_in() -> None:
    _, scheduler = gated(capacity=1)
    scheduler.pause("gate")
    with scheduler:
        edge = scheduler.input("in").edge
        edge.put(1)
        calls = [waiting_put(edge, number) for number in range(2)]

        def seen() -> EdgeSnapshot:
            return scheduler.snapshot().edges["input:in->gate:in"]

        assert (seen().blocked, seen().blocked_now) == (2, True)
        assert edge.try_get() is not None
        assert (seen().offered, seen().depth, seen().blocked_now) == (2, 1, True)  # the other one waits still
        assert edge.try_get() is not None
        assert [call.outcome() for call in calls] == [PutResult.OK, PutResult.OK]
        assert edge.try_get() is not None
        assert not seen().blocked_now
        assert seen().blocked_s > 0


def test_a_full_control_lane_is_blocked_time_too() -> None:
    gate, scheduler = gated(control_capacity=1)
    with scheduler:
        held(gate, scheduler)
        inlet = scheduler.input("in")
        assert inlet.try_put(control(1)) is PutResult.OK
        assert inlet.try_put(control(2)) is PutResult.BLOCKED
        until(lambda: scheduler.snapshot().edges["input:in->gate:in"].blocked_s > 0.01)
        gate.opened.set()
        gate.expect(2)
        edge = scheduler.snapshot().edges["input:in->gate:in"]
    assert not edge.blocked_now
    assert edge.blocked_s > 0.01


def test_more_capacity_ends_the_blocked_time() -> None:
    gate, scheduler = gated(capacity=1)
    with scheduler:
        held(gate, scheduler)
        scheduler.input("in").put(1)
        scheduler.input("in").try_put(2)
        scheduler.set_capacity("input:in->gate:in", 5)
        assert not scheduler.snapshot().edges["input:in->gate:in"].blocked_now
        gate.opened.set()


def test_closing_ends_the_blocked_time() -> None:
    gate, scheduler = gated(capacity=1)
    with scheduler:
        held(gate, scheduler)
        scheduler.input("in").put(1)
        scheduler.input("in").try_put(2)
        scheduler.input("in").close()
        edge = scheduler.snapshot().edges["input:in->gate:in"]
        assert (edge.blocked_now, edge.closed) == (False, True)
        gate.opened.set()


def test_the_band_is_the_one_the_edge_is_in_now() -> None:
    _, scheduler = gated()
    with scheduler:
        scheduler.set_priority("input:in->gate:in", PriorityBand.CONTROL)
        assert scheduler.snapshot().edges["input:in->gate:in"].band == "control"


def test_bytes_of_the_queue_are_shown() -> None:
    gate, scheduler = gated(max_bytes=100)
    with scheduler:
        held(gate, scheduler)  # 5 bytes, and gone
        scheduler.input("in").put("abcd")
        edge = scheduler.snapshot().edges["input:in->gate:in"]
        assert (edge.bytes, edge.max_bytes) == (4, 100)
        gate.opened.set()


def test_expired_items_are_counted_when_one_looks() -> None:
    gate, scheduler = gated(ttl_s=0.01)
    with scheduler:
        held(gate, scheduler)
        scheduler.input("in").put(1)
        until(lambda: scheduler.snapshot().edges["input:in->gate:in"].expired == 1)
        assert scheduler.snapshot().edges["input:in->gate:in"].depth == 0
        gate.opened.set()


# ---------------------------------------------------------------------------------------- what is timed


def test_without_metrics_nothing_is_timed() -> None:
    scheduler = scheduler_of(chain(Source("a", range(500)), Collect("b")))
    scheduler.run()
    snapshot = scheduler.snapshot()
    assert snapshot.nodes["b"].handler_time is None
    assert snapshot.edges["a:out->b:in"].time_in_queue is None


@pytest.mark.parametrize("capacity", [1, 64, 1024])
def test_about_one_message_in_64_is_timed(capacity: int) -> None:
    count = 64 * 200
    scheduler = scheduler_of(chain(Source("a", range(count)), Collect("b"), capacity=capacity), metrics=True)
    scheduler.run()
    snapshot = scheduler.snapshot()
    handling, waiting = snapshot.nodes["b"].handler_time, snapshot.edges["a:out->b:in"].time_in_queue
    assert handling is not None
    assert waiting is not None
    assert 150 <= handling.count <= 250
    assert 150 <= waiting.count <= 250


class Sleeps(Collect):
    def on_message(self, port: str, msg: Message) -> Any:
        time.sleep(0.002)


class SleepsInTwos(Sleeps):
    max_concurrency = 2


class SleepsAwaiting(Node):
    inputs = "in"

    async def on_message(self, port: str, msg: Message) -> None:
        import asyncio

        await asyncio.sleep(0.002)


@pytest.mark.parametrize("kind", [Sleeps, SleepsInTwos, SleepsAwaiting])
def test_handler_time_is_what_the_handler_took(kind: type[Node]) -> None:
    scheduler = scheduler_of(chain(Source("a", range(130)), kind("b")), metrics=True)
    scheduler.run()
    handling = scheduler.snapshot().nodes["b"].handler_time
    assert handling is not None
    assert 1 <= handling.count <= 130
    assert handling.min >= 0.002 * HALF_S
    assert handling.sum >= handling.count * 0.002 * HALF_S


def test_a_handler_that_raises_is_timed_too() -> None:
    class Fails(Collect):
        def on_message(self, port: str, msg: Message) -> None:
            raise ValueError

    scheduler = scheduler_of(chain(Source("a", range(1)), Fails("b")), metrics=True)
    scheduler.run()
    handling = scheduler.snapshot().nodes["b"].handler_time
    assert handling is not None
    assert handling.count == 1


def test_time_in_queue_is_from_the_put_to_the_taking() -> None:
    gate = Gate()
    graph = Subgraph.from_nodes("g", [gate])
    graph.expose_input("in", "gate:in", capacity=1000)
    scheduler = scheduler_of(graph, metrics=True)
    with scheduler:
        held(gate, scheduler)
        began = time.monotonic()
        scheduler.input("in").put_many(range(640))
        put = time.monotonic()
        until(lambda: time.monotonic() - put > 0.03)
        opened = time.monotonic()
        gate.opened.set()
        gate.expect(641)
        ended = time.monotonic()
    times = scheduler.snapshot().edges["input:in->gate:in"].time_in_queue
    assert times is not None
    assert times.count >= 5
    assert times.quantile(0.5) >= (opened - put) * 0.95
    assert times.max <= ended - began


@pytest.mark.parametrize("policy", [Latest(), Coalesce(lambda old, new: new), Drop()], ids=lambda each: repr(each)[:8])
def test_items_that_are_not_delivered_are_not_timed(policy: Any) -> None:
    gate = Gate()
    graph = Subgraph.from_nodes("g", [gate])
    graph.expose_input("in", "gate:in", capacity=4, policy=policy)
    scheduler = scheduler_of(graph, metrics=True)
    with scheduler:
        held(gate, scheduler)
        for number in range(1000):
            scheduler.input("in").try_put(number)
        gate.opened.set()
        gate.expect(5)
    times = scheduler.snapshot().edges["input:in->gate:in"].time_in_queue
    assert times is not None
    assert 1 <= times.count <= 5


def test_items_that_expire_between_others_leave_no_time_behind() -> None:
    graph = Subgraph.from_nodes("g", [Collect("sink")])
    graph.expose_input("in", "sink:in", policy=Coalesce(lambda old, new: new, key=lambda value: value), ttl_s=0.02)
    scheduler = scheduler_of(graph, metrics=True)
    scheduler.pause("sink")
    with scheduler:
        edge = scheduler.input("in").edge
        for number in range(5):
            edge.try_put(number)
        until(lambda: edge.stats().expired == 5)
        began = time.monotonic()
        while edge.stats().delivered < 200:  # some of these are timed
            edge.try_put(1)
            edge.try_get()
        longest = time.monotonic() - began
        times = scheduler.snapshot().edges["input:in->sink:in"].time_in_queue
    assert times is not None
    assert times.max <= longest


def test_a_foreign_get_is_timed_like_a_handler() -> None:
    graph = chain(Source("a", range(640)), Map("b"))
    graph.expose_output("out", "b:out")
    scheduler = scheduler_of(graph, metrics=True)
    with scheduler:
        assert len(list(scheduler.output("out"))) == 640
    times = scheduler.snapshot().edges["b:out->output:out"].time_in_queue
    assert times is not None
    assert times.count >= 3


def test_a_message_of_any_kind_keeps_the_short_form_short() -> None:
    graph = chain(Source("a", [Message(MessageType.DATA, 1)]), Collect("b"))
    run_graph(graph)
    scheduler = scheduler_of(chain(Source("a", range(3)), Collect("b")))
    scheduler.run()
    stats = scheduler.get_stats()
    assert {"status", "nodes_count", "edges_count", "runnable_nodes", "blocked_nodes"} <= stats.keys()
    assert set(stats["edges"]["a:out->b:in"]) == {"depth", "peak_depth", "capacity", "offered", "delivered"}
