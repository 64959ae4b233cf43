"""A node whose outbox holds something: what it still gets, and in what order all of it leaves."""

from __future__ import annotations

import threading
from typing import Any

from graphs import DEADLINE_S, Collect, Gate, Remote, assert_stopped_clean, chain, control, fan_out, scheduler_of

from graphflow import Message, PutResult


def test_what_is_emitted_behind_deferred_items_waits_its_turn() -> None:
    with fan_out({"capacity": 1}) as (remote, scheduler, (edge,), (consumer,)):
        for number in range(3):
            remote.emit_there(scheduler, number)
        scheduler.set_capacity(edge.id, 2)  # room for one of the two that wait, none for the newcomer
        assert remote.emit_there(scheduler, 3) is PutResult.DEFERRED
        scheduler.resume(consumer)
        assert consumer.expect(4) == [0, 1, 2, 3]


def test_room_that_comes_in_the_middle_of_a_hook_goes_to_what_waits() -> None:
    with fan_out({"capacity": 1}) as (remote, scheduler, (edge,), (consumer,)):

        def emit_and_make_room() -> list[PutResult]:
            answers = [remote.emit("out", number) for number in range(3)]
            scheduler.set_capacity(edge.id, 100)
            return [*answers, remote.emit("out", 3)]

        answers = remote.call(scheduler, emit_and_make_room)
        assert answers == [PutResult.OK, *[PutResult.DEFERRED] * 3]
        scheduler.resume(consumer)
        assert consumer.expect(4) == [0, 1, 2, 3]


class Busy(Remote):
    """Counts what it gets while it is deferred."""

    inputs = ("calls", "data")
    tick_interval_ms = 1

    def __init__(self) -> None:
        super().__init__("remote")
        self.data: list[Any] = []
        self.ticks = 0
        self.ticked = threading.Event()

    def on_message(self, port: str, msg: Message) -> None:
        if port == "calls":
            super().on_message(port, msg)
        else:
            self.data.append(msg.payload)

    def on_tick(self) -> None:
        self.ticks += 1
        self.ticked.set()


def test_deferred_node_gets_control_but_neither_data_nor_ticks() -> None:
    busy, consumer = Busy(), Collect()
    graph = chain(busy, consumer, capacity=1)
    graph.expose_input("remote", "remote:calls")
    graph.expose_input("data", "remote:data")
    scheduler = scheduler_of(graph)
    scheduler.pause(consumer)
    with scheduler:
        assert busy.ticked.wait(DEADLINE_S)
        assert busy.emit_there(scheduler, 1) is PutResult.OK
        assert busy.emit_there(scheduler, 2) is PutResult.DEFERRED
        ticks = busy.ticks
        scheduler.input("data").put_many(range(5))
        for _ in range(50):
            assert busy.call(scheduler, lambda: None) is None  # control still comes
        assert threading.Event().wait(0.03) is False  # thirty tick intervals, in which nothing may happen
        assert busy.ticks == ticks
        assert busy.data == []
        busy.ticked.clear()
        scheduler.resume(consumer)
        assert busy.ticked.wait(DEADLINE_S)
        consumer.expect(2)
        report = scheduler.shutdown()
    assert busy.data == list(range(5))
    assert_stopped_clean(graph, report)


def test_control_that_is_emitted_goes_past_deferred_data() -> None:
    with fan_out({"capacity": 1}) as (remote, scheduler, _, (consumer,)):
        for number in range(4):
            remote.emit_there(scheduler, number)
        assert remote.emit_there(scheduler, control("flush")) is PutResult.OK
        assert consumer.expect(1) == ["flush"]  # control reaches even a paused node
        scheduler.resume(consumer)
        assert consumer.expect(5) == ["flush", 0, 1, 2, 3]


def test_deferred_control_stops_data_and_control_but_loses_neither() -> None:
    remote, gate = Remote(), Gate()
    graph = chain(remote, gate, capacity=8, control_capacity=1)
    graph.expose_input("remote", "remote:calls")
    with scheduler_of(graph) as scheduler:
        remote.emit_there(scheduler, control("inside"))
        assert gate.entered.wait(DEADLINE_S)
        answers = remote.call(scheduler, lambda: [remote.emit("out", control(n)) for n in range(3)])
        assert answers == [PutResult.OK, PutResult.DEFERRED, PutResult.DEFERRED]
        handle = scheduler.input("remote")
        assert handle.try_put(control((lambda: remote.emit("out", "data"), _Ignore()))) is PutResult.OK
        assert handle.edge.depth() == 1
        assert threading.Event().wait(0.02) is False
        assert handle.edge.depth() == 1  # the node, deferred with control, takes nothing
        gate.opened.set()
        assert gate.expect(5) == ["inside", 0, 1, 2, "data"]
        report = scheduler.shutdown()
    assert_stopped_clean(graph, report)


class _Ignore:
    def set_result(self, value: object) -> None:
        pass

    set_exception = set_result
