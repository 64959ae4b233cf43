"""Ports and port specs: names, checks, compatibility, immutability."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NewType, Optional, Protocol, TypedDict, runtime_checkable

import pytest
from pydantic import BaseModel, TypeAdapter

from graphflow import Port, PortDirection, PortSpec, block

INPUT, OUTPUT = PortDirection.INPUT, PortDirection.OUTPUT
Metres = NewType("Metres", int)
ADAPTER = TypeAdapter(int)


class Base(BaseModel):
    x: int


class Derived(Base):
    y: int = 0


class Row(TypedDict):
    id: int


class OtherRow(TypedDict):
    id: int


@runtime_checkable
class Sized(Protocol):
    def __len__(self) -> int: ...


@runtime_checkable
class Named(Protocol):
    name: str


# -- specs ---------------------------------------------------------------------------------------


def test_a_spec_keeps_what_it_was_given() -> None:
    policy = block()
    spec = PortSpec("out", int | None, policy)
    assert (spec.name, spec.schema) == ("out", int | None)
    assert spec.policy is policy


def test_a_spec_without_a_schema_accepts_everything() -> None:
    assert PortSpec("in").validate(object()) is True
    assert PortSpec("in").validate(None) is True


def test_a_type_is_checked_by_isinstance() -> None:
    spec = PortSpec("in", int)
    assert spec.validate(1) is True
    assert spec.validate(True) is True
    assert spec.validate("1") is False


@pytest.mark.parametrize(("schema", "kind"), [(None, 0), (Any, 0), (int, 1), (int | str, 1), (list[int], 1), (Row, 2)])
def test_only_schemas_that_need_it_are_checked_in_python(schema: Any, kind: int) -> None:
    assert PortSpec("in", schema).check_kind == kind


@pytest.mark.parametrize("make", [PortSpec, lambda name: Port(name, INPUT)], ids=["spec", "port"])
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", ValueError),
        ("a:b", ValueError),
        ("a/b", ValueError),
        ("a->b", ValueError),
        (None, TypeError),
        (5, TypeError),
        (b"in", TypeError),
    ],
)
def test_a_bad_name_is_refused(make: Callable[[Any], object], name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="port's name"):
        make(name)


def test_a_name_may_hold_what_is_no_separator() -> None:
    assert PortSpec("bad-records_2.é>").name == "bad-records_2.é>"


def test_a_schema_that_is_none_is_refused_with_the_ports_name() -> None:
    with pytest.raises(TypeError, match=r"port 'in': 'int' is not understood.*a type"):
        PortSpec("in", "int")


def test_a_policy_must_have_on_enqueue() -> None:
    class Own:
        def on_enqueue(self, capacity: int, size: int, item: object) -> None: ...

    assert isinstance(PortSpec("in", policy=Own()).policy, Own)
    with pytest.raises(TypeError, match=r"port 'in': policy .* on_enqueue"):
        PortSpec("in", policy="drop")


# -- compatibility -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (None, int),
        (int, None),
        (Any, int),
        (int, Any),
        (int, object),
        (int, int),
        (bool, int),
        (int, int | str),
        (int, (int, str)),
        (int | str, str | int | None),
        (list[int], list),
        (list, list[int]),
        (list[int], Sequence[int]),
        (Metres, int),
        (Literal["a", "b"], str),
        (Literal["a"], Literal["a", "b"]),
        (Row, Row),
        (Row, dict),
        (list, Sized),
        (Base, Base),
        (Derived, Base),
        (Derived, BaseModel),
        (Derived, Optional[Base]),
        (ADAPTER, ADAPTER),
    ],
)
def test_a_source_fits_a_target_that_accepts_all_of_it(source: Any, target: Any) -> None:
    assert PortSpec("out", source).compatible_with(PortSpec("in", target)) is True


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (int, str),
        (int, float),
        (int, bool),
        (ADAPTER, int),
        (int | str, int),
        (int | None, int),
        (dict, Row),
        (Row, OtherRow),
        (str, Literal["a"]),
        (Literal["a", "b"], Literal["a"]),
        (Literal[1], Literal[True]),
        (list, set | tuple),
        (Base, Derived),
        (dict, Base),
        (int, Named),
    ],
)
def test_a_source_does_not_fit_a_target_that_may_refuse_some(source: Any, target: Any) -> None:
    assert PortSpec("out", source).compatible_with(PortSpec("in", target)) is False


def test_compatible_with_takes_specs_only() -> None:
    with pytest.raises(TypeError):
        PortSpec("out").compatible_with(int)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        PortSpec("out").compatible_with(None)  # type: ignore[arg-type]


# -- ports ---------------------------------------------------------------------------------------


def test_a_port_keeps_what_it_was_given() -> None:
    spec = PortSpec("in", int)
    port = Port("in", INPUT, 2, spec)
    assert (port.name, port.direction, port.index) == ("in", INPUT, 2)
    assert port.spec is spec
    assert (Port("in", INPUT).index, Port("in", INPUT).spec) == (None, None)


def test_a_port_knows_its_direction() -> None:
    assert Port("p", INPUT).is_input()
    assert not Port("p", INPUT).is_output()
    assert Port("p", OUTPUT).is_output()
    assert not Port("p", OUTPUT).is_input()


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"direction": "input"}, TypeError, "direction"),
        ({"direction": None}, TypeError, "direction"),
        ({"index": -1}, ValueError, "index"),
        ({"index": "0"}, TypeError, "index"),
        ({"index": True}, TypeError, "index"),
        ({"spec": int}, TypeError, "spec"),
    ],
)
def test_a_bad_argument_of_a_port_is_named(arguments: dict[str, Any], error: type[Exception], named: str) -> None:
    make_port: Any = partial(Port, "p")
    with pytest.raises(error, match=f"port 'p': {named}"):
        make_port(**({"direction": INPUT} | arguments))


# -- values of both ------------------------------------------------------------------------------


def things() -> list[PortSpec | Port]:
    spec = PortSpec("a", int)
    return [
        spec,
        PortSpec("b", int),
        PortSpec("a", str),
        Port("a", INPUT),
        Port("b", INPUT),
        Port("a", OUTPUT),
        Port("a", INPUT, 0),
        Port("a", INPUT, 0, spec),
    ]


def test_specs_and_ports_compare_by_value() -> None:
    for row, left in enumerate(things()):
        for column, right in enumerate(things()):
            assert (left == right) is (row == column)
            assert row != column or hash(left) == hash(right)
    assert PortSpec("a") != "a"
    assert Port("a", INPUT) != "a"


def test_a_spec_can_be_hashed_whatever_its_schema() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def on_enqueue(self, capacity: int, size: int, item: object) -> None: ...

    assert len({PortSpec("a", policy=Unhashable())}) == 1


@pytest.mark.parametrize("thing", things(), ids=repr)
def test_specs_and_ports_survive_copy_and_pickle(thing: PortSpec | Port) -> None:
    assert copy.copy(thing) == copy.deepcopy(thing) == pickle.loads(pickle.dumps(thing)) == thing


def test_specs_and_ports_cannot_be_changed() -> None:
    spec, port = PortSpec("a", int), Port("a", INPUT)
    for thing, names in ((spec, ("name", "schema", "policy")), (port, ("name", "direction"))):
        for name in names:
            with pytest.raises(AttributeError):
                setattr(thing, name, None)
    spec.__init__("b", str)  # type: ignore[misc]
    assert (spec.name, spec.validate(1)) == ("a", True)


def test_repr_shows_what_differs_from_the_defaults() -> None:
    assert repr(PortSpec("a")) == "PortSpec('a')"
    assert repr(PortSpec("a", int)) == "PortSpec('a', schema=<class 'int'>)"
    assert repr(Port("a", INPUT)) == "Port('a', PortDirection.INPUT)"
    assert repr(Port("a", OUTPUT, 1, PortSpec("a"))) == ("Port('a', PortDirection.OUTPUT, index=1, spec=PortSpec('a'))")
