"""Every public constructor and method, given what it cannot use: a documented exception, and nothing changed."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from graphs import Collect, Map, chain, scheduler_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import graphflow
from graphflow import (
    Coalesce,
    Edge,
    ErrorPolicy,
    GraphflowError,
    Message,
    MessageType,
    Node,
    Port,
    PortDirection,
    PortSpec,
    Scheduler,
    SchedulerConfig,
    Subgraph,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENTED = (GraphflowError, TypeError, ValueError, OverflowError, TimeoutError, LookupError)


class HostileError(Exception):
    """What a hostile object raises; it passes through."""


class Hostile:
    """Raises wherever it is looked at."""

    def _refuse(self, *_: object) -> Any:
        raise HostileError

    __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __index__ = __float__ = __int__ = _refuse  # type: ignore[assignment]
    __lt__ = __contains__ = __getitem__ = __call__ = _refuse


class Text(str):
    __slots__ = ()


recursive: list[Any] = []
recursive.append(recursive)
WRONG: list[Any] = [
    None, True, False, -1, 0, 1.5, 10**30, 10**400, -(10**30), math.nan, math.inf, -math.inf, "", "a:b", "a/b",
    "\ud800", b"bytes", Text("text"), [], (), {}, set(), recursive, object(), Hostile(), Hostile, len, 1j, Message,
    ("a",), ("a", "b", "c"),
]  # fmt: skip


def graph() -> Subgraph:
    made = chain(Map("map"), Collect(), capacity=4)
    made.expose_input("in", "map:in", capacity=4)
    return made


class World:
    """One of everything, to call methods of."""

    def __init__(self) -> None:
        self.edge: Edge = Edge("a", "out", "b", "in", 8)
        self.graph = graph()
        self.scheduler = scheduler_of(graph())
        self.message = Message(MessageType.DATA, 1)
        self.node = Node("node", "in", "out")

    def fingerprint(self) -> Any:
        def of(graph: Subgraph) -> Any:
            edges = [(edge.id, edge.capacity, edge.stats()) for edge in graph.edges]
            return list(graph.nodes), edges, dict(graph.exposed_inputs), dict(graph.exposed_outputs)

        return (
            self.edge.stats(), self.edge.closed, of(self.graph), [of(item) for item in self.scheduler.items],  # type: ignore[arg-type]
            self.scheduler.get_stats(), self.message, self.node.name, self.node.port_map(),
        )  # fmt: skip


# Each calls something public with a wrong value at one place.
CALLS: dict[str, Callable[[World, Any], object]] = {
    "Message type": lambda w, x: Message(x, 1),
    "Message headers": lambda w, x: Message(MessageType.DATA, 1, headers=x),
    "Message metadata": lambda w, x: Message(MessageType.DATA, 1, metadata=x),
    "Message trace id": lambda w, x: Message(MessageType.DATA, 1, headers={"trace_id": x}),
    "Message timestamp": lambda w, x: Message(MessageType.DATA, 1, headers={"timestamp": x}),
    "with_headers": lambda w, x: w.message.with_headers(trace_id=x),
    "PortSpec name": lambda w, x: PortSpec(x),
    "PortSpec schema": lambda w, x: PortSpec("a", x),
    "PortSpec policy": lambda w, x: PortSpec("a", int, x),
    "compatible_with": lambda w, x: PortSpec("a", int).compatible_with(x),
    "Port name": lambda w, x: Port(x, PortDirection.INPUT),
    "Port direction": lambda w, x: Port("a", x),
    "Coalesce": lambda w, x: Coalesce(x),
    "Coalesce key": lambda w, x: Coalesce(max, key=x),
    "Edge names": lambda w, x: Edge(x, "out", "b", "in"),
    "Edge capacity": lambda w, x: Edge("a", "out", "b", "in", x),
    "Edge spec": lambda w, x: Edge("a", "out", "b", "in", spec=x),
    "Edge policy": lambda w, x: Edge("a", "out", "b", "in", default_policy=x),
    "Edge max_bytes": lambda w, x: Edge("a", "out", "b", "in", max_bytes=x),
    "Edge sizeof": lambda w, x: Edge("a", "out", "b", "in", sizeof=x),
    "Edge ttl_s": lambda w, x: Edge("a", "out", "b", "in", ttl_s=x),
    "Edge control_capacity": lambda w, x: Edge("a", "out", "b", "in", control_capacity=x),
    "try_put policy": lambda w, x: Edge("a", "out", "b", "in").try_put(1, x),
    "put timeout": lambda w, x: Edge("a", "out", "b", "in").put(1, timeout=x),
    "put_many items": lambda w, x: Edge("a", "out", "b", "in").put_many(x),
    "get timeout": lambda w, x: w.edge.get(timeout=0 if x is None or finite(x) else x),
    "get_many": lambda w, x: w.edge.get_many(x),
    "get_many timeout": lambda w, x: w.edge.get_many(1, timeout=0 if x is None or finite(x) else x),
    "set_capacity": lambda w, x: w.edge.set_capacity(x),
    "Node name": lambda w, x: Node(x),
    "Node inputs": lambda w, x: Node("a", x),
    "Node outputs": lambda w, x: Node("a", (), x),
    "input_port": lambda w, x: w.node.input_port(x),
    "emit port": lambda w, x: w.node.emit(x, 1),
    "Subgraph name": lambda w, x: Subgraph(x),
    "from_nodes": lambda w, x: Subgraph.from_nodes("g", x),
    "add_node": lambda w, x: w.graph.add_node(x),
    "add_node name": lambda w, x: w.graph.add_node(Node("more"), x) if x is not None and x != "text" else None,
    "add_subgraph": lambda w, x: w.graph.add_subgraph(x),
    "connect source": lambda w, x: w.graph.connect(x, "collect:in"),
    "connect target": lambda w, x: w.graph.connect("map:out", x),
    "connect capacity": lambda w, x: graph().connect("map:out", "map:in", capacity=x),
    "connect policy": lambda w, x: graph().connect("map:out", "map:in", policy=x),
    "connect priority": lambda w, x: graph().connect("map:out", "map:in", priority=x),
    "connect ttl_s": lambda w, x: graph().connect("map:out", "map:in", ttl_s=x),
    "expose_input": lambda w, x: w.graph.expose_input(x, "nobody:in"),
    "expose_output": lambda w, x: w.graph.expose_output("out", x),
    "inputs_of": lambda w, x: w.graph.inputs_of(x),
    "workers": lambda w, x: SchedulerConfig(workers=x),
    "tick_interval_ms": lambda w, x: SchedulerConfig(tick_interval_ms=x),
    "fairness_ratio": lambda w, x: SchedulerConfig(fairness_ratio=x),
    "max_batch_per_node": lambda w, x: SchedulerConfig(max_batch_per_node=x),
    "outbox_limit": lambda w, x: SchedulerConfig(outbox_limit=x),
    "shutdown_timeout_s": lambda w, x: SchedulerConfig(shutdown_timeout_s=x),
    "watchdog_s": lambda w, x: SchedulerConfig(watchdog_s=x),
    "error_policy": lambda w, x: SchedulerConfig(error_policy=x),
    "config name": lambda w, x: SchedulerConfig(name=x),
    "metrics": lambda w, x: SchedulerConfig(metrics=x),
    "flight_recorder": lambda w, x: SchedulerConfig(flight_recorder=x),
    "retry attempts": lambda w, x: ErrorPolicy.retry(x),
    "retry backoff_s": lambda w, x: ErrorPolicy.retry(2, backoff_s=x),
    "retry then": lambda w, x: ErrorPolicy.retry(2, then=x),
    "dead_letter": lambda w, x: ErrorPolicy.dead_letter(x),
    "Scheduler config": lambda w, x: Scheduler(x),
    "register": lambda w, x: w.scheduler.register(x),
    "input": lambda w, x: w.scheduler.input(x),
    "output": lambda w, x: w.scheduler.output(x),
    "wait": lambda w, x: w.scheduler.wait(x),
    "shutdown drain": lambda w, x: w.scheduler.shutdown(drain=x) if not isinstance(x, bool) else None,
    "shutdown timeout": lambda w, x: scheduler_of(graph()).shutdown(timeout=x),
    "run signals": lambda w, x: w.scheduler.run(signals=x) if not empty(x) else None,
    "set_priority edge": lambda w, x: w.scheduler.set_priority(x, 2) if not isinstance(x, str) else None,  # type: ignore[arg-type]
    "set_priority band": lambda w, x: w.scheduler.set_priority("input:in->map:in", x),
    "set_capacity edge": lambda w, x: w.scheduler.set_capacity(x, 2) if not isinstance(x, str) else None,
    "scheduler set_capacity": lambda w, x: w.scheduler.set_capacity("input:in->map:in", x),
    "pause": lambda w, x: w.scheduler.pause(x) if x is not None else None,
    "resume": lambda w, x: w.scheduler.resume(x) if x is not None else None,
}


def finite(value: Any) -> bool:
    """A timeout that would really be waited."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e9


