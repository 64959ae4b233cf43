"""What becomes of messages that wait for another attempt when the graph is stopped: named, and given up in time."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, assert_graph_conserved, scheduler_of, until

from graphflow import DeadLetter, ErrorPolicy, Message, Node, Scheduler, ShutdownReport, Subgraph
from graphflow.testing import simulate, sleep

if TYPE_CHECKING:
    from collections.abc import Callable

DEAD = ErrorPolicy.dead_letter("dead")


class Send(Node):
    inputs: Any = "in"
    outputs: Any = "dead"

    def __init__(self, policy: ErrorPolicy, limit: int = 1, *, ordered: bool = True) -> None:
        super().__init__("send")
        self.error_policy = policy
        self.max_concurrency = limit
        self.ordered = ordered
        self.tries = 0

    def on_message(self, port: str, msg: Message) -> Any:
        if msg.payload == "fill":
            self.emit("out", 1)
            self.emit("out", 2)
            return
        self.tries += 1
        raise ConnectionError(msg.payload)


class SendAwaiting(Send):
    async def on_message(self, port: str, msg: Message) -> Any:
        await asyncio.sleep(0)
        Send.on_message(self, port, msg)


KINDS = [Send, SendAwaiting]


def stopped(
    node: Send, payloads: list[Any], stop: Callable[[Scheduler], ShutdownReport], **config: Any
) -> tuple[ShutdownReport, Scheduler, list[Any]]:
    """Let the payloads fail, stop, and read what came out of "dead"."""
    graph = Subgraph.from_nodes("g", [node])
    graph.expose_input("in", "send:in")
    graph.expose_output("dead", "send:dead", capacity=10_000)
    scheduler = scheduler_of(graph, **config)
    with scheduler:
        scheduler.input("in").put_many(payloads)
        until(lambda: scheduler.snapshot().nodes["send"].held == len(payloads))
        report = stop(scheduler)
    assert_graph_conserved(graph)
    found = scheduler.snapshot()
    state = found.nodes["send"]
    assert found.edges["input:in->send:in"].delivered == state.messages + state.in_handler + state.held
    return report, scheduler, [message.payload for message in scheduler.output("dead")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [{}, {"limit": 4}, {"limit": 4, "ordered": False}])
def test_a_drain_that_ends_before_the_next_attempt_applies_then(kind: type[Send], settings: dict[str, Any]) -> None:
    node = kind(ErrorPolicy.retry(5, 3600, max_backoff_s=3600, then=DEAD), **settings)
    report, scheduler, letters = stopped(node, ["precious"], lambda scheduler: scheduler.shutdown(timeout=DEADLINE_S))
    assert [(letter.message.payload, letter.attempts, type(letter.exception)) for letter in letters] == [
        ("precious", 1, ConnectionError)
    ]
    assert "ConnectionError: precious" in letters[0].traceback
    assert report.backing_off == {"send": 1}
    assert (report.complete, report.timed_out) == (False, True)
    assert "1 not tried again in send" in str(report)
    state = scheduler.snapshot().nodes["send"]
    assert (state.dead_lettered, state.failed, state.abandoned, state.held) == (1, 0, 0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_then_is_applied_when_the_time_is_up_to_what_waited_for_room_until_then(kind: type[Send]) -> None:
    """Nobody reads "out", so the node is given nothing but control before the drain has run out of time."""

    node = kind(ErrorPolicy.retry(2, 3600, max_backoff_s=3600, then=DEAD), 2, ordered=False)
    node.outputs = Node("ports", outputs=("dead", "out")).outputs
    graph = Subgraph.from_nodes("g", [node])
    graph.expose_input("in", "send:in")
    graph.expose_output("out", "send:out", capacity=1)
    graph.expose_output("dead", "send:dead")
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put_many(["a", "fill"])
        until(lambda: scheduler.snapshot().nodes["send"].held == 1 and scheduler.snapshot().nodes["send"].outbox == 1)
        report = scheduler.shutdown(timeout=1.0)
    assert [message.payload.message.payload for message in scheduler.output("dead")] == ["a"]
    assert report.backing_off == {"send": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_letters_of_what_was_cut_short_are_handled_within_the_drain(kind: type[Send]) -> None:
    node = kind(ErrorPolicy.retry(5, 3600, max_backoff_s=3600, then=DEAD, holds_place=False), 2, ordered=False)
    store = Collect("store")
    graph = Subgraph.from_nodes("g", [node, store])
    graph.expose_input("in", "send:in")
    graph.connect("send:dead", "store:in", capacity=4)
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.input("in").put_many(range(200))
        until(lambda: scheduler.snapshot().nodes["send"].held == 200)
        report = scheduler.shutdown(timeout=DEADLINE_S)
    assert sorted(letter.message.payload for letter in store.seen) == list(range(200))
    assert report.backing_off == {"send": 200}
    assert not report.undelivered
    assert_graph_conserved(graph)


def test_without_another_policy_it_has_failed_and_the_report_has_the_error() -> None:
    node = Send(ErrorPolicy.retry(5, 3600, max_backoff_s=3600))
    report, scheduler, _ = stopped(node, [1], lambda scheduler: scheduler.shutdown(timeout=DEADLINE_S))
    assert report.error_counts == {"send": 1}
    assert report.backing_off == {"send": 1}
    assert scheduler.snapshot().nodes["send"].failed == 1


def test_a_rest_that_ends_within_the_drain_is_kept_and_one_that_does_not_is_not() -> None:
    """Simulated: of rests of 1, 2, 4, ... seconds four end within the 16 s that a drain of 20 s has."""
    node = Send(ErrorPolicy.retry(9, 1.0, jitter=0, max_backoff_s=3600, then=DEAD))
    letters: list[DeadLetter] = []
    graph = Subgraph.from_nodes("g", [node])
    graph.expose_input("in", "send:in")
    graph.expose_output("dead", "send:dead")

    def feed(scheduler: Scheduler) -> None:
        scheduler.input("in").put("a")
        sleep(0.01)
        report = scheduler.shutdown(timeout=20)
        assert report.backing_off == {"send": 1}
        letters.extend(message.payload for message in scheduler.output("dead"))

    simulate(graph, seed=1, threads=[feed], handler_s=(0.0, 0.0))
    assert [letter.attempts for letter in letters] == [5]
    assert node.tries == 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_without_a_drain_names_what_waited(kind: type[Send]) -> None:
    node = kind(ErrorPolicy.retry(5, 3600, max_backoff_s=3600, then=DEAD))
    report, scheduler, letters = stopped(node, ["a"], lambda scheduler: scheduler.shutdown(drain=False))
    assert letters == []
    assert report.backing_off == {"send": 1}
    assert not report.complete
    assert scheduler.snapshot().nodes["send"].abandoned == 1


def test_a_nearer_deadline_cuts_short_what_an_earlier_one_left_time_for() -> None:
    def twice(scheduler: Scheduler) -> ShutdownReport:
        patient = threading.Thread(target=scheduler.shutdown, kwargs={"timeout": 36_000})
        patient.start()
        until(lambda: scheduler.snapshot().status == "draining")
        assert scheduler.snapshot().nodes["send"].held == 1
        report = scheduler.shutdown(timeout=DEADLINE_S)
        patient.join(DEADLINE_S)
        return report

    node = Send(ErrorPolicy.retry(5, 3600, max_backoff_s=3600, jitter=0, then=DEAD))
    report, _, letters = stopped(node, ["a"], twice)
    assert [letter.message.payload for letter in letters] == ["a"]
    assert report.backing_off == {"send": 1}


def test_a_graph_that_ends_by_itself_waits_for_every_rest() -> None:
    node = Send(ErrorPolicy.retry(3, 0.02, jitter=0, then=DEAD))
    graph = Subgraph.from_nodes("g", [node])
    graph.expose_input("in", "send:in")
    graph.expose_output("dead", "send:dead")
    scheduler = scheduler_of(graph)
    scheduler.start()
    scheduler.input("in").put("a")
    scheduler.input("in").close()
    report = scheduler.wait(DEADLINE_S)
    letters: list[DeadLetter] = [message.payload for message in scheduler.output("dead")]
    assert [letter.attempts for letter in letters] == [3]
    assert report.complete
    assert report.backing_off == {}


def test_a_message_that_rests_in_a_node_that_hangs_is_named_too() -> None:
    class Hangs(Send):
        never = threading.Event()

        def on_message(self, port: str, msg: Message) -> None:
            if msg.payload == "hang":
                self.never.wait()
            super().on_message(port, msg)

    node = Hangs(ErrorPolicy.retry(5, 3600, max_backoff_s=3600), 2, ordered=False)
    graph = Subgraph.from_nodes("g", [node])
    graph.expose_input("in", "send:in")
    scheduler = scheduler_of(graph)
    scheduler.start()
    scheduler.input("in").put_many(["rests", "hang"])
    until(lambda: scheduler.snapshot().nodes["send"].held == 1 and scheduler.snapshot().nodes["send"].in_handler == 1)
    report = scheduler.shutdown(drain=False, timeout=0.3)
    node.never.set()
    assert report.abandoned == ("send",)
    assert report.backing_off == {"send": 1}


def test_a_stopped_node_gives_up_what_rests_and_the_report_names_it() -> None:
    class Picky(Send):
        def on_message(self, port: str, msg: Message) -> None:
            if msg.payload == "stop":
                raise KeyError
            super().on_message(port, msg)

    node = Picky(ErrorPolicy.retry(2, 3600, max_backoff_s=3600, then=ErrorPolicy.STOP_NODE), 2, ordered=False)
    report, _, _ = stopped(node, ["rests", "stop"], lambda scheduler: scheduler.shutdown(timeout=DEADLINE_S))
    assert report.backing_off == {"send": 2}
    assert report.error_counts["send"] >= 1
