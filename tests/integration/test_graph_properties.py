"""Any acyclic graph, with any policies, emit counts and workers, keeps its counts, its order and Block's promise."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

from graphs import DEADLINE_S, Source, assert_graph_conserved, scheduler_of, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow import Message, Node, Scheduler, ShutdownReport, Subgraph, block, coalesce, drop, latest

POLICIES: dict[str, Any] = {"block": block, "drop": drop, "latest": latest, "coalesce": lambda: coalesce(newest)}
EXAMPLES = settings(max_examples=200, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])


def newest(old: Any, new: Any) -> Any:
    return new


@dataclass(frozen=True)
class Wire:
    """An edge into a node, from an earlier node or a source."""

    source: int
    policy: str
    capacity: int


@dataclass(frozen=True)
class Plan:
    """A graph that was drawn: what sources send, and for each node how much it emits a message and what feeds it."""

    sources: tuple[int, ...]
    nodes: tuple[tuple[int, bool, tuple[Wire, ...]], ...]  # emit count, generator, wires
    workers: int
    batch: int


class Stop:
    """Ends a run without a drain once so many messages were begun: from inside the last's handler, or from outside.

    A count shrinks and comes again with the same seed; a time would do neither.
    """

    def __init__(self, at: int, inside: bool) -> None:
        self.at, self.inside = at, inside
        self.scheduler: Scheduler | None = None
        self.reached = threading.Event()
        self._numbers = itertools.count()

    def count(self) -> None:
        if next(self._numbers) == self.at:
            self.reached.set()
            if self.inside and self.scheduler is not None:
                self.scheduler.shutdown(drain=False, timeout=DEADLINE_S)


class Pass(Node):
    """Emits each message so many times, marked with its name and the copy's number; notes what it sees and sends."""

    inputs: Any = "in"
    outputs: Any = "out"

    def __init__(self, name: str, copies: int) -> None:
        super().__init__(name)
        self.copies = copies
        self.seen: list[Any] = []
        self.sent: list[Any] = []
        self.stop: Stop | None = None

    def note(self, payload: Any) -> None:
        self.seen.append(payload)
        if self.stop is not None:
            self.stop.count()

    def on_message(self, port: str, msg: Message) -> Any:
        self.note(msg.payload)
        for copy in range(self.copies):
            self.sent.append((self.name, copy, msg.payload))
            self.emit("out", self.sent[-1])


class Yield(Pass):
    def on_message(self, port: str, msg: Message) -> Any:
        self.note(msg.payload)
        for copy in range(self.copies):
            self.sent.append((self.name, copy, msg.payload))
            yield self.sent[-1]


@st.composite
def plans(draw: st.DrawFn, policies: tuple[str, ...] = tuple(POLICIES)) -> Plan:
    sources = tuple(draw(st.lists(st.integers(0, 30), min_size=1, max_size=2)))
    nodes: list[tuple[int, bool, tuple[Wire, ...]]] = []
    for _ in range(draw(st.integers(1, 5))):
        earlier = st.integers(0, len(sources) + len(nodes) - 1)
        feeders = draw(st.lists(earlier, min_size=1, max_size=2, unique=True))
        wires = tuple(
            Wire(feeder, draw(st.sampled_from(policies)), draw(st.sampled_from([1, 2, 5, 100]))) for feeder in feeders
        )
        nodes.append((draw(st.integers(0, 3)), draw(st.booleans()), wires))
    return Plan(sources, tuple(nodes), draw(st.sampled_from([1, 2, 8])), draw(st.sampled_from([1, 3, 64])))


def build(plan: Plan) -> tuple[Subgraph, list[Node]]:
    graph = Subgraph("drawn")
    made: list[Node] = []
    for number, count in enumerate(plan.sources):
        made.append(Source(f"source{number}", [(f"source{number}", each, None) for each in range(count)]))
    for number, (copies, generator, _) in enumerate(plan.nodes):
        made.append((Yield if generator else Pass)(f"node{number}", copies))
    for node in made:
        graph.add_node(node)
    for (_, _, wires), node in zip(plan.nodes, made[len(plan.sources) :], strict=True):
        for wire in wires:
            policy = POLICIES[wire.policy]()
            graph.connect((made[wire.source].name, "out"), (node.name, "in"), capacity=wire.capacity, policy=policy)
    return graph, made


