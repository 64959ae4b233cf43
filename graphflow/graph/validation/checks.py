"""What can be wrong with a graph: one function for each check, shared by all who ask.

The calls that build a graph (`add_node`, `connect`, `expose_input`, ...) raise what these functions
find; `Subgraph.validate` collects it. A check never raises and never changes anything: it returns
the issues that it found, an empty list when all is well.
"""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Literal, SupportsFloat, SupportsIndex

from graphflow.base.issues import ValidationIssue, error, listing, warning
from graphflow.core.edges.policy import Block
from graphflow.core.messages import port
from graphflow.graph.components import strong_groups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from graphflow.core.edges.edge import Edge
    from graphflow.core.messages.port import PortSpec
    from graphflow.graph.node import Node
    from graphflow.graph.subgraph import Subgraph


# What an Edge accepts; it raises for anything else.
_COUNT_MAX = 2**62
_SECONDS_MIN, _SECONDS_MAX = 1e-9, 1e9


def check_name(what: str, name: object) -> list[ValidationIssue]:
    """BAD_NAME unless `name` can stand in an edge id; `what` is a node, a subgraph or a port."""
    try:
        port.check_name(what, name)
    except (TypeError, ValueError) as bad:
        return [error("BAD_NAME", f"{bad}: edge ids are built from names; choose another")]
    return []


def check_constructed(item: Node | Subgraph) -> list[ValidationIssue]:
    """BAD_NAME for a node or a subgraph whose class forgot to call `super().__init__`: it has no name."""
    known = vars(item).keys()
    kind = type(item).__name__
    advice = f"call super().__init__(name) in {kind}.__init__"
    if {"name", "inputs", "outputs"} <= known or {"name", "members"} <= known:
        return []
    what = "subgraph" if hasattr(type(item), "add_node") else "node"
    return [error("BAD_NAME", f"a {what} of class {kind} has no name and no ports: {advice}")]


def check_name_is_free(name: object, taken: Collection[str]) -> list[ValidationIssue]:
    """DUP_NODE if the name already belongs to a node or a subgraph of the same subgraph."""
    if name not in taken:
        return []
    advice = "give this one another name with the argument `name`"
    return [error("DUP_NODE", f"the name {name!r} is taken by another node or subgraph: {advice}")]


def check_node_is_new(name: str, first: str | None) -> list[ValidationIssue]:
    """DUP_NODE if the node object that is to be `name` already stands in the graph, as `first`."""
    if first is None:
        return []
    advice = "make a second object, or connect the first one to both places"
    return [error("DUP_NODE", f"node {name!r} is the same object as node {first!r}: {advice}")]


def check_nestable(name: str, outer: str | None, is_around: bool) -> list[ValidationIssue]:
    """DUP_NODE for a subgraph that is nested already (in `outer`), or would come to hold itself."""
    if is_around:
        return [error("DUP_NODE", f"subgraph {name!r} would be nested in itself: make another")]
    if outer is None:
        return []
    advice = "one subgraph sits in one place, so make a second one"
    return [error("DUP_NODE", f"subgraph {name!r} is already nested in {outer!r}: {advice}")]


def check_bounds(capacity: object, max_bytes: object, ttl_s: object, control_capacity: object) -> list[ValidationIssue]:
    """BAD_CAP for every bound of an edge that is not a usable number."""
    counts = {"capacity": capacity, "control_capacity": control_capacity}
    if max_bytes is not None:
        counts["max_bytes"] = max_bytes
    issues = [
        error("BAD_CAP", f"{name} must be a whole number from 1 to 2**62, not {value!r}")
        for name, value in counts.items()
        if not _is_count(value)
    ]
    if ttl_s is not None and not _is_duration(ttl_s):
        allowed = "more than 0 and at most 1e9 seconds, or None for no limit"
        issues.append(error("BAD_CAP", f"ttl_s must be {allowed}, not {ttl_s!r}"))
    return issues


