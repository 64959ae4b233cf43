"""Nodes: their names and ports, and the hooks that do nothing until they are overridden."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graphflow import Message, MessageType, Node, Port, PortDirection, PortSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphflow.graph.node import PortDeclarations


class Double(Node):
    inputs = "in"
    outputs = (PortSpec("out", int), "log")


def inputs(node: Node) -> tuple[Port, ...]:
    # A type checker takes the declaration of a class for the type of its instances' ports.
    return tuple(node.inputs)


def outputs(node: Node) -> tuple[Port, ...]:
    return tuple(node.outputs)


def names(ports: tuple[Port, ...]) -> list[str]:
    return [port.name for port in ports]


def test_class_declared_ports_become_ports_of_each_instance() -> None:
    node = Double("double")
    assert inputs(node) == (Port("in", PortDirection.INPUT, 0),)
    assert outputs(node) == (
        Port("out", PortDirection.OUTPUT, 0, PortSpec("out", int)),
        Port("log", PortDirection.OUTPUT, 1),
    )


@pytest.mark.parametrize(
    "declared",
    [
        "in",
        ["in"],
        PortSpec("in"),
        (PortSpec("in"),),
        Port("in", PortDirection.INPUT),
        iter(["in"]),
        {"in": None},
    ],
)
def test_one_port_may_be_declared_in_any_form(declared: PortDeclarations) -> None:
    node = Node("n", inputs=declared)
    assert names(inputs(node)) == ["in"]
    assert inputs(node)[0].is_input()
    assert outputs(node) == ()


def test_constructor_ports_replace_the_declared_ones_of_that_side_only() -> None:
    node = Double("double", inputs=["left", "right"])
    assert names(inputs(node)) == ["left", "right"]
    assert names(outputs(node)) == ["out", "log"]
    assert names(inputs(Double("other"))) == ["in"]


def test_ports_are_inherited_and_may_be_declared_anew() -> None:
    class Quiet(Double):
        outputs = ()  # type: ignore[assignment]

    assert names(inputs(Quiet("quiet"))) == ["in"]
    assert outputs(Quiet("quiet")) == ()


def test_ports_from_a_generator_on_the_class_serve_every_instance() -> None:
    class Many(Node):
        inputs = (f"in{number}" for number in range(3))

    assert names(inputs(Many("a"))) == names(inputs(Many("b"))) == ["in0", "in1", "in2"]


def test_a_given_port_keeps_its_spec_and_its_index() -> None:
    spec = PortSpec("in", int)
    given = Port("in", PortDirection.INPUT, 7, spec)
    assert inputs(Node("n", given)) == (given,)


def test_with_ports_makes_a_node_of_the_class() -> None:
    node = Double.with_ports("n", ["a"], ["b", "c"])
    assert type(node) is Double
    assert (names(inputs(node)), names(outputs(node))) == (["a"], ["b", "c"])


@pytest.mark.parametrize("name", ["", "a:b", "a/b", "a->b"])
def test_a_name_that_cannot_stand_in_an_edge_id_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Node(name)
    with pytest.raises(ValueError, match="name"):
        Node("n", inputs=[name])


def test_a_name_that_is_no_str_is_refused() -> None:
    with pytest.raises(TypeError, match="5"):
        Node(5)  # type: ignore[arg-type]


def test_ports_of_one_side_must_differ_in_name_and_the_error_names_them() -> None:
    with pytest.raises(ValueError, match=r"inputs of node 'n' repeat 'a'"):
        Node("n", inputs=["a", "b", "a"])


def test_an_input_and_an_output_may_share_a_name() -> None:
    node = Node("n", "data", "data")
    assert node.input_port("data").is_input()
    assert node.output_port("data").is_output()


@pytest.mark.parametrize("declared", [[1], 1, None, [None]])
def test_what_is_no_port_is_refused(declared: object) -> None:
    with pytest.raises(TypeError, match=r"names, PortSpecs or Ports"):
        Node("n", inputs=declared)  # type: ignore[arg-type]


def test_a_port_of_the_other_direction_is_refused() -> None:
    with pytest.raises(ValueError, match=r"inputs of node 'n' hold 'out', an output"):
        Node("n", inputs=[Port("out", PortDirection.OUTPUT)])


def test_bad_ports_on_a_class_are_refused_when_the_class_is_made() -> None:
    with pytest.raises(ValueError, match=r"outputs of class Twice repeat 'a'"):

        class Twice(Node):
            outputs = ("a", "a")

    with pytest.raises(TypeError, match=r"inputs of class Wrong"):

        class Wrong(Node):
            inputs = 3


def test_port_map_holds_the_ports_of_both_sides() -> None:
    node = Double("double")
    assert list(node.port_map()) == ["in", "out", "log"]
    assert node.port_map()["out"] is node.output_port("out")


def test_an_unknown_port_is_answered_with_the_nearest() -> None:
    with pytest.raises(LookupError, match=r"no output port 'ouut': did you mean 'out'"):
        Double("double").output_port("ouut")
    with pytest.raises(LookupError, match=r"no input port 'x': there is 'in'"):
        Double("double").input_port("x")


def test_hooks_do_nothing_unless_overridden() -> None:
    node = Node("n")
    message = Message(MessageType.DATA, 1)
    assert node.on_message("in", message) is None
    assert node.on_error(ValueError(), message) is None
    for hook in (node.on_start, node.on_tick, node.on_drain, node.on_stop):
        assert hook() is None


def test_only_a_node_that_defines_produce_has_it() -> None:
    class Numbers(Node):
        outputs = "out"

        def produce(self) -> Iterator[int]:
            yield 1

    assert not hasattr(Node("n"), "produce")
    assert list(Numbers("numbers").produce()) == [1]


def test_settings_have_defaults_that_a_class_or_an_instance_overrides() -> None:
    class Ticking(Node):
        tick_interval_ms = 10
        dedicated = True

    node = Node("n")
    defaults = (node.error_policy, node.tick_interval_ms, node.max_concurrency)
    assert defaults == (None, None, 1)
    assert (node.ordered, node.dedicated) == (True, False)
    ticking = Ticking("t")
    ticking.ordered = False
    assert (ticking.tick_interval_ms, ticking.dedicated, ticking.ordered) == (10, True, False)


def test_repr_is_short_and_works_before_construction() -> None:
    assert repr(Double("double")) == "<Double 'double'>"
    assert repr(Double.__new__(Double)) == "<Double without a name>"
