"""What may be changed from outside: priorities, capacities, pauses; before, while and after it runs."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from graphs import (
    Collect,
    Map,
    Source,
    Ticker,
    assert_stopped_clean,
    chain,
    control,
    edge_of,
    scheduler_of,
    until,
)

from graphflow import GraphValidationError, PriorityBand, Scheduler, Subgraph, UnknownEdgeError

EDGE = "map:out->collect:in"


def small() -> tuple[Scheduler, Subgraph, Collect]:
    last = Collect()
    graph = chain(Map("map"), last, capacity=4)
    graph.expose_input("in", "map:in")
    return scheduler_of(graph), graph, last


def test_capacity_set_before_the_run_holds_in_it_and_in_the_next() -> None:
    scheduler, graph, _ = small()
    scheduler.set_capacity(EDGE, 77)
    for _ in range(2):
        with scheduler:
            assert edge_of(graph, EDGE).capacity == 77
            assert scheduler.get_stats()["edges"][EDGE]["capacity"] == 77
    with scheduler:
        scheduler.set_capacity(EDGE, 78)
        assert edge_of(graph, EDGE).capacity == 78


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (2**63, ValueError),
        (1.5, TypeError),
        ("4", TypeError),
        (True, TypeError),
        (None, TypeError),
    ],
)
def test_a_wrong_capacity_is_refused_and_changes_nothing(running: bool, value: Any, error: type[Exception]) -> None:
    scheduler, graph, _ = small()
    if running:
        scheduler.start()
    with pytest.raises(error, match="capacity"):
        scheduler.set_capacity(EDGE, value)
    if not running:
        scheduler.start()
    assert edge_of(graph, EDGE).capacity == 4
    scheduler.shutdown()


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (4, ValueError), ("HIGH", TypeError), (True, TypeError), (None, TypeError), (1.0, TypeError)],
)
def test_a_wrong_priority_is_refused(running: bool, value: Any, error: type[Exception]) -> None:
    scheduler, _, _ = small()
    if running:
        scheduler.start()
    with pytest.raises(error, match="priority"):
        scheduler.set_priority(EDGE, value)
    if not running:
        scheduler.start()
    assert scheduler.is_running()
    scheduler.shutdown()


@pytest.mark.parametrize("error", [TypeError, ValueError])
def test_a_priority_that_is_a_string_is_an_error_of_both_types(error: type[Exception]) -> None:
    """Python's for a wrong type, and the one that code from Meridian catches."""
    with pytest.raises(error, match="priority must be a PriorityBand, not 'high'"):
        Scheduler().set_priority(EDGE, "high")  # type: ignore[arg-type]


@pytest.mark.parametrize("call", [lambda s, e: s.set_capacity(e, 5), lambda s, e: s.set_priority(e, PriorityBand.HIGH)])
def test_unknown_edges_name_close_matches_at_once_or_at_start(call: Any) -> None:
    scheduler, _, _ = small()
    with scheduler:
        with pytest.raises(UnknownEdgeError, match=f"map:out->colect:in.*did you mean '{EDGE}'"):
            call(scheduler, "map:out->colect:in")
        with pytest.raises(KeyError, match="ids look like"):
            call(scheduler, "zzz")
    later, _, last = small()
    call(later, "map:out->colect:in")
    with pytest.raises(UnknownEdgeError, match=f"did you mean '{EDGE}'"):
        later.start()
    assert not later.is_running()
    assert not last.is_live()


@pytest.mark.parametrize("band", list(PriorityBand))
def test_priorities_change_before_and_while_it_runs(band: PriorityBand) -> None:
    last = Collect()
    graph = chain(Source("source", range(2000)), Map("map"), last, capacity=4)
    scheduler = scheduler_of(graph)
    scheduler.set_priority(EDGE, band)
    scheduler.start()
    assert scheduler.snapshot().edges[EDGE].band == band.name.lower()
    for number in range(200):
        scheduler.set_priority(EDGE, PriorityBand(1 + number % 3))
        scheduler.set_priority("source:out->map:in", PriorityBand(3 - number % 3))
    report = scheduler.wait(30)
    assert last.seen == list(range(2000))
    assert_stopped_clean(graph, report)


def test_pause_keeps_data_ticks_and_sources_back_but_not_control() -> None:
    ticker = Ticker("ticker", 1, lambda node: node.emit("out", "tick"))
    source = Source("source", range(100))
    last = Collect()
    graph = Subgraph.from_nodes("g", [ticker, source, last])
    graph.connect("ticker:out", "collect:in")
    graph.connect("source:out", "collect:in")
    graph.expose_input("in", "collect:in")
    scheduler = scheduler_of(graph)
    for node in (ticker, source, last):
        scheduler.pause(node)
    with scheduler:
        scheduler.input("in").put("data")
        scheduler.input("in").put(control("control"))
        assert last.expect(1) == ["control"]
        assert threading.Event().wait(0.02) is False
        assert ticker.count == 0
        assert last.seen == ["control"]
        scheduler.resume("collect")
        assert last.expect(2) == ["control", "data"]
        scheduler.resume(source)
        last.expect(102)
        scheduler.resume("ticker")
        assert ticker.ticked.wait(30)
        report = scheduler.shutdown()
    assert [value for value in last.seen if isinstance(value, int)] == list(range(100))
    assert_stopped_clean(graph, report)


