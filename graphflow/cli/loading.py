"""From MODULE:FACTORY on the command line to a scheduler."""

from __future__ import annotations

import functools
import importlib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from graphflow.base.errors import GraphValidationError
from graphflow.base.issues import ValidationIssue, nearest
from graphflow.graph.node import Node
from graphflow.graph.subgraph import Subgraph
from graphflow.runtime.scheduler import Scheduler

_WANTED = "a Subgraph, a Node, an iterable of these, a Scheduler, or a callable without arguments that returns one"

_BUILDING = ("add_node", "add_subgraph", "connect", "expose_input", "expose_output")


class LoadError(click.ClickException):
    """What was named cannot be had: exit status 2."""

    exit_code = 2


def load(place: str) -> Scheduler | list[Subgraph | Node]:
    """What MODULE:FACTORY names, called if it is a callable. Modules in the current folder are found.

    Raises LoadError, which says what was given and what there is; GraphValidationError of a callable as it is.
    """
    module_name, colon, name = place.partition(":")
    if not (module_name and colon and name):
        raise LoadError(f"MODULE:FACTORY must be like 'my_package.graphs:make_graph', not {place!r}")
    found = _attribute(_module(module_name), module_name, name)
    if callable(found) and not isinstance(found, (Scheduler, Subgraph, Node)):
        try:
            found = found()
        except GraphValidationError:
            raise
        except Exception:
            raise LoadError(f"{place} raised\n{traceback.format_exc().rstrip()}") from None
    return _graphs(place, found)


@contextmanager
def refusals() -> Iterator[list[ValidationIssue]]:
    """Within it, calls that build a graph do not raise what they refuse: they leave it out, and list the issues."""
    found: list[ValidationIssue] = []
    before = {name: getattr(Subgraph, name) for name in _BUILDING}
    for name, method in before.items():
        setattr(Subgraph, name, _listing(method, found))
    try:
        yield found
    finally:
        for name, method in before.items():
            setattr(Subgraph, name, method)


def _listing(method: Callable[..., Any], found: list[ValidationIssue]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except GraphValidationError as error:
            found.extend(error.issues)
            return ""

    return call


def _module(name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise LoadError(f"there is no module {error.name!r} here or in the Python path") from None
        raise LoadError(f"module {name!r} cannot be imported\n{traceback.format_exc().rstrip()}") from None
    except Exception:
        raise LoadError(f"module {name!r} cannot be imported\n{traceback.format_exc().rstrip()}") from None


def _attribute(module: Any, module_name: str, name: str) -> Any:
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            there = [each for each in vars(found) if not each.startswith("_")]
            raise LoadError(f"module {module_name!r} has no {name!r}: {nearest(part, there)}")
        found = getattr(found, part)
    return found


def _graphs(place: str, found: object) -> Scheduler | list[Subgraph | Node]:
    if isinstance(found, Scheduler):
        return found
    items = list(found) if isinstance(found, Iterable) else [found]
    graphs = [item for item in items if isinstance(item, (Subgraph, Node))]
    for item in items:
        if item not in graphs:
            raise LoadError(f"{place} must be or return {_WANTED}, not {type(item).__name__} {item!r}")
    return graphs
