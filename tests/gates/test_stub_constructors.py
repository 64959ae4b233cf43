"""A constructor takes what its stub says: compiled ones have no signature to ask, so their sources are read."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "graphflow" / "core"
CONSTRUCTOR = re.compile(r"    def __c?init__\((.*?)\):", re.DOTALL)


def stub_parameters() -> dict[tuple[str, str], list[str]]:
    """Module and class, and the parameters of the constructor that the stub shows."""
    found = {}
    for stub in CORE.rglob("*.pyi"):
        for node in ast.walk(ast.parse(stub.read_text())):
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                        arguments = method.args
                        names = [arg.arg for arg in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
                        found[stub.relative_to(CORE).with_suffix("").as_posix(), node.name] = names[1:]
    return found


def real_parameters(module: str, name: str) -> list[str]:
    """The parameters of the constructor in the class's own source, or in that of its base."""
    source = (CORE / f"{module}.pyx").read_text()
    _, base, body = re.split(rf"^(?:cdef )?class {name}\b\(?(\w*)\)?:$", source, maxsplit=1, flags=re.MULTILINE)
    body = re.split(r"^\S", body, maxsplit=1, flags=re.MULTILINE)[0]
    found = CONSTRUCTOR.search(body)
    if found is None:
        return real_parameters(module, base) if f"cdef class {base}" in source else []
    parts = [part.partition("=")[0].split() for part in found[1].replace(" not None", "").split(",")]
    names = [part[-1] for part in parts if part]
    popped = re.findall(r'others\.pop\("(\w+)"', body)  # names that Cython keeps for itself
    return [name for name in names if name != "self" and name[0] not in "*/"] + popped


@pytest.mark.parametrize(("module", "name"), stub_parameters(), ids=lambda part: part)
def test_a_stub_shows_the_parameters_of_the_constructor(module: str, name: str) -> None:
    assert real_parameters(module, name) == stub_parameters()[module, name]