def _is_count(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        return False
    return 1 <= index(value) <= _COUNT_MAX


def _is_duration(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, SupportsFloat):
        return False
    try:
        return _SECONDS_MIN <= float(value) <= _SECONDS_MAX
    except OverflowError:  # a whole number that no float can hold
        return False


def check_types(
    source: str, source_spec: PortSpec | None, target: str, target_spec: PortSpec | None
) -> list[ValidationIssue]:
    """TYPE_MISMATCH if what the source may send is not all acceptable to the target."""
    if source_spec is None or target_spec is None or source_spec.compatible_with(target_spec):
        return []
    message = (
        f"{source!r} sends {_schema(source_spec)} but {target!r} accepts "
        f"{_schema(target_spec)}: change one schema, or put a node between that converts"
    )
    return [error("TYPE_MISMATCH", message)]


def _schema(spec: PortSpec) -> str:
    schema = spec.schema
    return schema.__qualname__ if type(schema) is type else str(schema)


def check_edge_is_new(edge_id: str, known: Collection[str]) -> list[ValidationIssue]:
    """DUP_EDGE if there is an edge of this id, that is, between the same two ports."""
    if edge_id not in known:
        return []
    advice = "two ports are joined once, so leave this one out"
    return [error("DUP_EDGE", f"there is already an edge {edge_id!r}: {advice}")]


def check_exposed_is_new(
    direction: Literal["input", "output"], name: object, known: Collection[str]
) -> list[ValidationIssue]:
    """DUP_EXPOSE_IN or DUP_EXPOSE_OUT if a port is already exposed under this name."""
    if not isinstance(name, str) or name not in known:
        return []
    code = "DUP_EXPOSE_IN" if direction == "input" else "DUP_EXPOSE_OUT"
    return [error(code, f"there is already an exposed {direction} {name!r}: choose another name")]


def unconnected_ports(owner: str, direction: Literal["input", "output"], ports: Iterable[str]) -> list[ValidationIssue]:
    """UNCONNECTED_PORT for each of the ports, which no edge touches and nothing exposes."""
    fate = "nothing arrives there" if direction == "input" else "nobody gets what it emits"
    message = f"is not connected, so {fate}: connect it or expose it"
    return [warning("UNCONNECTED_PORT", f"{direction} port {name!r} of {owner} {message}") for name in ports]


def check_block_cycles(edges: Iterable[tuple[str, str, Edge]]) -> list[ValidationIssue]:
    """BLOCK_CYCLE for every group of nodes in a cycle of edges that all Block.

    Takes (path of the source node, path of the target node, edge). Once all edges of such a cycle
    are full, each of its nodes waits for the next one and nothing moves.
    """
    blocking = [each for each in edges if isinstance(each[2].default_policy, Block)]
    number_of: dict[str, int] = {}
    for source, target, _ in blocking:
        number_of.setdefault(source, len(number_of))
        number_of.setdefault(target, len(number_of))
    successors: list[list[int]] = [[] for _ in number_of]
    for source, target, _ in blocking:
        successors[number_of[source]].append(number_of[target])

    group_of = [0] * len(number_of)
    for group, members in enumerate(strong_groups(successors)):
        for member in members:
            group_of[member] = group
    # An edge lies on a cycle exactly if both its ends are in one strongly connected group.
    cycles: dict[int, list[str]] = {}
    for source, target, edge in blocking:
        group = group_of[number_of[source]]
        if group == group_of[number_of[target]]:
            name = f"{source}:{edge.source_port}->{target}:{edge.target_port}"
            cycles.setdefault(group, []).append(name)
    return [_block_cycle(names) for names in cycles.values()]


def _block_cycle(edge_ids: list[str]) -> ValidationIssue:
    advice = "give one of them another policy, or a capacity that its traffic cannot fill"
    return warning(
        "BLOCK_CYCLE",
        f"the edges {listing(edge_ids)} form a cycle and all Block: once all are full nothing moves any more; {advice}",
    )
