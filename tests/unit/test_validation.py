"""validate(): every issue at once, and what only the whole graph shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from graphs import Map, Source, chain, scheduler_of
from subgraphs import step

from graphflow import Block, Drop, Message, Node, PortSpec, Subgraph, ValidationIssue
from graphflow.base.issues import nearest
from graphflow.graph.components import strong_groups
from graphflow.graph.validation.checks import check_block_cycles, check_bounds
from graphflow.nodes import map_node

if TYPE_CHECKING:
    from collections.abc import Callable


def ring(*names: str) -> Subgraph:
    """The steps of these names, connected in a circle."""
    graph = Subgraph.from_nodes("ring", [step(name) for name in names])
    for before, after in zip(names, names[1:] + names[:1], strict=True):
        graph.connect((before, "out"), (after, "in"))
    return graph


def found(graph: Subgraph, level: str = "error") -> list[str]:
    return [issue.code for issue in graph.validate() if issue.level == level]


def messages(graph: Subgraph, code: str) -> list[str]:
    return [issue.message for issue in graph.validate() if issue.code == code]


def open_chain() -> Subgraph:
    """A graph without issues: input -> a -> b -> output."""
    graph = Subgraph.from_nodes("g", [step("a"), step("b")])
    graph.connect("a:out", "b:in")
    graph.expose_input("in", "a:in")
    graph.expose_output("out", "b:out")
    return graph


def test_a_sound_graph_has_no_issues() -> None:
    assert open_chain().validate() == []
    assert Subgraph("empty").validate() == []


def take_ports(graph: Subgraph) -> None:
    graph.nodes["a"].outputs = ()
    graph.nodes["b"].inputs = ()


def take_exposed(graph: Subgraph) -> None:
    graph.nodes["a"].inputs = ()
    graph.nodes["b"].outputs = ()


def change_schemas(graph: Subgraph) -> None:
    graph.nodes["a"].outputs = Node("x", outputs=PortSpec("out", int)).outputs
    graph.nodes["b"].inputs = Node("x", inputs=PortSpec("in", str)).inputs


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (take_ports, ["NO_SRC_PORT", "NO_DST_PORT"]),
        (take_exposed, ["BAD_EXPOSE_IN", "BAD_EXPOSE_OUT"]),
        (change_schemas, ["TYPE_MISMATCH"]),
    ],
)
def test_what_was_well_when_made_is_checked_again(change: Callable[[Subgraph], None], expected: list[str]) -> None:
    graph = open_chain()
    change(graph)
    assert found(graph) == expected


def test_issues_of_a_nested_subgraph_say_where_they_are() -> None:
    middle, inner = Subgraph("middle"), open_chain()
    middle.add_subgraph(inner, "inner")
    graph = Subgraph("main")
    graph.add_subgraph(middle)
    take_ports(inner)
    for message in messages(graph, "NO_SRC_PORT"):
        assert message.startswith("in subgraph 'middle/inner': node 'a' has no output port 'out'")
    assert found(graph) == ["NO_SRC_PORT", "NO_DST_PORT"]


def test_one_node_object_at_two_levels_is_found() -> None:
    shared = step("shared")
    left, right = Subgraph("left"), Subgraph("right")
    graph = Subgraph("main")
    graph.add_subgraph(left)
    graph.add_subgraph(right)
    left.add_node(shared)
    right.add_node(shared, "other")
    assert found(graph) == ["DUP_NODE"]
    (message,) = messages(graph, "DUP_NODE")
    assert "'right/other'" in message
    assert "'left/shared'" in message


def test_one_edge_made_inside_and_outside_is_found() -> None:
    inner = Subgraph.from_nodes("inner", [step("a"), step("b")])
    inner.connect("a:out", "b:in")
    inner.expose_output("out", "a:out")
    inner.expose_input("in", "b:in")
    graph = Subgraph("main")
    graph.add_subgraph(inner)
    graph.connect("inner:out", "inner:in")
    assert found(graph) == ["DUP_EDGE"]
    assert "'inner/a:out->inner/b:in'" in messages(graph, "DUP_EDGE")[0]


def test_a_node_called_input_cannot_take_the_id_of_an_exposed_edge() -> None:
    graph = Subgraph.from_nodes("g", [Node("input", outputs="x"), step("a")])
    graph.connect("input:x", "a:in")
    graph.expose_input("x", "a:in")
    assert found(graph) == ["DUP_EDGE"]


def test_every_unconnected_port_is_a_warning() -> None:
    graph = Subgraph.from_nodes("g", [Node("a", ["x", "y"], ["z"]), step("b")])
    graph.connect("a:z", "b:in")
    graph.expose_input("x", "a:x")
    assert found(graph) == []
    assert found(graph, "warning") == ["UNCONNECTED_PORT"] * 2
    first, second = messages(graph, "UNCONNECTED_PORT")
    assert "input port 'y' of node 'a'" in first
    assert "output port 'out' of node 'b'" in second


def test_an_exposed_port_that_the_outer_graph_leaves_open_is_a_warning() -> None:
    graph = Subgraph("main")
    graph.add_subgraph(open_chain(), "inner")
    graph.expose_output("out", "inner:out")
    (message,) = messages(graph, "UNCONNECTED_PORT")
    assert "input port 'in' of subgraph 'inner'" in message


def test_a_cycle_of_blocking_edges_is_one_warning_that_names_them() -> None:
    graph = ring("a", "b", "c")
    graph.add_node(step("outside"))
    graph.connect("c:out", "outside:in")
    assert found(graph, "warning").count("BLOCK_CYCLE") == 1
    (message,) = messages(graph, "BLOCK_CYCLE")
    for edge_id in ("a:out->b:in", "b:out->c:in", "c:out->a:in"):
        assert edge_id in message
    assert "outside" not in message


def test_an_edge_back_to_its_own_node_is_a_cycle() -> None:
    assert len(messages(ring("a"), "BLOCK_CYCLE")) == 1


def test_cycles_apart_are_reported_apart() -> None:
    graph = ring("a", "b")
    for name in ("c", "d"):
        graph.add_node(step(name))
    graph.connect("c:out", "d:in")
    graph.connect("d:out", "c:in")
    graph.connect("a:out", "c:in")
    assert len(messages(graph, "BLOCK_CYCLE")) == 2


def test_a_cycle_with_one_edge_that_gives_way_is_fine() -> None:
    graph = Subgraph.from_nodes("g", [step("a"), step("b")])
    graph.connect("a:out", "b:in", policy=Block())
    graph.connect("b:out", "a:in", policy=Drop())
    assert messages(graph, "BLOCK_CYCLE") == []


def test_a_blocking_cycle_beside_one_that_gives_way_is_found() -> None:
    graph = ring("a", "b")
    graph.add_node(step("c"))
    graph.connect("b:out", "c:in", policy=Drop())
    graph.connect("c:out", "a:in")
    (message,) = messages(graph, "BLOCK_CYCLE")
    assert "c:" not in message


def test_a_cycle_through_a_nested_subgraph_is_found() -> None:
    graph = Subgraph("main")
    graph.add_subgraph(open_chain(), "inner")
    graph.connect("inner:out", "inner:in")
    (message,) = messages(graph, "BLOCK_CYCLE")
    assert "inner/b:out->inner/a:in" in message
    assert "inner/a:out->inner/b:in" in message


def test_a_long_cycle_is_cut_short_in_its_message() -> None:
    names = tuple(f"n{number}" for number in range(100))
    (message,) = messages(ring(*names), "BLOCK_CYCLE")
    assert "and 92 more" in message


def test_no_edges_no_cycles() -> None:
    assert check_block_cycles([]) == []


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "8", None, 2**62 + 1])
def test_a_count_that_is_none_is_named_with_its_value(value: object) -> None:
    for name in ("capacity", "control_capacity", "max_bytes"):
        bounds = {"capacity": 1, "max_bytes": None, "ttl_s": None, "control_capacity": 1}
        if name == "max_bytes" and value is None:
            continue
        (issue,) = check_bounds(**(bounds | {name: value}))
        assert (issue.level, issue.code) == ("error", "BAD_CAP")
        assert name in issue.message
        assert repr(value) in issue.message


@pytest.mark.parametrize("value", [0, -0.5, float("nan"), float("inf"), True, "1"])
def test_a_ttl_that_is_none_is_named_with_its_value(value: object) -> None:
    (issue,) = check_bounds(1, None, value, 1)
    assert issue.code == "BAD_CAP"
    assert issue.message.startswith("ttl_s must be more than 0")
    assert issue.message.endswith(f"not {value!r}")


def test_issues_are_immutable_values_that_print_their_code() -> None:
    issue = ValidationIssue("error", "BAD_CAP", "too small")
    assert issue == ValidationIssue("error", "BAD_CAP", "too small")
    assert str(issue) == "BAD_CAP: too small"
    with pytest.raises(AttributeError):
        issue.code = "x"  # type: ignore[misc]


def test_advice_names_the_nearest_or_what_there_is() -> None:
    assert nearest("pasre", ["parse", "store"]) == "did you mean 'parse'?"
    assert nearest("x", ["parse", "store"]) == "there is 'parse', 'store'"
    assert nearest("x", []) == "there is none yet"
    assert nearest("x", [f"name{n}" for n in range(10)]).endswith("'name7' and 2 more")


def test_strong_groups_are_found_without_recursion() -> None:
    count = 100_000
    circle = [[(number + 1) % count] for number in range(count)]
    assert strong_groups(circle) == [list(range(count))]


def test_a_node_that_hears_nothing_is_warned_of_once_it_is_to_run(caplog: pytest.LogCaptureFixture) -> None:
    class Misspelt(Node):
        def on_mesage(self, port: str, msg: Message) -> None: ...

    patched = Node("patched", "in")
    vars(patched)["on_message"] = lambda port, msg: None
    graph = chain(Source("a", [1]), Misspelt("deaf", "in", "out"), Map("map"), map_node(abs, "step"), patched)
    assert graph.validate() == []
    with caplog.at_level("WARNING", "graphflow.scheduler"):
        scheduler_of(graph)
    (record,) = caplog.records
    assert vars(record)["code"] == "NO_HANDLER"
    assert "node 'deaf' has inputs but no on_message(self, port, msg)" in record.getMessage()
