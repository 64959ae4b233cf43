"""The public names are one list, and the stubs tell of the compiled modules what is there."""

from __future__ import annotations

import ast
import importlib
import types
from pathlib import Path

import pytest

import graphflow

ROOT = Path(graphflow.__file__).parents[1]
STUBS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted((ROOT / "graphflow").rglob("*.pyi"))
}
# What every extension type has without saying so.
UNSAID = {"__init__", "__pyx_vtable__", "__pyx_capi__", "__setstate_cython__", "__test__"}


def stub_names(body: list[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """The names a stub defines; with the body of those that are classes."""
    found: dict[str, list[ast.stmt]] = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = node.body
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = []
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = []
        elif isinstance(node, ast.Assign):
            found.update({name.id: [] for name in node.targets if isinstance(name, ast.Name)})
    return found


def own_names(module: types.ModuleType) -> set[str]:
    """The public names a module defines itself."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }


def test_all_names_every_public_name_once() -> None:
    exported = {
        name
        for name, value in vars(graphflow).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert sorted(graphflow.__all__) == sorted(exported)


@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_and_its_module_define_the_same_names(stub: str) -> None:
    module = importlib.import_module(stub)
    names = stub_names(ast.parse(STUBS[stub].read_text()).body)
    public = {name for name in names if not name.startswith("_")}
    assert sorted(public - set(vars(module))) == []
    assert sorted(own_names(module) - public) == []


@pytest.mark.parametrize("stub", STUBS)
def test_a_stubs_classes_have_the_members_of_the_real_ones(stub: str) -> None:
    module = importlib.import_module(stub)
    for name, body in stub_names(ast.parse(STUBS[stub].read_text()).body).items():
        if not body:
            continue
        said = set(stub_names(body)) - UNSAID
        there = {member for member in vars(getattr(module, name)) if not member.startswith("_")}
        assert sorted(said - set(dir(getattr(module, name)))) == [], name
        assert sorted(there - said) == [], name
