"""docs/architecture.md names every module of the package, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = "docs/architecture.md"
TEXT = (ROOT / PAGE).read_text()


def section(title: str) -> str:
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def rooms() -> list[str]:
    """The names in the first column of the table of the rooms."""
    rows = re.findall(r"^\| (`.*?) \|", section("The rooms"), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def modules() -> set[str]:
    """The modules as that table calls them: `core/edges/edge` for all its files, `nodes/steps.py`."""
    package = ROOT / "graphflow"
    compiled = (path.relative_to(package) for path in package.rglob("*") if path.suffix in (".pyx", ".pxd", ".h"))
    core = {path.with_suffix("").as_posix() for path in compiled}
    python = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    return core | {name for name in python if not name.endswith("__init__.py")}


def test_every_module_has_its_room() -> None:
    missing = sorted(modules() - set(rooms()))
    add = "".join(f"\n    | `{name}` | what is decided there |" for name in missing)
    assert not missing, f'{PAGE}, table "The rooms": put each of these into the row it belongs to, or add:{add}'


def test_every_room_is_there() -> None:
    gone = sorted(set(rooms()) - modules())
    assert not gone, f'{PAGE}, table "The rooms": take these out, there are no such files: {", ".join(gone)}'


def test_a_module_has_one_room() -> None:
    names = rooms()
    assert sorted(names) == sorted(set(names))


def test_every_test_that_keeps_a_promise_is_there() -> None:
    named = re.findall(r"`(\w+/test_\w+\.py)`", section("Which file keeps which promise"))
    assert named
    gone = [name for name in named if not (ROOT / "tests" / name).is_file()]
    assert not gone, f'{PAGE}, "Which file keeps which promise": no such tests: {", ".join(gone)}'


def test_every_file_that_is_named_elsewhere_is_there() -> None:
    folders = {path.name for path in (ROOT / "graphflow").iterdir() if path.is_dir()}
    named = {name for name in re.findall(r"`([\w/]*/\w+|[\w/]+\.py)`", TEXT) if name.partition("/")[0] in folders}
    gone = sorted(named - modules())
    assert not gone, f"{PAGE} names files that are not there: {', '.join(gone)}"