def test_pause_while_it_runs_takes_effect_at_the_next_message() -> None:
    last = Collect()
    graph = chain(Source("source", iter(int, 1)), Map("map"), last, capacity=4)
    with scheduler_of(graph) as scheduler:
        last.expect(10)
        scheduler.pause("collect")
        scheduler.pause("collect")
        edge = edge_of(graph, EDGE)
        until(edge.is_full)
        until(lambda: scheduler.get_stats()["runnable_nodes"] == 0)
        count = len(last.seen)
        assert threading.Event().wait(0.02) is False
        assert len(last.seen) == count
        assert scheduler.get_stats()["blocked_nodes"] == 2
        scheduler.resume("collect")
        last.expect(count + 100)


def test_a_paused_node_that_holds_messages_keeps_the_graph_running() -> None:
    last = Collect()
    graph = chain(Source("source", [1]), last)
    scheduler = scheduler_of(graph)
    scheduler.pause(last)
    scheduler.start()
    until(lambda: edge_of(graph, "source:out->collect:in").depth() == 1)
    with pytest.raises(TimeoutError):
        scheduler.wait(0.02)
    scheduler.resume(last)
    assert scheduler.wait(30).complete
    assert last.seen == [1]


@pytest.mark.parametrize("call", ["pause", "resume"])
def test_unknown_nodes_name_the_nearest(call: str) -> None:
    scheduler, _, _ = small()
    with pytest.raises(GraphValidationError, match=r"UNKNOWN_NODE.*did you mean 'collect'"):
        getattr(scheduler, call)("colect")
    with pytest.raises(GraphValidationError, match="UNKNOWN_NODE"):
        getattr(scheduler, call)(Map("stranger"))


def test_mutators_are_harmless_after_a_run() -> None:
    scheduler, graph, last = small()
    with scheduler:
        pass
    scheduler.pause("map")
    scheduler.resume("map")
    scheduler.set_capacity(EDGE, 9)
    scheduler.set_priority(EDGE, PriorityBand.HIGH)
    with scheduler:
        assert edge_of(graph, EDGE).capacity == 9
        assert scheduler.snapshot().edges[EDGE].band == "high"
        scheduler.input("in").put(1)
        last.expect(1)


def test_pausing_the_sources_stops_them_all_and_nothing_else() -> None:
    class Counts(Ticker):
        def produce(self) -> object:
            number = 0
            while True:
                yield number
                number += 1

    first, second, last = Counts("first", 3_600_000, print), Counts("second", 3_600_000, print), Collect()
    graph = Subgraph.from_nodes("g", [first, second, last])
    graph.connect("first:out", "collect:in", capacity=4)
    graph.connect("second:out", "collect:in", capacity=4)
    graph.expose_input("in", "collect:in")
    scheduler = scheduler_of(graph)
    scheduler.pause()
    with scheduler:
        scheduler.input("in").put("mine")
        assert last.expect(1) == ["mine"]  # the sources are paused, the rest is not
        scheduler.resume()
        last.expect(100)
        scheduler.pause()
        until(lambda: scheduler.get_stats()["runnable_nodes"] == 0)
        count = len(last.messages)
        scheduler.input("in").put("again")
        assert last.expect(count + 1)[count:] == ["again"]
        scheduler.resume("first")
        last.expect(count + 50)


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_pause_holds_until_it_is_resumed_whatever_runs_between(when: str) -> None:
    """Said before, in or after a run it is one setting: for this run and those to come, until the other is said."""
    scheduler, _, last = small()

    def paused() -> bool:
        scheduler.input("in").put("data")
        until(lambda: scheduler.snapshot().nodes["map"].state in ("paused", "idle"))
        return bool(scheduler.snapshot().nodes["map"].state == "paused")

    for call, expected in ((scheduler.pause, True), (scheduler.resume, False)):
        if when == "before":
            call("map")
        with scheduler:
            if when == "during":
                call("map")
            if when != "after":
                assert paused() is expected
        if when == "after":
            call("map")
        for _ in range(2):
            with scheduler:
                assert paused() is expected
    assert last.seen


def test_a_resume_in_a_run_undoes_an_earlier_pause_for_the_next() -> None:
    scheduler, _, last = small()
    scheduler.pause("map")
    with scheduler:
        scheduler.resume("map")
    with scheduler:
        scheduler.input("in").put("next run")
        until(lambda: last.seen)


def test_the_latest_capacity_counts_whoever_set_it_and_when() -> None:
    scheduler, graph, _ = small()
    edge = edge_of(graph, EDGE)
    scheduler.set_capacity(EDGE, 3)
    with scheduler:
        assert edge.capacity == 3
        edge.set_capacity(5)
    with scheduler:
        assert edge.capacity == 5
        scheduler.set_capacity(EDGE, 6)
    scheduler.set_capacity(EDGE, 7)
    with scheduler:
        assert edge.capacity == 7


def test_a_priority_of_one_run_holds_in_the_next() -> None:
    scheduler, _, _ = small()
    with scheduler:
        scheduler.set_priority(EDGE, PriorityBand.HIGH)
    with scheduler:
        assert scheduler.snapshot().edges[EDGE].band == "high"


def test_a_setting_meets_a_run_that_is_being_made_on_one_side_or_the_other() -> None:
    """It is said while start() has taken the settings and the run is not known yet: it waits for that."""
    scheduler, _, last = small()
    prepare = scheduler._registry.prepare
    saying = threading.Thread(target=scheduler.pause, args=("map",))

    def prepare_and_say(engine: Any) -> None:
        prepare(engine)
        saying.start()

    scheduler._registry.prepare = prepare_and_say  # type: ignore[method-assign]
    with scheduler:
        saying.join()
        scheduler.input("in").put("held")
        until(lambda: scheduler.snapshot().nodes["map"].state == "paused")
        assert last.seen == []
