"""A registered graph laid out flat for a run: nodes in start order, and the edges between them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from graphflow.base.issues import ValidationIssue, error, warning
from graphflow.graph.components import topological_groups
from graphflow.graph.flatten import PlacedWire, placed_nodes, placed_wires
from graphflow.graph.node import Node
from graphflow.graph.subgraph import Subgraph
from graphflow.graph.validation.checks import check_constructed, check_exposed_is_new, check_node_is_new
from graphflow.graph.validation.node_settings import check_handler
from graphflow.graph.validation.whole_graph import validate_node

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from graphflow.core.edges.edge import Edge
    from graphflow.graph.priority import PriorityBand


@dataclass(frozen=True, slots=True)
class PlacedNode:
    """A node and the path that names it in this run."""

    path: str
    node: Node


@dataclass(frozen=True, slots=True)
class Link:
    """An edge and the nodes at its ends, as indices into `Plan.nodes`.

    An edge of an exposed input has no source, one of an exposed output no target; `exposed` is the
    name it is exposed under; `carries` where the putter's context goes along. The ports are
    `edge.source_port` and `edge.target_port`.
    """

    edge: Edge
    source: int | None
    target: int | None
    band: PriorityBand
    exposed: str | None
    carries: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run needs to know of its graph.

    `nodes` are in topological order, those of a cycle in the order added. `groups` are the strongly
    connected groups in the same order: a node by itself, or the nodes of a cycle.
    """

    nodes: tuple[PlacedNode, ...]
    groups: tuple[tuple[int, ...], ...]
    links: tuple[Link, ...]


def plan(items: Sequence[Subgraph | Node]) -> Plan:
    """Lay out what was registered, in which `check` has found no error.

    Gives every edge its full path names. The name of a registered subgraph is no part of them,
    those of the subgraphs nested in it are.
    """
    found = [PlacedNode(path, node) for item in items for path, node in nodes_of(item)]
    wires = [wire for item in items if isinstance(item, Subgraph) for wire in placed_wires(item)]
    inserted = {placed.path: index for index, placed in enumerate(found)}
    successors: list[list[int]] = [[] for _ in found]
    for source, target, _ in wires:
        if source is not None and target is not None:
            successors[inserted[source]].append(inserted[target])

    order = topological_groups(successors)
    nodes = tuple(found[index] for group in order for index in group)
    position = {placed.path: index for index, placed in enumerate(nodes)}
    groups = tuple(tuple(position[found[index].path] for index in group) for group in order)
    return Plan(nodes, groups, tuple(_link(wire, position) for wire in wires))


def nodes_of(item: Subgraph | Node) -> Sequence[tuple[str, Node]]:
    """The nodes of what is registered, with the paths that name them in a run."""
    return [(item.name, item)] if isinstance(item, Node) else list(placed_nodes(item))


def _link(placed: PlacedWire, position: dict[str, int]) -> Link:
    source, target, wire = placed
    wire.edge._relocate(placed.source or "input", placed.target or "output")
    return Link(
        wire.edge,
        None if source is None else position[source],
        None if target is None else position[target],
        wire.options.band,
        wire.exposed,
        wire.carries_context(),
    )


def check(items: Sequence[Subgraph | Node]) -> list[ValidationIssue]:
    """All issues of what was registered: those of each item, and those between them."""
    issues: list[ValidationIssue] = []
    for item in items:
        issues += check_constructed(item) or (validate_node(item) if isinstance(item, Node) else _check_root(item))
    # What has a class that forgot super().__init__ has been reported, and has no name to compare.
    sound = [item for item in items if not check_constructed(item)]
    return issues + _check_together(sound)


def check_handlers(items: Sequence[Subgraph | Node]) -> list[ValidationIssue]:
    """NO_HANDLER for each node that hears nothing, in what `check` has found no error in."""
    return [issue for item in items for path, node in nodes_of(item) for issue in check_handler(path, node)]


def check_outboxes(items: Sequence[Subgraph | Node], outbox_limit: int) -> list[ValidationIssue]:
    """SMALL_OUTBOX for each port of which the edges are more than an outbox of that limit could hold a copy for."""
    wires = [placed for item in items if isinstance(item, Subgraph) for placed in placed_wires(item)]
    edges = Counter((source, wire.edge.source_port) for source, _, wire in wires if source is not None)
    return [
        warning(
            "SMALL_OUTBOX",
            f"output port {port!r} of node {path!r} has {count} edges, and outbox_limit is {outbox_limit}: where all "
            f"are full not even one message could be kept for them. The node gets the limit that lets each call emit "
            f"one; raise outbox_limit in SchedulerConfig",
        )
        for (path, port), count in edges.items()
        if count > outbox_limit
    ]


def _check_root(graph: Subgraph) -> list[ValidationIssue]:
    issues = graph.validate()
    if graph.outer is not None:
        message = f"subgraph {graph.name!r} is nested in {graph.outer.name!r}"
        issues.append(error("DUP_NODE", f"{message}: register {graph.outer.name!r} instead"))
    return issues


def _check_together(items: Sequence[Subgraph | Node]) -> list[ValidationIssue]:
    """What stands in each other's way between items that are each well by themselves."""
    issues: list[ValidationIssue] = []
    roots: list[Subgraph] = []
    taken: dict[str, Node] = {}
    first_path: dict[int, str] = {}
    seen: set[int] = set()  # by id()
    for item in items:
        if id(item) in seen:
            issues.append(error("DUP_NODE", f"{item!r} is registered twice: register it once"))
            continue
        seen.add(id(item))
        if isinstance(item, Subgraph):
            roots.append(item)
        nodes = nodes_of(item)
        for path, node in nodes:
            if path in taken and taken[path] is not node:
                issues.append(_same_path(path))
            issues += check_node_is_new(path, first_path.get(id(node)))
        taken.update(nodes)
        first_path.update((id(node), path) for path, node in nodes)
    issues += _repeated_exposures("input", [root.exposed_inputs for root in roots])
    issues += _repeated_exposures("output", [root.exposed_outputs for root in roots])
    return issues


def _repeated_exposures(
    direction: Literal["input", "output"], exposed: Sequence[Collection[str]]
) -> list[ValidationIssue]:
    known: set[str] = set()
    issues: list[ValidationIssue] = []
    for names in exposed:
        for name in names:
            issues += check_exposed_is_new(direction, name, known)
        known.update(names)
    return issues


def _same_path(path: str) -> ValidationIssue:
    advice = "a registered subgraph's own name is no part of a path, so rename one of them"
    return error("DUP_NODE", f"two registered nodes are named {path!r}: {advice}")
