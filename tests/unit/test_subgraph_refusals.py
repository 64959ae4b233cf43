"""What the calls that build a graph refuse: with all that is wrong and advice, and a refusal leaves no trace."""

from __future__ import annotations

from typing import Any

import pytest
from subgraphs import codes, parser, step, steps

from graphflow import GraphValidationError, Node, PortSpec, Subgraph


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


def test_connect_reports_everything_wrong_at_once() -> None:
    graph = steps("a", "b")
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
    graph = steps("a", "b")
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


def test_an_unknown_name_suggests_the_nearest() -> None:
    graph = steps("parse", "store")
    with pytest.raises(GraphValidationError, match=r"'pars', .* did you mean 'parse'"):
        graph.connect("pars:out", "store:in")
    with pytest.raises(GraphValidationError, match="did you mean 'out'"):
        graph.connect("parse:outt", "store:in")
    with pytest.raises(GraphValidationError, match="did you mean 'store'"):
        graph.expose_input("in", "stor:in")


def test_a_port_of_the_wrong_direction_is_named_as_such() -> None:
    graph = steps("a", "b")
    with pytest.raises(GraphValidationError) as refusal:
        graph.connect("b:in", "a:out")
    assert "'in' is an input, and the source must be an output" in str(refusal.value)
    assert "'out' is an output, and the destination must be an input" in str(refusal.value)
