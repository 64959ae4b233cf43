"""What an edge may be made of, and how wrong arguments are refused: by name and value, and nothing happens."""

from __future__ import annotations

import decimal
import fractions
import threading
from typing import Any

import pytest
from edges import make_edge

from graphflow import Block, Coalesce, Drop, Edge, Latest, Message, MessageType, PortSpec, block, coalesce, drop, latest

INDEXED = type("Indexed", (), {"__index__": lambda self: 3})()  # as numpy's integers are


@pytest.mark.parametrize("name", ["capacity", "max_bytes", "control_capacity"])
@pytest.mark.parametrize("value", [0, -1, -(2**70), 2**62 + 1, 2**70])
def test_a_bound_out_of_range_is_a_value_error_that_names_it(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*{value}"):
        make_edge(**{name: value})


@pytest.mark.parametrize("name", ["capacity", "max_bytes", "control_capacity"])
@pytest.mark.parametrize("value", [True, 1.5, 3.0, "3", b"3", float("nan"), float("inf"), (3,), 3j])
def test_a_bound_of_a_wrong_type_is_a_type_error_that_names_it(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=name):
        make_edge(**{name: value})


@pytest.mark.parametrize("name", ["capacity", "control_capacity"])
def test_a_bound_that_must_be_there_cannot_be_none(name: str) -> None:
    with pytest.raises(TypeError, match=name):
        make_edge(**{name: None})


def test_anything_with_an_index_is_a_whole_number() -> None:
    edge = make_edge(INDEXED, max_bytes=INDEXED, control_capacity=INDEXED)
    assert (edge.capacity, edge.max_bytes, edge.control_capacity) == (3, 3, 3)
    assert type(edge.capacity) is int


def test_the_largest_bounds_are_taken_and_cost_nothing() -> None:
    edge = make_edge(2**62, max_bytes=2**62, control_capacity=2**62)
    edge.put("x")
    assert edge.try_get() == "x"


HUGE = pytest.param(10**400, id="huge")


@pytest.mark.parametrize("value", [0, 0.0, -0.0, -1, float("nan"), float("inf"), float("-inf"), 1e10, HUGE])
def test_a_time_to_live_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="ttl_s"):
        make_edge(ttl_s=value)


@pytest.mark.parametrize("value", [True, "1", b"1", [1], 1j])
def test_a_time_to_live_of_a_wrong_type_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="ttl_s"):
        make_edge(ttl_s=value)


@pytest.mark.parametrize("value", [5, 0.5, decimal.Decimal("2.5"), fractions.Fraction(1, 2)])
def test_a_time_to_live_is_any_real_number(value: Any) -> None:
    assert make_edge(ttl_s=value).ttl_s == value


@pytest.mark.parametrize("policy", [1, "block", Block, object(), lambda capacity, size, item: None])
def test_a_policy_that_is_none_is_refused(policy: object) -> None:
    with pytest.raises(TypeError, match="default_policy"):
        make_edge(policy=policy)
    edge = make_edge()
    with pytest.raises(TypeError, match="policy"):
        edge.try_put(1, policy)  # type: ignore[arg-type]
    assert edge.is_empty()


@pytest.mark.parametrize("sizeof", [1, "len", object()])
def test_sizeof_must_be_callable(sizeof: object) -> None:
    with pytest.raises(TypeError, match="sizeof"):
        make_edge(max_bytes=10, sizeof=sizeof)


@pytest.mark.parametrize("spec", [int, "in", object()])
def test_a_spec_must_be_a_port_spec(spec: object) -> None:
    with pytest.raises(TypeError, match="spec"):
        make_edge(spec=spec)


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("name", [None, 1, "", b"a"])
def test_ends_are_named_by_text(position: int, name: object) -> None:
    names: list[Any] = ["a", "out", "b", "in"]
    names[position] = name
    argument = ("source_node", "source_port", "target_node", "target_port")[position]
    with pytest.raises(TypeError, match=argument):
        Edge(*names)


def test_an_unknown_argument_is_named() -> None:
    with pytest.raises(TypeError, match="colour"):
        make_edge(colour="red")


def test_the_id_is_made_of_the_ends() -> None:
    edge: Edge[int] = Edge("parse/tok", "out", "parse/emit", "in")
    assert edge.id == "parse/tok:out->parse/emit:in"
    assert (edge.source_node, edge.source_port) == ("parse/tok", "out")
    assert (edge.target_node, edge.target_port) == ("parse/emit", "in")
    assert edge.id in repr(edge)


