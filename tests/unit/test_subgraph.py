"""Building a graph: what the calls make, what they refuse, and that a refusal leaves no trace."""

from __future__ import annotations

import gc
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

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

if TYPE_CHECKING:
    from collections.abc import Callable


def step(name: str) -> Node:
    return Node(name, ["in"], ["out"])


def chain(*names: str) -> Subgraph:
    """The steps of these names, each connected to the next."""
    graph = Subgraph.from_nodes("chain", [step(name) for name in names])
    for before, after in pairwise(names):
        graph.connect((before, "out"), (after, "in"))
    return graph


def parser() -> Subgraph:
    """A subgraph "parse" of tok -> emit that exposes both ends as "in" and "out"."""
    graph = Subgraph.from_nodes("parse", [step("tok"), step("emit")])
    graph.connect("tok:out", "emit:in")
    graph.expose_input("in", "tok:in")
    graph.expose_output("out", "emit:out")
    return graph


def ids(graph: Subgraph) -> list[str]:
    return [edge.id for edge in graph.edges]


def codes(call: Callable[..., object], *args: Any, **options: Any) -> list[str]:
    """The codes of the issues that a call is refused for."""
    with pytest.raises(GraphValidationError) as refusal:
        call(*args, **options)
    return [issue.code for issue in refusal.value.issues]


def contents(graph: Subgraph) -> object:
    """Everything that a refused call could have changed."""
    return (
        list(graph.members),
        graph.edges,
        list(graph.connections),
        list(graph.exposures),
        dict(graph.exposed_inputs),
        dict(graph.exposed_outputs),
        graph.validate(),
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
    assert chain("a").connect("a:out", "a:in", policy=Drop()) == "a:out->a:in"


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


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"priority": 9}, ValueError),
        ({"priority": "HIGH"}, TypeError),
        ({"priority": True}, TypeError),
        ({"policy": "drop"}, TypeError),
        ({"sizeof": 3}, TypeError),
    ],
)
def test_a_wrong_option_is_refused_by_name(options: Any, expected: type[Exception]) -> None:
    graph = Subgraph.from_nodes("g", [step("a"), step("b")])
    graph.expose_input("in", "b:in")
    before = contents(graph)
    (name,) = options
    with pytest.raises(expected, match=name):
        graph.connect("a:out", "b:in", **options)
    with pytest.raises(expected, match=name):
        graph.expose_input("more", "a:in", **options)
    assert contents(graph) == before


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
    graph.add_subgraph(chain("a", "b"), "one")
    graph.add_subgraph(chain("c", "d"), "two")
    assert ids(graph) == ["a:out->b:in", "c:out->d:in"]


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
    graph = chain("a", "b")
    graph.expose_input("left", "b:in")
    graph.expose_input("right", "b:in")
    found = [edge.id for edge in graph.inputs_of("b")]
    assert found == ["a:out->b:in", "input:left->b:in", "input:right->b:in"]


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


def test_connect_reports_everything_wrong_at_once() -> None:
    graph = chain("a", "b")
    bad = {"capacity": 0, "max_bytes": -1, "ttl_s": 0, "control_capacity": 1.5}
    found = codes(graph.connect, "a:oops", "nobody:in", **bad)
    assert found == ["NO_SRC_PORT", "UNKNOWN_NODE", *["BAD_CAP"] * 4]


