"""Making one edge: what it is asked to be, whether that is possible, and the Edge itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphflow.base.issues import ValidationIssue
from graphflow.core.edges.edge import Edge
from graphflow.core.edges.policy import Block, Policy, check_policy
from graphflow.graph.endpoints import SOURCE, TARGET, Place, Role, parse, resolve
from graphflow.graph.priority import PriorityBand, band_of
from graphflow.graph.validation.checks import check_bounds, check_name, check_types

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphflow.core.messages.port import PortSpec
    from graphflow.graph.subgraph import Subgraph


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """What a caller may say about an edge besides its two ends."""

    capacity: int
    policy: Policy | None
    band: PriorityBand
    max_bytes: int | None
    sizeof: Callable[[Any], int] | None
    ttl_s: float | None
    control_capacity: int
    carry_context: bool = False

    def issues(self) -> list[ValidationIssue]:
        """The bounds that are not usable."""
        return check_bounds(self.capacity, self.max_bytes, self.ttl_s, self.control_capacity)


@dataclass(frozen=True, slots=True)
class End:
    """One end of an edge: the two names given in the subgraph, and the port they lead to."""

    names: tuple[str, str]
    place: Place


@dataclass(frozen=True, slots=True)
class Wire:
    """An edge of a subgraph. One that leads out of the graph has one end and an exposed name."""

    edge: Edge
    options: EdgeOptions
    source: End | None
    target: End | None
    exposed: str | None = None

    def carries_context(self) -> bool:
        """Whether what is put takes the context of its putter along: the edge or the node at its end asks for it."""
        return self.options.carry_context or (self.target is not None and self.target.place.node.carry_context)


def band_or_normal(priority: PriorityBand | int | None) -> PriorityBand:
    """The band that a caller means; TypeError or ValueError for what is none."""
    return PriorityBand.NORMAL if priority is None else band_of(priority)


def check_connection(
    graph: Subgraph, src: object, dst: object, options: EdgeOptions
) -> tuple[list[ValidationIssue], End | None, End | None]:
    """Everything that is wrong with a connection, and its ends as far as they exist."""
    issues: list[ValidationIssue] = []
    source = _find(graph, src, SOURCE, issues)
    target = _find(graph, dst, TARGET, issues)
    if source is not None and target is not None:
        out, into = source.place, target.place
        issues += check_types(str(out), out.port.spec, str(into), into.port.spec)
    issues += options.issues()
    return issues, source, target


def check_exposure(
    graph: Subgraph, name: object, endpoint: object, role: Role, options: EdgeOptions
) -> tuple[list[ValidationIssue], End | None]:
    """Everything that is wrong with an exposed port, and the end behind it if that exists."""
    issues = check_name("port", name)
    end = _find(graph, endpoint, role, issues)
    issues += options.issues()
    return issues, end


def _find(graph: Subgraph, endpoint: object, role: Role, issues: list[ValidationIssue]) -> End | None:
    names = parse(endpoint, role)
    if isinstance(names, ValidationIssue):
        issues.append(names)
        return None
    place = resolve(graph, names, role)
    if isinstance(place, ValidationIssue):
        issues.append(place)
        return None
    return End(names, place)


def make_connection(source: End, target: End, options: EdgeOptions) -> Wire:
    """The edge between two ports."""
    out, into = source.place, target.place
    edge = _make_edge(
        (out.path, out.port.name),
        (into.path, into.port.name),
        options,
        spec=_spec(into, out),
        policy=_policy(options.policy, into, out),
    )
    return Wire(edge, options, source, target)


def make_exposed_input(name: str, target: End, options: EdgeOptions) -> Wire:
    """The edge "input:NAME->node:port"."""
    into = target.place
    edge = _make_edge(
        ("input", name),
        (into.path, into.port.name),
        options,
        spec=_spec(into),
        policy=_policy(options.policy, into),
    )
    wire = Wire(edge, options, None, target, name)
    edge._carry(wire.carries_context())  # it may be put into before the run
    return wire


def make_exposed_output(name: str, source: End, options: EdgeOptions) -> Wire:
    """The edge "node:port->output:NAME"."""
    out = source.place
    edge = _make_edge(
        (out.path, out.port.name),
        ("output", name),
        options,
        spec=_spec(out),
        policy=_policy(options.policy, out),
    )
    return Wire(edge, options, source, None, name)


def _make_edge(
    source: tuple[str, str],
    target: tuple[str, str],
    options: EdgeOptions,
    *,
    spec: PortSpec | None,
    policy: Policy,
) -> Edge:
    return Edge(
        *source,
        *target,
        capacity=options.capacity,
        spec=spec,
        default_policy=policy,
        max_bytes=options.max_bytes,
        sizeof=options.sizeof,
        ttl_s=options.ttl_s,
        control_capacity=options.control_capacity,
    )


def _spec(*places: Place) -> PortSpec | None:
    """The first of the ports' specs that has a schema to check."""
    specs = (place.port.spec for place in places)
    return next((spec for spec in specs if spec is not None and spec.schema is not None), None)


def _policy(given: Policy | None, *places: Place) -> Policy:
    """The edge's own policy, else that of the first port that has one, else Block."""
    if given is not None:
        check_policy(given, "policy")
    if given is not None:
        return given
    specs = (place.port.spec for place in places)
    policies = (spec.policy for spec in specs if spec is not None)
    return next((policy for policy in policies if policy is not None), Block())
