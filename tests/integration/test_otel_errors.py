"""Spans of handlers that fail: errors, attempts, what is abandoned, and a tracer that is broken itself."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from graphs import DEADLINE_S, Collect, Gate, Map, Source, chain, scheduler_of, until
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode
from traced import Awaiting, InTwos, Traces, Yielding, Yields, parent_of

from graphflow import ErrorPolicy, Message, Node, Subgraph
from graphflow.observability import instrument

pytest_plugins = ["traced"]  # the fixture `traces`


def raises(self: Any, port: str, msg: Message) -> None:
    raise ValueError("the reason")


async def raises_awaiting(self: Any, port: str, msg: Message) -> None:
    raise ValueError("the reason")


def raises_yielding(self: Any, port: str, msg: Message) -> Any:
    yield 1
    raise ValueError("the reason")


RAISING: dict[type[Node], Any] = {Awaiting: raises_awaiting, Yielding: raises_yielding}


@pytest.mark.parametrize("kind", [Map, InTwos, Awaiting, Yielding])
def test_an_error_is_recorded_and_the_span_is_marked(traces: Traces, kind: type[Node]) -> None:
    class Fails(kind):  # type: ignore[misc,valid-type]
        on_message = RAISING.get(kind, raises)

    scheduler = scheduler_of(chain(Source("a", [1]), Fails("b"), Collect("c")))
    with instrument(scheduler, tracer_provider=traces.provider):
        scheduler.run()
    span = traces.one("b")
    assert span.status.status_code is StatusCode.ERROR
    (event,) = span.events
    assert event.attributes is not None
    assert event.attributes["exception.message"] == "the reason"


def test_each_attempt_has_a_span_and_a_dead_letter_is_in_the_trace(traces: Traces) -> None:
    class Stubborn(Map):
        outputs = "dead"
        error_policy = ErrorPolicy.retry(3, backoff_s=0.001, then=ErrorPolicy.dead_letter("dead"))

        def on_message(self, port: str, msg: Message) -> None:
            raise ValueError

    letters = Collect("letters")
    graph = Subgraph.from_nodes("g", [Source("a", [1]), Stubborn("b"), letters])
    graph.connect("a:out", "b:in")
    graph.connect("b:dead", "letters:in")
    scheduler = scheduler_of(graph)
    with instrument(scheduler, tracer_provider=traces.provider):
        scheduler.run()
    attempts = traces.spans("b")
    assert [span.attributes["graphflow.attempt"] for span in attempts] == [1, 2, 3]
    assert parent_of(traces.one("letters")) == attempts[-1].context.span_id


def test_a_handler_that_is_abandoned_ends_its_span(traces: Traces) -> None:
    graph = Subgraph.from_nodes("g", [Yields("yields"), Gate("gate")])
    graph.connect("yields:out", "gate:in", capacity=1)
    graph.expose_input("in", "yields:in")
    gate = graph.nodes["gate"]
    assert isinstance(gate, Gate)
    scheduler = scheduler_of(graph, shutdown_timeout_s=1.0)
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(1)
        until(lambda: scheduler.snapshot().nodes["yields"].held == 1)
        scheduler_stops = threading.Thread(target=scheduler.shutdown, kwargs={"drain": False})
        scheduler_stops.start()
        gate.opened.set()
        scheduler_stops.join(DEADLINE_S)
    assert traces.one("yields").end_time is not None


def test_a_tracer_that_raises_breaks_no_handler_and_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(TracerProvider):
        def get_tracer(self, *args: Any, **options: Any) -> Any:
            class Tracer:
                def start_span(self, *args: Any, **options: Any) -> Any:
                    raise RuntimeError("no tracer today")

            return Tracer()

    sink = Collect("c")
    scheduler = scheduler_of(chain(Source("a", range(5)), Map("b"), sink))
    with caplog.at_level(logging.ERROR, "graphflow"), instrument(scheduler, tracer_provider=Broken()):
        assert scheduler.run().complete
    assert sink.seen == list(range(5))
    assert [record.event for record in caplog.records] == ["tracing_error"]  # type: ignore[attr-defined]
