"""The public names as a page of Markdown: `make docs-api` writes docs/api.md, a test holds the two equal.

It reads sources and stubs as text, so the page is the same on every Python and needs no compiled core. A generator of
others does the HTML (`make docs`); for Markdown none would do: griffe2md leaves out what a package re-exports, which
here is everything, and those that import (pdoc, lazydocs) see compiled classes without constructors and types.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("graphflow", "graphflow.nodes", "graphflow.testing", "graphflow.observability")
INTRODUCTION = """\
# API reference

Every public name, from the docstrings. Made by `make docs-api`: change the docstrings, not this page. `make docs` makes
HTML of the same. Times are in seconds unless a name ends in `_ms`, capacities and depths in items, `max_bytes` in what
`sizeof` returns.
"""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Entry:
    """A class, a function or an alias; of a class, its members."""

    name: str
    signature: str
    text: str
    kind: str  # "class", "function", "property", "attribute" or "alias"
    bases: tuple[str, ...] = ()
    members: tuple[Entry, ...] = ()


@cache
def tree(module: str) -> ast.Module:
    """The stub of a module, or its source."""
    place = ROOT / module.replace(".", "/")
    files = place.with_suffix(".pyi"), place.with_suffix(".py"), place / "__init__.py"
    return ast.parse(next(path for path in files if path.is_file()).read_text())


def imports(module: str) -> dict[str, str]:
    """From where in graphflow the names of a module are imported."""
    found: dict[str, str] = {}
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "graphflow":
            found.update({alias.name: node.module for alias in node.names})
    return found


@cache
def public(package: str) -> dict[str, str]:
    """The public names of a package, and the module that defines each."""
    return {name: home for name, home in sorted(imports(package).items()) if not name.startswith("_")}


def entries(package: str) -> list[Entry]:
    return [entry(home, name) for name, home in public(package).items()]


def entry(module: str, name: str) -> Entry:
    body = tree(module).body
    for place, node in enumerate(body):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return class_entry(module, node)
        if isinstance(node, Function) and node.name == name and "overload" not in map(ast.unparse, node.decorator_list):
            return Entry(name, signature(node), ast.get_docstring(node) or "", "function")
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return Entry(name, f"{name} = {ast.unparse(node.value)}", text_after(body, place), "alias")
    raise LookupError(f"{module} defines no {name}: import it from where it is defined")


def class_entry(module: str, node: ast.ClassDef) -> Entry:
    bases: list[str] = []
    members: dict[str, Entry] = {}
    for name in (ast.unparse(base).split("[")[0] for base in node.bases):
        home = imports(module).get(name, module)
        private = any(isinstance(each, ast.ClassDef) and each.name == name for each in tree(home).body)
        if private and not any(name in public(package) for package in PACKAGES):
            inherited = entry(home, name)  # from a base that is nobody's business
            members |= {each.name: each for each in inherited.members}
            bases += inherited.bases
        elif name != "Generic":
            bases.append(name)
    members |= {each.name: each for each in members_of(node.body)}
    made = node.name
    for each in node.body:
        if isinstance(each, Function) and each.name == "__init__":
            made += signature(each).removeprefix("__init__").removesuffix(" -> None")
    if any("dataclass" in ast.unparse(each) for each in node.decorator_list):
        fields = [each.signature for each in members.values() if each.kind == "attribute"]
        made += f"({', '.join(each for each in fields if 'ClassVar' not in each)})"
    return Entry(node.name, made, ast.get_docstring(node) or "", "class", tuple(bases), tuple(members.values()))


def members_of(body: list[ast.stmt]) -> Iterator[Entry]:
    for place, node in enumerate(body):
        if isinstance(node, Function) and not node.name.startswith("_"):
            text = ast.get_docstring(node) or ""
            if "property" in map(ast.unparse, node.decorator_list) and node.returns:
                yield Entry(node.name, f"{node.name}: {ast.unparse(node.returns)}", text, "property")
            else:
                yield Entry(node.name, signature(node), text, "function")
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            target = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
            if not target.startswith("_"):
                text = text_after(body, place)
                yield Entry(target, re.sub(r" = field\(.*", "", ast.unparse(node)), text, "attribute")


def text_after(body: list[ast.stmt], place: int) -> str:
    """The string that stands after an attribute."""
    text = ast.get_docstring(ast.Module(body[place + 1 :], []))
    return text or ""


def signature(node: Function) -> str:
    start = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    arguments = re.sub(r"^(self|cls)(, |$)", "", ast.unparse(node.args))
    return f"{start}{node.name}({arguments})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")


def page() -> str:
    parts = [INTRODUCTION]
    for package in PACKAGES:
        parts.append(f"## {package}\n")
        for each in entries(package):
            parts += [f"### {each.name}\n", f"```py\n{'class ' * (each.kind == 'class')}{each.signature}\n```\n"]
            parts += [f"A kind of {', '.join(f'`{base}`' for base in each.bases)}.\n"] * bool(each.bases)
            parts.append(f"{each.text}\n")
            for member in each.members:
                parts.append(f"**`{member.signature}`**" + "\\\n" + f"{member.text}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
