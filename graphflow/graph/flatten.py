"""What a graph holds at all its levels, with full paths as seen from its outermost subgraph.

A node "tok" in the nested subgraph "parse" has the path "parse/tok". Nothing here recurses: a graph
may be nested as deep as memory allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphflow.graph.node import Node
    from graphflow.graph.subgraph import Subgraph
    from graphflow.graph.wiring import Wire


class PlacedWire(NamedTuple):
    """An edge with the full paths of the nodes at its ends, None for the outside of the graph."""

    source: str | None
    target: str | None
    wire: Wire

    @property
    def id(self) -> str:
        """The id that the edge has in a run."""
        edge = self.wire.edge
        source = "input" if self.source is None else self.source
        target = "output" if self.target is None else self.target
        return f"{source}:{edge.source_port}->{target}:{edge.target_port}"


def walk(graph: Subgraph) -> Iterator[tuple[str, Subgraph]]:
    """The subgraph and all nested ones, each with what the paths of its nodes begin with."""
    waiting = [("", graph)]
    while waiting:
        prefix, each = waiting.pop()
        yield prefix, each
        nested = [(f"{prefix}{name}/", sub) for name, sub in each.subgraphs.items()]
        waiting += reversed(nested)


def placed_nodes(graph: Subgraph) -> Iterator[tuple[str, Node]]:
    """All nodes with their paths, in the order added; a nested subgraph's stand in its place."""
    open_levels = [("", graph, iter(graph.members))]
    while open_levels:
        prefix, level, names = open_levels[-1]
        for name in names:
            nested = level.subgraphs.get(name)
            if nested is not None:
                open_levels.append((f"{prefix}{name}/", nested, iter(nested.members)))
                break
            yield prefix + name, level.nodes[name]
        else:
            open_levels.pop()


def placed_wires(graph: Subgraph) -> Iterator[PlacedWire]:
    """The edges that a run uses: own connections, nested ones, those of exposed ports.

    A subgraph that is nested in another has no edges for its exposed ports.
    """
    for prefix, each in walk(graph):
        for wire in each.connections:
            yield _placed(prefix, wire)
    if graph.outer is None:
        for wire in graph.exposures:
            yield _placed("", wire)


def _placed(prefix: str, wire: Wire) -> PlacedWire:
    source = None if wire.source is None else prefix + wire.source.place.path
    target = None if wire.target is None else prefix + wire.target.place.path
    return PlacedWire(source, target, wire)
