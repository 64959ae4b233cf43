"""outbox_limit holds on every way into the outbox; a dead letter may go past it, one a message under way."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Gate, assert_graph_conserved, control, scheduler_of, until

from graphflow import BackpressureError, ErrorPolicy, Message, Node, PutResult, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 4
LETTERS = ErrorPolicy.dead_letter("dead")


class Fails(Node):
    inputs: Any = "in"
    outputs: Any = ("out", "dead")
    error_policy: ErrorPolicy | None = LETTERS

    def on_message(self, port: str, msg: Message) -> Any:
        raise ValueError(msg.payload)


class FailsYielding(Fails):
    def on_message(self, port: str, msg: Message) -> Iterator[Any]:
        yield "out", msg
        raise ValueError(msg.payload)


class FailsAwaiting(Fails):
    async def on_message(self, port: str, msg: Message) -> Any:
        await asyncio.sleep(0)
        raise ValueError(msg.payload)


def settings(node: Fails, **chosen: Any) -> Fails:
    for name, value in chosen.items():
        setattr(node, name, value)
    return node


def blocked(node: Fails) -> tuple[Scheduler, Gate, Subgraph]:
    """Nobody takes the letters of the node before the gate is opened."""
    gate = Gate()
    graph = Subgraph.from_nodes("g", [node, gate, Collect()])
    graph.expose_input("in", "fails:in", capacity=1000)
    graph.connect("fails:out", "collect:in")
    graph.connect("fails:dead", "gate:in", capacity=1)
    return scheduler_of(graph, outbox_limit=LIMIT, workers=4), gate, graph


CONCURRENT = {"max_concurrency": 3}
UNORDERED = {"max_concurrency": 3, "ordered": False}
RETRYING = {"error_policy": ErrorPolicy.retry(2, 0, then=LETTERS)}
RETRYING_UNORDERED = UNORDERED | {"error_policy": ErrorPolicy.retry(2, 0, then=LETTERS, holds_place=False)}


@pytest.mark.parametrize("kind", [Fails, FailsYielding, FailsAwaiting])
@pytest.mark.parametrize("chosen", [{}, CONCURRENT, UNORDERED, RETRYING, RETRYING_UNORDERED])
def test_letters_of_control_and_data_do_not_pass_the_bound(kind: type[Fails], chosen: dict[str, Any]) -> None:
    node = settings(kind("fails"), **chosen)
    scheduler, gate, graph = blocked(node)
    seen: list[int] = []
    control_put = 0
    with scheduler:
        inlet = scheduler.input("in")
        inlet.put_many(range(50))
        assert gate.entered.wait(DEADLINE_S)
        for number in range(400):
            control_put += inlet.try_put(control(1000 + number)) is PutResult.OK
            threading.Event().wait(0.0005)
            seen.append(scheduler.snapshot().nodes["fails"].outbox)
        assert max(seen) <= LIMIT + 2 * node.max_concurrency + 1
        gate.opened.set()
        report = scheduler.shutdown(timeout=DEADLINE_S)
    assert report.complete
    assert_graph_conserved(graph)
    letters = sorted(letter.message.payload for letter in gate.seen)
    assert len(letters) == 50 + control_put  # and none is lost for it
    assert control_put < 400


def test_several_that_emit_at_once_share_the_bound() -> None:
    """Each worker looks at the outbox while another is between its look and its entry."""
    barrier, bound = threading.Barrier(4), 16
    refused: list[int] = []

    class Emits(Node):
        inputs, outputs = "in", "out"
        max_concurrency = 4

        def on_message(self, port: str, msg: Message) -> None:
            barrier.wait(DEADLINE_S)
            for number in range(bound):
                try:
                    self.emit("out", number)
                except BackpressureError:
                    refused.append(number)
            barrier.wait(DEADLINE_S)

    def slow(payload: Any) -> int:
        threading.Event().wait(0.001)  # another worker goes on
        return 1

    node, gate = Emits("emits"), Gate()
    graph = Subgraph.from_nodes("g", [node, gate])
    graph.expose_input("in", "emits:in")
    graph.connect("emits:out", "gate:in", capacity=1, max_bytes=1000, sizeof=slow)
    scheduler = scheduler_of(graph, outbox_limit=bound, workers=5)
    with scheduler:
        scheduler.input("in").put_many(range(4))
        until(lambda: len(refused) == 3 * bound)
        gate.opened.set()
        scheduler.shutdown(timeout=DEADLINE_S)
    assert len(gate.seen) == bound
