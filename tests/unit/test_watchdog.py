"""What the watchdog makes of what it sees, on plain observations and a clock of the test's own."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from graphflow.core.introspect.seen import EdgeSeen, HookSeen, NodeSeen, Observation
from graphflow.runtime.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator

ME = threading.get_ident()


def edge(source: str | None, target: str | None, depth: int = 1, taken: int = 0, **more: Any) -> EdgeSeen:
    name = f"{source or 'input'}:out->{target or 'output'}:in"
    counts = {"capacity": 4, "deferred": 0, "dropped_closed": 0} | more
    return EdgeSeen(name, source, target, depth, taken=taken, **counts)


def hook(node: str, number: int = 1, crew: int = 0) -> HookSeen:
    return HookSeen(node, crew, number, "on_message", ME)


def seen(*things: HookSeen | NodeSeen | EdgeSeen) -> Observation:
    hooks = [thing for thing in things if isinstance(thing, HookSeen)]
    nodes = {thing.path: thing for thing in things if isinstance(thing, NodeSeen)}
    return hooks, nodes, [thing for thing in things if isinstance(thing, EdgeSeen)]


@pytest.fixture
def dog(caplog: pytest.LogCaptureFixture) -> Iterator[Watchdog]:
    with caplog.at_level(logging.WARNING, "graphflow.watchdog"):
        yield Watchdog(1.0)


def kinds(dog: Watchdog) -> list[tuple[str, str | None, str | None]]:
    return [(stall["kind"], stall["node"], stall["edge_id"]) for stall in dog.stalls(0.0)]


def test_nothing_is_said_before_the_time_is_up_and_then_once(dog: Watchdog, caplog: pytest.LogCaptureFixture) -> None:
    picture = seen(hook("b"), NodeSeen("b", 0, running=True), edge("a", "b"))
    for now in (0.0, 0.5, 0.99):
        dog.look(now, picture)
    assert caplog.records == []
    for now in (1.0, 1.5, 2.0):
        dog.look(now, picture)
    (record,) = caplog.records
    assert vars(record)["event"] == "stall"
    assert vars(record)["node"] == "b"
    assert vars(record)["edge_id"] == "a:out->b:in"
    assert record.getMessage().startswith("stalled for 1 s: node 'b' has not returned from on_message and holds edge")
    assert "test_nothing_is_said_before_the_time_is_up" in record.getMessage()  # the stack


def test_another_message_is_another_hook(dog: Watchdog, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(20):
        dog.look(number * 0.25, seen(hook("b", number), NodeSeen("b", 0, running=True), edge("a", "b", taken=number)))
    assert caplog.records == []


def test_an_edge_that_is_taken_from_is_not_stalled(dog: Watchdog, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(20):
        dog.look(number * 0.25, seen(NodeSeen("b", 0, paused=True), edge("a", "b", taken=number // 3)))
    assert caplog.records == []


def test_it_says_when_it_clears(dog: Watchdog, caplog: pytest.LogCaptureFixture) -> None:
    for now in (0.0, 1.0):
        dog.look(now, seen(NodeSeen("b", 0, paused=True), edge("a", "b", taken=3)))
    dog.look(1.5, seen(NodeSeen("b", 0), edge("a", "b", taken=4)))
    assert [vars(record)["event"] for record in caplog.records] == ["stall", "stall_cleared"]
    assert caplog.records[1].levelno == logging.WARNING
    assert caplog.records[1].getMessage() == "no longer stalled after 1.5 s: node 'b', edge a:out->b:in"
    assert dog.stalls(2.0) == []


def test_all_that_wait_for_one_root_are_one_stall_with_the_longest_chain(
    dog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    picture = seen(
        hook("d"),
        NodeSeen("b", 0, waits_for_room=True),
        NodeSeen("c", 0, waits_for_room=True),
        NodeSeen("d", 0, running=True),
        edge("a", "b", 4, deferred=1),
        edge("b", "c", 4, deferred=1),
        edge("c", "d", 4, deferred=2),
    )
    for now in (0.0, 1.0):
        dog.look(now, picture)
    assert kinds(dog) == [("hook", "d", "c:out->d:in")]
    (record,) = caplog.records
    chain = (
        "a:out->b:in (4 of 4, 1 deferred) -> b -> b:out->c:in (4 of 4, 1 deferred) -> c "
        "-> c:out->d:in (4 of 4, 2 deferred) -> d"
    )
    assert chain in record.getMessage()


def test_a_cycle_is_named_whole(dog: Watchdog, caplog: pytest.LogCaptureFixture) -> None:
    picture = seen(
        NodeSeen("x", 0, waits_for_room=True),
        NodeSeen("y", 0, waits_for_room=True),
        NodeSeen("in", 0, waits_for_room=True),
        edge("in", "x", 4, deferred=1),
        edge("x", "y", 4, deferred=1),
        edge("y", "x", 4, deferred=1),
    )
    for now in (0.0, 1.0):
        dog.look(now, picture)
    assert kinds(dog) == [("cycle", "y", "x:out->y:in")]
    assert "every edge of a cycle waits for room" in caplog.records[0].getMessage()
    assert "y:out->x:in" in caplog.records[0].getMessage()


def test_a_node_that_waits_for_a_worker_points_to_who_holds_it(dog: Watchdog) -> None:
    picture = seen(
        hook("greedy"),
        NodeSeen("greedy", 0, running=True),
        NodeSeen("starved", 0, ready=True),
        edge("a", "starved"),
    )
    for now in (0.0, 1.0):
        dog.look(now, picture)
    (stall,) = dog.stalls(1.0)
    assert (stall["kind"], stall["node"]) == ("hook", "greedy")
    assert stall["chain"] == ["a:out->starved:in (1 of 4)", "starved", "greedy"]


def test_workers_of_another_crew_are_not_to_blame(dog: Watchdog) -> None:
    picture = seen(hook("own", crew=1), NodeSeen("own", 1, running=True), NodeSeen("b", 0, ready=True), edge("a", "b"))
    for now in (0.0, 1.0):
        dog.look(now, picture)
    assert sorted(kinds(dog)) == [("hook", "own", None), ("unknown", "b", "a:out->b:in")]


def test_backing_off_is_no_stall(dog: Watchdog, caplog: pytest.LogCaptureFixture) -> None:
    for now in (0.0, 1.0, 5.0):
        dog.look(now, seen(NodeSeen("b", 0, resting=True), edge("a", "b", 4)))
    assert caplog.records == []


def test_an_output_counts_only_while_somebody_waits_for_its_room(
    dog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    for now in (0.0, 2.0):
        dog.look(now, seen(edge("b", None, 4)))
    assert caplog.records == []
    for now in (3.0, 4.0):
        dog.look(now, seen(NodeSeen("b", 0, waits_for_room=True), edge("b", None, 4, deferred=1)))
    assert kinds(dog) == [("unread", "b", "b:out->output:in")]
    assert "nobody reads the output b:out->output:in" in caplog.records[0].getMessage()


def test_drops_into_the_edge_of_a_stopped_node_are_a_stall_while_they_go_on(
    dog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    def look(now: float, dropped: int) -> None:
        dog.look(now, seen(NodeSeen("b", 0, stopped=True, error="OSError"), edge("a", "b", 0, dropped_closed=dropped)))

    look(0.0, 3)  # what was queued when it was stopped
    assert caplog.records == []
    look(0.25, 5)
    look(0.5, 5)
    look(1.0, 9)
    assert [vars(record)["event"] for record in caplog.records] == ["stall"]
    said = "node 'b' was stopped by OSError, and what is sent to it is dropped: 5 so far on a:out->b:in"
    assert caplog.records[0].getMessage() == f"stalled: {said}"
    look(2.25, 9)
    assert [vars(record)["event"] for record in caplog.records] == ["stall", "stall_cleared"]


def test_names_with_braces_are_shown_as_they_are(dog: Watchdog, caplog: pytest.LogCaptureFixture) -> None:
    for now in (0.0, 1.0):
        dog.look(now, seen(NodeSeen("{b}%s", 0, paused=True), edge("{a}", "{b}%s")))
    assert "node '{b}%s' is paused" in caplog.records[0].getMessage()


def resting(number: int = 1, rests: int = 0, now: bool = True) -> HookSeen:
    return HookSeen("b", 0, number, "produce", ME, None, now, rests)


def test_a_hook_that_rests_is_no_stall_nor_is_one_that_has_rested_lately(
    dog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    for step in range(20):
        dog.look(step / 4, seen(resting(), NodeSeen("b", 0, running=True)))
    for step in range(20, 40):
        dog.look(step / 4, seen(resting(rests=step // 3, now=False), NodeSeen("b", 0, running=True)))
    assert caplog.records == []


def test_a_hook_that_rests_no_more_is_a_stall_when_it_stands_still(dog: Watchdog) -> None:
    for now in (0.0, 3.0, 3.5):
        dog.look(now, seen(resting(rests=1, now=now == 0.0), NodeSeen("b", 0, running=True)))
    assert kinds(dog) == [("hook", "b", None)]


def test_a_rest_that_others_wait_for_is_named(dog: Watchdog, caplog: pytest.LogCaptureFixture) -> None:
    for step in range(8):  # it rests again and again, and never lets go of its worker
        dog.look(
            step / 4,
            seen(resting(rests=step), NodeSeen("b", 0, running=True), NodeSeen("c", 0, ready=True), edge("a", "c")),
        )
    assert kinds(dog) == [("hook", "b", None)]
    assert "node 'b' has not returned from produce, where it rests in sleep()" in caplog.text


def test_a_node_that_works_for_closed_outputs_is_named_while_it_does(
    dog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    def look(now: float, begun: int) -> None:
        dog.look(now, seen(NodeSeen("b", 0, unheard=True, begun=begun)))

    for step in range(4):
        look(step / 4, 100 + step)  # it may just be at its last messages
    assert kinds(dog) == []
    look(1.0, 104)
    assert kinds(dog) == [("unheard", "b", None)]
    assert "all its outputs are closed" in caplog.text
    assert "ends_with_outputs = True" in caplog.text
    look(1.5, 104)
    look(2.25, 104)
    assert [vars(record)["event"] for record in caplog.records] == ["stall", "stall_cleared"]


def test_a_node_that_rests_with_its_outputs_closed_is_not(dog: Watchdog, caplog: pytest.LogCaptureFixture) -> None:
    for step in range(12):
        dog.look(step / 4, seen(NodeSeen("b", 0, unheard=True, begun=100)))
    assert caplog.records == []
