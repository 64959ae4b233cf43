"""A graph as its author builds it: nodes, edges, nested subgraphs and the ports shown outside."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from graphflow.base.errors import GraphValidationError
from graphflow.base.issues import ValidationIssue, error, nearest
from graphflow.core.messages.port import plain_text
from graphflow.draw.dot import write_dot
from graphflow.draw.mermaid import write_mermaid
from graphflow.graph.endpoints import EXPOSED_INPUT, EXPOSED_OUTPUT, Endpoint
from graphflow.graph.flatten import placed_nodes, placed_wires
from graphflow.graph.node import Node
from graphflow.graph.picture import picture_of
from graphflow.graph.validation.checks import (
    check_constructed,
    check_edge_is_new,
    check_exposed_is_new,
    check_name,
    check_name_is_free,
    check_nestable,
    check_node_is_new,
)
from graphflow.graph.validation.whole_graph import validate_graph
from graphflow.graph.wiring import (
    EdgeOptions,
    Wire,
    band_or_normal,
    check_connection,
    check_exposure,
    make_connection,
    make_exposed_input,
    make_exposed_output,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from graphflow.core.edges.edge import Edge
    from graphflow.core.edges.policy import Policy
    from graphflow.graph.priority import PriorityBand


class Subgraph:
    """Nodes and nested subgraphs under unique names, and the edges between their ports.

    An endpoint is `"node:port"` or `("node", "port")`, where the node may also be a nested subgraph
    and the port one that it exposes. Every call that adds something raises `GraphValidationError`
    with all that is wrong, and then has changed nothing.

    `nodes` and `subgraphs` map the names of what was added here (nothing from inside a nested
    subgraph), `members` both, in the order added; `exposed_inputs` and `exposed_outputs` map the
    name of an exposed port to the `(node, port)` behind it. All are live and read-only.
    """

    name: str
    """How it is called in paths, pictures and, as the first graph registered, in logs."""
    members: Mapping[str, Node | Subgraph]
    """Nodes and nested subgraphs that were added here, by name."""
    nodes: Mapping[str, Node]
    """Nodes that were added here, by name."""
    subgraphs: Mapping[str, Subgraph]
    """Subgraphs that were nested here, by name."""
    exposed_inputs: Mapping[str, tuple[str, str]]
    """The `(node, port)` behind each exposed input."""
    exposed_outputs: Mapping[str, tuple[str, str]]
    """The `(node, port)` behind each exposed output."""

    def __init__(self, name: str) -> None:
        _refuse(check_name("subgraph", name))
        self.name = plain_text(name)
        self._members: dict[str, Node | Subgraph] = {}
        self._nodes: dict[str, Node] = {}
        self._subgraphs: dict[str, Subgraph] = {}
        self._exposed_inputs: dict[str, tuple[str, str]] = {}
        self._exposed_outputs: dict[str, tuple[str, str]] = {}
        self.members = MappingProxyType(self._members)
        self.nodes = MappingProxyType(self._nodes)
        self.subgraphs = MappingProxyType(self._subgraphs)
        self.exposed_inputs = MappingProxyType(self._exposed_inputs)
        self.exposed_outputs = MappingProxyType(self._exposed_outputs)
        self._name_of_node: dict[int, str] = {}  # by id(); _nodes keeps the objects alive
        self._connections: dict[str, Wire] = {}  # by edge id, relative to this subgraph
        self._exposures: list[Wire] = []
        # Weak, so that a subgraph that outlives the one around it stands on its own again.
        self._outer: weakref.ref[Subgraph] | None = None

    @classmethod
    def from_nodes(cls, name: str, nodes: Iterable[Node]) -> Self:
        """A subgraph that holds these nodes, each under its own name.

        Raises TypeError for what holds no nodes, and what `add_node` raises.
        """
        if not isinstance(nodes, Iterable):
            raise TypeError(f"from_nodes takes an iterable of Nodes, not {nodes!r}")
        graph = cls(name)
        for node in nodes:
            graph.add_node(node)
        return graph

    def add_node(self, node: Node, name: str | None = None) -> None:
        """Add a node under its own name, or under another one.

        Raises TypeError for what is no Node, GraphValidationError for BAD_NAME and DUP_NODE.
        """
        if not isinstance(node, Node):
            raise TypeError(_not_a("node", "add_subgraph", Subgraph, node))
        _refuse(check_constructed(node))
        own: str = plain_text(node.name if name is None else name)
        _refuse(self._check_member("node", own) + check_node_is_new(own, self._name_of_node.get(id(node))))
        self._members[own] = self._nodes[own] = node
        self._name_of_node[id(node)] = own

    def add_subgraph(self, sub: Subgraph, name: str | None = None) -> None:
        """Nest a subgraph under its own name, or under another one; connect it by exposed ports.

        Raises TypeError for what is no Subgraph, GraphValidationError for BAD_NAME and DUP_NODE.
        """
        if not isinstance(sub, Subgraph):
            raise TypeError(_not_a("subgraph", "add_node", Node, sub))
        _refuse(check_constructed(sub))
        own: str = plain_text(sub.name if name is None else name)
        outer = sub.outer
        _refuse(
            self._check_member("subgraph", own)
            + check_nestable(own, None if outer is None else outer.name, self._is_inside(sub))
        )
        self._members[own] = self._subgraphs[own] = sub
        sub._outer = weakref.ref(self)

    def connect(
        self,
        src: Endpoint,
        dst: Endpoint,
        capacity: int = 1024,
        policy: Policy | None = None,
        priority: PriorityBand | int | None = None,
        *,
        max_bytes: int | None = None,
        sizeof: Callable[[Any], int] | None = None,
        ttl_s: float | None = None,
        control_capacity: int = 64,
    ) -> str:
        """Join an output port to an input port and return the id of the edge, as seen from here.

        `capacity` and `control_capacity` count messages, `max_bytes` what `sizeof` returns, `ttl_s`
        is in seconds; `policy` None takes the target port's, else the source port's, else Block;
        `priority` None is `PriorityBand.NORMAL`.

        Raises GraphValidationError with everything that is wrong: BAD_NAME, UNKNOWN_NODE,
        NO_SRC_PORT, NO_DST_PORT, TYPE_MISMATCH, BAD_CAP, DUP_EDGE. Raises TypeError or ValueError
        for a policy, a priority or a sizeof that is none.
        """
        options = EdgeOptions(capacity, policy, band_or_normal(priority), max_bytes, sizeof, ttl_s, control_capacity)
        issues, source, target = check_connection(self, src, dst, options)
        if source is not None and target is not None:
            edge_id = f"{source.place}->{target.place}"
            issues += check_edge_is_new(edge_id, self._connections)
            if not issues:
                self._connections[edge_id] = make_connection(source, target, options)
                return edge_id
        raise GraphValidationError(issues)

    def expose_input(
        self,
        name: str,
        port: Endpoint,
        *,
        capacity: int = 1024,
        policy: Policy | None = None,
        priority: PriorityBand | int | None = None,
        max_bytes: int | None = None,
        sizeof: Callable[[Any], int] | None = None,
        ttl_s: float | None = None,
        control_capacity: int = 64,
        carry_context: bool = False,
    ) -> None:
        """Show an input port under a name: to an outer subgraph, or to `Scheduler.input`.

        The options, as in `connect`, are those of the edge "input:NAME->node:port", which exists
        while the subgraph is not nested; nested, the options of the outer `connect` count.
        `carry_context`: what is put is handled in (a copy of) the `contextvars` context of the
        thread or task that puts it.

        Raises GraphValidationError: BAD_NAME, DUP_EXPOSE_IN, BAD_EXPOSE_IN, BAD_CAP.
        """
        band = band_or_normal(priority)
        options = EdgeOptions(
            capacity, policy, band, max_bytes, sizeof, ttl_s, control_capacity, carry_context=bool(carry_context)
        )
        name = plain_text(name)
        issues, end = check_exposure(self, name, port, EXPOSED_INPUT, options)
        issues += check_exposed_is_new("input", name, self._exposed_inputs)
        if issues or end is None:
            raise GraphValidationError(issues)
        self._exposures.append(make_exposed_input(name, end, options))
        self._exposed_inputs[name] = end.names

    def expose_output(
        self,
        name: str,
        port: Endpoint,
        *,
        capacity: int = 1024,
        policy: Policy | None = None,
        priority: PriorityBand | int | None = None,
        max_bytes: int | None = None,
        sizeof: Callable[[Any], int] | None = None,
        ttl_s: float | None = None,
        control_capacity: int = 64,
    ) -> None:
        """Show an output port under a name: to an outer subgraph, or to `Scheduler.output`.

        The options are those of the edge "node:port->output:NAME", as in `expose_input`.

        Raises GraphValidationError: BAD_NAME, DUP_EXPOSE_OUT, BAD_EXPOSE_OUT, BAD_CAP.
        """
        options = EdgeOptions(capacity, policy, band_or_normal(priority), max_bytes, sizeof, ttl_s, control_capacity)
        name = plain_text(name)
        issues, end = check_exposure(self, name, port, EXPOSED_OUTPUT, options)
        issues += check_exposed_is_new("output", name, self._exposed_outputs)
        if issues or end is None:
            raise GraphValidationError(issues)
        self._exposures.append(make_exposed_output(name, end, options))
        self._exposed_outputs[name] = end.names

    def validate(self) -> list[ValidationIssue]:
        """Everything that is wrong with the graph, nested subgraphs included; [] when all is well.

        Repeats the checks of the calls that built it, and finds what only the whole shows.
        """
        return validate_graph(self)

    @property
    def outer(self) -> Subgraph | None:
        """The subgraph that this one is nested in, or None."""
        return None if self._outer is None else self._outer()

    @property
    def connections(self) -> Collection[Wire]:
        """What `connect` made here, in that order; nothing from nested subgraphs."""
        return self._connections.values()

    @property
    def exposures(self) -> Collection[Wire]:
        """What `expose_input` and `expose_output` made here, in that order."""
        return tuple(self._exposures)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The edges that a run uses: own connections, nested ones, those of exposed ports.

        A subgraph that is nested in another has no edges for its exposed ports.
        """
        return tuple(placed.wire.edge for placed in placed_wires(self))

    def node_names(self) -> list[str]:
        """The full paths of all nodes, nested ones included, in the order added."""
        return [path for path, _ in placed_nodes(self)]

    def inputs_of(self, node: str | Node) -> list[Edge]:
        """The edges that enter a node, given as the object, its name or, if nested, its full path.

        Raises GraphValidationError (UNKNOWN_NODE) for a node that is not in the graph.
        """
        paths = dict(placed_nodes(self))
        found = [path for path, each in paths.items() if node is each or (isinstance(node, str) and node == path)]
        if not found:
            path = str(getattr(node, "name", node)) if isinstance(node, Node) else str(node)
            message = f"there is no node {path!r} in subgraph {self.name!r}"
            _refuse([error("UNKNOWN_NODE", f"{message}: {nearest(path, paths)}")])
        return [each.wire.edge for each in placed_wires(self) if each.target in found]

    def to_mermaid(self) -> str:
        """A picture of the graph, nested subgraphs included, for Mermaid."""
        return write_mermaid(picture_of(self))

    def to_dot(self) -> str:
        """The same picture in DOT, for Graphviz."""
        return write_dot(picture_of(self))

    def __repr__(self) -> str:
        if check_constructed(self):  # its class forgot super().__init__; it is shown in errors, too
            return f"<{type(self).__name__} without a name>"
        counts = f"{len(self._members)} members, {len(self._connections)} connections"
        return f"<Subgraph {self.name!r}: {counts}>"

    def _check_member(self, what: str, name: object) -> list[ValidationIssue]:
        return check_name(what, name) or check_name_is_free(name, self._members)

    def _is_inside(self, other: Subgraph) -> bool:
        graph: Subgraph | None = self
        while graph is not None and graph is not other:
            graph = graph.outer
        return graph is other


def _refuse(issues: list[ValidationIssue]) -> None:
    if issues:
        raise GraphValidationError(issues)


def _not_a(kind: str, other_call: str, other: type, given: object) -> str:
    message = f"add_{kind} takes a {kind.capitalize()}, not {type(given).__name__} {given!r}"
    return f"{message}: use {other_call}" if isinstance(given, other) else message
