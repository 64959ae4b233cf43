"""The validation of a whole graph: every check again, and what no single call can see.

Errors: what the calls refuse, a node object in two places, an edge made at two levels. Warnings:
ports that are left unconnected, cycles of edges that all Block, dead letters that would end unseen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from graphflow.base.issues import ValidationIssue
from graphflow.graph.endpoints import EXPOSED_INPUT, EXPOSED_OUTPUT, SOURCE, TARGET, exposed, node_ports
from graphflow.graph.flatten import placed_nodes, placed_wires, walk
from graphflow.graph.validation.checks import (
    check_block_cycles,
    check_constructed,
    check_edge_is_new,
    check_name,
    check_node_is_new,
    unconnected_ports,
)
from graphflow.graph.validation.dead_letters import unseen_letters
from graphflow.graph.validation.node_settings import check_settings
from graphflow.graph.wiring import check_connection, check_exposure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphflow.graph.node import Node
    from graphflow.graph.subgraph import Subgraph


def validate_graph(graph: Subgraph) -> list[ValidationIssue]:
    """All issues of a graph and of what is nested in it."""
    issues: list[ValidationIssue] = []
    for prefix, level in walk(graph):
        found = [*_member_issues(level), *_wire_issues(level), *_unconnected(level)]
        issues += [_located(issue, prefix) for issue in found]
    issues += _shared_nodes(graph)
    issues += _repeated_edges(graph)
    issues += unseen_letters(graph)
    issues += check_block_cycles(
        (source, target, wire.edge)
        for source, target, wire in placed_wires(graph)
        if source is not None and target is not None
    )
    return issues


def validate_node(node: Node) -> list[ValidationIssue]:
    """All issues of a node that runs by itself, with no graph around it."""
    if issues := check_constructed(node):
        return issues
    issues = check_name("node", node.name) + check_settings(node.name, node)
    for role in (TARGET, SOURCE):
        issues += unconnected_ports(f"node {node.name!r}", role.direction, node_ports(node, role))
    return issues


def _located(issue: ValidationIssue, prefix: str) -> ValidationIssue:
    if not prefix:
        return issue
    return replace(issue, message=f"in subgraph {prefix.rstrip('/')!r}: {issue.message}")


def _member_issues(level: Subgraph) -> Iterator[ValidationIssue]:
    for name in level.members:
        yield from check_name("subgraph" if name in level.subgraphs else "node", name)
    for name, node in level.nodes.items():
        yield from check_constructed(node) or check_settings(name, node)


def _wire_issues(level: Subgraph) -> Iterator[ValidationIssue]:
    for wire in (*level.connections, *level.exposures):
        if wire.source is not None and wire.target is not None:
            source, target = wire.source.names, wire.target.names
            yield from check_connection(level, source, target, wire.options)[0]
        elif wire.target is not None:
            names = wire.target.names
            yield from check_exposure(level, wire.exposed, names, EXPOSED_INPUT, wire.options)[0]
        elif wire.source is not None:
            names = wire.source.names
            yield from check_exposure(level, wire.exposed, names, EXPOSED_OUTPUT, wire.options)[0]


def _unconnected(level: Subgraph) -> Iterator[ValidationIssue]:
    """Unconnected ports of this level's nodes, and exposed ones of its nested subgraphs."""
    wires = (*level.connections, *level.exposures)
    used_inputs = {wire.target.names for wire in wires if wire.target is not None}
    used_outputs = {wire.source.names for wire in wires if wire.source is not None}
    for role, used in ((TARGET, used_inputs), (SOURCE, used_outputs)):
        for name, node in level.nodes.items():
            free = [port for port in node_ports(node, role) if (name, port) not in used]
            yield from unconnected_ports(f"node {name!r}", role.direction, free)
        for name, nested in level.subgraphs.items():
            free = [port for port in exposed(nested, role) if (name, port) not in used]
            yield from unconnected_ports(f"subgraph {name!r}", role.direction, free)


def _shared_nodes(graph: Subgraph) -> Iterator[ValidationIssue]:
    first_path: dict[int, str] = {}
    for path, node in placed_nodes(graph):
        yield from check_node_is_new(path, first_path.get(id(node)))
        first_path.setdefault(id(node), path)


def _repeated_edges(graph: Subgraph) -> Iterator[ValidationIssue]:
    known: set[str] = set()
    for placed in placed_wires(graph):
        yield from check_edge_is_new(placed.id, known)
        known.add(placed.id)
