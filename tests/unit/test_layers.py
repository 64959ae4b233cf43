"""The order of the folders: a lower one imports nothing of a higher one, and no two modules import each other.

Read from `.py`, `.pyx`, `.pxd` and `.pyi`, as text: relative imports, those inside a function and those under
`if TYPE_CHECKING` count like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.source_tree

# Lowest first. The folders of one line don't import each other. "" is graphflow/__init__, what users import.
LAYERS = (
    ("base",),
    ("draw",),
    ("core.sync",),
    ("core.metrics",),
    ("core.receipts",),
    ("core.messages",),
    ("core.edges", "core.dispatch"),
    ("core.cells",),
    ("core.engine",),
    ("core.introspect", "core.simulation"),
    ("storage",),
    ("graph",),
    ("nodes",),
    ("snapshot",),
    ("remote",),
    ("runtime",),
    ("", "testing", "observability", "connectors", "console", "remote.carriers", "cli"),
    ("__main__",),
)
RANKS = {folder: rank for rank, folders in enumerate(LAYERS) for folder in folders}

# Imports that run up all the same, until what they need has moved down. One that is gone has to go from here.
EXCEPTIONS: set[str] = {
    "graphflow.cli.commands -> graphflow",
    "graphflow.core.cells.errors -> graphflow.graph.node",
    "graphflow.core.edges.edge -> graphflow.core.cells.base",
    "graphflow.core.engine.builder -> graphflow.graph.function_node",
    "graphflow.core.engine.builder -> graphflow.graph.node",
    "graphflow.core.engine.builder -> graphflow.nodes.steps",
    "graphflow.core.engine.engine -> graphflow.graph.plan",
    "graphflow.core.engine.engine -> graphflow.graph.validation.node_settings",
    "graphflow.core.engine.engine -> graphflow.runtime.config",
    "graphflow.core.engine.engine -> graphflow.runtime.tracing",
    "graphflow.core.introspect.snapshot -> graphflow.graph.plan",
    "graphflow.core.introspect.snapshot -> graphflow.snapshot.flight",
    "graphflow.core.simulation.engine -> graphflow.graph.node",
    "graphflow.core.simulation.engine -> graphflow.graph.plan",
    "graphflow.core.simulation.engine -> graphflow.runtime.config",
    "graphflow.core.sync.latch -> graphflow.core.simulation.interleaver",
    "graphflow.core.sync.parking -> graphflow.core.simulation.interleaver",
    "graphflow.observability.dumping -> graphflow",
}

# Modules that import each other all the same. A circle that is smaller, or gone, has to be so here.
CIRCLES: set[tuple[str, ...]] = {
    (
        "graphflow.core.cells.base",
        "graphflow.core.cells.cell",
        "graphflow.core.cells.errors",
        "graphflow.core.cells.handling",
        "graphflow.core.cells.outbox",
        "graphflow.core.edges.edge",
        "graphflow.graph.node",
    ),
    (
        "graphflow.core.simulation.interleaver",
        "graphflow.core.sync.parking",
    ),
    (
        "graphflow.graph.endpoints",
        "graphflow.graph.flatten",
        "graphflow.graph.picture",
        "graphflow.graph.subgraph",
        "graphflow.graph.validation.checks",
        "graphflow.graph.validation.dead_letters",
        "graphflow.graph.validation.whole_graph",
        "graphflow.graph.wiring",
    ),
    (
        "graphflow.testing.hooks",
        "graphflow.testing.simulation",
        "graphflow.testing.threads",
    ),
}

Sources = Mapping[str, tuple[bool, str]]  # by module: is it a package, and its text

FROM = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+c?import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)
PLAIN = re.compile(r"^[ \t]*c?import[ \t]+([\w., \t]+)", re.MULTILINE)
CONTINUED = re.compile(r"\\\n")
COMMENT = re.compile(r"#[^\n]*")


def sources() -> dict[str, tuple[bool, str]]:
    """All modules; the texts of a .pyx, its .pxd and its .pyi are one."""
    found: dict[str, tuple[bool, str]] = {}
    for path in sorted((ROOT / "graphflow").rglob("*")):
        if path.suffix in {".py", ".pyx", ".pxd", ".pyi"}:
            parts = path.relative_to(ROOT).with_suffix("").parts
            package = parts[-1] == "__init__"
            module = ".".join(parts[:-1] if package else parts)
            found[module] = (package, found.get(module, (package, ""))[1] + "\n" + path.read_text())
    return found


def imports(module: str, package: bool, text: str, modules: Iterable[str]) -> set[str]:
    """The modules of graphflow that one imports."""
    text = COMMENT.sub("", CONTINUED.sub(" ", text))
    known, found = set(modules), set()
    for dots, name, names in FROM.findall(text):
        base = name
        if dots:
            here = module.split(".") if package else module.split(".")[:-1]
            base = ".".join([*here[: len(here) - len(dots) + 1], *filter(None, [name])])
        for each in names.strip("()").split(","):
            inner = f"{base}.{each.split(' as ')[0].strip()}"
            found.add(inner if inner in known else base)
    for names in PLAIN.findall(text):
        found |= {each.split(" as ")[0].strip() for each in names.split(",")}
    return {name for name in found if name.split(".")[0] == "graphflow"}


def layer(module: str) -> str | None:
    """The folder that a module belongs to, the innermost that has a place in the order."""
    parts = module.split(".")[1:]
    for count in range(len(parts), 0, -1):
        folder = ".".join(parts[:count])
        if folder in RANKS:
            return folder
    return None if parts else ""


def upward(modules: Sources) -> set[str]:
    """The imports that run up, or across between two folders of one line."""
    wrong = set()
    for module, (package, text) in modules.items():
        here = layer(module)
        for target in imports(module, package, text, modules):
            there = layer(target)
            if here is None or there is None:
                wrong.add(f"{module} -> {target} (which of them has no place in LAYERS?)")
            elif here != there and RANKS[there] >= RANKS[here]:
                wrong.add(f"{module} -> {target}")
    return wrong


def circles(modules: Sources) -> set[tuple[str, ...]]:
    """The largest groups of modules in which each leads to each by imports."""
    targets = {name: imports(name, *found, modules) & modules.keys() for name, found in modules.items()}
    reached: dict[str, set[str]] = {}
    for name in modules:
        seen: set[str] = set()
        waiting = list(targets[name])
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                waiting += targets[each]
        reached[name] = seen
    groups = {tuple(sorted(each for each in reached[name] if name in reached[each])) for name in modules}
    return {group for group in groups if len(group) > 1}


def test_no_folder_imports_what_is_above_it() -> None:
    new = sorted(upward(sources()) - EXCEPTIONS)
    assert not new, f"these imports run up: move what they need down, or hand it in from above: {', '.join(new)}"


def test_every_exception_is_still_needed() -> None:
    gone = sorted(EXCEPTIONS - upward(sources()))
    assert not gone, f"these run up no more: take them out of EXCEPTIONS: {', '.join(gone)}"


def test_no_modules_import_each_other() -> None:
    found = circles(sources())
    new, gone = sorted(found - CIRCLES), sorted(CIRCLES - found)
    assert not new, f"these import each other: let one be told what it asks the others: {new}"
    assert not gone, f"these are no circle any more, or another one: take them out of CIRCLES: {gone}"


def test_every_module_has_a_place_in_the_order() -> None:
    lost = sorted(name for name in sources() if layer(name) is None and name != "graphflow.core")
    assert not lost, f"put the folders of these into LAYERS: {', '.join(lost)}"


@pytest.mark.parametrize(
    ("module", "planted", "target"),
    [
        ("core.edges.queue", "from graphflow.runtime.run import Run", "runtime.run"),
        ("core.edges.queue", "from graphflow.core.cells.cell cimport Cell, Turn", "core.cells.cell"),
        (
            "core.edges.queue",
            "from graphflow.core.dispatch.state cimport (\n    Crew,\n    Stint,\n)",
            "core.dispatch.state",
        ),
        ("core.edges.queue", "cimport graphflow.core.cells.cell as cell", "core.cells.cell"),
        ("core.edges.queue", "from graphflow.core.cells cimport cell", "core.cells.cell"),
        ("base.errors", "if TYPE_CHECKING:\n    from graphflow.graph.node import Node", "graph.node"),
        ("base.errors", "def late():\n    import graphflow.runtime.run", "runtime.run"),
        ("base.errors", "from ..runtime import run", "runtime.run"),
        ("base.errors", "from .. import __version__", ""),
        ("core.sync.lock", "from ..edges.queue cimport EdgeQueue", "core.edges.queue"),
        ("graph.node", "from graphflow import Scheduler", ""),
    ],
)
def test_a_planted_import_is_found(module: str, planted: str, target: str) -> None:
    tree = sources()
    name = f"graphflow.{module}"
    package, text = tree[name]
    line = f"{name} -> graphflow.{target}".removesuffix(".")
    assert line not in upward(tree)
    assert line in upward({**tree, name: (package, f"{text}\n{planted}\n")})


def test_a_planted_circle_is_found() -> None:
    tree = sources()
    names = ("graphflow.core.edges.queue", "graphflow.core.edges.ring")
    package, text = tree[names[1]]
    planted = {**tree, names[1]: (package, f"{text}\nif TYPE_CHECKING:\n    from .queue import EdgeQueue\n")}
    assert not any(set(names) <= set(group) for group in circles(tree))
    assert any(set(names) <= set(group) for group in circles(planted))


def test_an_import_of_what_is_below_or_beside_is_allowed() -> None:
    tree = sources()
    package, text = tree["graphflow.core.edges.queue"]
    planted = "from graphflow.base.errors import EdgeClosed\nfrom . cimport ring\nfrom ..sync.lock cimport acquire\n"
    changed = {**tree, "graphflow.core.edges.queue": (package, f"{text}\n{planted}")}
    assert upward(changed) == upward(tree)
