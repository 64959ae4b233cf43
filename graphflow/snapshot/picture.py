"""The picture of a scheduler as it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow.draw.picture import Arrow, Box, Picture
from graphflow.snapshot.values import Snapshot

if TYPE_CHECKING:
    from graphflow.snapshot.values import EdgeSnapshot, NodeSnapshot


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
