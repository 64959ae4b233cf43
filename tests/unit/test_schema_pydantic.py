"""Schemas made with pydantic, and that having it changes nothing else."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Generic, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from graphflow import PortSpec

T = TypeVar("T")


class Flight(BaseModel):
    carrier: str
    delay: int = Field(ge=0)


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    delay: int


class Suspicious(BaseModel):
    model_config = ConfigDict(revalidate_instances="always")
    delay: int


class Page(BaseModel, Generic[T]):
    rows: list[T]


class Broken(BaseModel):
    x: int

    @field_validator("x")
    @classmethod
    def fail(cls, value: int) -> int:
        raise RuntimeError("the validator itself is broken")


def test_an_instance_of_the_model_matches() -> None:
    spec = PortSpec("in", Flight)
    assert spec.validate(Flight(carrier="AA", delay=1)) is True


def test_an_instance_is_not_validated_again() -> None:
    built = Suspicious.model_construct(delay="not checked here")
    assert PortSpec("in", Suspicious).validate(built) is True


def test_a_value_that_the_model_validates_matches_and_is_not_converted() -> None:
    spec = PortSpec("in", Flight)
    value = {"carrier": "AA", "delay": "5"}
    assert spec.validate(value) is True
    assert value == {"carrier": "AA", "delay": "5"}


@pytest.mark.parametrize("value", [{"carrier": "AA"}, {"carrier": "AA", "delay": -1}, None, 5, "AA"])
def test_a_value_that_the_model_refuses_does_not_match(value: Any) -> None:
    assert PortSpec("in", Flight).validate(value) is False


def test_a_models_own_strictness_holds() -> None:
    assert PortSpec("in", Strict).validate({"delay": 5}) is True
    assert PortSpec("in", Strict).validate({"delay": "5"}) is False


def test_a_model_may_be_generic_or_part_of_a_union() -> None:
    assert PortSpec("in", Page[int]).validate({"rows": [1]}) is True
    assert PortSpec("in", Page[int]).validate({"rows": ["a"]}) is False
    spec = PortSpec("in", Flight | None)
    assert spec.validate(None) is True
    assert spec.validate({"carrier": "AA", "delay": 1}) is True
    assert spec.validate(5) is False


def test_a_type_adapter_checks_what_is_inside_generics() -> None:
    spec = PortSpec("in", TypeAdapter(list[int]))
    assert spec.validate([1, "2"]) is True
    assert spec.validate(["a"]) is False
    assert spec.validate(None) is False


def test_an_error_that_is_no_validation_error_is_raised() -> None:
    with pytest.raises(RuntimeError, match="broken"):
        PortSpec("in", Broken).validate({"x": 1})


ANSWERS = """
import sys
{imports}
import dataclasses, typing
from graphflow import PortSpec

@dataclasses.dataclass
class Point:
    x: int

class Row(typing.TypedDict):
    id: int

schemas = [None, int, float, str, bool, Point, Row, int | None, list[int], dict[str, int],
           typing.Literal[1, "a"], typing.Annotated[int, "x"], typing.Sequence[int]]
values = [None, 1, True, "1", 1.0, "a", [], ["a"], (1,), {{}}, {{"id": 1}}, {{"id": "1"}}, Point(1)]
specs = [PortSpec("p", schema) for schema in schemas]
print([spec.validate(value) for spec in specs for value in values])
print([one.compatible_with(other) for one in specs for other in specs])
"""


def answers(imports: str) -> str:
    script = ANSWERS.format(imports=imports)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pydantic_changes_the_answer_of_no_other_schema() -> None:
    without = answers("sys.modules['pydantic'] = None  # blocks the import")
    assert "True" in without
    assert "False" in without
    assert answers("import pydantic; pydantic.BaseModel, pydantic.TypeAdapter") == without