@pytest.mark.parametrize(
    ("call", "args", "options", "expected"),
    [
        ("add_node", [step("a")], {}, ["DUP_NODE"]),
        ("add_node", [step("x"), "parse"], {}, ["DUP_NODE"]),
        ("add_node", [step("x"), "x:y"], {}, ["BAD_NAME"]),
        ("add_subgraph", [Subgraph("a")], {}, ["DUP_NODE"]),
        ("add_subgraph", [Subgraph("x"), "x/y"], {}, ["BAD_NAME"]),
        ("connect", ["a:out", "b:in"], {}, ["DUP_EDGE"]),
        ("connect", ["b:out", "a:in"], {"capacity": 0}, ["BAD_CAP"]),
        ("connect", ["x:out", "b:in"], {}, ["UNKNOWN_NODE"]),
        ("connect", ["a:x", "b:in"], {}, ["NO_SRC_PORT"]),
        ("connect", ["a:out", "b:x"], {}, ["NO_DST_PORT"]),
        ("connect", ["parse:x", "b:in"], {}, ["NO_SRC_PORT"]),
        ("connect", ["a:out", "parse:x"], {}, ["NO_DST_PORT"]),
        ("connect", ["a:out", "parse/tok:in"], {}, ["UNKNOWN_NODE"]),
        ("connect", ["a", "b:in"], {}, ["BAD_NAME"]),
        ("connect", ["a:out:x", ["b", "in"]], {}, ["BAD_NAME", "BAD_NAME"]),
        ("connect", [("a",), None], {}, ["BAD_NAME", "BAD_NAME"]),
        ("connect", [":out", ("b", "")], {}, ["BAD_NAME", "BAD_NAME"]),
        ("connect", ["number:out", "text:in"], {}, ["TYPE_MISMATCH"]),
        ("expose_input", ["in", "b:in"], {}, ["DUP_EXPOSE_IN"]),
        ("expose_input", [["new"], "b:in"], {}, ["BAD_NAME"]),
        ("expose_input", ["new", "b:out"], {}, ["BAD_EXPOSE_IN"]),
        ("expose_input", ["new", "x:in"], {}, ["BAD_EXPOSE_IN"]),
        ("expose_input", ["new", "parse:out"], {}, ["BAD_EXPOSE_IN"]),
        ("expose_input", ["n/w", "b"], {"ttl_s": -1}, ["BAD_NAME", "BAD_NAME", "BAD_CAP"]),
        ("expose_output", ["out", "b:out"], {}, ["DUP_EXPOSE_OUT"]),
        ("expose_output", ["new", "a:in"], {}, ["BAD_EXPOSE_OUT"]),
        ("expose_output", ["new", "x:out"], {"capacity": 0}, ["BAD_EXPOSE_OUT", "BAD_CAP"]),
        ("expose_output", ["out", "b:x"], {}, ["BAD_EXPOSE_OUT", "DUP_EXPOSE_OUT"]),
    ],
)
def test_a_refused_call_leaves_no_trace(
    call: str, args: list[Any], options: dict[str, Any], expected: list[str]
) -> None:
    graph = chain("a", "b")
    graph.add_node(Node("number", outputs=PortSpec("out", int)))
    graph.add_node(Node("text", inputs=PortSpec("in", str)))
    graph.add_subgraph(parser())
    graph.expose_input("in", "a:in")
    graph.expose_output("out", "b:out")
    before = contents(graph)
    assert codes(getattr(graph, call), *args, **options) == expected
    assert contents(graph) == before


def test_a_node_object_sits_in_one_place() -> None:
    graph = Subgraph("g")
    a = step("a")
    graph.add_node(a)
    assert codes(graph.add_node, a, "again") == ["DUP_NODE"]


def test_a_subgraph_sits_in_one_place_and_never_in_itself() -> None:
    outer, middle, inner = Subgraph("outer"), Subgraph("middle"), Subgraph("inner")
    outer.add_subgraph(middle)
    middle.add_subgraph(inner)
    assert codes(outer.add_subgraph, inner, "again") == ["DUP_NODE"]
    assert codes(outer.add_subgraph, outer, "me") == ["DUP_NODE"]
    assert codes(inner.add_subgraph, outer, "loop") == ["DUP_NODE"]
    assert inner.outer is middle


def test_what_is_no_node_or_subgraph_is_refused_with_advice() -> None:
    graph = Subgraph("g")
    with pytest.raises(TypeError, match="use add_subgraph"):
        graph.add_node(parser())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="use add_node"):
        graph.add_subgraph(step("a"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not int 3"):
        graph.add_node(3)  # type: ignore[arg-type]


def test_a_node_that_forgot_super_init_is_refused_with_advice() -> None:
    class Forgetful(Node):
        inputs = "in"

        def __init__(self) -> None:
            pass

    with pytest.raises(GraphValidationError, match=r"call super\(\).__init__\(name\)"):
        Subgraph("g").add_node(Forgetful())


def test_a_bad_subgraph_name_is_refused() -> None:
    assert codes(Subgraph, "a/b") == ["BAD_NAME"]
    assert codes(Subgraph, None) == ["BAD_NAME"]


@pytest.mark.parametrize("count", [1, 2**62])
def test_every_count_that_passes_the_check_makes_an_edge(count: int) -> None:
    graph = Subgraph.from_nodes("g", [step("a"), step("b")])
    graph.connect("a:out", "b:in", count, max_bytes=count, sizeof=len, control_capacity=count)
    assert len(graph.edges) == 1


def test_an_unknown_name_suggests_the_nearest() -> None:
    graph = chain("parse", "store")
    with pytest.raises(GraphValidationError, match=r"'pars', .* did you mean 'parse'"):
        graph.connect("pars:out", "store:in")
    with pytest.raises(GraphValidationError, match="did you mean 'out'"):
        graph.connect("parse:outt", "store:in")
    with pytest.raises(GraphValidationError, match="did you mean 'store'"):
        graph.expose_input("in", "stor:in")


def test_a_path_into_a_nested_subgraph_is_answered_with_how_to_expose() -> None:
    graph = chain("a", "b")
    graph.add_subgraph(parser())
    with pytest.raises(GraphValidationError, match="expose the port in 'parse'"):
        graph.connect("a:out", "parse/tok:in")


def test_a_port_of_the_wrong_direction_is_named_as_such() -> None:
    graph = chain("a", "b")
    with pytest.raises(GraphValidationError) as refusal:
        graph.connect("b:in", "a:out")
    assert "'in' is an input, and the source must be an output" in str(refusal.value)
    assert "'out' is an output, and the destination must be an input" in str(refusal.value)
