"""Which trace a message belongs to that is put in: its caller's, the one in its headers, or its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from graphs import DEADLINE_S, Map
from traced import PARENT, Traces, framed, parent_of, trace_of

from graphflow import Message, MessageType
from graphflow.core.messages.message import known_trace
from graphflow.observability import instrument

pytest_plugins = ["traced"]  # the fixture `traces`


def test_puts_of_all_kinds_carry_the_callers_span(traces: Traces) -> None:
    _, scheduler = framed(Map("m"))
    given = Message(MessageType.DATA, "given", headers={"traceparent": PARENT, "mine": 1})
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        inlet = scheduler.input("in")

        async def put() -> None:
            await inlet.aput("aput")

        with traces.tracer.start_as_current_span("caller") as caller:
            inlet.put("put")
            inlet.try_put("try_put")
            inlet.put_many(["many"])
            asyncio.run(put())
            inlet.put(given)
        left = {message.payload: message for message in scheduler.output("out").get_many(5, DEADLINE_S)}
        while len(left) < 5:
            message = scheduler.output("out").get(DEADLINE_S)
            left[message.payload] = message
    mine = caller.get_span_context()
    for name in ("put", "try_put", "many", "aput"):
        assert left[name].get_trace_id() == f"{mine.trace_id:032x}"
    assert left["given"].get_trace_id() == PARENT[3:35]
    assert left["given"].headers["mine"] == 1
    assert [parent_of(span) for span in traces.spans("m")].count(mine.span_id) == 4


def test_a_traceparent_in_the_headers_is_the_parent(traces: Traces) -> None:
    _, scheduler = framed(Map("m"))
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        headers = {"traceparent": PARENT, "tracestate": "vendor=value"}
        scheduler.input("in").put(Message(MessageType.DATA, 1, headers=headers))
        left = scheduler.output("out").get(DEADLINE_S)
    span = traces.one("m")
    assert (span.context.trace_id, parent_of(span)) == (TRACE, SPAN)
    assert left.headers["tracestate"] == "vendor=value"


TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331  # in PARENT
WRONG = ["", "x", PARENT.upper(), PARENT[:-1], "ff" + PARENT[2:], "00-" + "0" * 32 + PARENT[35:], 5]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_traceparent_that_is_none_begins_a_trace(traces: Traces, wrong: Any) -> None:
    _, scheduler = framed(Map("m"))
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(Message(MessageType.DATA, 1, headers={"traceparent": wrong}))
        left = scheduler.output("out").get(DEADLINE_S)
    span = traces.one("m")
    assert left.get_trace_id() == trace_of(span)
    assert left.headers["traceparent"] != wrong


def test_a_trace_id_that_is_known_already_stays(traces: Traces) -> None:
    message = Message(MessageType.DATA, 1)
    known = message.get_trace_id()
    _, scheduler = framed(Map("a"), Map("b"))
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(message)
        left = scheduler.output("out").get(DEADLINE_S)
    assert left.get_trace_id() == known
    assert {trace_of(span) for span in traces.spans()} == {known}


def test_an_id_that_is_no_trace_id_gives_way_to_a_real_one(traces: Traces) -> None:
    _, scheduler = framed(Map("a"))
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(Message(MessageType.DATA, 1, headers={"trace_id": "order-4711"}))
        left = scheduler.output("out").get(DEADLINE_S)
    assert left.get_trace_id() == trace_of(traces.one("a"))


@pytest.mark.parametrize("wrong", [*WRONG, "00-" + PARENT[3:36] + "0" * 16 + "-01"])
def test_a_traceparent_that_is_none_gives_no_trace_id(wrong: Any) -> None:
    message = Message(MessageType.DATA, 1, headers={"traceparent": wrong})
    assert known_trace(message) is None
    assert message.headers["traceparent"] == wrong
    assert len(message.get_trace_id()) == 32


def test_a_message_knows_its_trace_without_making_one() -> None:
    message = Message(MessageType.DATA, 1)
    assert known_trace(message) is None
    assert len(message.headers) == 2
    assert known_trace(message) is None
    made = message.get_trace_id()
    assert known_trace(message) == known_trace(message.with_payload(2)) == made
    assert known_trace(Message(MessageType.DATA, 1, headers={"traceparent": PARENT})) == PARENT[3:35]
    given = Message(MessageType.DATA, 1, headers={"traceparent": PARENT, "trace_id": "mine"})
    assert known_trace(given) == "mine"
