"""Names: any text that can be written down, as plain text wherever it comes to."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import pytest
from graphs import Collect, Source, assert_stopped_clean, run_graph, scheduler_of
from hostile_values import OtherText

from graphflow import (
    Edge,
    GraphValidationError,
    Message,
    Node,
    Port,
    PortDirection,
    PortSpec,
    PriorityBand,
    Scheduler,
    SchedulerConfig,
    Subgraph,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Name(enum.StrEnum):
    SOURCE = "source"
    INNER = "inner"
    LAST = "last"
    IN = "in"
    OUT = "out"


class Double(Node):
    inputs, outputs = Name.IN, Name.OUT

    def on_message(self, port: str, msg: Message) -> None:
        self.emit(Name.OUT, 2 * msg.payload)


def test_members_of_an_enum_are_names_wherever_one_is_asked_for() -> None:
    last = Collect(Name.LAST)
    inner = Subgraph.from_nodes(Name.INNER, [Double("double")])
    inner.expose_input(Name.IN, ("double", Name.IN))
    inner.expose_output(Name.OUT, ("double", Name.OUT))
    graph = Subgraph("g")
    graph.add_node(Source("other", [1, 2]), Name.SOURCE)
    graph.add_node(last)
    graph.add_subgraph(inner)
    graph.connect((Name.SOURCE, Name.OUT), (Name.INNER, Name.IN))
    graph.connect((Name.INNER, Name.OUT), (Name.LAST, Name.IN))
    graph.expose_input(Name.IN, (Name.LAST, Name.IN))
    assert {type(name) for name in [*graph.members, *graph.exposed_inputs, *inner.exposed_outputs]} == {str}
    assert {type(name) for pair in inner.exposed_inputs.values() for name in pair} == {str}
    assert {type(edge.source_port) for edge in graph.edges} == {str}
    scheduler = scheduler_of(graph)
    with scheduler:
        scheduler.pause(Name.SOURCE)
        scheduler.resume(Name.SOURCE)
        scheduler.input(Name.IN).put(3)
        assert sorted(last.expect(3)) == [2, 3, 4]
        report = scheduler.shutdown()
    assert_stopped_clean(graph, report)


def test_text_that_claims_to_be_other_text_is_taken_for_what_it_holds() -> None:
    graph = Subgraph.from_nodes("g", [Source("a", [1])])
    graph.add_node(Collect("other"), OtherText("b"))
    graph.connect(OtherText("a:out"), (OtherText("b"), OtherText("in")), capacity=4)
    graph.expose_input(OtherText("more"), OtherText("b:in"))
    assert list(graph.members) == ["a", "b"]
    assert [edge.id for edge in graph.edges] == ["a:out->b:in", "input:more->b:in"]
    scheduler = scheduler_of(graph)
    scheduler.set_capacity(OtherText("a:out->b:in"), 5)
    scheduler.set_priority(OtherText("a:out->b:in"), PriorityBand.HIGH)
    scheduler.pause(OtherText("b"))
    with scheduler:
        [edge, _] = scheduler.snapshot().edges.values()
        assert (edge.capacity, edge.band) == (5, "high")
        assert scheduler.snapshot().nodes["b"].state == "paused"
    assert SchedulerConfig(name=OtherText("c")).name == "c"
    for node in (Node(OtherText("n")), Node("n", OtherText("n"), OtherText("n"))):
        assert {node.name, *node.port_map()} == {"n"}
    edge_of_four: Edge = Edge(OtherText("a"), OtherText("b"), OtherText("c"), OtherText("d"))
    assert edge_of_four.id == "a:b->c:d"


HALF = "half \ud83d of a pair"


def test_what_no_exporter_could_write_is_refused_at_once() -> None:
    makers: list[Callable[[], object]] = [
        lambda: Node(HALF),
        lambda: Node("n", HALF),
        lambda: PortSpec(HALF),
        lambda: Port(HALF, PortDirection.INPUT),
        lambda: Subgraph(HALF),
        lambda: Subgraph("g").add_node(Node("n"), HALF),
        lambda: SchedulerConfig(name=HALF),
    ]
    for make in makers:
        with pytest.raises(ValueError, match=r"name must not hold half a surrogate pair, as 'half \\ud83d of a pair'"):
            make()
    graph = Subgraph.from_nodes("gräph", [Source("quelle", [1]), Collect("später 😀")])
    graph.connect("quelle:out", "später 😀:in")
    run_graph(graph)
    assert graph.node_names() == ["quelle", "später 😀"]


class Forgetful(Subgraph):
    def __init__(self) -> None:
        """Forget to call the constructor of Subgraph."""


def test_a_subgraph_whose_class_forgot_the_constructor_is_named() -> None:
    said = r"^BAD_NAME: a subgraph of class Forgetful has no name .*: call super\(\).__init__\(name\)"
    graph, scheduler = Subgraph("g"), Scheduler()
    calls: list[Callable[[Any], object]] = [graph.add_subgraph, scheduler.register]
    for call in calls:
        with pytest.raises(GraphValidationError, match=said):
            call(Forgetful())
    with pytest.raises(TypeError, match="<Forgetful without a name>"):
        graph.add_node(Forgetful())  # type: ignore[arg-type]
    assert (list(graph.members), scheduler.items) == ([], [])
