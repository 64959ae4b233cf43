"""The ends of an Edge are named, or given as the nodes and ports that bear the names."""

from __future__ import annotations

from typing import Any

import pytest
from graphs import Collect, Map

from graphflow import Edge, Port, PortDirection


def test_nodes_and_ports_stand_for_their_names() -> None:
    source, target = Map("a"), Collect("b")
    out, into = Port("out", PortDirection.OUTPUT), Port("in", PortDirection.INPUT)
    edge: Edge[int] = Edge(source, out, target, into)
    assert edge.id == "a:out->b:in"
    assert (edge.source_node, edge.source_port, edge.target_node, edge.target_port) == ("a", "out", "b", "in")


def test_a_node_s_own_ports_do() -> None:
    source, target = Map("a"), Collect("b")
    assert Edge("a", source.outputs[0], "b", target.inputs[0]).id == "a:out->b:in"


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("end", [None, 1, "", b"out", object(), ("a", "out")])
def test_anything_else_is_refused_by_the_name_of_the_argument(place: int, end: Any) -> None:
    ends: list[Any] = ["a", "out", "b", "in"]
    ends[place] = end
    name = ("source_node", "source_port", "target_node", "target_port")[place]
    kind = name.partition("_")[2]
    with pytest.raises(TypeError, match=rf"^{name} must be a non-empty str or the {kind} itself, not "):
        Edge(*ends)
