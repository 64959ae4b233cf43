"""Tracing is on while something instruments the scheduler, and only for that one."""

from __future__ import annotations

import pytest
from graphs import DEADLINE_S, Collect, Map, Source, chain, run_graph, scheduler_of
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from traced import PARENT, Traces, framed

from graphflow import Message, MessageType, SchedulerStateError
from graphflow.observability import instrument

pytest_plugins = ["traced"]  # the fixture `traces`


def test_a_sampler_that_says_no_leaves_the_context_to_the_next() -> None:
    traces = Traces(sampler=ALWAYS_OFF)
    _, scheduler = framed(Map("m"))
    with instrument(scheduler, tracer_provider=traces.provider), scheduler:
        scheduler.input("in").put(Message(MessageType.DATA, 1, headers={"traceparent": PARENT}))
        left = scheduler.output("out").get(DEADLINE_S)
    assert traces.spans() == []
    assert left.headers["traceparent"][3:35] == PARENT[3:35]
    assert left.headers["traceparent"].endswith("-00")


def test_without_a_tracer_provider_nothing_is_traced_or_changed() -> None:
    seen = Collect("c")
    message = Message(MessageType.DATA, 1)
    scheduler = scheduler_of(chain(Source("a", [message]), Map("b"), seen))
    with instrument(scheduler):
        scheduler.run()
    assert "traceparent" not in seen.messages[0].headers
    run_graph(chain(Source("a", [message]), seen_directly := Collect("c")))
    assert seen_directly.messages[0] is message


def test_it_can_be_turned_on_and_off_while_the_graph_runs(traces: Traces) -> None:
    _, scheduler = framed(Map("m"))

    def through() -> Message:
        scheduler.input("in").put(1)
        return scheduler.output("out").get(DEADLINE_S)

    with scheduler:
        assert "traceparent" not in through().headers
        with instrument(scheduler, tracer_provider=traces.provider):
            assert "traceparent" in through().headers
            with pytest.raises(SchedulerStateError, match="instrumented already"):
                instrument(scheduler)
        assert "traceparent" not in through().headers
        with instrument(scheduler, tracer_provider=traces.provider):
            through()
    assert len(traces.spans("m")) == 2


def test_it_lasts_over_a_restart(traces: Traces) -> None:
    scheduler = scheduler_of(chain(Source("a", [1]), Collect("b")))
    with instrument(scheduler, tracer_provider=traces.provider):
        scheduler.run()
        scheduler.run()
    scheduler.run()
    assert len(traces.spans("b")) == 2


def test_two_schedulers_are_told_apart(traces: Traces) -> None:
    first, second = (scheduler_of(chain(Source("a", [1]), Collect("b")), name=name) for name in ("one", "two"))
    with instrument(first, tracer_provider=traces.provider), instrument(second, tracer_provider=traces.provider):
        first.run()
        second.run()
    assert [span.attributes["graphflow.graph"] for span in traces.spans("b")] == ["one", "two"]
