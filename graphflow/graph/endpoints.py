"""From the name of an endpoint to the port of a node, through any number of nested subgraphs.

An endpoint names a node and its port, or a nested subgraph and a port that it exposes; behind the
exposed port stands a node, or again a nested subgraph. `resolve` follows that chain to the node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from graphflow.base.issues import ValidationIssue, error, nearest
from graphflow.core.messages.port import plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphflow.core.messages.port import Port
    from graphflow.graph.node import Node
    from graphflow.graph.subgraph import Subgraph

Endpoint = str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Role:
    """What an endpoint is used for, and so which ports fit and which codes name a misfit."""

    what: str
    direction: Literal["input", "output"]
    unknown_node: str
    no_port: str


SOURCE = Role("source", "output", "UNKNOWN_NODE", "NO_SRC_PORT")
TARGET = Role("destination", "input", "UNKNOWN_NODE", "NO_DST_PORT")
EXPOSED_INPUT = Role("exposed input", "input", "BAD_EXPOSE_IN", "BAD_EXPOSE_IN")
EXPOSED_OUTPUT = Role("exposed output", "output", "BAD_EXPOSE_OUT", "BAD_EXPOSE_OUT")


@dataclass(frozen=True, slots=True)
class Place:
    """A port that an endpoint resolved to; `path` leads to its node from the subgraph asked."""

    path: str
    node: Node
    port: Port

    def __str__(self) -> str:
        return f"{self.path}:{self.port.name}"


def parse(endpoint: object, role: Role) -> tuple[str, str] | ValidationIssue:
    """The names of the node and the port, or BAD_NAME for what is no endpoint."""
    parts: object = endpoint
    if isinstance(endpoint, str):
        parts = tuple(plain_text(endpoint).split(":"))
    if isinstance(parts, tuple) and len(parts) == 2:
        node, port = map(plain_text, parts)
        if isinstance(node, str) and isinstance(port, str) and node and port:
            return node, port
    advice = "write 'node:port' or ('node', 'port')"
    return error("BAD_NAME", f"the {role.what} {endpoint!r} does not name a port: {advice}")


def resolve(graph: Subgraph, endpoint: tuple[str, str], role: Role) -> Place | ValidationIssue:
    """The port that stands behind an endpoint of `graph`, or why there is none."""
    name, port_name = endpoint
    path: list[str] = []
    while (nested := graph.subgraphs.get(name)) is not None:
        behind = exposed(nested, role).get(port_name)
        if behind is None:
            return _not_exposed(nested, "/".join([*path, name]), port_name, role)
        path.append(name)
        graph = nested
        name, port_name = behind
    node = graph.nodes.get(name)
    if node is None:
        return _unknown_node(graph, name, role)
    path.append(name)
    ports = node_ports(node, role)
    if port_name not in ports:
        return _no_port(node, "/".join(path), port_name, role)
    return Place("/".join(path), node, ports[port_name])


def exposed(graph: Subgraph, role: Role) -> Mapping[str, tuple[str, str]]:
    """The exposed ports of a subgraph that fit the role, and what stands behind each."""
    return graph.exposed_inputs if role.direction == "input" else graph.exposed_outputs


def node_ports(node: Node, role: Role) -> dict[str, Port]:
    """The ports of a node that fit the role, by name."""
    ports = node.inputs if role.direction == "input" else node.outputs
    return {port.name: port for port in ports}


def _opposite(role: Role) -> Role:
    return SOURCE if role.direction == "input" else TARGET


def _unknown_node(graph: Subgraph, name: str, role: Role) -> ValidationIssue:
    message = f"the {role.what} names {name!r}, which is no node of subgraph {graph.name!r}"
    outer, slash, _ = name.partition("/")
    if slash and outer in graph.subgraphs:
        advice = f"expose the port in {outer!r} and name {outer!r} with the exposed port"
    else:
        advice = nearest(name, graph.members)
    return error(role.unknown_node, f"{message}: {advice}")


def _no_port(node: Node, path: str, port: str, role: Role) -> ValidationIssue:
    message = f"node {path!r} has no {role.direction} port {port!r}"
    advice = _advice(port, node_ports(node, role), node_ports(node, _opposite(role)), role)
    return error(role.no_port, f"{message}: {advice}")


def _not_exposed(graph: Subgraph, path: str, port: str, role: Role) -> ValidationIssue:
    call = f"expose_{role.direction}"
    message = f"subgraph {path!r} exposes no {role.direction} {port!r} ({call} would)"
    advice = _advice(port, exposed(graph, role), exposed(graph, _opposite(role)), role)
    return error(role.no_port, f"{message}: {advice}")


def _advice(port: str, fitting: Mapping[str, object], unfitting: Mapping[str, object], role: Role) -> str:
    if port in unfitting:
        other = _opposite(role).direction
        return f"{port!r} is an {other}, and the {role.what} must be an {role.direction}"
    return nearest(port, fitting)
