"""What a seed has drawn, and what must hold of it when all is over."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from members import STAGED, Member, Route

from graphflow.testing import Fault, HandlerRaises

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphflow import Scheduler, SchedulerConfig, Subgraph


@dataclass
class World:
    """What a seed has drawn."""

    graph: Subgraph
    config: SchedulerConfig
    threads: list[Callable[[Scheduler], object]]
    faults: list[Fault]
    until: float
    interleave: Any
    sure: dict[tuple[str, str], bool] = field(default_factory=dict)  # (from, to): nothing is lost on the way
    sent: dict[str, list[Route]] = field(default_factory=dict)  # by feeder
    read: dict[str, list[Route]] = field(default_factory=dict)  # by output
    loose: set[str] = field(default_factory=set)  # who reads an edge that conflates by key: no order there
    drained: bool = True  # nobody asks for a stop without a drain

    def check(self, scheduler: Scheduler) -> None:
        """What must hold beyond the simulation's own rules."""
        members = {node.name: node for node in self.graph.nodes.values() if isinstance(node, Member)}
        for node in members.values():
            self._check_routes(node.name, node.seen, members)
        for name, seen in self.read.items():
            self._check_routes(name, seen, members)
        if not self.drained:
            return
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
        loose = self.loose | {node.name for node in members.values() if node.kind == "unordered"}
        noted_at_once = name in members and members[name].kind in ("concurrent", "unordered")
        by_route = defaultdict(list)
        for origin, number, *passed in seen:
            by_route[origin, *passed].append(number)
        for route, numbers in by_route.items():
            assert len(set(numbers)) == len(numbers), f"{name}: a message of {route} came twice: {numbers}"
            if not (noted_at_once or loose.intersection([name, *route[1:]])):
                assert numbers == sorted(numbers), f"{name}: messages of {route} came out of order: {numbers}"

    def _may_miss(self, source: Member | None, target: Member | None) -> bool:
        """Is there another reason why the target has not noted what the source has?"""
        failing = any(isinstance(fault, HandlerRaises) for fault in self.faults)
        return (target is not None and failing) or (source is not None and source.kind in STAGED and failing)


def came_from(route: Route) -> str:
    """The node or thread that sent a payload on its last leg."""
    return str(route[-1] if len(route) > 2 else route[0])
