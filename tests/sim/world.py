"""What a seed has drawn, and what must hold of it when all is over."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from carried import came_from, check_contexts
from members import STAGED, UNORDERED, Member, Route, Several

from graphflow import SchedulerConfig
from graphflow.testing import Fault, HandlerRaises

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphflow import Scheduler, Subgraph


@dataclass
class World:
    """What a seed has drawn."""

    graph: Subgraph
    threads: list[Callable[[Scheduler], object]]
    faults: list[Fault]
    until: float
    interleave: Any
    seed: int
    config: SchedulerConfig = field(default_factory=SchedulerConfig)
    sure: dict[tuple[str, str], bool] = field(default_factory=dict)  # (from, to): nothing is lost on the way
    sent: dict[str, list[Route]] = field(default_factory=dict)  # by feeder
    controls: dict[str, int] = field(default_factory=dict)  # by feeder
    read: dict[str, list[Route]] = field(default_factory=dict)  # by output
    carries: dict[tuple[str, str], bool] = field(default_factory=dict)  # (from, to): context is carried along
    carrying_inputs: set[str] = field(default_factory=set)  # members whose exposed input carries context along
    at_once: set[str] = field(default_factory=set)  # feeders that put many at once
    loose: set[str] = field(default_factory=set)  # who reads an edge that conflates by key: no order there
    rounds: set[str] = field(default_factory=set)  # members that a way back leads to
    stops: list[str] = field(default_factory=list)  # members, in the order in which they stopped
    drained: bool = True  # nobody asks for a stop without a drain
    patient: bool = True  # a stop has time enough for every hook

    @property
    def members(self) -> dict[str, Member]:
        return {node.name: node for node in self.graph.nodes.values() if isinstance(node, Member)}

    def check(self, scheduler: Scheduler) -> None:
        """What must hold beyond the simulation's own rules."""
        members = self.members
        for node in members.values():
            self._check_routes(node.name, node.seen, members)
            self._check_refusals(node)
        for name, seen in self.read.items():
            self._check_routes(name, seen, members)
        self._check_offers(members)
        check_contexts(self)
        if self.patient:
            self._check_stops(members)
        if not self.drained:
            return
        self._check_drains(members)
        for (source, target), sure in self.sure.items():
            arrived = members[target].seen if target in members else self.read.get(target, [])
            sent = members[source].sent if source in members else self.sent[source]
            came = [route for route in arrived if came_from(route) == source]
            assert set(came) <= set(sent), f"{target} got from {source} what it never sent"
            if sure and not self._may_miss(members.get(source), members.get(target)):
                assert sorted(came) == sorted(set(sent)), (
                    f"{target} got {len(came)} of the {len(sent)} messages that {source} sent it: "
                    f"{sorted(set(sent) - set(came))[:3]} are missing"
                )

    def _check_routes(self, name: str, seen: list[Route], members: dict[str, Member]) -> None:
        """On each route the numbers rise, but for nodes and edges that give no order."""
        loose = self.loose | {node.name for node in members.values() if node.kind in UNORDERED}
        noted_at_once = name in members and members[name].kind in ("concurrent", *UNORDERED)
        by_route = defaultdict(list)
        for origin, number, *passed in seen:
            by_route[origin, *passed].append(number)
        for route, numbers in by_route.items():
            assert len(set(numbers)) == len(numbers), f"{name}: a message of {route} came twice: {numbers}"
            if not (noted_at_once or loose.intersection([name, *route[1:]])):
                assert numbers == sorted(numbers), f"{name}: messages of {route} came out of order: {numbers}"

    def _check_refusals(self, node: Member) -> None:
        """An emit is refused only where the outbox may really have been full."""
        edges = self.edges_of(node)
        most = most_waiting(node, edges)
        limit = max(self.config.outbox_limit, edges)
        assert node.refused == 0 or limit < most, (
            f"{node.name} was refused {node.refused} emits: outbox_limit is {limit}, "
            f"and no more than {most} messages can have waited there"
        )

    def edges_of(self, node: Member) -> int:
        """How many edges leave a member."""
        return sum(edge.source_node == node.name for edge in self.graph.edges)

    def _check_offers(self, members: dict[str, Member]) -> None:
        """Every edge was offered what was sent there, once: also what a stop has left."""
        entered: dict[str, int] = defaultdict(int)
        for name, routes in self.sent.items():
            entered[name.partition("-")[2]] += len(routes) + self.controls[name]
        for edge in self.graph.edges:
            source = members.get(edge.source_node)
            sent = len(source.sent) + len(source.controls) if source is not None else entered[edge.target_node]
            offered = edge.stats().offered
            exact = source is None or not (source.kind in STAGED or source.refused or not self.patient)
            assert offered == sent or (offered < sent and not exact), (
                f"edge {edge.id} counts {offered} messages as offered, and {sent} were sent there"
            )

    def _check_stops(self, members: dict[str, Member]) -> None:
        """Every member that was started has stopped, after those that it feeds."""
        places = {name: place for place, name in enumerate(self.stops)}
        started = {node.name for node in members.values() if node.starts}
        assert set(places) == started, f"stopped are {sorted(places)}, and started were {sorted(started)}"
        for edge in self.graph.edges:
            if {edge.source_node, edge.target_node} <= started and not self.rounds:
                assert places[edge.target_node] < places[edge.source_node], (
                    f"{edge.source_node} was stopped before {edge.target_node}, which it feeds"
                )

    def _check_drains(self, members: dict[str, Member]) -> None:
        """on_drain came once, after every message."""
        for node in members.values():
            drains = node.seen_at_drain
            assert len(drains) == node.drains, f"on_drain of {node.name} was called {len(drains)} times"
            if node.drains and not self.rounds:
                assert len(node.seen) == drains[0], f"{node.name} was given messages after its on_drain"

    def _may_miss(self, source: Member | None, target: Member | None) -> bool:
        """Is there another reason why the target has not noted what the source has?"""
        if source is not None and source.refused:
            return True
        failing = any(isinstance(fault, HandlerRaises) for fault in self.faults)
        return (target is not None and failing) or (source is not None and source.kind in STAGED and failing)


def most_waiting(node: Member, edges: int) -> int:
    """How many copies of what a member emits can be in its outbox, or be kept by handlers that have not returned: those
    of a data message, of a control message, and, where it works on several at once, of each and of each that leaves.
    What generators yield beyond that waits for room."""
    if isinstance(node, Several):
        return 0
    if node.max_concurrency == 1:
        return edges * (1 + bool(node.controls))
    return edges * (2 * node.max_concurrency + 3)
