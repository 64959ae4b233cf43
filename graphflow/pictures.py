"""Graphs as pictures: what is to be seen of a graph as it is written, or as it runs.

A `Picture` is nodes in subgraphs, and arrows with labels. `pictures_mermaid` and `pictures_dot` put it into their
languages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from graphflow.config import PriorityBand
from graphflow.placement import placed_nodes, placed_wires
from graphflow.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graphflow.placement import PlacedWire
    from graphflow.snapshot import EdgeSnapshot, NodeSnapshot
    from graphflow.subgraph import Subgraph

# Told apart with every kind of colour blindness and in print; and nothing is told by a colour alone.
BLOCKED = "#b3261e"
FILL = {
    "running": "#cfe8ff",
    "blocked": "#ffd9d6",
    "stopped": "#d9d9d9",
    "paused": "#fff3c4",
    "backing off": "#fff3c4",
}


class Box(NamedTuple):
    """A node."""

    path: str
    notes: tuple[str, ...] = ()
    state: str = ""


class Arrow(NamedTuple):
    """An edge. `source` and `target` are paths of nodes, None for an exposed port, which is named by the port."""

    source: str | None
    target: str | None
    source_port: str
    target_port: str
    notes: tuple[str, ...]
    blocked: bool = False

    def label(self) -> list[str]:
        """The ports of its nodes (an exposed port has a shape of its own), and the notes: a line each."""
        ports = [
            port
            for port, node in ((self.source_port, self.source), (self.target_port, self.target))
            if node is not None
        ]
        return [" to ".join(dict.fromkeys(ports)), ", ".join(self.notes)]


class Step(NamedTuple):
    """Of a walk through nested subgraphs: one begins, one ends, or a node."""

    what: Literal["open", "close", "box"]
    depth: int
    id: str
    name: str
    box: Box


@dataclass
class _Cluster:
    name: str
    boxes: list[tuple[str, Box]] = field(default_factory=list)
    inner: dict[str, _Cluster] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """All that is to be seen. Its parts have ids, as names hold what no language allows in one."""

    title: str
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]

    def walk(self) -> Iterator[Step]:
        """The nodes in the subgraphs that their paths name. No recursion: they may be nested deep."""
        nothing = Box("")
        count = 0
        waiting: list[_Cluster | Step] = list(reversed(self._clusters()))
        depth = 0
        while waiting:
            step = waiting.pop()
            if isinstance(step, _Cluster):
                yield Step("open", depth, f"{count}", step.name, nothing)
                count += 1
                depth += 1
                waiting.append(Step("close", depth - 1, "", step.name, nothing))
                waiting += reversed(step.inner.values())
                waiting += [Step("box", depth, id_, "", box) for id_, box in reversed(step.boxes)]
            else:
                depth -= step.what == "close"
                yield step

    def _clusters(self) -> list[_Cluster | Step]:
        top = _Cluster("")
        for number, box in enumerate(self.boxes):
            cluster = top
            *parents, _ = box.path.split("/")
            for name in parents:
                cluster = cluster.inner.setdefault(name, _Cluster(name))
            cluster.boxes.append((f"n{number}", box))
        return [*(Step("box", 0, id_, "", box) for id_, box in top.boxes), *top.inner.values()]

    def ports(self) -> Iterator[tuple[str, str]]:
        """Id and name of each exposed port."""
        for number, arrow in enumerate(self.arrows):
            if arrow.source is None or arrow.target is None:
                yield f"p{number}", arrow.source_port if arrow.source is None else arrow.target_port

    def ends(self) -> Iterator[tuple[str, str, Arrow]]:
        """Each arrow with the ids at its ends."""
        ids = {box.path: f"n{number}" for number, box in enumerate(self.boxes)}
        for number, arrow in enumerate(self.arrows):
            source = f"p{number}" if arrow.source is None else ids[arrow.source]
            target = f"p{number}" if arrow.target is None else ids[arrow.target]
            yield source, target, arrow


# ------------------------------------------------------------------------------------ as it is written


def picture_of(graph: Subgraph) -> Picture:
    """A graph as it is written: capacities, and policies and bands that are not the default."""
    boxes = [Box(path) for path, _ in placed_nodes(graph)]
    return Picture(graph.name, boxes, [_written_arrow(placed) for placed in placed_wires(graph)])


def _written_arrow(placed: PlacedWire) -> Arrow:
    edge, options = placed.wire.edge, placed.wire.options
    notes = [f"capacity {edge.capacity}"]
    if edge.max_bytes is not None:
        notes.append(f"{edge.max_bytes} bytes")
    if type(edge.default_policy).__name__ != "Block":
        notes.append(type(edge.default_policy).__name__)
    if options.band is not PriorityBand.NORMAL:
        notes.append(options.band.name)
    return Arrow(placed.source, placed.target, edge.source_port, edge.target_port, tuple(notes))


# ------------------------------------------------------------------------------------ as it runs


def live_picture(now: Snapshot, since: Snapshot | None) -> Picture:
    """A scheduler as it runs. Rates are of the time since `since`, or since the run began. TypeError for what is no
    Snapshot."""
    if since is not None and not isinstance(since, Snapshot):
        raise TypeError(f"since must be a Snapshot or None, not {since!r}")
    seconds = now.run_s if since is None else now.time - since.time
    boxes = [Box(node.path, _node_notes(node), node.state) for node in now.nodes.values()]
    arrows = [_live_arrow(edge, rate_of(edge, since, seconds)) for edge in now.edges.values()]
    return Picture(f"{now.graph}: {now.status}", boxes, arrows)


def _live_arrow(edge: EdgeSnapshot, rate: float) -> Arrow:
    notes = [f"{edge.depth}/{edge.capacity}", f"{short(rate)}/s"]
    if edge.band != "normal":
        notes.append(edge.band.upper())
    if edge.deferred:
        notes.append(f"{edge.deferred} deferred")
    if is_blocked(edge):
        notes.append("BLOCKED")
    source, _, target = edge.id.partition("->")
    source_port, target_port = source.rpartition(":")[2], target.rpartition(":")[2]
    return Arrow(edge.source, edge.target, source_port, target_port, tuple(notes), is_blocked(edge))


def is_blocked(edge: EdgeSnapshot) -> bool:
    """Does somebody want to put something into the edge, and finds no room?"""
    return edge.blocked_now or edge.deferred > 0


def rate_of(edge: EdgeSnapshot, since: Snapshot | None, seconds: float) -> float:
    """Messages taken from an edge a second."""
    before = since.edges.get(edge.id) if since is not None else None
    taken = edge.delivered - (0 if before is None else before.delivered)
    return max(taken, 0) / seconds if seconds > 0 else 0.0  # a restart counts from zero


def _node_notes(node: NodeSnapshot) -> tuple[str, ...]:
    if node.errors:
        return (node.state, f"{node.errors} error{'s' if node.errors > 1 else ''}")
    return (node.state,)


def short(number: float) -> str:
    """A number in a few characters."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