def test_what_was_not_said_has_its_documented_default() -> None:
    edge: Edge = Edge("a", "out", "b", "in")
    assert (edge.capacity, edge.control_capacity, edge.default_policy) == (1024, 64, Block())
    assert (edge.max_bytes, edge.ttl_s, edge.spec) == (None, None, None)


def test_attributes_are_read_only() -> None:
    edge = make_edge(4, spec=PortSpec("in", int))
    for name in ("id", "capacity", "spec", "default_policy", "max_bytes", "control_capacity", "ttl_s", "closed"):
        with pytest.raises(AttributeError):
            setattr(edge, name, 1)


def test_an_edge_can_be_subscripted_in_annotations() -> None:
    annotation = Edge[int]
    assert annotation is not None


@pytest.mark.parametrize("call", ["put", "get", "put_many", "get_many"])
@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (-1, ValueError),
        (-1e-9, ValueError),
        (float("-inf"), ValueError),
        (float("nan"), ValueError),
        (float("inf"), OverflowError),
        (threading.TIMEOUT_MAX * 2, OverflowError),
        pytest.param(10**400, OverflowError, id="huge"),
        ("1", TypeError),
        (b"1", TypeError),
        ([], TypeError),
        (1j, TypeError),
    ],
)
def test_a_wrong_timeout_is_refused_whether_it_would_wait_or_not(
    call: str, timeout: Any, error: type[Exception]
) -> None:
    for items in ([], [1], [1, 2]):  # capacity 2: empty, with room, full
        edge = make_edge(2)
        edge.put_many(items)
        arguments: tuple[Any, ...] = {"put": (9,), "get": (), "put_many": ([9],), "get_many": (1,)}[call]
        with pytest.raises(error):
            getattr(edge, call)(*arguments, timeout=timeout)
        assert edge.depth() == len(items)


@pytest.mark.parametrize("timeout", [0, 0.0, decimal.Decimal(0), fractions.Fraction(0)])
def test_a_timeout_of_nothing_does_not_wait(timeout: Any) -> None:
    edge = make_edge(1)
    with pytest.raises(TimeoutError, match="a:out->b:in"):
        edge.get(timeout=timeout)
    edge.put(1, timeout=timeout)
    with pytest.raises(TimeoutError, match="a:out->b:in"):
        edge.put(2, timeout=timeout)
    assert edge.get(timeout=timeout) == 1


@pytest.mark.parametrize("call", ["try_put", "put", "put_many"])
def test_a_bare_none_is_not_an_item(call: str) -> None:
    edge = make_edge()
    with pytest.raises(TypeError, match="None"):
        getattr(edge, call)([1, None] if call == "put_many" else None)
    assert edge.is_empty()


def test_a_message_may_carry_none() -> None:
    edge = make_edge()
    message = Message(MessageType.DATA, None)
    edge.put(message)
    assert edge.try_get() is message


@pytest.mark.parametrize("item", [0, False, "", b"", [], (), {}, 0.0, ...])
def test_falsy_items_are_items(item: object) -> None:
    edge = make_edge()
    edge.try_put(item)
    edge.put(item)
    assert edge.depth() == 2
    assert edge.try_get() is item
    assert edge.get() is item
    assert edge.try_get() is None


@pytest.mark.parametrize("most", [0, -1, 2**70])
def test_get_many_wants_a_positive_number(most: int) -> None:
    with pytest.raises(ValueError, match="max"):
        make_edge().get_many(most)


@pytest.mark.parametrize("most", [True, 1.5, None, "1"])
def test_get_many_wants_a_whole_number(most: Any) -> None:
    with pytest.raises(TypeError, match="max"):
        make_edge().get_many(most)


def test_helpers_make_the_policies() -> None:
    assert (block(), drop(), latest(), coalesce(max)) == (Block(), Drop(), Latest(), Coalesce(max))
    assert len({Block(), Drop(), Latest(), Coalesce(max), Coalesce(min)}) == 5


@pytest.mark.parametrize(("fn", "key"), [(None, None), (1, None), (max, 1)])
def test_coalesce_wants_functions(fn: Any, key: Any) -> None:
    with pytest.raises(TypeError, match="callable"):
        Coalesce(fn, key)
