"""The picture of a graph as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow.draw.picture import Arrow, Box, Picture
from graphflow.graph.flatten import placed_nodes, placed_wires
from graphflow.graph.priority import PriorityBand

if TYPE_CHECKING:
    from graphflow.graph.flatten import PlacedWire
    from graphflow.graph.subgraph import Subgraph


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
