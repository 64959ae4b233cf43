"""Subgraphs in subgraphs: what an edge through exposed ports joins, and what each level shows."""

from __future__ import annotations

import gc

import pytest
from subgraphs import codes, ids, parser, step, steps

from graphflow import GraphValidationError, Node, Subgraph


def test_an_edge_through_exposed_ports_names_the_inner_nodes() -> None:
    graph = Subgraph.from_nodes("main", [step("read"), step("store")])
    graph.add_subgraph(parser())
    assert graph.connect("read:out", "parse:in") == "read:out->parse/tok:in"
    assert graph.connect("parse:out", "store:in") == "parse/emit:out->store:in"
    assert {issue.code for issue in graph.validate()} == {"UNCONNECTED_PORT"}  # the two far ends


def test_two_nested_subgraphs_connect_to_each_other() -> None:
    graph = Subgraph("main")
    graph.add_subgraph(parser(), name="first")
    graph.add_subgraph(parser(), name="second")
    assert graph.connect("first:out", "second:in") == "first/emit:out->second/tok:in"


def test_an_exposed_port_may_stand_for_one_exposed_further_in() -> None:
    deepest = Subgraph.from_nodes("level0", [step("core")])
    deepest.expose_input("in", "core:in")
    graph = deepest
    for level in range(1, 2000):
        around = Subgraph(f"level{level}")
        around.add_subgraph(graph)
        around.expose_input("in", (graph.name, "in"))
        graph = around
    (path,) = graph.node_names()
    assert path.startswith("level1998/level1997/")
    assert path.endswith("/level0/core")
    assert ids(graph) == [f"input:in->{path}:in"]
    codes_found = {issue.code for issue in graph.validate()}
    assert codes_found == {"UNCONNECTED_PORT"}  # core:out


def test_every_level_may_expose_a_port_under_another_name() -> None:
    inner, middle, outer = Subgraph("inner"), Subgraph("middle"), Subgraph("outer")
    inner.add_node(Node("core", ["x", "y"], ["z"]))
    inner.expose_input("first", "core:x")
    inner.expose_input("second", "core:y")
    middle.add_subgraph(inner)
    middle.expose_input("left", "inner:second")
    outer.add_subgraph(middle)
    outer.add_node(step("a"))
    assert outer.connect("a:out", "middle:left") == "a:out->middle/inner/core:y"
    assert codes(outer.connect, "a:out", "middle:second") == ["NO_DST_PORT"]


def test_edges_of_nested_subgraphs_follow_in_the_order_added() -> None:
    graph = Subgraph("main")
    graph.add_subgraph(steps("a", "b"), "one")
    graph.add_subgraph(steps("c", "d"), "two")
    assert ids(graph) == ["a:out->b:in", "c:out->d:in"]


def test_a_nested_subgraph_has_no_edges_for_its_exposed_ports() -> None:
    graph, inner = Subgraph("main"), parser()
    graph.add_subgraph(inner)
    assert ids(inner) == ["tok:out->emit:in"]
    assert graph.edges == inner.edges


def test_a_subgraph_that_outlives_the_one_around_it_stands_on_its_own() -> None:
    inner = parser()
    Subgraph("main").add_subgraph(inner)
    gc.collect()
    assert inner.outer is None
    assert len(inner.edges) == 3
    Subgraph("other").add_subgraph(inner)


def test_a_subgraph_sits_in_one_place_and_never_in_itself() -> None:
    outer, middle, inner = Subgraph("outer"), Subgraph("middle"), Subgraph("inner")
    outer.add_subgraph(middle)
    middle.add_subgraph(inner)
    assert codes(outer.add_subgraph, inner, "again") == ["DUP_NODE"]
    assert codes(outer.add_subgraph, outer, "me") == ["DUP_NODE"]
    assert codes(inner.add_subgraph, outer, "loop") == ["DUP_NODE"]
    assert inner.outer is middle


def test_a_path_into_a_nested_subgraph_is_answered_with_how_to_expose() -> None:
    graph = steps("a", "b")
    graph.add_subgraph(parser())
    with pytest.raises(GraphValidationError, match="expose the port in 'parse'"):
        graph.connect("a:out", "parse/tok:in")
