"""Which values match which schema."""

from __future__ import annotations

import collections
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    List,
    Literal,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    Required,
    TypedDict,
    TypeVar,
    Union,
    runtime_checkable,
)

import pytest
import typing_extensions

from graphflow import PortSpec
from graphflow.core.messages.schema import compile_schema

T = TypeVar("T")
Bound = TypeVar("Bound", bound=int)
Either = TypeVar("Either", int, str)
UserId = NewType("UserId", int)


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Point:
    x: int


class Box(Generic[T]):
    pass


class Address(TypedDict):
    street: str


class Person(TypedDict):
    name: str
    age: int | None
    tags: list[str]
    address: NotRequired[Address]
    parent: NotRequired[Optional[Person]]


class Partial(TypedDict, total=False):
    id: Required[int]
    name: Annotated[str, "as printed"]


class ExtendedDict(typing_extensions.TypedDict):
    name: typing_extensions.ReadOnly[str]


@runtime_checkable
class Closable(Protocol):
    def close(self) -> None: ...


class Unchecked(Protocol):
    def close(self) -> None: ...


class File:
    def close(self) -> None: ...


PERSON: dict[str, Any] = {"name": "Ada", "age": None, "tags": []}

MATCHES: list[tuple[Any, list[Any], list[Any]]] = [
    (int, [1, True], ["1", 1.0, None]),
    (float, [1.0], [1]),
    (Point, [Point(1)], [{"x": 1}]),
    (type(None), [None], [0]),
    ((int, str), [1, "a"], [1.0, None]),
    ((int, None), [1, None], ["a"]),
    (int | str, [1, "a"], [1.0]),
    (Union[int, str], [1, "a"], [1.0]),
    (Optional[int], [1, None], ["a"]),
    (int | list[str] | None, [1, None, [1]], ["a"]),
    (Literal["a", 1], ["a", 1], ["b", 2, True, 1.0]),
    (Literal[Colour.RED], [Colour.RED], [Colour.BLUE, 1]),
    (Literal["a"] | int, ["a", 5], ["b"]),
    (list[int], [[1], ["a"], []], [(1,), None]),
    (List[int], [[1]], [(1,)]),
    (List, [[1]], [(1,)]),
    (dict[str, int], [{}, collections.OrderedDict()], [[]]),
    (tuple[int, ...], [(1,)], [[1]]),
    (Sequence[int], [[1], (1,), "a"], [{1}]),
    (Mapping[str, int], [{}], [[]]),
    (Callable[[int], str], [len, int], [5]),
    (Callable, [len], [5]),
    (type[int], [int, str], [5]),
    (Box[int], [Box()], [5]),
    (UserId, [5], ["a"]),
    (T, [5, None], []),
    (Bound, [5], ["a"]),
    (Either, [5, "a"], [1.0]),
    (Annotated[int, "metres"], [5], ["a"]),
    (Annotated[int | None, "metres"], [5, None], ["a"]),
    (Address, [{"street": "x"}, {"street": "x", "more": 1}], [{}, {"street": 1}, "x", None]),
    (
        Person,
        [
            PERSON,
            PERSON | {"age": 5, "tags": [1], "address": {"street": "x"}},
            PERSON | {"parent": PERSON | {"parent": None}},
        ],
        [
            {"name": "Ada"},
            PERSON | {"age": "5"},
            PERSON | {"tags": ()},
            PERSON | {"address": {}},
            PERSON | {"parent": PERSON | {"parent": {}}},
        ],
    ),
    (Partial, [{"id": 1}, {"id": 1, "name": "a"}], [{}, {"id": 1, "name": 1}, []]),
    (ExtendedDict, [{"name": "a"}], [{}, {"name": 1}]),
    (Closable, [File()], [5]),
    (Address | None, [None, {"street": "x"}], [{}, 5]),
]


@pytest.mark.parametrize(("schema", "good", "bad"), MATCHES, ids=[str(row[0]) for row in MATCHES])
def test_values_match_by_instance_and_origin(schema: Any, good: list[Any], bad: list[Any]) -> None:
    spec = PortSpec("in", schema)
    assert [spec.validate(value) for value in good] == [True] * len(good)
    assert [spec.validate(value) for value in bad] == [False] * len(bad)


@pytest.mark.parametrize("schema", [None, Any, object, int | Any, T])
def test_schemas_that_accept_everything_cost_no_check(schema: Any) -> None:
    assert compile_schema(schema) == (None, None)


@pytest.mark.parametrize(
    "schema",
    ["int", 5, (), (int, "str"), [int], ClassVar[int], Literal, Union, Optional["int"]],
    ids=repr,
)
def test_what_is_no_schema_is_refused_with_what_is_allowed(schema: Any) -> None:
    with pytest.raises(TypeError, match="a schema may be None, a type, a tuple of types"):
        compile_schema(schema)


def test_a_protocol_that_isinstance_cannot_check_is_refused_with_advice() -> None:
    with pytest.raises(TypeError, match="runtime_checkable"):
        compile_schema(Unchecked)


def test_a_typed_dict_whose_annotations_cannot_be_found_is_refused() -> None:
    class Local:
        pass

    class Row(TypedDict):
        value: Local

    with pytest.raises(TypeError, match=r"Row names what cannot be found .*'Local'"):
        compile_schema(Row)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type statements are new in 3.12")
def test_a_type_alias_statement_stands_for_its_value() -> None:
    scope: dict[str, Any] = {}
    exec("type Id = int | str\ntype Many[T] = list[T] | None", scope)
    assert PortSpec("in", scope["Id"]).validate("a")
    assert not PortSpec("in", scope["Id"]).validate(1.0)
    assert PortSpec("in", scope["Many"][int]).validate([1])
    assert not PortSpec("in", scope["Many"][int]).validate((1,))


def test_an_error_inside_a_users_own_check_is_raised() -> None:
    class Moody(type):
        def __instancecheck__(cls, value: object) -> bool:
            raise RuntimeError("not today")

    class Picky(metaclass=Moody):
        pass

    with pytest.raises(RuntimeError, match="not today"):
        PortSpec("in", Picky).validate(1)


def run(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


ALONE = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pydantic", "pydantic_core", "typing_extensions"):
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Blocker())

from typing import Literal, TypedDict
from graphflow import Message, MessageType, Port, PortDirection, PortSpec

class Row(TypedDict):
    id: int

for schema, good, bad in [(int, 1, "a"), (int | None, None, "a"), (Literal["a"], "a", "b"),
                          (list[int], [], ()), (Row, {"id": 1}, {})]:
    assert PortSpec("in", schema).validate(good) is True
    assert PortSpec("in", schema).validate(bad) is False
assert not [name for name in sys.modules if name.startswith("pydantic")]
"""


def test_everything_else_works_without_pydantic() -> None:
    done = run(ALONE)
    assert done.returncode == 0, done.stderr


def test_using_schemas_imports_no_pydantic_where_it_is_installed() -> None:
    script = ALONE.replace("sys.meta_path.insert(0, Blocker())", "")
    done = run(script)
    assert done.returncode == 0, done.stderr
