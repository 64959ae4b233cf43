"""ErrorPolicy.retry where order is not asked for: others pass the message that rests, within bounds."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from graphs import (
    DEADLINE_S,
    Collect,
    Source,
    assert_stopped_clean,
    chain,
    control,
    run_graph,
    scheduler_of,
    until,
)

from graphflow import ErrorPolicy, GraphValidationError, Message, Node, Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_S = 3600.0  # a rest that no test waits for


class Fails(Node):
    """Emits each payload, and raises at those that `fails` says, at control too."""

    inputs: Any = "in"
    outputs: Any = "out"
    ordered = False

    def __init__(self, policy: ErrorPolicy, limit: int, fails: Callable[[Any], bool]) -> None:
        super().__init__("fails")
        self.error_policy = policy
        self.max_concurrency = limit
        self.fails = fails
        self.tried: list[Any] = []

    def on_message(self, port: str, msg: Message) -> Any:
        self.attempt(msg.payload)

    def attempt(self, payload: Any) -> None:
        self.tried.append(payload)
        self.emit("out", payload)
        if self.fails(payload):
            raise ValueError(payload)


class FailsAwaiting(Fails):
    async def on_message(self, port: str, msg: Message) -> Any:
        await asyncio.sleep(0)
        self.attempt(msg.payload)


KINDS = [Fails, FailsAwaiting]


def fed(node: Fails, items: list[Any]) -> tuple[Scheduler, Collect]:
    last = Collect()
    graph = chain(node, last)
    graph.expose_input("in", "fails:in")
    scheduler = scheduler_of(graph, workers=4)
    scheduler.input("in").put_many(items)
    return scheduler, last


def held(scheduler: Scheduler) -> int:
    return scheduler.snapshot().nodes["fails"].held


def accounted(scheduler: Scheduler) -> bool:
    snapshot = scheduler.snapshot()
    node = snapshot.nodes["fails"]
    return snapshot.edges["input:in->fails:in"].delivered == node.messages + node.in_handler + node.held


@pytest.mark.parametrize("kind", KINDS)
def test_others_pass_a_message_that_rests_while_a_place_is_free(kind: type[Fails]) -> None:
    node = kind(ErrorPolicy.retry(2, LONG_S, max_backoff_s=LONG_S), 4, lambda payload: payload == 3)
    scheduler, last = fed(node, list(range(1000)))
    with scheduler:
        assert sorted(last.expect(999)) == [number for number in range(1000) if number != 3]
        assert held(scheduler) == 1
        until(lambda: accounted(scheduler))
        scheduler.shutdown(drain=False)


@pytest.mark.parametrize("kind", KINDS)
def test_each_message_that_rests_holds_one_place(kind: type[Fails]) -> None:
    node = kind(ErrorPolicy.retry(2, LONG_S, max_backoff_s=LONG_S), 3, lambda payload: payload < 0)
    scheduler, last = fed(node, [-1, -2, 0, -3, 1, 2])
    with scheduler:
        until(lambda: held(scheduler) == 3)
        scheduler.input("in").put(control(7))  # control needs no place
        assert sorted(last.expect(2)) == [0, 7]
        assert sorted(node.tried) == [-3, -2, -1, 0, 7]
        report = scheduler.shutdown(drain=False)
    assert report.undelivered == {"input:in->fails:in": 2}
    assert report.backing_off == {"fails": 3}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [1, 3])
def test_without_a_place_as_many_rest_as_may_and_those_beyond_hold_one_each(kind: type[Fails], limit: int) -> None:
    policy = ErrorPolicy.retry(2, LONG_S, max_backoff_s=LONG_S, holds_place=False, max_waiting=5)
    node = kind(policy, limit, lambda payload: payload < 0)
    items = [*range(-1, -6, -1), 0, 1, 2, *range(-6, -20, -1), 3]
    scheduler, last = fed(node, items)
    with scheduler:
        assert sorted(last.expect(3)) == [0, 1, 2]
        until(lambda: held(scheduler) == 5 + limit)
        threading.Event().wait(0.02)
        assert len(node.tried) == 3 + 5 + limit
        assert accounted(scheduler)
        report = scheduler.shutdown(drain=False)
    assert report.backing_off == {"fails": 5 + limit}
    assert report.undelivered == {"input:in->fails:in": len(items) - len(node.tried)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("places", [{}, {"holds_place": False}, {"holds_place": False, "max_waiting": 1}])
@pytest.mark.parametrize("limit", [1, 4])
def test_every_message_comes_out_once_whatever_failed_before(
    kind: type[Fails], places: dict[str, Any], limit: int, fast_switching: None
) -> None:
    failures: dict[int, int] = {}

    def fails(payload: int) -> bool:
        failures[payload] = failures.get(payload, 0) + 1
        return failures[payload] <= payload % 3

    node, last = kind(ErrorPolicy.retry(3, 0.0001, **places), limit, fails), Collect()
    graph = chain(Source("source", range(300)), node, last, capacity=8)
    report = run_graph(graph, workers=4)
    assert_stopped_clean(graph, report)
    assert sorted(last.seen) == list(range(300))
    assert failures == {payload: payload % 3 + 1 for payload in range(300)}


@pytest.mark.parametrize("kind", KINDS)
def test_control_that_rests_keeps_its_order_and_data_passes_it(kind: type[Fails]) -> None:
    failed = threading.Event()

    def fails(payload: Any) -> bool:
        if payload != "first" or failed.is_set():
            return False
        failed.set()
        return True

    node = kind(ErrorPolicy.retry(2, 0.3, jitter=0), 2, fails)
    scheduler, last = fed(node, [])
    with scheduler:
        scheduler.input("in").put(control("first"))
        assert failed.wait(DEADLINE_S)
        scheduler.input("in").put(control("second"))
        scheduler.input("in").put("data")
        assert last.expect(3) == ["data", "first", "second"]


def test_a_tick_that_rests_keeps_other_ticks_back_and_no_message() -> None:
    class Ticks(Fails):
        tick_interval_ms = 1.0
        ticks = 0

        def on_tick(self) -> None:
            self.ticks += 1
            raise ValueError("tick")

    node = Ticks(ErrorPolicy.retry(2, LONG_S, max_backoff_s=LONG_S), 2, lambda payload: False)
    scheduler, last = fed(node, [])
    with scheduler:
        until(lambda: node.ticks == 1)
        scheduler.input("in").put_many(range(20))
        last.expect(20)
        threading.Event().wait(0.01)
        assert node.ticks == 1
        scheduler.shutdown(drain=False)


def test_hundreds_that_rest_for_drawn_times_all_come_again() -> None:
    node = Fails(
        ErrorPolicy.retry(2, 0.02, jitter=1.0, holds_place=False), 1, lambda payload: node.tried.count(payload) < 2
    )
    scheduler, last = fed(node, list(range(500)))
    with scheduler:
        assert sorted(last.expect(500)) == list(range(500))
        assert len(node.tried) == 1000


def test_what_holds_no_place_needs_a_node_without_order() -> None:
    node = Fails(ErrorPolicy.retry(2, holds_place=False), 2, lambda payload: False)
    node.ordered = True
    graph = chain(node, Collect())
    assert [issue.code for issue in graph.validate() if issue.level == "error"] == ["BAD_ERROR_POLICY"]
    with pytest.raises(GraphValidationError, match=r"holds_place=False .* set ordered = False"):
        scheduler_of(graph).run()
