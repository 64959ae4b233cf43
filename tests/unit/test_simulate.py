"""simulate(): the seed decides the run, time is virtual, and every kind of node runs there as anywhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from graphs import Collect, Map, Source, Ticker, chain, inlet, pipeline

from graphflow import ErrorPolicy, GraphValidationError, Message, MessageType, Node, Scheduler, SchedulerStateError
from graphflow.testing import HandlerHangs, HandlerRaises, PutTimesOut, simulate, sleep

if TYPE_CHECKING:
    from collections.abc import Iterator


# -------------------------------------------------------------------------------------- the seed


def test_the_same_seed_makes_the_same_run(seed: int) -> None:
    first, second = simulate(pipeline, seed=seed), simulate(pipeline, seed=seed)
    assert first.trace == second.trace
    assert first.trace_hash == second.trace_hash
    assert (first.steps, first.elapsed_s) == (second.steps, second.elapsed_s)


def test_other_seeds_make_other_interleavings() -> None:
    runs = [simulate(pipeline, seed=seed) for seed in range(20)]
    assert len({run.trace_hash for run in runs}) == 20
    orders = {tuple(event.thread for event in run.trace if event.what == "goes on") for run in runs}
    assert len(orders) == 20


def test_the_outcome_is_that_of_any_run(seed: int) -> None:
    graph = pipeline(50)
    result = simulate(graph, seed=seed)
    assert result.report.complete
    assert result.report.reason == "completed"
    assert graph.nodes["collect"].seen == list(range(50))  # type: ignore[attr-defined]
    assert result.snapshot.edges["map:out->collect:in"].delivered == 50
    assert result.seed == seed


def test_a_simulated_graph_can_run_for_real(seed: int) -> None:
    graph = pipeline(5)
    simulate(graph, seed=seed)
    scheduler = Scheduler()
    scheduler.register(graph)
    assert scheduler.run(signals=()).complete
    assert graph.nodes["collect"].seen == [*range(5), *range(5)]  # type: ignore[attr-defined]


class Notes(Node):
    """Notes the ids and times of its messages while they are handled."""

    inputs = "in"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.notes: list[tuple[str, float]] = []

    def on_message(self, port: str, msg: Message) -> None:
        self.notes.append((msg.get_trace_id(), msg.get_timestamp()))


def test_ids_and_timestamps_are_the_seeds() -> None:
    def seen(seed: int) -> list[tuple[str, float]]:
        node = Notes("notes")
        simulate(chain(Source("source", range(5)), node), seed=seed)
        return node.notes

    first = seen(3)
    assert seen(3) == first
    assert {trace for trace, _ in seen(4)}.isdisjoint(trace for trace, _ in first)
    assert len({trace for trace, _ in first}) == 5
    assert all(946_684_800 <= stamp < 946_684_810 for _, stamp in first)
    now = Message(MessageType.DATA, 1)
    assert abs(time.time() - now.get_timestamp()) < 60, "the machine's clock is back"
    assert now.get_trace_id() != Message(MessageType.DATA, 1).get_trace_id()


def test_a_seed_in_the_environment_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHFLOW_SIMULATE_SEED", "17")
    assert simulate(pipeline, seed=3).seed == 17


def test_without_a_seed_one_is_drawn() -> None:
    assert simulate(pipeline).seed != simulate(pipeline).seed


# -------------------------------------------------------------------------------------- time


def test_time_is_virtual(seed: int) -> None:
    ticker = Ticker("ticker", 1000.0, lambda node: None)
    began = time.monotonic()
    result = simulate(ticker, seed=seed, until=3600.5)
    assert time.monotonic() - began < 30
    assert ticker.count == 3600, "a tick a second for an hour, none late enough to be merged"
    assert 3600.5 <= result.elapsed_s < 3601


def test_retries_rest_in_virtual_time(seed: int) -> None:
    class Third(Collect):
        attempts = 0

        def on_message(self, port: str, msg: Message) -> None:
            self.attempts += 1
            if self.attempts < 3:
                raise ValueError
            super().on_message(port, msg)

    node = Third()
    node.error_policy = ErrorPolicy.retry(3, backoff_s=100.0, jitter=0.0, max_backoff_s=100.0)
    result = simulate(chain(Source("source", [1]), node), seed=seed)
    assert node.seen == [1]
    assert result.elapsed_s > 200


def test_a_wait_lets_others_go_on_until_it_is_answered_or_out_of_time(seed: int) -> None:
    said: list[str] = []

    class Slow(Collect):
        def on_message(self, port: str, msg: Message) -> None:
            sleep(1.0)
            super().on_message(port, msg)

    def feed(scheduler: Scheduler) -> None:
        handle = scheduler.input("in")
        handle.put(0)
        handle.put(1, timeout=0.5)
        with pytest.raises(TimeoutError):
            handle.put(2, timeout=0.25)
        handle.put(3, timeout=10)
        said.append("done")
        handle.close()

    node = Slow()
    simulate(inlet(node, capacity=1), seed=seed, threads=[feed])
    assert node.seen == [0, 1, 3]
    assert said == ["done"]


def test_outputs_are_read_by_threads(seed: int) -> None:
    read: list[Any] = []
    graph = chain(Source("source", range(10)), Map("map"))
    graph.expose_output("out", ("map", "out"), capacity=1)

    def reader(scheduler: Scheduler) -> None:
        read.extend(message.payload for message in scheduler.output("out"))

    simulate(graph, seed=seed, threads=[reader])
    assert read == list(range(10))


def test_sleep_outside_a_simulation_is_the_machines() -> None:
    began = time.monotonic()
    sleep(0.01)
    assert time.monotonic() - began >= 0.01


# -------------------------------------------------------------------------------------- kinds of nodes


def test_every_kind_of_hook_runs(seed: int) -> None:
    class Everything(Node):
        inputs, outputs = "in", "out"
        tick_interval_ms = 1.0

        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.hooks: list[str] = []

        def on_start(self) -> None:
            self.hooks.append("start")

        def on_message(self, port: str, msg: Message) -> Iterator[Any]:
            self.hooks.append("message")
            yield msg.payload
            if msg.payload == 3:
                raise ValueError(3)

        def on_tick(self) -> None:
            self.hooks.append("tick")

        def on_error(self, exc: BaseException, msg: Message | None) -> None:
            self.hooks.append("error")

        def on_drain(self) -> None:
            self.hooks.append("drain")
            self.emit("out", "last")

        def on_stop(self) -> None:
            self.hooks.append("stop")

    node, collect = Everything("everything"), Collect()
    graph = chain(Source("source", range(5)), node, collect, capacity=1)
    simulate(graph, seed=seed, handler_s=(0.01, 0.02))
    assert collect.seen == [*range(5), "last"]
    assert node.hooks[0] == "start"
    assert node.hooks[-2:] == ["drain", "stop"]
    assert node.hooks.count("message") == 5
    assert node.hooks.count("error") == 1
    assert "tick" in node.hooks


def test_a_source_that_is_no_generator(seed: int) -> None:
    class Numbers(Node):
        outputs = "out"

        def produce(self) -> Iterator[int]:
            return iter(range(4))

    collect = Collect()
    simulate(chain(Numbers("numbers"), collect), seed=seed)
    assert collect.seen == [0, 1, 2, 3]


@pytest.mark.parametrize("interleave", ["handlers", "sections"])
def test_handlers_run_in_one_piece_unless_told_otherwise(interleave: Any) -> None:
    inside: list[str] = []
    overlaps = 0

    class Both(Map):
        dedicated = True

        def on_message(self, port: str, msg: Message) -> None:
            nonlocal overlaps
            overlaps += len(inside)
            inside.append(self.name)
            super().on_message(port, msg)
            inside.remove(self.name)

    for seed in range(20):
        graph = chain(Source("source", range(10)), Both("a"), Both("b"), Collect())
        simulate(graph, seed=seed, interleave=interleave, handler_s=(0.0, 0.0))
    assert (overlaps > 0) is (interleave == "sections")


# -------------------------------------------------------------------------------------- arguments


def test_async_nodes_are_refused() -> None:
    class Async(Node):
        inputs = "in"

        async def on_message(self, port: str, msg: Message) -> None: ...

    with pytest.raises(GraphValidationError, match="'later' has async hooks"):
        simulate(Async("later"), seed=1)


def test_a_simulation_in_a_simulation_is_refused() -> None:
    def nested(scheduler: Scheduler) -> None:
        with pytest.raises(SchedulerStateError, match="another simulation runs"):
            simulate(pipeline, seed=2)

    simulate(pipeline, seed=1, threads=[nested])


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"seed": -1}, ValueError, "seed must be"),
        ({"seed": "1"}, TypeError, "seed must be"),
        ({"until": -1}, ValueError, "until must be"),
        ({"until": "soon"}, TypeError, "until must be"),
        ({"threads": [3]}, TypeError, "threads must be functions"),
        ({"faults": ["raise"]}, TypeError, "faults must be"),
        ({"interleave": "all"}, ValueError, "interleave must be"),
        ({"max_steps": 0}, ValueError, "max_steps must be"),
        ({"handler_s": (-1, 2)}, ValueError, "handler_s must be"),
        ({"faults": [HandlerHangs(0.1)]}, ValueError, "give it seconds, or give until"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        simulate(pipeline, **{"seed": 1, **wrong})


def test_a_graph_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="graph must be a Subgraph or a Node"):
        simulate(lambda: [3], seed=1)  # type: ignore[list-item]


@pytest.mark.parametrize("fault", [HandlerRaises, HandlerHangs, PutTimesOut])
def test_chances_are_checked(fault: Any) -> None:
    with pytest.raises(ValueError, match="chance must be from 0 to 1"):
        fault(1.5)
    with pytest.raises(TypeError, match="chance must be a number"):
        fault("often")
