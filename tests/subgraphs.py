"""Subgraphs of nodes that do nothing, for tests of what can be built."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from graphflow import GraphValidationError, Node, Subgraph

if TYPE_CHECKING:
    from collections.abc import Callable


def step(name: str) -> Node:
    return Node(name, ["in"], ["out"])


def steps(*names: str) -> Subgraph:
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
