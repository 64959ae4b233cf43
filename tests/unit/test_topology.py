"""The plan of a run: start order, groups, links with full paths, and checks across items."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from subgraphs import parser, step

from graphflow import Node, PriorityBand, Subgraph
from graphflow.graph.components import topological_groups
from graphflow.graph.plan import Plan, check, plan


def graph_of(edges: str, name: str = "g") -> Subgraph:
    """A graph written as "ab bc": nodes in the order mentioned, an edge for each pair."""
    graph = Subgraph(name)
    for letter in dict.fromkeys(edges.replace(" ", "")):
        graph.add_node(step(letter))
    for pair in edges.split():
        for source, target in pairwise(pair):
            graph.connect((source, "out"), (target, "in"))
    return graph


def order(laid_out: Plan) -> str:
    return "".join(placed.path for placed in laid_out.nodes)


def groups(laid_out: Plan) -> list[str]:
    return ["".join(laid_out.nodes[index].path for index in each) for each in laid_out.groups]


def nested() -> Subgraph:
    """main: a -> parse(tok -> emit) -> b, with "in" and "out" exposed."""
    graph = Subgraph("main")
    graph.add_node(step("b"))
    graph.add_subgraph(parser())
    graph.add_node(step("a"))
    graph.connect("a:out", "parse:in", priority=PriorityBand.HIGH)
    graph.connect("parse:out", "b:in")
    graph.expose_input("in", "a:in", priority=3)
    graph.expose_output("out", "b:out")
    return graph


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ("ab bc", "abc"),
        ("bc ab", "abc"),
        ("a b c", "abc"),
        ("c b a", "cba"),
        ("ad bd cd", "abcd"),
        ("da cb", "dacb"),
    ],
)
def test_nodes_stand_in_topological_order_and_else_as_added(edges: str, expected: str) -> None:
    assert order(plan([graph_of(edges)])) == expected


def test_a_cycle_is_one_group_in_the_order_added() -> None:
    laid_out = plan([graph_of("cbac xc ay")])
    assert order(laid_out) == "xcbay"
    assert groups(laid_out) == ["x", "cba", "y"]


def test_a_node_that_feeds_itself_is_a_group_of_one() -> None:
    assert groups(plan([graph_of("aab")])) == ["a", "b"]


def test_nested_nodes_and_their_edges_get_full_paths() -> None:
    graph = nested()
    laid_out = plan([graph])
    assert [placed.path for placed in laid_out.nodes] == ["a", "parse/tok", "parse/emit", "b"]
    assert [edge.id for edge in graph.edges] == [
        "a:out->parse/tok:in",
        "parse/emit:out->b:in",
        "parse/tok:out->parse/emit:in",
        "input:in->a:in",
        "b:out->output:out",
    ]
    assert graph.subgraphs["parse"].edges[0].id == "parse/tok:out->parse/emit:in"


def test_links_hold_the_graphs_own_edges_and_index_the_plans_nodes() -> None:
    graph = nested()
    laid_out = plan([graph])
    assert all(link.edge is edge for link, edge in zip(laid_out.links, graph.edges, strict=True))
    ends = [(link.source, link.target, link.exposed) for link in laid_out.links]
    assert ends == [
        (0, 1, None),
        (2, 3, None),
        (1, 2, None),
        (None, 0, "in"),
        (3, None, "out"),
    ]
    bands = [link.band.name for link in laid_out.links]
    assert bands == ["HIGH", "NORMAL", "NORMAL", "CONTROL", "NORMAL"]


def test_a_plan_made_again_is_the_same() -> None:
    graph = nested()
    assert plan([graph]) == plan([graph])


def test_a_bare_node_stands_under_its_own_name() -> None:
    node = step("lonely")
    laid_out = plan([graph_of("ab"), node])
    assert [placed.path for placed in laid_out.nodes] == ["a", "b", "lonely"]
    assert laid_out.nodes[2].node is node


def test_nothing_registered_is_an_empty_plan() -> None:
    assert plan([]) == Plan((), (), ())
    assert check([]) == []


def test_random_graphs_are_ordered_by_every_edge_outside_cycles() -> None:
    numbers = random.Random(7)
    for _ in range(200):
        count = numbers.randrange(1, 12)
        successors = [[numbers.randrange(count) for _ in range(numbers.randrange(3))] for _ in range(count)]
        found = topological_groups(successors)
        rank = {node: place for place, group in enumerate(found) for node in group}
        assert sorted(rank) == list(range(count))
        reach = [reachable(successors, node) for node in range(count)]
        for a in range(count):
            for b in range(count):
                together = a == b or (b in reach[a] and a in reach[b])
                assert (rank[a] == rank[b]) == together
                if b in reach[a] and not together:
                    assert rank[a] < rank[b]


def reachable(successors: list[list[int]], start: int) -> set[int]:
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        for after in successors[waiting.pop()]:
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return seen


def test_a_chain_of_a_hundred_thousand_nodes_needs_no_recursion() -> None:
    count = 100_000
    backwards = [[number - 1] if number else [] for number in range(count)]
    assert topological_groups(backwards) == [[number] for number in reversed(range(count))]


def test_check_includes_the_issues_of_each_item() -> None:
    codes = [issue.code for issue in check([graph_of("aa"), step("lonely")])]
    assert codes == ["BLOCK_CYCLE", "UNCONNECTED_PORT", "UNCONNECTED_PORT"]


@pytest.mark.parametrize("second", [graph_of("ab", "other"), step("a"), Node("a")], ids=["graph", "node", "portless"])
def test_one_path_in_two_items_is_a_duplicate(second: Subgraph | Node) -> None:
    (issue,) = [issue for issue in check([graph_of("a"), second]) if issue.level == "error"]
    assert issue.code == "DUP_NODE"
    assert "two registered nodes are named 'a'" in issue.message


def errors(*items: Subgraph | Node) -> list[str]:
    return [issue.code for issue in check(items) if issue.level == "error"]


def test_one_node_object_in_two_items_is_a_duplicate() -> None:
    node = step("a")
    first, second = Subgraph("first"), Subgraph("second")
    first.add_node(node)
    second.add_node(node, "b")
    assert errors(first, second) == ["DUP_NODE"]
    assert errors(first, node) == ["DUP_NODE"]


def test_an_item_registered_twice_is_reported_once() -> None:
    graph, node = nested(), step("x")
    assert errors(graph, graph) == ["DUP_NODE"]
    assert errors(node, node) == ["DUP_NODE"]


def test_a_nested_subgraph_is_not_registered_by_itself() -> None:
    graph = nested()
    assert errors(graph.subgraphs["parse"]) == ["DUP_NODE"]
    (issue,) = check([graph.subgraphs["parse"]])
    assert issue.message.endswith("register 'main' instead")


def test_exposed_names_are_unique_over_all_items() -> None:
    first, second = graph_of("a", "first"), graph_of("b", "second")
    for graph, name in ((first, "a"), (second, "b")):
        graph.expose_input("in", (name, "in"))
        graph.expose_output("out", (name, "out"))
    assert errors(first, second) == ["DUP_EXPOSE_IN", "DUP_EXPOSE_OUT"]


def test_a_bare_node_that_forgot_super_init_is_reported() -> None:
    class Forgetful(Node):
        def __init__(self) -> None:
            pass

    assert errors(Forgetful(), Forgetful()) == ["BAD_NAME", "BAD_NAME"]


def test_subgraphs_of_one_name_may_be_registered_together() -> None:
    assert errors(graph_of("a"), graph_of("b")) == []
