"""Building a graph: the edges that connect and expose make, and how a graph is read."""

from __future__ import annotations

from typing import Any

import pytest
from subgraphs import ids, parser, step, steps

from graphflow import (
    Block,
    Coalesce,
    Drop,
    GraphValidationError,
    Latest,
    Node,
    Policy,
    PortSpec,
    PriorityBand,
    Subgraph,
)


def test_an_edge_id_names_both_ports() -> None:
    graph = Subgraph.from_nodes("g", [step("a"), step("b")])
    assert graph.connect("a:out", ("b", "in")) == "a:out->b:in"
    assert ids(graph) == ["a:out->b:in"]


def test_a_node_may_be_added_under_another_name() -> None:
    graph = Subgraph("g")
    graph.add_node(step("a"), name="left")
    graph.add_node(step("a"), name="right")
    assert graph.connect("left:out", "right:in") == "left:out->right:in"
    assert graph.node_names() == ["left", "right"]


def test_one_output_may_feed_many_inputs_and_one_input_many_outputs() -> None:
    graph = Subgraph.from_nodes("g", [step("a"), step("b"), step("c"), step("d")])
    for source, target in [("a", "c"), ("a", "d"), ("b", "c")]:
        graph.connect((source, "out"), (target, "in"))
    assert [edge.id for edge in graph.inputs_of("c")] == ["a:out->c:in", "b:out->c:in"]


def test_an_edge_may_lead_back_to_its_own_node() -> None:
    assert steps("a").connect("a:out", "a:in", policy=Drop()) == "a:out->a:in"


def test_connect_hands_its_bounds_to_the_edge() -> None:
    graph = Subgraph.from_nodes("g", [step("a"), step("b")])
    graph.connect("a:out", "b:in", 8, max_bytes=100, sizeof=len, ttl_s=1.5, control_capacity=3)
    (edge,) = graph.edges
    assert edge.capacity == 8
    assert edge.max_bytes == 100
    assert edge.ttl_s == 1.5
    assert edge.control_capacity == 3


@pytest.mark.parametrize(
    ("own", "target", "source", "expected"),
    [
        (Drop(), Latest(), Coalesce(max), Drop),
        (None, Latest(), Coalesce(max), Latest),
        (None, None, Coalesce(max), Coalesce),
        (None, None, None, Block),
    ],
)
def test_the_edges_policy_counts_before_the_targets_and_the_sources(
    own: Policy | None, target: Policy | None, source: Policy | None, expected: type
) -> None:
    graph = Subgraph("g")
    graph.add_node(Node("a", outputs=PortSpec("out", policy=source)))
    graph.add_node(Node("b", inputs=PortSpec("in", policy=target)))
    graph.connect("a:out", "b:in", policy=own)
    assert type(graph.edges[0].default_policy) is expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [(int, (int, str), (int, str)), (int, None, int), (None, str, str), (None, None, None)],
)
def test_an_edge_checks_the_targets_schema_or_else_the_sources(source: Any, target: Any, expected: Any) -> None:
    graph = Subgraph("g")
    graph.add_node(Node("a", outputs=PortSpec("out", source)))
    graph.add_node(Node("b", inputs=PortSpec("in", target)))
    graph.connect("a:out", "b:in")
    spec = graph.edges[0].spec
    assert (None if spec is None else spec.schema) == expected


@pytest.mark.parametrize("priority", [PriorityBand.HIGH, 2])
def test_a_priority_is_a_band_or_its_number(priority: PriorityBand | int) -> None:
    graph = Subgraph.from_nodes("g", [step("a"), step("b")])
    graph.connect("a:out", "b:in", priority=priority)
    (wire,) = graph.connections
    assert wire.options.band is PriorityBand.HIGH


def test_exposed_ports_have_edges_of_their_own() -> None:
    graph = parser()
    assert ids(graph) == ["tok:out->emit:in", "input:in->tok:in", "emit:out->output:out"]
    assert dict(graph.exposed_inputs) == {"in": ("tok", "in")}
    assert dict(graph.exposed_outputs) == {"out": ("emit", "out")}


def test_an_exposed_port_takes_its_bounds_and_else_its_ports_policy() -> None:
    graph = Subgraph("g")
    graph.add_node(Node("a", PortSpec("in", int, Drop()), PortSpec("out", str, Latest())))
    graph.expose_input("in", "a:in", capacity=5, priority=3)
    graph.expose_output("out", "a:out", policy=Block(), ttl_s=2)
    entering, leaving = graph.edges
    assert (entering.capacity, type(entering.default_policy)) == (5, Drop)
    assert (leaving.ttl_s, type(leaving.default_policy)) == (2, Block)
    assert entering.spec is not None
    assert entering.spec.schema is int
    assert leaving.spec is not None
    assert leaving.spec.schema is str
    assert [wire.options.band.value for wire in graph.exposures] == [3, 1]


def test_an_input_may_be_exposed_twice_and_have_inner_edges_too() -> None:
    graph = steps("a", "b")
    graph.expose_input("left", "b:in")
    graph.expose_input("right", "b:in")
    found = [edge.id for edge in graph.inputs_of("b")]
    assert found == ["a:out->b:in", "input:left->b:in", "input:right->b:in"]


def test_edges_are_the_same_objects_every_time() -> None:
    graph = parser()
    assert all(a is b for a, b in zip(graph.edges, graph.edges, strict=True))


def test_nodes_and_subgraphs_are_live_read_only_mappings() -> None:
    graph = Subgraph("main")
    nodes, subgraphs = graph.nodes, graph.subgraphs
    a, inner = step("a"), parser()
    graph.add_subgraph(inner)
    graph.add_node(a)
    assert dict(nodes) == {"a": a}
    assert dict(subgraphs) == {"parse": inner}
    assert list(graph.members) == ["parse", "a"]
    with pytest.raises(TypeError):
        nodes["b"] = step("b")  # type: ignore[index]


def test_node_names_are_full_paths_in_the_order_added() -> None:
    graph = Subgraph("main")
    graph.add_node(step("first"))
    graph.add_subgraph(parser())
    graph.add_node(step("last"))
    assert graph.node_names() == ["first", "parse/tok", "parse/emit", "last"]


def test_inputs_of_takes_a_name_a_path_or_the_node() -> None:
    graph, a = Subgraph("main"), step("a")
    graph.add_node(a, name="renamed")
    graph.add_subgraph(parser())
    graph.connect("renamed:out", "parse:in")
    graph.expose_input("in", "renamed:in")
    assert [edge.id for edge in graph.inputs_of(a)] == ["input:in->renamed:in"]
    assert graph.inputs_of("renamed") == graph.inputs_of(a)
    assert [edge.id for edge in graph.inputs_of("parse/tok")] == ["renamed:out->parse/tok:in"]
    with pytest.raises(GraphValidationError, match="did you mean 'renamed'"):
        graph.inputs_of("rename")


@pytest.mark.parametrize("count", [1, 2**62])
def test_every_count_that_passes_the_check_makes_an_edge(count: int) -> None:
    graph = Subgraph.from_nodes("g", [step("a"), step("b")])
    graph.connect("a:out", "b:in", count, max_bytes=count, sizeof=len, control_capacity=count)
    assert len(graph.edges) == 1
