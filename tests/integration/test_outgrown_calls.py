"""A generator handler that yields more than its node may keep rests until it may leave, then sends at once."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Source,
    Yield,
    assert_graph_conserved,
    assert_stopped_clean,
    chain,
    run_graph,
    scheduler_of,
)

from graphflow import BackpressureError, ErrorPolicy, Message, MessageType, Node, SchedulerConfig, Subgraph
from graphflow.nodes import flat_map_node, node
from graphflow.testing import simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

SETTINGS: dict[str, dict[str, Any]] = {
    "concurrent": {"max_concurrency": 3},
    "unordered": {"max_concurrency": 3, "ordered": False},
    "retry": {"error_policy": ErrorPolicy.retry(3, backoff_s=0)},
    "both": {"max_concurrency": 3, "error_policy": ErrorPolicy.retry(3, backoff_s=0)},
}


class AsyncYield(Node):
    inputs: Any = "in"
    outputs: Any = "out"

    def __init__(self, name: str, fn: Callable[[Any], Any]) -> None:
        super().__init__(name)
        self.fn = fn

    async def on_message(self, port: str, msg: Message) -> AsyncIterator[Any]:
        for value in self.fn(msg.payload):
            yield value


def pairs(count: int) -> Callable[[Any], Iterator[Any]]:
    def expand(payload: Any) -> Iterator[Any]:
        for number in range(count):
            yield payload, number

    return expand


MAKERS: dict[str, Callable[[Any], Node]] = {
    "class": lambda fn: Yield("expand", fn),
    "flat map": partial(flat_map_node, name="expand"),
    "node": node(name="expand"),
    "async": partial(AsyncYield, "expand"),
}


def made(kind: str, settings: str, fn: Any) -> Node:
    expand = MAKERS[kind](fn)
    for key, value in SETTINGS[settings].items():
        setattr(expand, key, value)
    return expand


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(("count", "limit", "capacity"), [(5000, 4096, 1024), (50, 5, 1), (50, 1, 2), (200, 7, 1024)])
def test_all_of_it_arrives_and_in_order_where_that_is_asked_for(
    kind: str, settings: str, count: int, limit: int, capacity: int
) -> None:
    last = Collect()
    graph = chain(Source("s", range(4)), made(kind, settings, pairs(count)), last, capacity=capacity)
    report = run_graph(graph, outbox_limit=limit, workers=3)
    assert_stopped_clean(graph, report)
    assert report.errors == {}
    whole = [(payload, number) for payload in range(4) for number in range(count)]
    assert sorted(last.seen) == whole
    for payload in range(4):
        assert [number for each, number in last.seen if each == payload] == list(range(count))
    if settings != "unordered":
        assert last.seen == whole


def forever(payload: Any) -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


@pytest.mark.parametrize("drain", [True, False])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("kind", MAKERS)
def test_an_endless_one_is_held_back_by_its_reader_and_stops(kind: str, settings: str, drain: bool) -> None:
    graph = Subgraph.from_nodes("g", [made(kind, settings, forever)])
    graph.expose_input("in", "expand:in")
    graph.expose_output("out", "expand:out", capacity=4)
    scheduler = scheduler_of(graph, outbox_limit=10, workers=3)
    scheduler.start()
    scheduler.input("in").put_many(range(3))
    output = scheduler.output("out")
    assert [output.get(DEADLINE_S).payload for _ in range(100)] == list(range(100))
    report = scheduler.shutdown(drain=drain, timeout=0.5)
    assert report.abandoned == ()
    counts = scheduler.get_stats()["nodes"]["expand"]
    assert counts["in_handler"] == counts["held"] == 0
    assert_graph_conserved(graph)


@pytest.mark.parametrize("settings", ["concurrent", "retry", "both"])
@pytest.mark.parametrize("kind", ["class", "async"])
def test_what_fails_after_it_has_begun_to_send_is_not_tried_again(kind: str, settings: str) -> None:
    begun: list[int] = []

    def breaks(payload: int) -> Iterator[Any]:
        begun.append(payload)
        for number in range(30):
            yield payload, number
        if payload == 1:
            raise OSError(payload)

    last = Collect()
    graph = chain(Source("s", range(3)), made(kind, settings, breaks), last, capacity=2)
    report = run_graph(graph, outbox_limit=10)
    assert sorted(begun) == [0, 1, 2]
    assert last.seen == [(payload, number) for payload in range(3) for number in range(30)]
    assert report.error_counts == {"expand": 1}
    assert_graph_conserved(graph)


def test_what_fails_before_is_tried_again_and_nothing_of_it_was_sent() -> None:
    tries: list[int] = []

    def flaky(payload: int) -> Iterator[Any]:
        tries.append(payload)
        yield from range(9)
        if len(tries) < 3:
            raise OSError(payload)
        yield from range(9, 40)

    last = Collect()
    graph = chain(Source("s", [0]), made("class", "retry", flaky), last, capacity=2)
    report = run_graph(graph, outbox_limit=10)
    assert last.seen == list(range(40))
    assert report.errors == {}


@pytest.mark.parametrize("kind", ["class", "async"])
def test_control_passes_one_that_rests_and_what_it_emits_in_between_keeps_its_place(kind: str) -> None:
    def both(payload: Any) -> Iterator[Any]:
        for number in range(60):
            if number % 10 == 9:
                expand.emit("out", number)
            else:
                yield number

    expand = made(kind, "concurrent", both)
    last = Collect()
    graph = chain(Source("s", [0]), expand, last, capacity=1)
    report = run_graph(graph, outbox_limit=20)
    assert last.seen == list(range(60))
    assert report.errors == {}


def test_emit_of_another_call_finds_half_of_the_room() -> None:
    """The first handler is slow and emits at its end; meanwhile the second would fill all that the node may keep."""
    full = threading.Event()

    class Mixed(Node):
        inputs, outputs = "in", "out"
        max_concurrency = 2

        def on_message(self, port: str, msg: Message) -> Any:
            return self.slow() if msg.payload == "slow" else self.many()

        def slow(self) -> None:
            assert full.wait(DEADLINE_S)
            for number in range(4):
                self.emit("out", f"slow {number}")

        def many(self) -> Iterator[int]:
            for number in range(30):
                if number == 5:
                    full.set()
                yield number

    last = Collect()
    graph = chain(Source("s", ["slow", "many"]), Mixed("mixed"), last, capacity=1)
    report = run_graph(graph, outbox_limit=10)
    assert report.errors == {}
    assert last.seen == [*(f"slow {number}" for number in range(4)), *range(30)]


@pytest.mark.parametrize("kind", ["class", "flat map"])
def test_values_that_may_not_be_sent_are_thrown_in_after_it_has_outgrown_as_before(kind: str) -> None:
    caught: list[type[BaseException]] = []

    def some(payload: Any) -> Iterator[Any]:
        yield from range(20)
        try:
            yield None
        except TypeError as error:
            caught.append(type(error))
        yield 20

    last = Collect()
    graph = chain(Source("s", [0]), made("class", "retry", some), last, capacity=1)
    report = run_graph(graph, outbox_limit=5)
    assert last.seen == list(range(21))
    assert caught == [TypeError]
    assert report.errors == {}


def test_a_fan_out_beyond_the_limit_is_an_error_as_ever() -> None:
    lasts = [Collect(f"last{number}") for number in range(3)]
    expand = made("class", "retry", pairs(5))
    graph = Subgraph.from_nodes("g", [Source("s", [0]), expand, *lasts])
    graph.connect("s:out", "expand:in")
    for last in lasts:
        graph.connect("expand:out", (last.name, "in"), capacity=1)
    report = run_graph(graph, outbox_limit=2)
    assert [type(error) for error in report.errors.get("expand", ())] in ([], [BackpressureError])
    assert_graph_conserved(graph)


def test_a_control_message_may_be_answered_by_more_than_may_be_kept() -> None:
    class Answers(Yield):
        max_concurrency = 2

    last = Collect()
    graph = chain(Answers("answers", pairs(30)), last, capacity=2)
    graph.expose_input("in", "answers:in")
    with scheduler_of(graph, outbox_limit=6) as scheduler:
        scheduler.input("in").put(Message(MessageType.CONTROL, "c"))
        scheduler.input("in").put("d")
        last.expect(60)
    assert sorted(last.seen) == sorted(
        [("c", number) for number in range(30)] + [("d", number) for number in range(30)]
    )
    assert_graph_conserved(graph)


@pytest.mark.parametrize("settings", SETTINGS)
def test_however_its_calls_interleave_nothing_is_lost_and_the_order_holds(settings: str) -> None:
    for seed in range(12):
        last = Collect()
        expand = made("class", settings, pairs(9))
        beside = made("class", settings, lambda payload: [payload])
        beside.name = "beside"
        graph = chain(Source("s", range(6)), expand, beside, last, capacity=2)
        simulate(graph, seed=seed, config=SchedulerConfig(workers=3, outbox_limit=1 + seed % 6))
        whole = [(payload, number) for payload in range(6) for number in range(9)]
        assert sorted(last.seen) == whole
        assert settings == "unordered" or last.seen == whole
