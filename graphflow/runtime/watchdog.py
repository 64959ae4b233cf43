"""Names what stands still: which hook does not return, which edge nobody takes from, and who waits for it.

The keeper calls `look` a few times in `watchdog_s`, while anything in the graph is busy. A look compares counts with
those of the looks before: what has not moved for `watchdog_s` stands still. Everything that waits for the same root is
one stall, which is logged once when it is found and once when it has cleared.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from graphflow.base.events import say
from graphflow.core.introspect.seen import EdgeSeen, HookSeen, NodeSeen, Observation
from graphflow.runtime.stacks import stack_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

log: logging.Logger = logging.getLogger("graphflow.watchdog")

Kind = Literal["hook", "cycle", "paused", "stopped", "unread", "unheard", "unknown"]


@dataclass(slots=True)
class Stall:
    """A root, and what waits for it."""

    kind: Kind
    node: str | None
    edge_id: str | None
    since: float
    cause: str
    chain: list[str] = field(default_factory=list)
    stack: str = ""

    def to_dict(self, now: float) -> dict[str, Any]:
        """For get_stats()."""
        return {
            "kind": self.kind,
            "node": self.node,
            "edge_id": self.edge_id,
            "seconds": now - self.since,
            "chain": list(self.chain),
            "stack": self.stack,
        }


class Watchdog:
    """Remembers what has moved, and what it has said. Only the keeper calls `look`."""

    def __init__(self, watchdog_s: float, graph: str = "") -> None:
        self.watchdog_s = watchdog_s
        self.graph = graph  # the scheduler's name, for logs
        self._hooks: dict[tuple[str, int], float] = {}  # when each was first seen
        self._rests: dict[tuple[str, int], tuple[int, float]] = {}  # how often each has rested, and since when so often
        self._unheard: dict[str, tuple[float, int, float]] = {}  # since when; hooks begun, and since when so many
        self._edges: dict[str, tuple[int, float]] = {}  # how many were taken, and since when so many
        self._dropped: dict[str, tuple[int, float]] = {}  # the same for drops into the edges of stopped nodes
        self._stalls: dict[tuple[str, ...], Stall] = {}  # what has been reported, by root

    def look(self, now: float, observation: Observation) -> list[str | None]:
        """Compare with what was seen before, report what is new and what has cleared. Returns the nodes of new
        stalls."""
        hooks, _, edges = observation
        self._hooks = {(hook.node, hook.number): self._hooks.get((hook.node, hook.number), now) for hook in hooks}
        self._rests = {
            (hook.node, hook.number): _since(self._rests.get((hook.node, hook.number)), hook.rests, now)
            for hook in hooks
        }
        self._edges = {edge.id: _since(self._edges.get(edge.id), edge.taken, now) for edge in edges if _holds(edge)}
        found = dict(self._judge(now, observation))
        before, self._stalls = self._stalls, found
        for key, stall in found.items():
            if key not in before:
                self._report(now, stall)
        for key, stall in before.items():
            if key not in found:
                self._clear(now, stall)
        return [stall.node for key, stall in found.items() if key not in before]

    def stalls(self, now: float) -> list[dict[str, Any]]:
        """What stands still now."""
        return [stall.to_dict(now) for stall in list(self._stalls.values())]

    # ------------------------------------------------------------------------------------ judging

    def _judge(self, now: float, observation: Observation) -> Iterator[tuple[tuple[str, ...], Stall]]:
        hooks, nodes, edges = observation
        roots: dict[tuple[str, ...], Stall] = {}
        chains: dict[tuple[str, ...], list[list[str]]] = {}
        for hook in hooks:
            if not hook.resting and now - self._rests[hook.node, hook.number][1] >= self.watchdog_s:
                roots.update([self._hook_root(hook, edges)])
        tracer = _Tracer(hooks, nodes, edges)
        for edge in edges:
            if not _holds(edge) or now - self._edges[edge.id][1] < self.watchdog_s or not tracer.judged(edge):
                continue
            trail = tracer.trail(edge)
            root = self._root_at_the_end_of(trail, now, edges)
            if root is not None:
                roots.setdefault(*root)
                chains.setdefault(root[0], []).append(trail.steps)
        roots.update(self._dropped_into(now, nodes, edges))
        roots.update(self._working_for_nobody(now, nodes.values()))
        for key, stall in roots.items():
            known = self._stalls.get(key)
            stall.since = known.since if known is not None else stall.since
            stall.chain = max(chains.get(key, [[]]), key=len)
            yield key, stall

    def _hook_root(self, hook: HookSeen, edges: Iterable[EdgeSeen]) -> tuple[tuple[str, ...], Stall]:
        since = self._hooks[hook.node, hook.number]
        held = max((edge for edge in edges if edge.target == hook.node), key=lambda edge: edge.depth, default=None)
        where = f"{hook.hook}, where it rests in sleep()," if hook.resting or hook.rests else hook.hook
        cause = f"node {hook.node!r} has not returned from {where}" + (f" and holds edge {held}" if held else "")
        stall = Stall("hook", hook.node, held.id if held else None, since, cause)
        stall.stack = stack_of(hook.thread, hook.body)
        return ("hook", hook.node, str(hook.number)), stall

    def _root_at_the_end_of(
        self, trail: _Trail, now: float, edges: Iterable[EdgeSeen]
    ) -> tuple[tuple[str, ...], Stall] | None:
        """What the chain of waits ends in; None if that moves, or is not to be reported."""
        edge, node = trail.edge, trail.node
        since = self._edges[edge.id][1] if edge.id in self._edges else now
        if trail.hooks:
            hook = min(trail.hooks, key=lambda each: self._hooks[each.node, each.number])
            if now - self._hooks[hook.node, hook.number] < self.watchdog_s:
                return None
            if hook.node != edge.target:  # it waits for the worker
                trail.steps.append(hook.node)
            return self._hook_root(hook, edges)
        if trail.cycle:
            cause = "every edge of a cycle waits for room: " + " -> ".join(map(str, trail.cycle))
            first = min(trail.cycle, key=lambda each: each.id)
            since = max(self._edges[each.id][1] if each.id in self._edges else now for each in trail.cycle)
            return ("cycle", first.id), Stall("cycle", first.target, first.id, since, cause)
        if edge.target is None:
            cause = f"nobody reads the output {edge}"
            return ("unread", edge.id), Stall("unread", edge.source, edge.id, since, cause)
        if node is None or node.resting:
            return None
        if node.paused:
            cause = f"node {node.path!r} is paused and holds edge {edge}"
            return ("paused", node.path), Stall("paused", node.path, edge.id, since, cause)
        cause = f"node {node.path!r} does not take from {edge}, and there is no reason that it should not"
        return ("unknown", edge.id), Stall("unknown", node.path, edge.id, since, cause)

    def _dropped_into(
        self, now: float, nodes: dict[str, NodeSeen], edges: Iterable[EdgeSeen]
    ) -> Iterator[tuple[tuple[str, ...], Stall]]:
        """Edges of stopped nodes that messages went on being dropped into."""
        before = self._dropped
        self._dropped = {}
        for edge in edges:
            node = nodes.get(edge.target or "")
            if node is None or not node.stopped:
                continue
            # What the stop itself dropped is nobody's mistake.
            count, since = self._dropped[edge.id] = _since(before.get(edge.id), edge.dropped_closed, now)
            grown = edge.id in before and count > before[edge.id][0]
            if grown or (("stopped", edge.id) in self._stalls and now - since < self.watchdog_s):
                error = f" by {node.error}" if node.error else ""
                cause = (
                    f"node {node.path!r} was stopped{error}, and what is sent to it is dropped: "
                    f"{edge.dropped_closed} so far on {edge.id}"
                )
                yield ("stopped", edge.id), Stall("stopped", node.path, edge.id, now, cause)

    def _working_for_nobody(self, now: float, nodes: Iterable[NodeSeen]) -> Iterator[tuple[tuple[str, ...], Stall]]:
        """Nodes that have gone on for a while although all their outputs are closed."""
        before = self._unheard
        self._unheard = {}
        for node in nodes:
            if not node.unheard:
                continue
            first, begun, since = before.get(node.path, (now, node.begun, now))
            if node.begun != begun:
                begun, since = node.begun, now
            self._unheard[node.path] = (first, begun, since)
            if now - first >= self.watchdog_s and now - since < self.watchdog_s:
                cause = (
                    f"node {node.path!r} works on, and all its outputs are closed: what it emits is dropped; let it "
                    f"end with them (ends_with_outputs = True), or say that it is to go on (False)"
                )
                yield ("unheard", node.path), Stall("unheard", node.path, None, first, cause)

    # ------------------------------------------------------------------------------------ saying so

    def _report(self, now: float, stall: Stall) -> None:
        lasted = f" for {now - stall.since:.3g} s" if stall.since < now else ""
        message = f"stalled{lasted}: {stall.cause}"
        if stall.chain:
            message += f"; the chain of waits: {' -> '.join(stall.chain)}"
        if stall.stack:
            message += f"\n{stall.stack.rstrip()}"
        self._say("stall", message, now, stall)

    def _clear(self, now: float, stall: Stall) -> None:
        seconds = f"{now - stall.since:.3g} s"
        where = f"node {stall.node!r}" + (f", edge {stall.edge_id}" if stall.edge_id is not None else "")
        self._say("stall_cleared", f"no longer stalled after {seconds}: {where}", now, stall)

    def _say(self, event: str, message: str, now: float, stall: Stall) -> None:
        about = {"kind": stall.kind, "node": stall.node, "edge_id": stall.edge_id, "seconds": now - stall.since}
        say(log, event, "%s", message, graph=self.graph, **about)


def _holds(edge: EdgeSeen) -> bool:
    return edge.depth > 0 or edge.deferred > 0


def _since(before: tuple[int, float] | None, count: int, now: float) -> tuple[int, float]:
    """The count, and since when it has been so."""
    return before if before is not None and before[0] == count else (count, now)


@dataclass(slots=True)
class _Trail:
    """From an edge along what each node waits for, to the edge and node where the waiting ends."""

    edge: EdgeSeen
    node: NodeSeen | None
    steps: list[str]
    hooks: list[HookSeen]
    cycle: list[EdgeSeen]


class _Tracer:
    """Follows the waits of one observation."""

    def __init__(self, hooks: list[HookSeen], nodes: dict[str, NodeSeen], edges: list[EdgeSeen]) -> None:
        self._nodes = nodes
        self._hooks = hooks
        self._full: dict[str, list[EdgeSeen]] = {}  # the edges that a node waits for room in
        for edge in edges:
            if edge.deferred and edge.source is not None:
                self._full.setdefault(edge.source, []).append(edge)

    def judged(self, edge: EdgeSeen) -> bool:
        """An output counts when its node waits for room in it; what has entered it has left the graph."""
        return edge.deferred > 0 if edge.target is None else edge.depth > 0

    def trail(self, edge: EdgeSeen) -> _Trail:
        trail = _Trail(edge, None, [], [], [])
        passed: list[EdgeSeen] = []
        while True:
            trail.edge = edge
            trail.steps.append(str(edge))
            passed.append(edge)
            node = trail.node = self._nodes.get(edge.target) if edge.target is not None else None
            if edge.target is None:
                return trail
            trail.steps.append(edge.target)
            if node is None:
                return trail
            trail.hooks = self._holders(node)
            if trail.hooks or not node.waits_for_room or node.path not in self._full:
                return trail
            edge = self._full[node.path][0]
            if edge in passed:
                trail.cycle = passed[passed.index(edge) :]
                return trail

    def _holders(self, node: NodeSeen) -> list[HookSeen]:
        """The hooks that keep a node from taking: its own, or those of all the workers that it waits for."""
        if node.running:
            return [hook for hook in self._hooks if hook.node == node.path]
        if node.ready:
            return [hook for hook in self._hooks if hook.crew == node.crew]
        return []