def empty(value: Any) -> bool:
    return isinstance(value, (list, tuple, set, dict, str, bytes)) and not value


def call(name: str, value: Any) -> None:
    """Make the call; it is refused in a documented way and changes nothing, or it takes the value."""
    world = World()
    before = world.fingerprint()
    try:
        CALLS[name](world, value)
    except HostileError:
        said = "passed through"
    except DOCUMENTED as error:
        said = str(error)
    else:
        return
    assert said, f"{name}: an error without a word"
    assert world.fingerprint() == before, f"{name}: refused, and changed all the same"


@pytest.mark.parametrize("name", CALLS)
def test_wrong_values_are_refused_and_change_nothing(name: str) -> None:
    for value in WRONG:
        call(name, value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(set(CALLS) - {"run signals"})), anything)
def test_drawn_values_are_refused_and_change_nothing(name: str, value: Any) -> None:
    call(name, value)


def test_the_whole_table_crashes_no_process() -> None:
    """Once more in a process of its own, with the fault handler: a crash would end it with a signal."""
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(graphflow.__file__).parents[1])]
    program = (
        f"import sys; sys.path[:0] = {folders!r}\n"
        "from test_fuzz import CALLS, WRONG, call\n"
        "[call(name, value) for name in CALLS for value in WRONG]\nprint('through')"
    )
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program], capture_output=True, text=True, timeout=110
    )
    assert (done.returncode, done.stdout) == (0, "through\n"), done.stderr
