"""Every public name says what it is: at run time where Python keeps docstrings, else where it is declared."""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import TYPE_CHECKING

import pytest
from api_reference import PACKAGES, Entry, entries, public, tree

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet


def names(*kinds: str) -> list[ParameterSet]:
    found = [(package, each) for package in PACKAGES for each in entries(package)]
    return [pytest.param(*each, id=f"{each[0]}.{each[1].name}") for each in found if not kinds or each[1].kind in kinds]


def at_run_time(owner: object, name: str) -> str | None:
    found = inspect.getattr_static(owner, name)
    return getattr(getattr(found, "__func__", found), "__doc__", None)


@pytest.mark.parametrize(("package", "entry"), names())
def test_a_public_name_and_its_members_say_what_they_are(package: str, entry: Entry) -> None:
    value = getattr(importlib.import_module(package), entry.name)
    assert entry.text
    if entry.kind != "alias":
        assert value.__doc__
    assert [member.name for member in entry.members if not member.text] == []


@pytest.mark.parametrize(("package", "entry"), names("class"))
def test_what_is_public_at_run_time_is_declared_and_methods_have_docstrings(package: str, entry: Entry) -> None:
    value = getattr(importlib.import_module(package), entry.name)
    declared = {member.name for member in entry.members}
    above = {each for base in value.__mro__ if base.__name__ in entry.bases for each in base.__mro__}
    ours = [each for each in value.__mro__ if each.__module__.startswith("graphflow") and each not in above]
    own = {name for each in ours for name in vars(each) if not name.startswith("_")}
    assert sorted(own - declared) == []
    methods = [member.name for member in entry.members if member.kind == "function"]
    assert [name for name in methods if not at_run_time(value, name)] == []


COMPILED = sorted({home for package in PACKAGES for home in public(package).values() if ".core." in home})


@pytest.mark.parametrize("module", [*COMPILED, "graphflow.core.cells.base"])
def test_an_editor_shows_the_docstring_that_help_shows(module: str) -> None:
    """A stub's docstrings are those of the compiled module, word for word."""
    there = importlib.import_module(module)
    wrong = []
    for node in tree(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and (said := ast.get_docstring(node)):
            value = getattr(there, node.name)
            wrong += [node.name] * (said != inspect.getdoc(value))
            for each in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(each, ast.FunctionDef) and (shown := at_run_time(value, each.name)):
                    wrong += [f"{node.name}.{each.name}"] * (ast.get_docstring(each) != inspect.cleandoc(shown))
    assert [name for name in wrong if "._" not in name] == []
