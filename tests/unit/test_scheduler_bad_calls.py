"""Calls of a scheduler that cannot be meant: refused by name and value, in every state, and nothing has changed."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any

import pytest
from graphs import DEADLINE_S, Collect, Map, Remote, Source, assert_graph_conserved, chain, scheduler_of
from hostile import HOSTILE, HUGE, INF, NAN, NO_NAMES, NO_NUMBERS

from graphflow import (
    GraphValidationError,
    PriorityBand,
    Scheduler,
    SchedulerStateError,
    UnknownEdgeError,
)
from graphflow.graph.priority import PriorityTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

EDGE = "remote:out->collect:in"
STATES = ("new", "running", "in a hook", "stopped")

Refused = tuple[str, tuple[Any, ...], dict[str, Any], type[BaseException], str]


def refused(call: str, *args: Any, error: type[BaseException], said: str, **options: Any) -> Refused:
    return call, args, options, error, said


def naming(value: object) -> str:
    return f"not {re.escape(repr(value))}$"


TIMEOUTS = [
    *((value, TypeError) for value in NO_NUMBERS if value is not None),
    *((value, ValueError) for value in (-1, -0.5, -INF, NAN, -HUGE)),
    *((value, OverflowError) for value in (INF, 1e30, 2**70, HUGE)),
]
CAPACITIES = [
    *((value, TypeError) for value in (None, "3", [3], True, 1.5, 3.0, NAN, INF, object())),
    *((value, ValueError) for value in (0, -1, 2**70, -HUGE)),
]
PRIORITIES = [
    *((value, PriorityTypeError) for value in (*NO_NUMBERS, 1.0, NAN)),
    *((value, ValueError) for value in (0, 4, -1, 2**70)),
]
CALLS = [
    *(
        refused("register", item, error=TypeError, said=r"register\(\) takes a Subgraph or a Node, " + naming(item))
        for item in (None, 3, "node", Map, [Map("other")], HOSTILE)
    ),
    *(
        refused(call, name, error=UnknownEdgeError, said=f"no exposed {call} is called {re.escape(repr(name))}: ")
        for call in ("input", "output")
        for name in [*NO_NAMES, "", "remot"]
    ),
    *(
        refused(call, node, error=GraphValidationError, said="UNKNOWN_NODE: no node is called .*: there is|did you")
        for call in ("pause", "resume")
        for node in ("", "remot", "remote:out", 3, 1.5, True, b"remote", ["remote"], Map("remote"), HOSTILE)
    ),
    *(
        refused("set_capacity", EDGE, value, error=error, said=f"capacity must be .*{naming(value)}")
        for value, error in CAPACITIES
    ),
    *(
        refused("set_priority", EDGE, value, error=error, said=f"priority must be .*{naming(value)}")
        for value, error in PRIORITIES
    ),
    *(
        refused(call, edge, value, error=TypeError, said="edge_id must be a str like .*" + naming(edge))
        for call, value in (("set_capacity", 5), ("set_priority", PriorityBand.HIGH))
        for edge in NO_NAMES
    ),
    *(
        refused(call, timeout=value, error=error, said=f"timeout must be .*{naming(value)}")
        for call in ("wait", "shutdown")
        for value, error in TIMEOUTS
    ),
    *(
        refused("shutdown", drain=value, error=TypeError, said="drain must be True or False, " + naming(value))
        for value in (None, 0, 1, "no", HOSTILE)
    ),
    *(
        refused("run", signals=value, error=TypeError, said=r"signals must be .*" + naming(shown))
        for value, shown in (
            (None, None),
            (15, 15),
            ("SIGTERM", "SIGTERM"),
            (["SIGTERM"], "SIGTERM"),
            ([True], True),
            ([1.5], 1.5),
            ([HOSTILE], HOSTILE),
        )
    ),
    *(
        refused("run", signals=[signal.SIGTERM, value], error=ValueError, said=r"signals must be .*" + naming(value))
        for value in (0, -1, 4096, 2**70, signal.SIGKILL)
    ),
]


class World:
    """A running or runnable graph: input remote -> remote -> collect -> output out, and everything one sees of it."""

    def __init__(self) -> None:
        self.remote, self.last = Remote(), Collect()
        self.graph = chain(self.remote, Map("map"), Map("last"))
        self.graph.add_node(self.last)
        self.graph.connect("remote:out", "collect:in", capacity=4)
        self.graph.expose_input("remote", "remote:calls")
        self.graph.expose_output("out", "last:out")
        self.scheduler: Scheduler = scheduler_of(self.graph)

    def seen(self) -> Any:
        stats = self.scheduler.get_stats()
        return (
            self.scheduler.is_running(),
            {key: stats[key] for key in ("status", "nodes_count", "edges_count")},
            {edge_id: edge["capacity"] for edge_id, edge in stats["edges"].items()},
            {name: [signal.getsignal(number)] for name, number in (("INT", 2), ("TERM", 15))},
        )

    def works(self) -> None:
        """The graph runs as if nothing had happened."""
        emit = self.remote.emit_there
        before = len(self.last.seen)
        for number in range(3):
            emit(self.scheduler, number)
        assert self.last.expect(before + 3)[before:] == [0, 1, 2]
        got = [self.scheduler.output("out").get(DEADLINE_S).payload for _ in range(3)]
        assert got == [0, 1, 2]


def attempt(world: World, call: Callable[[], object], state: str) -> None:
    """Make the call in that state, and check that one sees no difference."""
    scheduler = world.scheduler
    if state != "new":
        scheduler.start()
    if state == "stopped":
        scheduler.shutdown()
    before = world.seen()
    try:
        if state == "in a hook":
            world.remote.call(scheduler, call)
        else:
            call()
        assert world.seen() == before
    except BaseException:
        scheduler.shutdown(drain=False)
        raise


def answer(scheduler: Scheduler, case: Refused) -> str:
    """What is wrong with the answer to the call; nothing if it is the refusal that is expected."""
    call, args, options, error, said = case
    shown = f"{call} {args} {options}: "
    try:
        getattr(scheduler, call)(*args, **options)
    except BaseException as raised:
        fits = type(raised) is error and re.search(said, str(raised))
        return "" if fits else f"{shown} {raised!r}"
    return f"{shown} was not refused"


@pytest.mark.parametrize("state", STATES)
def test_an_argument_that_is_none_is_named_and_nothing_has_changed(state: str) -> None:
    """All in one run of a graph a state: that it works afterwards is asked once."""
    world = World()

    def try_all() -> None:
        answers = [answer(world.scheduler, case) for case in CALLS]
        assert [wrong for wrong in answers if wrong] == []

    attempt(world, try_all, state)
    if not world.scheduler.is_running():
        world.scheduler.start()
    world.works()
    report = world.scheduler.shutdown(timeout=DEADLINE_S)
    assert report.complete
    assert_graph_conserved(world.graph)


def test_calls_in_the_wrong_state_say_which_would_be_right() -> None:
    world = World()
    scheduler = world.scheduler
    other = Map("other")

    def all_refused() -> None:
        calls: dict[str, Callable[[], object]] = {
            "start": scheduler.start,
            "run": scheduler.run,
            "register": lambda: scheduler.register(other),
        }
        for name, call in calls.items():
            why = rf"^{name}\(\) needs a scheduler that is not running: call shutdown\(\) first$"
            with pytest.raises(SchedulerStateError, match=why):
                call()

    def wait_refused() -> None:
        all_refused()
        with pytest.raises(SchedulerStateError, match=r"wait\(\) on a thread of the scheduler.*call shutdown\(\)"):
            scheduler.wait()

    with pytest.raises(SchedulerStateError, match=r"wait\(\) needs a run: call start\(\) first"):
        scheduler.wait()
    with scheduler:
        before = world.seen()
        all_refused()
        world.remote.call(scheduler, wait_refused)
        assert world.seen() == before
        world.works()
    assert not other.is_live()
    assert_graph_conserved(world.graph)


def test_a_start_that_fails_for_an_unknown_edge_changes_no_other_edge() -> None:
    graph = chain(Source("source", [1]), Collect(), capacity=4)
    scheduler = scheduler_of(graph)
    scheduler.set_capacity("source:out->collect:in", 9)
    scheduler.set_capacity("source:out->colect:in", 5)
    with pytest.raises(UnknownEdgeError, match="did you mean 'source:out->collect:in'"):
        scheduler.start()
    assert [edge.capacity for edge in graph.edges] == [4]
    assert not scheduler.is_running()
    assert [node.is_live() for node in graph.nodes.values()] == [False, False]
