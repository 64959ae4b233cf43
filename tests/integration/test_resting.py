"""A hook that waits learns of a stop: is_live(), and sleep(), which returns early."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Gate, assert_stopped_clean, chain, inlet, scheduler_of, until

from graphflow import ErrorPolicy, Message, Node, SchedulerStateError, Subgraph
from graphflow.nodes import map_node, sink_node
from graphflow.testing import simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG_S = 1000.0  # no test waits as long


class Polls(Node):
    """A source that rests between two looks, and says what its rests told it."""

    outputs = "out"

    def __init__(self, name: str = "polls", rest_s: float = LONG_S, items: int = 1) -> None:
        super().__init__(name)
        self.rest_s = rest_s
        self.items = items
        self.told: list[bool] = []
        self.resting = threading.Event()
        self.live: list[bool] = []

    def produce(self) -> Iterator[Any]:
        yield from range(self.items)
        self.resting.set()
        while True:
            self.told.append(self.sleep(self.rest_s))
            self.live.append(self.is_live())
            if not self.told[-1]:
                return


@pytest.mark.parametrize("drain", [True, False])
@pytest.mark.parametrize("settings", [{}, {"dedicated": True}, {"error_policy": ErrorPolicy.retry(3)}])
def test_a_source_that_rests_is_woken_by_a_stop(drain: bool, settings: dict[str, Any]) -> None:
    polls, collect = Polls(), Collect()
    for name, value in settings.items():
        setattr(polls, name, value)
    graph = chain(polls, collect)
    scheduler = scheduler_of(graph, workers=2)
    with scheduler:
        assert polls.resting.wait(DEADLINE_S)
        collect.expect(1)
        assert polls.is_live()
        report = scheduler.shutdown(drain=drain, timeout=DEADLINE_S)
    assert polls.told == [False]
    assert polls.live == [False]
    assert not report.timed_out
    assert_stopped_clean(graph, report)


def test_downstream_of_a_source_that_rests_every_on_drain_runs() -> None:
    class Drains(Collect):
        def on_drain(self) -> None:
            drained.append(self.is_live())

    drained: list[bool] = []
    polls, last = Polls(), Drains()
    with scheduler_of(chain(polls, map_node(lambda value: value, "map"), last)):
        assert polls.resting.wait(DEADLINE_S)
    assert drained == [False]


def test_a_rest_ends_by_itself_and_says_so() -> None:
    polls = Polls(rest_s=0.001)
    with scheduler_of(chain(polls, Collect())):
        until(lambda: len(polls.told) > 3)
    assert polls.told[:3] == [True] * 3
    assert polls.told[-1] is False


def test_a_handler_that_rests_is_woken_and_finishes_its_message() -> None:
    class Rests(Collect):
        def on_message(self, port: str, msg: Message) -> None:
            entered.set()
            told.append(self.sleep(LONG_S))
            super().on_message(port, msg)

    entered, told = threading.Event(), list[bool]()
    rests = Rests()
    graph = inlet(rests)
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put_many([1, 2, 3])
        assert entered.wait(DEADLINE_S)
        report = scheduler.shutdown(timeout=DEADLINE_S)
    assert told == [False, False, False]
    assert rests.seen == [1, 2, 3]
    assert_stopped_clean(graph, report)


def test_each_of_several_inside_a_node_rests_by_itself() -> None:
    class Rests(Collect):
        max_concurrency = 3

        def on_message(self, port: str, msg: Message) -> None:
            if not self.sleep(LONG_S):
                super().on_message(port, msg)

    rests = Rests()
    scheduler = scheduler_of(inlet(rests), workers=3)
    with scheduler:
        scheduler.input("in").put_many([1, 2, 3])
        until(lambda: scheduler.snapshot().nodes["collect"].in_handler == 3)
    assert sorted(rests.seen) == [1, 2, 3]


@pytest.mark.parametrize("hook", ["on_start", "on_drain", "on_stop", "on_tick", "on_error", "produce"])
def test_every_hook_may_rest(hook: str) -> None:
    told: list[bool] = []

    class Rests(Node):
        tick_interval_ms = 1.0
        outputs = "out"

        def produce(self) -> Iterator[Any]:
            self.rest("produce")
            raise OSError("now on_error")

        def on_start(self) -> None:
            self.rest("on_start")

        def on_tick(self) -> None:
            self.rest("on_tick")

        def on_drain(self) -> None:
            self.rest("on_drain")

        def on_stop(self) -> None:
            self.rest("on_stop")

        def on_error(self, exc: BaseException, msg: Message | None) -> None:
            self.rest("on_error")

        def rest(self, name: str) -> None:
            if name == hook:
                told.append(self.sleep(0.001))

    scheduler = scheduler_of(chain(Rests("rests"), Collect()))
    with scheduler:
        if hook not in ("on_drain", "on_stop"):
            until(lambda: told)
    assert told[0] is (hook not in ("on_drain", "on_stop"))


def test_a_stop_that_is_asked_for_in_on_start_wakes_it() -> None:
    class Starts(Collect):
        def on_start(self) -> None:
            entered.set()
            told.append(self.sleep(LONG_S))

    entered, told = threading.Event(), list[bool]()
    scheduler = scheduler_of(inlet(Starts()))
    starting = threading.Thread(target=scheduler.start)
    starting.start()
    assert entered.wait(DEADLINE_S)
    scheduler.shutdown(timeout=DEADLINE_S)
    starting.join()
    assert told == [False]


def test_a_source_whose_outputs_close_is_woken() -> None:
    polls = Polls(items=2)
    graph = chain(polls, sink_node(fail, "sink", error_policy=ErrorPolicy.STOP_NODE))
    scheduler = scheduler_of(graph, workers=2)
    scheduler.start()
    assert scheduler.wait(DEADLINE_S).reason == "completed"
    assert polls.told == [False]


def fail(payload: object) -> None:
    raise OSError("disk full")


def test_a_pause_does_not_cut_a_rest_short_and_what_follows_waits() -> None:
    class Sends(Node):
        outputs = "out"

        def produce(self) -> Iterator[Any]:
            resting.set()
            told.append(self.sleep(0.05))
            yield "after"

    resting, told = threading.Event(), list[bool]()
    collect = Collect()
    scheduler = scheduler_of(chain(Sends("sends"), collect))
    with scheduler:
        assert resting.wait(DEADLINE_S)
        scheduler.pause("sends")
        until(lambda: told)
        assert told == [True]
        scheduler.resume("sends")
        assert collect.expect(1) == ["after"]


def test_is_live_is_false_outside_runs_and_for_a_stopped_node() -> None:
    gate = Gate()
    fails = sink_node(fail, "fails", error_policy=ErrorPolicy.STOP_NODE)
    graph = Subgraph.from_nodes("g", [gate, fails])
    graph.expose_input("gate", "gate:in")
    graph.expose_input("fails", "fails:in")
    assert not gate.is_live()
    scheduler = scheduler_of(graph)
    with scheduler:
        assert gate.is_live()
        assert fails.is_live()
        scheduler.input("fails").put(1)
        until(lambda: not fails.is_live())
        assert gate.is_live()
        scheduler.input("gate").put(1)
        assert gate.entered.wait(DEADLINE_S)
        stopping = threading.Thread(target=scheduler.shutdown)
        stopping.start()
        until(lambda: not gate.is_live())  # it is inside its handler still
        assert scheduler.is_running()
        gate.opened.set()
        stopping.join()
    assert not gate.is_live()


def test_a_rest_is_no_stall_whoever_rests_and_however_often(caplog: pytest.LogCaptureFixture) -> None:
    for rest_s in (LONG_S, 0.01):
        polls = Polls(rest_s=rest_s)
        scheduler = scheduler_of(chain(polls, Collect()), workers=2, watchdog_s=0.05)
        with scheduler, caplog.at_level("WARNING", "graphflow"):
            assert polls.resting.wait(DEADLINE_S)
            begun = time.monotonic()
            while time.monotonic() < begun + 0.4:
                assert scheduler.snapshot().stalls == ()
                threading.Event().wait(0.02)
    assert [record.getMessage() for record in caplog.records] == []


def test_a_rest_that_keeps_others_from_the_only_worker_is_named() -> None:
    polls, collect = Polls(rest_s=0.01), Collect()
    graph = chain(polls, Collect("other"))
    graph.add_node(collect)
    graph.expose_input("in", "collect:in")
    scheduler = scheduler_of(graph, workers=1, watchdog_s=0.05)
    with scheduler:
        assert polls.resting.wait(DEADLINE_S)
        scheduler.input("in").put(1)
        until(lambda: scheduler.snapshot().stalls)
        (stall,) = {(stall.kind, stall.node) for stall in scheduler.snapshot().stalls}
        assert stall == ("hook", "polls")


@pytest.mark.parametrize("seconds", [-1, float("nan"), "1", None, True, 1e300])
def test_what_is_no_time_is_refused(seconds: Any) -> None:
    raised = raised_inside(lambda node: node.sleep(seconds))
    assert isinstance(raised, (TypeError, ValueError, OverflowError))
    assert "seconds" in str(raised)


def raised_inside(call: Callable[[Node], object]) -> BaseException:
    """What a call raises in a handler."""

    class Calls(Collect):
        def on_message(self, port: str, msg: Message) -> None:
            try:
                call(self)
            except Exception as error:
                self.raised = error
            super().on_message(port, msg)

    calls = Calls()
    scheduler = scheduler_of(inlet(calls))
    with scheduler:
        scheduler.input("in").put(1)
        calls.expect(1)
    return calls.raised


def test_it_is_only_for_the_nodes_own_running_hook() -> None:
    gate = Gate()
    with pytest.raises(SchedulerStateError, match="'gate': sleep\\(\\) works only inside the node's own running hook"):
        gate.sleep(0)
    with scheduler_of(inlet(gate)), pytest.raises(SchedulerStateError, match="a thread of your own asks is_live"):
        gate.sleep(0)
    other = raised_inside(lambda node: gate.sleep(0))
    assert isinstance(other, SchedulerStateError)


def test_on_the_event_loop_it_is_refused_and_says_what_to_do() -> None:
    class Asks(Collect):
        async def on_start(self) -> None:
            with pytest.raises(SchedulerStateError, match=r"await asyncio\.sleep"):
                self.sleep(1)
            asked.append(self.is_live())

    asked: list[bool] = []
    with scheduler_of(inlet(Asks())):
        pass
    assert asked == [True]


def test_in_a_simulation_rests_take_virtual_time_and_others_go_on() -> None:
    for seed in range(20):
        polls, collect = Polls(rest_s=LONG_S, items=3), Collect()
        begun = time.monotonic()
        done = simulate(chain(polls, collect), seed=seed, until=5 * LONG_S)
        assert time.monotonic() - begun < DEADLINE_S
        assert done.steps > 0
        assert polls.told[:4] == [True] * 4
        assert polls.told[-1] is False
        assert collect.seen == [0, 1, 2]
