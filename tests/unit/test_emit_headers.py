"""Whose child an emitted message is: the headers it inherits, and those it brings."""

from __future__ import annotations

import pytest
from graphs import Collect, Map, Source, chain, run_graph, scheduler_of

from graphflow import Message, MessageType, Node


class TraceReader(Map):
    """Reads the trace id of what it handles before or after its child's is made."""

    def __init__(self, name: str, read_first: bool) -> None:
        super().__init__(name)
        self.read_first = read_first
        self.handled: list[Message] = []

    def on_message(self, port: str, msg: Message) -> None:
        self.handled.append(msg)
        if self.read_first:
            msg.get_trace_id()
        self.emit("out", msg.payload)


@pytest.mark.parametrize("read_first", [True, False])
def test_children_share_the_trace_of_the_message_being_handled(read_first: bool) -> None:
    nodes = [TraceReader(f"t{number}", read_first) for number in range(3)]
    last = Collect()
    run_graph(chain(Source("source", range(20)), *nodes, last))
    for number, message in enumerate(last.messages):
        trace = message.get_trace_id()
        assert [node.handled[number].get_trace_id() for node in nodes] == [trace] * 3
    assert len({message.get_trace_id() for message in last.messages}) == 20


class Stamp(Map):
    """Emits Messages of its own making."""

    def on_message(self, port: str, msg: Message) -> None:
        self.emit("out", Message(MessageType.DATA, msg.payload, {"own": True}, {"trace_id": f"{msg.payload:032x}"}))


def test_a_message_keeps_its_own_headers_and_payloads_inherit_them() -> None:
    last = Collect()
    run_graph(chain(Source("source", range(3)), Stamp("stamp"), Map("map"), last))
    assert [message.get_trace_id() for message in last.messages] == [f"{n:032x}" for n in range(3)]


class TickSource(Node):
    """Emits at its second tick, long after a control message was handled."""

    inputs = "in"
    outputs = "out"
    tick_interval_ms = 1
    handled: Message | None = None

    def on_message(self, port: str, msg: Message) -> None:
        self.handled = msg

    def on_tick(self) -> None:
        if self.handled is not None:
            self.emit("out", "tick")


def test_what_a_tick_emits_is_nobodys_child() -> None:
    node, last = TickSource("node"), Collect()
    graph = chain(node, last)
    graph.expose_input("in", "node:in")
    with scheduler_of(graph) as scheduler:
        scheduler.input("in").put("hello")
        last.expect(2)
    assert node.handled is not None
    traces = {message.get_trace_id() for message in (*last.messages[:2], node.handled)}
    assert len(traces) == 3