def sent_by(node: Node) -> list[Any]:
    return list(node.items) if isinstance(node, Source) else node.sent  # type: ignore[attr-defined]


def run(plan: Plan, graph: Subgraph, stop: Stop | None = None) -> tuple[Scheduler, ShutdownReport]:
    scheduler = scheduler_of(graph, workers=plan.workers, max_batch_per_node=plan.batch)
    if stop is not None:
        stop.scheduler = scheduler
        for node in graph.nodes.values():
            if isinstance(node, Pass):
                node.stop = stop
    scheduler.start()
    if stop is not None and not stop.inside:
        until(lambda: stop.reached.is_set() or not scheduler.is_running())
        scheduler.shutdown(drain=False, timeout=DEADLINE_S)
    report = scheduler.wait(DEADLINE_S)
    assert_graph_conserved(graph)
    return scheduler, report


def check_edges(graph: Subgraph, made: list[Node], whole: bool) -> None:
    """What came over each edge is part of what was sent there, in its order; all of it, where the edge blocks."""
    nodes = {node.name: node for node in made}
    for edge in graph.edges:
        target: Any = nodes[edge.target_node]
        came = [payload for payload in target.seen if payload[0] == edge.source_node]
        sent = sent_by(nodes[edge.source_node])
        rest = iter(sent)
        assert all(payload in rest for payload in came), f"{edge.id}: out of order, or twice"
        assert edge.stats().delivered == len(came)
        assert edge.stats().peak_depth <= edge.capacity
        if whole and type(edge.default_policy) is type(block()):
            assert came == sent, f"{edge.id}: {len(came)} of {len(sent)}"


@EXAMPLES
@given(plans())
def test_any_graph_conserves_orders_and_bounds(plan: Plan) -> None:
    graph, made = build(plan)
    _, report = run(plan, graph)
    assert report.complete
    assert not report.undelivered
    check_edges(graph, made, whole=True)
    for edge in graph.edges:
        stats = edge.stats()
        assert stats.offered == len(sent_by(next(node for node in made if node.name == edge.source_node)))
        assert stats.depth == stats.undelivered == 0


@EXAMPLES
@given(plans(("block",)))
def test_a_graph_that_blocks_delivers_everything(plan: Plan) -> None:
    """How often each node sees a message follows from the graph alone."""
    graph, made = build(plan)
    run(plan, graph)
    counts = list(plan.sources)
    for copies, _, wires in plan.nodes:
        counts.append(copies * sum(counts[wire.source] for wire in wires))
    for node, (copies, _, wires) in zip(made[len(plan.sources) :], plan.nodes, strict=True):
        seen: Any = node.seen  # type: ignore[attr-defined]
        assert len(seen) == sum(counts[wire.source] for wire in wires)
        assert max(Counter(seen).values(), default=1) == 1
        assert len(sent_by(node)) == copies * len(seen)


@EXAMPLES
@given(plans(), st.integers(0, 60), st.booleans())
def test_a_stop_at_any_moment_leaves_nothing_unaccounted(plan: Plan, at: int, inside: bool) -> None:
    graph, made = build(plan)
    stop = Stop(at, inside)
    scheduler, report = run(plan, graph, stop)
    seen = sum(len(node.seen) for node in made if isinstance(node, Pass))
    assert stop.reached.is_set() is (seen > at)
    assert stop.reached.is_set() or report.complete, "a run that came to its end before is whole"
    check_edges(graph, made, whole=False)
    assert report.abandoned == ()
    snapshot = scheduler.snapshot()
    for edge in graph.edges:
        stats = edge.stats()
        assert stats.depth == 0
        assert stats.undelivered == report.undelivered.get(edge.id, 0)
        source = next(node for node in made if node.name == edge.source_node)
        if isinstance(source, Pass) and not isinstance(source, Yield):  # a generator may have been closed at its yield
            assert stats.offered == len(source.sent), f"{edge.id}: something emitted was not counted"
    for node in snapshot.nodes.values():
        delivered = sum(edge.delivered for edge in snapshot.edges.values() if edge.target == node.path)
        assert delivered == node.messages + node.in_handler + node.held
